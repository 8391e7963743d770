//! Signed bundles of files, by The Update Framework (TUF 1.0).
//!
//! ```text
//! files ── publish ──> bundle.tar ── Archive ─┐
//! root.json ── Trust::pin ──> Trust ── update(bundle, now) ──> Bundle: files that are whole, fresh and no older than before
//! ```
//!
//! Who may sign what, and how many of them must, stands in the root. A bundle that lacks a signature, has expired, is older than one
//! that was seen before, or has a file that is not the one that was signed, is refused as a whole, and nothing changes.
//!
//! Spoken are the four roles of the top with Ed25519 and ECDSA on P-256. Delegations are not followed: a file that only a
//! delegated role names is not in the bundle.

mod archive;
mod canonical;
pub mod firmware;
mod metadata;
pub mod publish;
mod trust;

pub use archive::Archive;
pub use canonical::canonical;
pub use trust::{Bundle, Fetched, Source, Trust};

/// The longest metadata file, in bytes.
pub const METADATA: usize = 4 * 1024 * 1024;
/// Signatures on one file.
pub const SIGNATURES: usize = 64;
/// Keys in one root.
pub const KEYS: usize = 256;
/// Roots that may follow each other in one update.
pub const ROOTS: u64 = 256;
/// Files in one bundle.
pub const TARGETS: usize = 4096;
