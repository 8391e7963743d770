//! The join proxy and how it is found (RFC 8995 s4).
//!
//! A stateful proxy passes streams of bytes and speaks no protocol of its own, so what stands here is how proxies and
//! registrars are announced: as GRASP floods ([`grasp`]) and as DNS-SD services over mDNS.

mod offer;

pub mod grasp;

pub use offer::{Host, InvalidHost, Offer, Source};

/// DNS-SD service of a join proxy (RFC 8995 appendix B).
pub const MDNS_PROXY: &str = "_brski-proxy._tcp.local.";
/// DNS-SD service of a registrar (RFC 8995 appendix B).
pub const MDNS_REGISTRAR: &str = "_brski-registrar._tcp.local.";
