//! Lists, feeds and statements as their publishers write them, and with one thing changed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod assessing;
    mod feeds;
    mod lists;
    mod sample;
    mod schemas;
    mod tools;
    mod versions;
    mod words;
}
