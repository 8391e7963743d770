//! The verifier's side: evidence against a challenge, what is known of the device, and reference values (RFC 9334 s4).
//!
//! What does not stand up to cryptography is `contraindicated`; software that nobody vouches for is a `warning`, and software
//! that was withdrawn is `contraindicated` too. Every finding names its check.

use crate::{
    Challenge, Ear, EventLog, Evidence, Quoted, ReferenceValues, Release, Tier, Vector,
    ear::claim,
    eat::Eat,
    malformed, refuse,
    tpm::{About, Clock, Pcrs, Statement, check_signature, digest_of},
};
use landfall_pki::{Anchors, Certificate, PathPolicy, PublicKey, oid, validate};
use landfall_types::{DeviceId, Fingerprint, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const QUOTE: &str = "TPM 2.0 part 3 s18.4";
const KEYS: &str = "TCG TPM 2.0 Keys for Device Identity s8";
const LOG: &str = "TCG PC Client Platform Firmware Profile s10.2";
const REFERENCE: &str = "RFC 9334 s8.3";

/// Who shows evidence, as far as the verifier knows.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// The manufacturer, by the domain's name for it.
    pub vendor: &'a str,
    /// The model.
    pub model: &'a str,
    /// By which key it may speak.
    pub speaks: Speaks<'a>,
}

/// By which key one may speak of oneself.
#[derive(Clone, Copy, Debug)]
pub enum Speaks<'a> {
    /// By one that its manufacturer has certified to be this device's: of its TPM, or of its birth.
    Certified {
        /// The device.
        device: &'a DeviceId,
        /// What its manufacturer's certificates lead to.
        anchors: &'a Anchors,
    },
    /// By one of these, which are known beforehand, as those of services are: reference values name them.
    Known(&'a [Fingerprint]),
}

/// Where the TPM's clock and counters stood, to tell whether they go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootState {
    /// The attestation key, for which alone they can be compared.
    pub key: Fingerprint,
    /// The clock and the counters.
    pub clock: Clock,
}

/// What a verifier makes of evidence.
#[derive(Clone, Debug)]
pub struct Appraisal {
    /// What is claimed.
    pub vector: Vector,
    /// The release that was recognised.
    pub firmware: Option<String>,
    /// What the evidence rests on: `tpm`, `software`, `none`.
    pub root: &'static str,
    /// What speaks against it.
    pub findings: Vec<Refusal>,
    /// To be kept until the next time.
    pub boot: Option<BootState>,
    /// The SHA-256 of the list of components that comes along, if it is this device that says so, now.
    pub sbom: Option<Fingerprint>,
}

impl Appraisal {
    /// Of evidence that is of no use at all, for this reason.
    pub fn refused(root: &'static str, why: Refusal) -> Self {
        let vector = Vector { instance_identity: claim::CRYPTO_FAILED, ..Vector::default() };
        Self { vector, firmware: None, root, findings: vec![why], boot: None, sbom: None }
    }

    /// Of a device that shows nothing.
    pub fn absent(why: Refusal) -> Self {
        Self { vector: Vector::default(), firmware: None, root: "none", findings: vec![why], boot: None, sbom: None }
    }

    /// How far the device may be trusted.
    pub fn tier(&self) -> Tier {
        self.vector.tier()
    }

    /// What came of it, in words.
    pub fn why(&self) -> String {
        let found: Vec<_> = self.findings.iter().map(ToString::to_string).collect();
        let firmware = self.firmware.as_deref().map(|firmware| format!(", firmware {firmware}")).unwrap_or_default();
        let found = if found.is_empty() { String::new() } else { format!(": {}", found.join("; ")) };
        format!("{} by its {}{firmware}{found}", self.tier(), self.root)
    }

    /// The same as a result that others can read, good for as long as `life`.
    pub fn result(&self, subject: &str, nonce: &[u8], now: Time, life: Duration) -> Ear {
        Ear {
            subject: subject.to_owned(),
            at: now,
            expires: now + life,
            nonce: nonce.to_vec(),
            vector: self.vector,
            tier: self.tier(),
            firmware: self.firmware.clone(),
            root: self.root.to_owned(),
            findings: self.findings.iter().map(|found| (found.check.to_string(), found.detail.clone())).collect(),
        }
    }
}

/// Appraises `evidence`. Of several reference values about the same model the latest count; `before` is where the TPM's
/// counters stood the last time.
pub fn appraise(
    evidence: &Evidence,
    challenge: &Challenge,
    device: &Device<'_>,
    references: &[ReferenceValues],
    before: Option<&BootState>,
    now: Time,
) -> Appraisal {
    let known = references.iter().filter(|known| known.vendor == device.vendor && known.model == device.model);
    let releases = known.max_by_key(|known| known.issued).map(|known| known.releases.as_slice());
    match evidence {
        Evidence::Tpm(quoted) => quote(quoted, challenge, device, releases, before, now),
        Evidence::Software(_, eat) => token(eat, challenge, device, releases, now),
    }
}

/// One with a TPM: what it quotes is true, and the question is only whether it is good.
fn quote(
    quoted: &Quoted,
    challenge: &Challenge,
    device: &Device<'_>,
    releases: Option<&[Release]>,
    before: Option<&BootState>,
    now: Time,
) -> Appraisal {
    let (statement, boot) = match genuine(quoted, challenge, device, before, now) {
        Ok(genuine) => genuine,
        Err(why) => {
            let mut appraisal = Appraisal::refused("tpm", why);
            if appraisal.findings.iter().any(|found| found.check.starts_with("attestation-key")) {
                appraisal.vector.instance_identity = claim::UNRECOGNIZED_INSTANCE;
            }
            return appraisal;
        }
    };
    let mut vector = Vector {
        instance_identity: claim::RECOGNIZED_INSTANCE,
        hardware: claim::GENUINE_HARDWARE,
        ..Vector::default()
    };
    let mut appraisal =
        Appraisal { vector, firmware: None, root: "tpm", findings: Vec::new(), boot: Some(boot), sbom: None };
    let log = match measured(quoted, &statement) {
        Ok(log) => log,
        Err(why) => {
            appraisal.vector.executables = claim::CRYPTO_FAILED;
            appraisal.findings.push(why);
            return appraisal;
        }
    };
    appraisal.sbom = quoted.sbom;
    let judged = judge(releases, now, |release| fits(release, &quoted.pcrs, log.as_ref()));
    (vector.executables, appraisal.firmware) = (judged.claim, judged.firmware);
    appraisal.vector = vector;
    appraisal.findings.extend(judged.finding);
    appraisal
}

/// Whether a TPM says so, that device's own, now, and over this connection.
fn genuine(
    quoted: &Quoted,
    challenge: &Challenge,
    device: &Device<'_>,
    before: Option<&BootState>,
    now: Time,
) -> Result<(Statement, BootState), Refusal> {
    let key = speaker(&quoted.certificates, quoted.key.as_ref(), &device.speaks, Kind::Attestation, now)?;
    check_signature(&key, &quoted.statement, &quoted.signature)
        .map_err(|why| refuse("quote-signature", QUOTE, why.to_string()))?;
    let statement = Statement::read(&quoted.statement).map_err(|why| malformed("quote-syntax", QUOTE, why))?;
    if !challenge.is(&statement.covered, quoted.sbom.as_ref()) || quoted.nonce != challenge.nonce() {
        let why = "the quote is an answer to another challenge, or was made for another connection";
        return Err(refuse("quote-nonce", QUOTE, why));
    }
    let boot = BootState { key: key.fingerprint(), clock: statement.clock };
    if let Some(before) = before.filter(|before| before.key == boot.key) {
        forward(&before.clock, &boot.clock)?;
    }
    Ok((statement, boot))
}

/// Part 1, s36.3: resets only add up, and between two of them time only goes on. The counters may be shifted by a constant
/// of the key (s36.7), so only their difference says anything.
fn forward(before: &Clock, after: &Clock) -> Result<(), Refusal> {
    const SECTION: &str = "TPM 2.0 part 1 s36.3";
    let resets = after.reset_count.wrapping_sub(before.reset_count);
    if resets > u32::MAX / 2 {
        let why = format!("it was reset {} times fewer than before", resets.wrapping_neg());
        return Err(refuse("quote-reset-count", SECTION, why));
    }
    let same = resets == 0 && after.restart_count == before.restart_count;
    match same && after.clock < before.clock {
        true => Err(refuse("quote-clock", SECTION, "its clock went back without a reset")),
        false => Ok(()),
    }
}

/// What the PCRs hold is what was quoted, and what the event log adds up to.
fn measured(quoted: &Quoted, statement: &Statement) -> Result<Option<EventLog>, Refusal> {
    let About::Quote { selection, digest } = &statement.about else {
        return Err(refuse("quote-kind", QUOTE, "the statement is about a key, and not about PCRs"));
    };
    if !selection.iter().eq(quoted.pcrs.keys()) {
        return Err(refuse("quote-selection", QUOTE, "the PCRs that are told are not those that were quoted"));
    }
    if digest_of(&quoted.pcrs)[..] != digest[..] {
        return Err(refuse("quote-pcrs", QUOTE, "the PCRs that are told do not hold what was quoted"));
    }
    let Some(log) = &quoted.log else { return Ok(None) };
    let log = EventLog::read(log).map_err(|why| malformed("event-log-syntax", LOG, why))?;
    let replayed = log.replay(selection.iter().copied());
    match replayed.iter().find(|(pcr, value)| quoted.pcrs.get(pcr) != Some(value)) {
        None => Ok(Some(log)),
        Some((pcr, _)) => {
            Err(refuse("event-log-replay", LOG, format!("its events do not add up to what PCR {pcr} holds")))
        }
    }
}

/// One without: what it says is only what it says.
fn token(eat: &Eat, challenge: &Challenge, device: &Device<'_>, releases: Option<&[Release]>, now: Time) -> Appraisal {
    let signed = speaker(&eat.certificates, None, &device.speaks, Kind::Birth, now).and_then(|key| {
        let claims = eat.verified(&key)?;
        match challenge.is(&claims.covered, None) && claims.nonce == challenge.nonce() {
            true => Ok(claims),
            false => {
                let why = "the token answers another challenge, or was made for another connection";
                Err(refuse("eat-nonce", "RFC 9711 s4.1", why))
            }
        }
    });
    let claims = match signed {
        Ok(claims) => claims,
        Err(why) => return Appraisal::refused("software", why),
    };
    let judged = judge(releases, now, |release| match release.software {
        Some(good) if good.0 == claims.measured => Ok(()),
        Some(_) => Err(refuse("reference-software", REFERENCE, "its firmware is not one that is known")),
        None => Err(refuse("reference-software", REFERENCE, "of no release is told what its firmware is")),
    });
    let mut findings: Vec<_> = judged.finding.into_iter().collect();
    let executables = match judged.claim {
        // Software that speaks of itself cannot prove that it is good, only fail to look so.
        claim::APPROVED_BOOT => {
            let why = "nothing measured it but the software itself";
            findings.push(refuse("root-of-trust", "RFC 9334 s7.4", why));
            claim::UNRECOGNIZED_EXECUTABLES
        }
        other => other,
    };
    let vector = Vector { instance_identity: claim::RECOGNIZED_INSTANCE, executables, ..Vector::default() };
    Appraisal { vector, firmware: judged.firmware, root: "software", findings, boot: None, sbom: claims.sbom }
}

struct Judged {
    claim: i8,
    firmware: Option<String>,
    finding: Option<Refusal>,
}

/// The release that `fits`, one that holds now before all others.
fn judge(releases: Option<&[Release]>, now: Time, fits: impl Fn(&Release) -> Result<(), Refusal>) -> Judged {
    let finding =
        |claim, firmware, check, why: &str| Judged { claim, firmware, finding: Some(refuse(check, REFERENCE, why)) };
    let Some(releases) = releases.filter(|releases| !releases.is_empty()) else {
        let why = "nobody has said what good software of this model looks like";
        return finding(claim::UNRECOGNIZED_EXECUTABLES, None, "reference-missing", why);
    };
    let fitting = || releases.iter().filter(|release| fits(release).is_ok());
    if let Some(release) = fitting().find(|release| release.holds(now)) {
        return Judged { claim: claim::APPROVED_BOOT, firmware: Some(release.firmware.clone()), finding: None };
    }
    match fitting().next() {
        Some(release) if release.withdrawn => finding(
            claim::CONTRAINDICATED_EXECUTABLES,
            Some(release.firmware.clone()),
            "reference-withdrawn",
            &format!("the release {} was withdrawn", release.firmware),
        ),
        Some(release) => finding(
            claim::UNSAFE_EXECUTABLES,
            Some(release.firmware.clone()),
            "reference-window",
            &format!("the release {} is not good any more, or not yet", release.firmware),
        ),
        None => {
            let why = releases.last().and_then(|release| fits(release).err());
            Judged { claim: claim::UNRECOGNIZED_EXECUTABLES, firmware: None, finding: why }
        }
    }
}

fn fits(release: &Release, pcrs: &Pcrs, log: Option<&EventLog>) -> Result<(), Refusal> {
    if release.pcrs.is_empty() && release.events.is_empty() {
        let why = format!("of {} it is not told what a TPM measures", release.firmware);
        return Err(refuse("reference-pcr", REFERENCE, why));
    }
    for (pcr, good) in &release.pcrs {
        match pcrs.get(pcr) {
            Some(value) if *value == good.0 => {}
            Some(_) => {
                let why = format!("PCR {pcr} does not hold what it does with {}", release.firmware);
                return Err(refuse("reference-pcr", REFERENCE, why));
            }
            None => return Err(refuse("reference-selection", REFERENCE, format!("PCR {pcr} was not quoted"))),
        }
    }
    for (pcr, good) in &release.events {
        let log = log.ok_or_else(|| refuse("reference-event", REFERENCE, "there is no event log"))?;
        if !pcrs.contains_key(pcr) {
            return Err(refuse("reference-selection", REFERENCE, format!("PCR {pcr} was not quoted")));
        }
        let mut events = log.events.iter().filter(|event| event.pcr == *pcr);
        if events.any(|event| !good.contains(&Fingerprint(event.digest))) {
            let why = format!("something was measured into PCR {pcr} that {} does not have", release.firmware);
            return Err(refuse("reference-event", REFERENCE, why));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Attestation,
    Birth,
}

/// The key that may speak.
fn speaker(
    certificates: &[Certificate],
    alone: Option<&PublicKey>,
    speaks: &Speaks<'_>,
    kind: Kind,
    now: Time,
) -> Result<PublicKey, Refusal> {
    let untold = || refuse("attestation-key", KEYS, "who says so is not told");
    match speaks {
        Speaks::Known(known) => {
            let key = certificates.first().map(Certificate::public_key).or(alone).ok_or_else(untold)?;
            match known.contains(&key.fingerprint()) {
                true => Ok(key.clone()),
                false => Err(refuse("attestation-key", KEYS, "the key that says so is not one that is known")),
            }
        }
        Speaks::Certified { device, anchors } => {
            let (own, above) = certificates.split_first().ok_or_else(untold)?;
            validate(own, above, anchors, &PathPolicy::at(now))?;
            let restricted = [oid::TPM_RESIDENCY, oid::TPM_RESTRICTED];
            // The factory certified it so once the TPM's endorsement key had shown that it holds it (part 1, s24).
            if kind == Kind::Attestation && !restricted.iter().all(|policy| own.policies().contains(policy)) {
                let why = "its manufacturer has not verified that the key is its TPM's and attests only";
                return Err(refuse("attestation-key-kind", KEYS, why));
            }
            let serial = own.subject_serial_number();
            let whose = serial.map(|serial| DeviceId::new(&own.authority_key_id().unwrap_or_default(), &serial));
            match whose.as_ref() == Some(*device) {
                true => Ok(own.public_key().clone()),
                false => Err(refuse("attestation-key-device", KEYS, "the key is another device's")),
            }
        }
    }
}
