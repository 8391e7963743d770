//! Wi-Fi Easy Connect (DPP, releases 1 to 3), both sides, without sockets or clocks.
//!
//! Section numbers are those of the Wi-Fi Alliance's Wi-Fi Easy Connect Specification, version 3.

pub mod crypto;
pub mod curve;
pub mod random;

pub use curve::Curve;
pub use random::Random;
