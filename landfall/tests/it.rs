//! The command line, as people and programs meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "it/access_points.rs"]
mod access_points;
#[path = "it/air.rs"]
mod air;
#[path = "it/attest.rs"]
mod attest;
#[path = "it/attested.rs"]
mod attested;
#[path = "it/books.rs"]
mod books;
#[path = "it/browser.rs"]
mod browser;
#[path = "it/commands.rs"]
mod commands;
#[path = "it/docs.rs"]
mod docs;
#[path = "it/easy_connect.rs"]
mod easy_connect;
#[path = "it/element_dpp.rs"]
mod element_dpp;
#[path = "it/element_trouble.rs"]
mod element_trouble;
#[path = "it/freeradius.rs"]
mod freeradius;
#[path = "it/ground.rs"]
mod ground;
#[path = "it/guests.rs"]
mod guests;
#[path = "it/hardware.rs"]
mod hardware;
#[path = "it/inspect.rs"]
mod inspect;
#[path = "it/inspect_dpp.rs"]
mod inspect_dpp;
#[path = "it/intent.rs"]
mod intent;
#[path = "it/lab.rs"]
mod lab;
#[path = "it/line.rs"]
mod line;
#[path = "it/operations.rs"]
mod operations;
#[path = "it/posture.rs"]
mod posture;
#[path = "it/provision.rs"]
mod provision;
#[path = "it/struck_off.rs"]
mod struck_off;
#[path = "it/survives.rs"]
mod survives;
#[path = "it/verification.rs"]
mod verification;
#[path = "it/vlans.rs"]
mod vlans;

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs `landfall` in `folder`.
fn landfall(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall")).args(arguments).current_dir(folder).output().unwrap()
}

/// Its exit status and what it says on standard output.
fn says(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = landfall(folder, arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}
