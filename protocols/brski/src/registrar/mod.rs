//! The registrar: judges pledges and asks the MASA on their behalf (RFC 8995 s5).
//!
//! | exchange | machine | section |
//! |---|---|---|
//! | a pledge asks for a voucher | [`VoucherExchange`] | s5.2 to s5.6, s5.8 |
//! | the registrar fetches one ahead | [`Prefetch`] | s5.5, nonceless |
//! | a pledge reports how it went | [`StatusExchange`] | s5.7, s5.9.4 |
//!
//! Who a pledge is, [`Vendors`] decides by the anchors that its IDevID chains to; whether it may join, the role decides
//! from [`JoinFacts`]. What is written down stands in [`record`].

mod answer;
mod endpoint;
mod exchange;
mod facts;
mod history;
mod prefetch;
pub mod record;
mod request;
mod status;
mod vendor;
mod wire;

pub use endpoint::MasaEndpoint;
pub use exchange::{Input, Output, VoucherExchange};
pub use facts::{JoinFacts, Ruling, Stage};
pub use history::{Findings, History};
pub use prefetch::{Prefetch, PrefetchInput, PrefetchOutput, Target};
pub use record::{About, Accepted, PrefetchedVoucher, Presented, Source, Standing, StatusRecord, VoucherRecord};
pub use status::{StatusExchange, StatusInput, StatusOutput};
pub use vendor::{Pledge, SerialField, Vendor, Vendors};

use crate::voucher::SealOptions;
use landfall_pki::Certificate;
use landfall_types::DomainId;
use std::time::Duration;

/// How a registrar is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our certificate: shown to pledges in TLS, and the signer of our requests (RFC 8995 s5.5; with id-kp-cmcRA).
    pub certificate: Certificate,
    /// What else goes to the MASA, leaf's issuer first. It pins one of these or `certificate`, so nothing belongs here
    /// that is not meant to be pinned (s5.5): not a public CA, for one.
    pub chain: Vec<Certificate>,
    /// Whose devices may come.
    pub vendors: Vendors,
    /// What CMS content is called in our requests; some MASAs know only the older name.
    pub seal: SealOptions,
    /// When a pledge that has to wait is to come back; it comes after 60 seconds at the latest (s5.6).
    pub retry_after: Duration,
    /// Whether to ask for the audit log before a voucher is handed out (s5.8).
    pub check_history: bool,
}

impl Config {
    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.chain)
    }

    /// Whether what is pinned is one of the certificates that we sent along; the pledge goes by its key.
    fn is_ours(&self, pinned: &Certificate) -> bool {
        self.certificates().any(|ours| ours.public_key() == pinned.public_key())
    }

    /// The names that this domain has in audit logs (s5.8.2): which one depends on what was pinned.
    pub fn domains(&self) -> Vec<DomainId> {
        self.certificates().map(Certificate::domain_id).collect()
    }
}

/// The MASA could not be asked: no connection, no answer in time, a certificate that does not name it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MasaUnreachable(pub String);
