//! Evidence that is good, and the same with one thing changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod corim;
    mod eat;
    mod quote;
    mod result;
    mod scene;
    mod shown;
    mod values;
}
