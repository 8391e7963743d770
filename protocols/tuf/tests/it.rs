//! Bundles as publishers make them, and each attack that the framework is against.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod archives;
    mod attacks;
    mod firmware;
    mod peer;
    mod publisher;
}
