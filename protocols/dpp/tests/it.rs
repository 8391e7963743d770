//! Codecs and exchanges of Wi-Fi Easy Connect, against published vectors and against peers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod backup;
    mod config;
    mod connector;
    mod crypto;
    mod curve;
    mod enterprise;
    mod exchange;
    mod frame;
    mod gas;
    mod hand_over;
    mod introduction;
    mod nfc;
    mod party;
    mod pkex;
    mod presence;
    mod published;
    mod push_button;
    mod reconfiguration;
    mod tcp;
    mod together;
    mod uri;
    mod vectors;
    mod wrapped;
}
