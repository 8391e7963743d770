//! What a store promises, checked against every backend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "it/contract.rs"]
mod contract;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/model.rs"]
mod model;
#[path = "it/sqlite.rs"]
mod sqlite;
#[path = "it/thing.rs"]
mod thing;
