//! The pledge: finds a registrar, asks for a voucher, checks it and enrols (RFC 8995 s4.1, s5).
//!
//! [`Onboarding`] takes a device from its IDevID to an LDevID, [`Renewal`] keeps the LDevID alive. Both are
//! [`Machine`](landfall_types::Machine)s over the same [`Input`] and [`Output`], so one driver serves both.
//!
//! What may be said over a connection hangs on the type that holds it: a [`Provisional`] one can ask for a voucher and
//! report on it, and nothing else. Only a voucher that passed every check turns it into a [`Trusted`] one, which can
//! enrol.

mod config;
mod csr;
mod enrol;
mod io;
mod ldevid;
mod onboarding;
mod outbox;
mod prospects;
mod provisional;
mod redirect;
mod renewal;
mod voucher;

pub use config::{Config, Random, Timing};
pub use io::{ConnectionId, Credential, Identity, Input, InvalidInput, Output, Progress, SigningKey, Summary, Trust};
pub use onboarding::Onboarding;
pub use provisional::{Provisional, Trusted};
pub use renewal::{Renewal, RenewalConfig};
pub use voucher::{Imprint, VoucherPolicy};
