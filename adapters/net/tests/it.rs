//! Clients and servers over real sockets, against each other and against OpenSSL and Python.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has failed"
)]
#![cfg(all(feature = "client", feature = "server"))]

mod it {
    mod client;
    mod discovery;
    mod peers;
    mod proxy;
    mod server;
    mod support;
    mod trust;
}
