//! What the processes decide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "it/assessment.rs"]
mod assessment;
#[path = "it/bootstrapping.rs"]
mod bootstrapping;
#[path = "it/device.rs"]
mod device;
#[path = "it/serial.rs"]
mod serial;
#[path = "it/transfer.rs"]
mod transfer;
#[path = "it/verification.rs"]
mod verification;
