//! Real peers, published examples, and bad input over real sockets.
//!
//! docs/conformance says which requirement each test covers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod access;
    mod artefacts;
    mod attested;
    mod bad_masa;
    mod bad_registrar;
    mod bare_pledge;
    mod connect;
    mod controller;
    mod curl;
    mod est;
    mod foreign;
    mod freeradius;
    mod hostap;
    mod lab;
    mod masa_client;
    mod orders;
    mod pledge;
    mod published;
    mod python;
    mod racing;
    mod radio;
    mod radsec;
    mod shell;
    mod slow;
    mod strongswan;
    mod tables;
    mod threats;
    mod tls;
}
