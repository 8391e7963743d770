//! What people and services assert of devices.
//!
//! ```text
//! Credential ── issue ──> JWT (W3C VC 2.0, VC-JOSE-COSE) ── verify ──> Verified: what, by which key, in which role, until when
//! SecurityEvent ── sign ──> SET (RFC 8417, CAEP 1.0) ── Receiver::read ──> what another service has seen of a device
//!                           pushed (RFC 8935), or asked for: Poll, Answer (RFC 8936)
//! ```
//!
//! Who asserts something is a key and never a name. An authority is a key that the operator has given a role; the role says what
//! it may assert, and its vendor, if it has one, of whose devices. Nobody vouches for himself.

pub mod authority;
pub mod caep;
pub mod credential;
pub mod identifier;
pub mod poll;
pub mod status;
pub mod verify;

pub use authority::{Authorities, Authority, Role};
pub use caep::{Event, Receiver, SecurityEvent};
pub use credential::{Claim, ClaimKind, Credential};
pub use verify::{Verified, World, verify};

/// The longest credential or event, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// The longest text in one.
pub const TEXT: usize = 256;
