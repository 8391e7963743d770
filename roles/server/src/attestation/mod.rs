//! The verifier (RFC 9334 s3): judges what devices show of their software, keeps the results, and signs them as EARs.
//!
//! Before a certificate is issued the registrar asks it; a device that is in shows evidence
//! whenever it is to. What comes of it are facts for policy.

mod keep;
mod own;
mod record;

pub use own::Own;
pub use record::AttestationRecord;

use crate::{Identity, RoleError, settings::AttestationSettings};
use landfall_attest::{
    Appraisal, Challenge, Connection, Device, Nonces, ReferenceValues, Shown, Tier, appraise, corim, verifier::Speaks,
};
use landfall_brski::ChannelBinding;
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::{Anchors, Csr, PublicKey, attestation::evidence, oid};
use landfall_software::sbom;
use landfall_types::{Fault, Refusal, Time};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const SECTION: &str = "RFC 9334 s4";
/// How large a file of reference values may be.
const LARGEST: u64 = 1024 * 1024;

/// A verifier that is ready.
#[derive(Debug)]
pub struct Verifier {
    nonces: Nonces,
    require: Option<Tier>,
    references: Vec<PathBuf>,
    signers: Vec<PublicKey>,
    life: Duration,
    folder: Option<PathBuf>,
    /// Who signs results.
    identity: Identity,
}

/// Who shows evidence (RFC 9334 s3): over which connection, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attester<'a> {
    pub(crate) binding: &'a ChannelBinding,
    pub(crate) device: &'a DomainDevice,
    /// Whom its manufacturer has speak for its TPM, if that is known.
    pub(crate) anchors: Option<&'a Anchors>,
    /// What came of its evidence before.
    pub(crate) before: Option<&'a AttestationRecord>,
}

/// What came of evidence.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) record: AttestationRecord,
    /// What the device consists of, as it says itself, if the evidence is its own and covers that.
    pub(crate) sbom: Option<Vec<u8>>,
}

impl Verifier {
    /// As `settings` say, if evidence is asked for at all, with paths resolved by `resolve`; `identity` signs results.
    ///
    /// # Errors
    /// If a signer's key cannot be read.
    pub fn open(
        settings: &AttestationSettings,
        resolve: impl Fn(&Path) -> PathBuf,
        identity: &Identity,
    ) -> Result<Option<Self>, RoleError> {
        if !settings.ask && settings.require.is_none() {
            return Ok(None);
        }
        let random = "the system gave no random bytes (registrar.attestation)";
        let nonces = Nonces::new(settings.nonce_life.duration()).ok_or_else(|| RoleError::new(random, "no nonces"))?;
        let signers = settings.signers.iter().map(|path| key_in(&resolve(path))).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            nonces,
            require: settings.require,
            references: settings.reference_values.iter().map(|path| resolve(path)).collect(),
            signers,
            life: settings.result_life.duration(),
            folder: settings.evidence.as_deref().map(&resolve),
            identity: identity.clone(),
        }))
    }

    /// A nonce for the connection, in the words of EST; nothing if the connection cannot be told from others.
    pub(crate) fn nonce(&self, binding: &ChannelBinding, now: Time) -> Option<String> {
        Some(self.nonces.answer(Connection(binding.value()?), now))
    }

    /// Whether that is enough for a certificate.
    pub(crate) fn suffices(&self, tier: Tier) -> bool {
        self.require.is_none_or(|least| tier >= least)
    }

    /// Judges the evidence in a certificate request.
    pub(crate) fn in_request(&self, csr: &Csr, attester: &Attester<'_>, now: Time) -> Judged {
        let absent = || Refusal::new(Fault::Peer, "evidence-absent", SECTION, "the request holds no evidence");
        let shown = csr.attribute(oid::KEY_ATTESTATION).ok_or_else(absent).and_then(|value| {
            let malformed = |why: &dyn std::fmt::Display| {
                Refusal::new(Fault::Malformed, "evidence-syntax", "draft-ietf-lamps-csr-attestation", why.to_string())
            };
            evidence(value).map_err(|why| malformed(&why))?.ok_or_else(absent)
        });
        self.judge(shown, attester, now)
    }

    /// Judges evidence that a device shows by itself.
    pub(crate) fn at_the_door(&self, cmw: &[u8], attester: &Attester<'_>, now: Time) -> Judged {
        self.judge(Ok(cmw), attester, now)
    }

    fn judge(&self, cmw: Result<&[u8], Refusal>, attester: &Attester<'_>, now: Time) -> Judged {
        let Attester { binding, device, before, .. } = *attester;
        let shown = cmw.and_then(|cmw| Ok((cmw, Shown::from_cmw(cmw)?)));
        let nonce = shown.as_ref().map(|(_, shown)| shown.evidence.nonce().to_vec()).unwrap_or_default();
        let mut appraisal = match &shown {
            Ok((_, shown)) => self.appraise(shown, attester, now),
            Err(why) => Appraisal::absent(why.clone()),
        };
        let sbom = shown.as_ref().ok().and_then(|(_, shown)| shown.sbom.clone().filter(|_| appraisal.sbom.is_some()));
        // One that cannot be read is no fault of the evidence, and nothing is known by it.
        let sbom = sbom.filter(|sbom| match sbom::read(sbom) {
            Ok(_) => true,
            Err(why) => {
                appraisal.findings.push(why);
                false
            }
        });
        let subject = device.identity.serial_number.to_string();
        let ear = appraisal.result(&subject, &nonce, now, self.life).sign(&*self.identity.signer);
        let ear = ear.map_err(|why| tracing::error!(%why, "an attestation result could not be signed")).ok();
        let record = AttestationRecord {
            device: device.identity.device.clone(),
            at: now,
            expires: now + self.life,
            tier: appraisal.tier(),
            root: appraisal.root.to_owned(),
            firmware: appraisal.firmware.clone(),
            why: appraisal.why(),
            ear: ear.unwrap_or_default(),
            verifier: self.identity.signer.public_key().fingerprint(),
            // What was not genuine says nothing of where the TPM's counters stand.
            boot: appraisal.boot.or_else(|| before.and_then(|before| before.boot.clone())),
        };
        if let (Some(folder), Ok((cmw, shown))) = (&self.folder, &shown) {
            keep::keep(&folder.join(&subject), cmw, shown, binding, &record);
        }
        Judged { record, sbom }
    }

    fn appraise(&self, shown: &Shown, attester: &Attester<'_>, now: Time) -> Appraisal {
        let Attester { binding, device, anchors, before } = *attester;
        let evidence = &shown.evidence;
        let challenge = shown.is_whole().and_then(|()| self.challenge(evidence.nonce(), binding, now));
        let vendor = device.identity.vendor.as_ref().map(ToString::to_string).unwrap_or_default();
        let model = device.identity.model.as_ref().map(ToString::to_string).unwrap_or_default();
        let none = Anchors::default();
        let speaks = Speaks::Certified { device: &device.identity.device, anchors: anchors.unwrap_or(&none) };
        let who = Device { vendor: &vendor, model: &model, speaks };
        let before = before.and_then(|before| before.boot.as_ref());
        match challenge {
            Ok(challenge) => appraise(evidence, &challenge, &who, &self.references(now), before, now),
            Err(why) => Appraisal::refused(evidence.root(), why),
        }
    }

    fn challenge(&self, nonce: &[u8], binding: &ChannelBinding, now: Time) -> Result<Challenge, Refusal> {
        let connection = binding.value().ok_or_else(|| {
            Refusal::new(Fault::Incompatible, "attestation-channel", "RFC 9266 s3", "the connection has no binding")
        })?;
        self.nonces.check(nonce, Connection(connection), now)
    }

    /// What is good now, as far as it can be read. What cannot is good for nothing, and said.
    fn references(&self, now: Time) -> Vec<ReferenceValues> {
        let read = |path: &PathBuf| {
            corim::verify_either(&content_of(path)?, &self.signers, now).map_err(|why| why.to_string())
        };
        let tell = |path: &PathBuf| {
            read(path).map_err(|why| tracing::warn!(path = %path.display(), why, "reference values are left out")).ok()
        };
        self.references.iter().filter_map(tell).flatten().collect()
    }
}

fn content_of(path: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|why| why.to_string())?.len();
    if size > LARGEST {
        return Err("it is too large".into());
    }
    fs::read(path).map_err(|why| why.to_string())
}

/// The public key in a PEM file: its own, or that of the first certificate.
fn key_in(path: &Path) -> Result<PublicKey, RoleError> {
    let what = || format!("the key of {} (registrar.attestation.signers)", path.display());
    let text = fs::read_to_string(path).map_err(|why| RoleError::new(what(), why))?;
    PublicKey::from_pem(&text).map_err(|why| RoleError::new(what(), why))
}
