//! HTTP/1.1 with requests and responses as data ([`landfall_types::http`]), bounded in size and time on both sides.

mod body;
#[cfg(feature = "client")]
mod client;
mod convert;
#[cfg(feature = "server")]
mod guard;
#[cfg(feature = "client")]
mod pool;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use client::{ClientLimits, Connection, Endpoint, NotAnEndpoint};
#[cfg(feature = "client")]
pub use pool::Pool;
#[cfg(feature = "server")]
pub use server::{ConnInfo, Limits, Seen, Server};
