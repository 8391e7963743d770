//! BRSKI (RFC 8995), vouchers (RFC 8366) and EST (RFC 7030), both sides, without sockets or clocks.
//!
//! The parties stand side by side, each a [`Machine`](landfall_types::Machine):
//!
//! | party | module | asks | answers |
//! |---|---|---|---|
//! | pledge | [`pledge`] | the registrar | |
//! | join proxy | [`proxy`] | | |
//! | registrar | [`registrar`], [`est`] | the MASA | the pledge |
//! | MASA | [`masa`] | | the registrar |
//!
//! What they exchange stands in [`voucher`], [`telemetry`], [`audit_log`] and [`est`]; where and as what it is
//! exchanged, in [`paths`] and [`media`]; what TLS says of the other side, in [`TlsPeer`]; and how a refusal is told
//! to the peer, in [`status`].

pub mod audit_log;
pub mod est;
pub mod masa;
pub mod media;
pub mod paths;
mod peer;
pub mod pledge;
pub mod proxy;
pub mod registrar;
pub mod status;
pub mod telemetry;
pub mod voucher;

pub use peer::{ChannelBinding, TlsPeer};
