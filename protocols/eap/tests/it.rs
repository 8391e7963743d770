//! EAP-TLS between two ends, and RADIUS between access point and server, on wires that lose, repeat and alter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod anqp;
    mod conversation;
    mod desk;
    mod order;
    mod packet;
    mod port;
    mod radius;
    mod settings;
}
