//! Words that every part of Landfall shares: ids, time, refusals, events, HTTP as data, and the one contract of
//! every protocol core.
//!
//! This crate is a leaf: it knows no protocol, no clock, no socket and no file.

pub mod bundle;
pub mod contract;
pub mod event;
pub mod fault;
pub mod http;
pub mod id;
pub mod json;
pub mod octets;
pub mod process;
pub mod record;
pub mod redacted;
pub mod refusal;
pub mod time;

pub use bundle::{BundleKey, DeviceBundle};
pub use contract::Machine;
pub use event::{Event, Outcome};
pub use fault::Fault;
pub use id::{DeviceId, DomainId, ExchangeId, Fingerprint, KeyUri, Model, OwnerId, SerialNumber, VendorId};
pub use process::Process;
pub use record::{Changes, Record};
pub use redacted::Redacted;
pub use refusal::Refusal;
pub use time::Time;
