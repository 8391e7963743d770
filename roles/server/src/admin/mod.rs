//! The operator's door to a running server: HTTP and JSON, over a Unix socket on the machine and mutual TLS from
//! elsewhere. docs/openapi.json describes it.

mod client;
mod error;
mod serve;
pub mod view;

pub use client::{Address, Client, ClientError, escape};
pub use error::{ApiError, Problem};
pub use serve::{LocalDoor, RemoteDoor};
