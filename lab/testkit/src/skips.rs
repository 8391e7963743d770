//! Skipping loudly: a test that cannot run says so, and is counted.

use std::{
    fs::OpenOptions,
    io::{self, Write},
};

/// Says that a test, or a part of one, did not run, and why: on standard error past the test runner's capture, and as
/// a line at the end of the file named by `LANDFALL_SKIPS`, whose lines `cargo xtask test` counts.
pub fn skip(name: &str, reason: &str) {
    let reason: String = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("SKIPPED {name}: {reason}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("LANDFALL_SKIPS") {
        // One write in append mode, so that lines of tests that run at once do not mix.
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skips can be written");
    }
}

/// The name of the test that runs in this thread: the test runner names its threads so.
pub fn current_test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}
