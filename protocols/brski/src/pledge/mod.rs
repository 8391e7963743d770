//! The pledge: finds a registrar, asks for a voucher, checks it and enrols (RFC 8995 s4.1, s5).
//!
//! What may be said over a connection hangs on the type that holds it: a [`Provisional`] one can ask for a voucher and
//! report on it, and nothing else. Only a voucher that passed every check turns it into a [`Trusted`] one, which can
//! enrol.
#![allow(dead_code)]

mod config;
mod io;
mod provisional;
mod voucher;

pub use config::{Config, Random, Timing};
pub use io::{ConnectionId, Credential, Identity, Input, InvalidInput, Output, Progress, SigningKey, Summary, Trust};
pub use provisional::{Provisional, Trusted};
pub use voucher::{Imprint, VoucherPolicy};
