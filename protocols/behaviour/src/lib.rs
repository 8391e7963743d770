//! What devices do on the network.
//!
//! ```text
//! plain text, CSV, STIX 2.1, TAXII 2.1 ── deny ──> DenyLists ── contact ──> at once, and certain
//! IPFIX ── ipfix ──> Flow ── detect::Watch ──> Unusual: what, the threshold, what was seen
//! ```
//!
//! A deny list is somebody's knowledge, and a contact with what is on it counts at once. The detectors only say what is unusual,
//! each in words that an operator can check; what follows is for policy to say. All of it is bounded in memory, whatever devices do
//! and lists contain.

pub mod bounds;
pub mod deny;
pub mod detect;
pub mod flow;
pub mod ipfix;

pub use deny::{DenyList, DenyLists, Format};
pub use detect::{Detector, Lesson, Unusual, Watch};
pub use flow::Flow;
