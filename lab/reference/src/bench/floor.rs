//! The cryptographic floor: what the bare operations of one exchange cost on this machine, now.

use super::load::thread_time;
use anyhow::{Context, Result};
use aws_lc_rs::{
    agreement, rand,
    signature::{self, EcdsaKeyPair, KeyPair},
};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How often each public-key operation happens in one exchange, all parties together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Signatures made (ECDSA P-256 with SHA-256).
    pub sign: u32,
    /// Signatures verified.
    pub verify: u32,
    /// Key agreements, each with the ephemeral key made for it (X25519).
    pub agree: u32,
    /// Long-lived keys made (P-256).
    pub generate: u32,
}

impl Counts {
    /// These operations and `more`.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self {
            sign: self.sign + more.sign,
            verify: self.verify + more.verify,
            agree: self.agree + more.agree,
            generate: self.generate + more.generate,
        }
    }
}

const fn counts(sign: u32, verify: u32, agree: u32, generate: u32) -> Counts {
    Counts { sign, verify, agree, generate }
}

/// A TLS 1.3 handshake in which both sides show a certificate: each signs once, verifies the other's CertificateVerify
/// and agrees on a key once (RFC 8446 s4.4.3, s7.4). Chains are counted where they are judged.
pub const MUTUAL_HANDSHAKE: Counts = counts(2, 2, 2, 0);

/// A voucher obtained and believed (RFC 8995 s5.2 to s5.6), with the certificate chains of CAs already known:
/// - signed: the pledge's request, the registrar's request, the voucher;
/// - verified by the registrar: the IDevID, the pledge's request, the voucher;
/// - verified by the MASA: the registrar's request, the pledge's request inside it and its IDevID;
/// - verified by the pledge: the voucher, its signer's certificate, the registrar's certificate under the pinned one.
pub const VOUCHER: Counts = counts(3, 9, 0, 0);

/// The audit log, asked for with the voucher request (RFC 8995 s5.8): the MASA verifies the registrar's request and the
/// pledge's inside it, which it has not kept.
pub const AUDIT_LOG: Counts = counts(0, 2, 0, 0);

/// An enrolment (RFC 7030 s4.2): the pledge makes a key and signs the CSR, the CA verifies it and signs the certificate, the
/// pledge verifies the certificate and the two CAs between it and the root, which are new to it.
pub const ENROLMENT: Counts = counts(2, 4, 0, 1);

/// The LDevID shown on a new connection: the registrar verifies the LDevID, the pledge the registrar's certificate.
pub const LDEVID_CHAINS: Counts = counts(0, 2, 0, 0);

/// A whole onboarding: provisional connection, voucher, enrolment, and a new connection with the LDevID.
pub const ONBOARDING: Counts =
    MUTUAL_HANDSHAKE.and(VOUCHER).and(AUDIT_LOG).and(ENROLMENT).and(MUTUAL_HANDSHAKE).and(LDEVID_CHAINS);

/// A provisional connection and a voucher.
pub const VOUCHER_ALONE: Counts = MUTUAL_HANDSHAKE.and(VOUCHER).and(AUDIT_LOG);

/// An enrolment on a connection of its own: the registrar verifies the IDevID, the device the registrar's certificate up
/// to the root, whose CAs it then knows for its own certificate.
pub const ENROLMENT_ALONE: Counts = MUTUAL_HANDSHAKE.and(counts(0, 2, 0, 0)).and(ENROLMENT);

/// What one operation of each kind takes on one core, measured in this run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prices {
    /// Nanoseconds of one signature.
    pub sign_ns: u64,
    /// Nanoseconds of one verification.
    pub verify_ns: u64,
    /// Nanoseconds of one ephemeral key and one agreement.
    pub agree_ns: u64,
    /// Nanoseconds of one key generation.
    pub generate_ns: u64,
}

impl Prices {
    /// Measures each operation for about `each`.
    pub fn measure(each: Duration) -> Result<Self> {
        let random = rand::SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate(algorithm).context("no key")?;
        let message = [7; 600];
        let made = key.sign(&random, &message).context("no signature")?;
        let public = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
        let peer = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random).context("no key")?;
        let peer = peer.compute_public_key().context("no public key")?;
        Ok(Self {
            sign_ns: price(each, || key.sign(&random, &message).is_ok())?,
            verify_ns: price(each, || public.verify(&message, made.as_ref()).is_ok())?,
            agree_ns: price(each, || {
                let Ok(own) = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random) else {
                    return false;
                };
                let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer.as_ref());
                own.compute_public_key().is_ok() && agreement::agree_ephemeral(own, peer, (), |_| Ok(())).is_ok()
            })?,
            generate_ns: price(each, || EcdsaKeyPair::generate(algorithm).is_ok())?,
        })
    }

    /// What `counts` operations take, one after the other on one core.
    pub fn floor(&self, counts: Counts) -> Duration {
        let nanos = |count: u32, price: u64| u64::from(count) * price;
        Duration::from_nanos(
            nanos(counts.sign, self.sign_ns)
                + nanos(counts.verify, self.verify_ns)
                + nanos(counts.agree, self.agree_ns)
                + nanos(counts.generate, self.generate_ns),
        )
    }
}

/// The median of repeated short measurements, so that one interruption does not count.
pub(super) fn price(each: Duration, mut operation: impl FnMut() -> bool) -> Result<u64> {
    const BATCH: u32 = 20;
    let until = Instant::now() + each;
    let mut batches = Vec::new();
    while batches.len() < 5 || Instant::now() < until {
        let start = thread_time();
        for _ in 0..BATCH {
            anyhow::ensure!(operation(), "a cryptographic operation failed while it was being measured");
        }
        batches.push(thread_time().saturating_sub(start) / BATCH);
    }
    batches.sort();
    let median = batches.get(batches.len() / 2).copied().unwrap_or_default();
    Ok(u64::try_from(median.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onboarding_is_the_sum_of_its_parts() {
        assert_eq!(ONBOARDING, counts(9, 21, 4, 1));
        let prices = Prices { sign_ns: 1, verify_ns: 100, agree_ns: 10_000, generate_ns: 1_000_000 };
        assert_eq!(prices.floor(ONBOARDING), Duration::from_nanos(9 + 2_100 + 40_000 + 1_000_000));
    }
}
