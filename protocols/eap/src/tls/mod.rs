//! EAP-TLS (RFC 5216; with TLS 1.3, RFC 9190), both ends.
//!
//! TLS itself is rustls's, which is handed flights and asked for flights. Sessions are not resumed: a device shows its
//! certificate each time, so that nothing of what it once was lets it in again.

mod flight;
mod keys;
pub mod peer;
pub mod server;
mod tunnel;

pub use flight::{Flags, Fragment};
pub use keys::Keys;
pub use peer::Peer;
pub use server::Server;
