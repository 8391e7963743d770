//! Lists, flows and what is unusual about them, each with one thing changed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod flows;
    mod lists;
    mod shared;
    mod unusual;
}
