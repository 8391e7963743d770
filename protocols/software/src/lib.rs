//! What a device runs, and what is known to be wrong with it.
//!
//! ```text
//! CycloneDX, SPDX ── sbom::read ──> Sbom ─────────┐
//! OSV, NVD, KEV, EPSS ── Feed::read ──> Catalogue ─┼── assess ──> Assessment: the worst that is left, and why
//! OpenVEX, CycloneDX ── vex::read ──> Statements ──┘
//! ```
//!
//! The score is that of the worst vulnerability which nobody has said does not apply, never a mean. What cannot be told counts
//! against the device: a version that cannot be compared is affected, a vulnerability without a score has the highest, and
//! without a feed for what it runs a device has no score at all. So nothing that is missing makes a device look better.

pub mod assess;
pub mod bounds;
pub mod catalogue;
pub mod cpe;
pub mod feed;
pub mod purl;
mod read;
pub mod sbom;
pub mod severity;
pub mod version;
pub mod vex;

pub use assess::{Assessment, Finding, assess};
pub use catalogue::Catalogue;
pub use feed::{Feed, FeedKind};
pub use purl::Purl;
pub use sbom::{Component, Sbom};
pub use severity::Tenths;
pub use vex::Statement;
