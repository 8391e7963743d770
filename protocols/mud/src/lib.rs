//! Manufacturer usage descriptions (RFC 8520): which communication the maker of a device intends for it.
//!
//! ```text
//! bytes ── signature::verify ──> who signed them
//!   └───── file::read ─────────> a MudFile, and a Report of all that is not as it should be
//!                                   └── Policy::of ──> rules for both directions, names and groups still symbolic
//!                                                         └── Policy::decide(packet, context)
//! ```
//!
//! Real files are rarely as the specification wants them. One reader takes them all: where the meaning is beyond doubt it
//! mends, where it is not it leaves the entry out, and either way it says so. What is left out never lets more through.
//!
//! [`judge`] answers for one packet straight from the JSON, in other words than the compiler's: it is there to check it.

pub mod bounds;
pub mod capture;
pub mod claim;
pub mod dns;
pub mod draft;
pub mod file;
mod frame;
pub mod judge;
pub mod learn;
pub mod packet;
pub mod policy;
pub mod report;
pub mod signature;
pub mod url;

pub use claim::Claim;
pub use file::{MudFile, read};
pub use packet::{Context, Direction, Members, Packet};
pub use policy::{Class, Policy};
pub use report::{Finding, Kind, Report};
pub use url::MudUrl;
