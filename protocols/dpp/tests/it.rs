//! Codecs and exchanges of Wi-Fi Easy Connect, against published vectors and against peers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod crypto;
    mod curve;
    mod exchange;
    mod party;
    mod pkex;
    mod published;
    mod together;
    mod vectors;
}
