//! The MASA: issues vouchers and keeps the audit log (RFC 8995 s5.5 to s5.8).
//!
//! [`VoucherExchange`] answers one request for a voucher, [`AuditLogExchange`] one for an audit log. What the
//! request proves is a [`Claim`]; whether the claimant is the owner is for the role to say, in a [`Ruling`], with the
//! help of [`Claim::precedent`], which looks at the vouchers issued before.
//!
//! Revocation lists of domains come with the [`Config`]; fetching them is the role's business.

mod audit;
mod authentication;
mod claim;
mod config;
mod exchange;
mod issue;
mod past;
mod prior;
mod request;

pub use audit::{AuditInput, AuditLogExchange, AuditOutput};
pub use authentication::Authentication;
pub use claim::Claim;
pub use config::{Config, Pin};
pub use exchange::{Input, Output, VoucherExchange};
pub use issue::{Issued, Permit, Ruling};
pub use past::{PastVoucher, Precedent};
