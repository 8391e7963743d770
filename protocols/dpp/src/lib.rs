//! Wi-Fi Easy Connect (DPP, releases 1 to 3), both sides, without sockets or clocks.
//!
//! Section numbers are those of the Wi-Fi Alliance's Wi-Fi Easy Connect Specification, version 3.

mod asn1;
pub mod auth;
pub mod backup;
pub mod bounds;
pub mod capabilities;
mod channel;
pub mod config;
mod configuration;
pub mod connector;
pub mod crypto;
pub mod curve;
pub mod enterprise;
pub mod exchange;
pub mod frame;
pub mod gas;
pub mod introduction;
mod json;
pub mod jwk;
mod jws;
mod net_role;
pub mod nfc;
pub mod pkex;
pub mod presence;
pub mod push_button;
pub mod random;
pub mod reconfiguration;
pub mod status;
pub mod tcp;
pub mod uri;

pub use capabilities::{Capabilities, Role};
pub use channel::Channel;
pub use curve::Curve;
pub use net_role::NetRole;
pub use random::{Random, System};
pub use status::Status;
pub use uri::Uri;
