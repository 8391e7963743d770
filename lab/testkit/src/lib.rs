//! For tests: a test PKI, two endpoints under a virtual clock, peers and their skips.
