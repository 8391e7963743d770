//! Conformance with published examples and with real peers.
