//! What a pledge is told before it starts.

use crate::{
    pledge::voucher::VoucherPolicy,
    voucher::{Format, SealOptions},
};
use landfall_pki::{Algorithm, Anchors, Certificate};
use landfall_types::{Fault, Refusal, SerialNumber};
use std::time::Duration;

/// Where nonces and jitter come from. The driver hands in a strong source (RFC 8995 s5.2, s11.3), a test a fixed one.
pub trait Random: Send {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send> Random for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

impl dyn Random + '_ {
    /// A duration between `low` and `high`.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        low + high.saturating_sub(low).mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }

    pub(super) fn nonce(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }
}

/// A pledge: what the factory gave it, and how it behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its serial number, as the subject of its IDevID has it.
    pub serial_number: SerialNumber,
    /// Its IDevID.
    pub idevid: Certificate,
    /// What stands between its IDevID and the manufacturer's root, lowest first; the root may be left out.
    pub idevid_chain: Vec<Certificate>,
    /// How it judges vouchers, with the manufacturer's anchors for them.
    pub vouchers: VoucherPolicy,
    /// The form of its voucher requests, and of the vouchers that it asks for.
    pub format: Format,
    /// How its voucher requests are sealed.
    pub seal: SealOptions,
    /// What kind of key the LDevID gets, unless the registrar asks for another (RFC 7030 s4.5.2).
    pub algorithm: Algorithm,
    /// How long it waits for what.
    pub timing: Timing,
    /// After how many failed attempts it gives up; `None` to go on for ever, as a device in the field does.
    pub attempts: Option<u32>,
}

impl Config {
    /// A pledge with the usual behaviour, for a device with a clock that it can trust.
    ///
    /// # Errors
    /// `idevid-serial-number` if the subject of the IDevID has no serial number (RFC 8995 s2.3.1).
    pub fn new(idevid: Certificate, idevid_chain: Vec<Certificate>, masa: Anchors) -> Result<Self, Refusal> {
        let serial_number = idevid.subject_serial_number().ok_or_else(|| {
            let detail = "the subject of the IDevID has no serial number";
            Refusal::new(Fault::Misuse, "idevid-serial-number", "RFC 8995 s2.3.1", detail).field("serialNumber")
        })?;
        Ok(Self {
            serial_number,
            idevid,
            idevid_chain,
            vouchers: VoucherPolicy::new(masa),
            format: Format::CmsJson,
            seal: SealOptions::default(),
            algorithm: Algorithm::EcdsaP256,
            timing: Timing::default(),
            attempts: None,
        })
    }

    /// The same for a device that does not know the time (RFC 8995 s2.6.1).
    #[must_use]
    pub const fn without_clock(mut self) -> Self {
        self.vouchers.clock = false;
        self
    }
}

/// How long a pledge waits for what.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long a connection may make no progress while another proxy could be tried (RFC 8995 s5.1: 5 s).
    pub patience: Duration,
    /// The same when there is no other, and once the registrar is trusted.
    pub patience_alone: Duration,
    /// The shortest and the longest pause between attempts (RFC 8995 s4.1: 3 to 5 s).
    pub spacing: (Duration, Duration),
    /// How long one proxy is left alone after its first failure; doubles with each more.
    pub back_off: Duration,
    /// The longest that it is left alone (RFC 8995 s4.1: one hour).
    pub back_off_most: Duration,
    /// The longest wait that a registrar can impose (RFC 8995 s5.6: 60 s).
    pub retry_after_most: Duration,
    /// How long a registrar may go on asking for patience (RFC 8995 s5.6: 4 days).
    pub pending_most: Duration,
    /// How often a lost connection to a trusted registrar is made again.
    pub reconnections: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            patience_alone: Duration::from_secs(60),
            spacing: (Duration::from_secs(3), Duration::from_secs(5)),
            back_off: Duration::from_secs(5),
            back_off_most: Duration::from_secs(3600),
            retry_after_most: Duration::from_secs(60),
            pending_most: Duration::from_secs(4 * 24 * 3600),
            reconnections: 5,
        }
    }
}

impl Timing {
    /// How long to leave someone alone who has failed `failures` times in a row.
    pub(super) fn back_off_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.back_off.saturating_mul(1 << doublings).min(self.back_off_most)
    }
}
