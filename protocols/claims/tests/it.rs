//! Credentials and events, as they are and with one thing changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod believing;
    mod events;
    mod peer;
    mod poll;
    mod revoking;
    mod sample;
}
