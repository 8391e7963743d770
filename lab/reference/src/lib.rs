//! The guide's reference architecture on one machine, its scenarios, and what onboarding costs.

pub mod acceptance;
pub mod bench;
pub mod lab;
pub mod link;
pub mod narrator;
pub mod peers;
pub(crate) mod port;
pub mod report;
pub mod rig;
pub(crate) mod wires;
