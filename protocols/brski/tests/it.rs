//! The parties against each other, and each against peers that misbehave in one way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod est;
    mod examples;
    mod masa;
    mod openssl;
    mod pledge;
    mod registrar;
    mod sealed;
    mod together;
    mod vectors;
    mod voucher;
    mod whole;
}
