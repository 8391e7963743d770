//! Files of real devices and of our own, as they are and with one thing changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod agree;
    mod claimed;
    mod dns;
    mod drafted;
    mod field;
    mod learnt;
    mod model;
    mod sample;
    mod signed;
    mod traffic;
}
