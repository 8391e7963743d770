//! For tests: a test PKI, two endpoints under a virtual clock, hosts on a made-up network, real peers and their skips.
//!
//! Everything here panics when it fails, since a test that cannot be set up has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

pub mod hardware;
pub mod harness;
pub mod hosts;
pub mod peers;
pub mod pki;
pub mod process;
pub mod rng;
mod skips;

pub use hardware::{SoftHsm, Swtpm};
pub use harness::{Act, Link, Pair, Side};
pub use hosts::Hosts;
pub use peers::{openssl, rfc, shared, tool};
pub use pki::{Domain, Identity, Issuer, Manufacturer, NOW};
pub use process::{Running, free_pair, free_port};
pub use rng::Rng;
pub use skips::{current_test, skip};

/// A folder that is removed when dropped.
///
/// # Panics
/// If none can be made.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("landfall-").tempdir().expect("a temporary folder")
}
