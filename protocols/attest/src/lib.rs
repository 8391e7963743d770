//! Remote attestation (RFC 9334): what a device shows of its software, and what a verifier makes of it.
//!
//! ```text
//! verifier   challenge ────────────────────────────> attester     32 octets, good for one connection
//! attester   evidence  ────────────────────────────> verifier     a TPM's quote and its event log, or an EAT
//! verifier   appraise(evidence, challenge, reference values)
//! verifier   attestation result ───────────────────> whoever asks an EAR, signed
//! ```
//!
//! What a TPM quotes covers the nonce *and* the TLS connection ([`Challenge`]), so that a device cannot pass on the quote of
//! another that is well. [`evidence`] is the attester's side, [`verifier`] its mirror; [`tpm`] and [`log`] read what TPMs and
//! firmware write, [`reference_values`] say what good software looks like, [`ear`] says what came of it.
//!
//! What a device consists of, as it says itself, goes along with either ([`shown`]).
//!
//! A device without a TPM signs an EAT ([`eat`]) itself. It can say what it likes, and so the result never says more than
//! `warning`.

mod challenge;
pub mod corim;
pub mod ear;
pub mod eat;
pub mod evidence;
mod jws;
pub mod log;
pub mod reference_values;
pub mod shown;
pub mod tpm;
pub mod verifier;

pub use challenge::{Challenge, Connection, Nonces, read_answer};
pub use ear::{Ear, Tier, Vector};
pub use evidence::{Evidence, Quoted};
pub use log::EventLog;
pub use reference_values::{ReferenceValues, Release};
pub use shown::Shown;
pub use verifier::{Appraisal, BootState, Device, appraise};

use landfall_types::{Fault, Refusal};
use std::fmt;

/// The media type of evidence in requests: a conceptual message wrapper in JSON (draft-ietf-rats-msg-wrap).
pub const CMW_JSON: &str = "application/cmw+json";
/// That of a nonce (draft-ietf-lamps-attestation-freshness s5.2).
pub const FRESHNESS_JSON: &str = "application/est-attestation-freshness+json";
/// That of an attestation result, and of an EAT (RFC 9782).
pub const EAT_JWT: &str = "application/eat+jwt";

fn malformed(check: &'static str, section: &'static str, why: impl fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, check, section, why.to_string())
}

fn refuse(check: &'static str, section: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Peer, check, section, why)
}
