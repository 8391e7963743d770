//! TLS, HTTP, mDNS and GRASP on real sockets.
