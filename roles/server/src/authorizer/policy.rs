//! The policy in force, and those that were before it.

use super::{Authorizer, POLICY_LOG, SECTION, gate};
use landfall_assurance::{Level, Policies, Question};
use landfall_lifecycle::verification::POLICY;
use landfall_pki::{Anchors, PathPolicy, cms::SignedData, path};
use landfall_store::ReadError;
use landfall_types::{Changes, DeviceId, Fault, Fingerprint, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::PoisonError};

/// So many versions are kept to go back to.
const KEPT: u64 = 1000;
/// So many devices are named of those for whom something would change.
const NAMED: usize = 20;
/// So long may a signature be, in octets.
const SIGNATURE: usize = 64 * 1024;

/// Policies that decide, and which version they are: 0 are those of the settings.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) version: u64,
    pub(super) policies: Policies,
}

/// One version of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyVersion {
    /// Its number.
    pub version: u64,
    /// Since when.
    pub at: Time,
    /// Who put it into force.
    pub by: String,
    /// Why.
    pub why: String,
    /// The SHA-256 of its text.
    pub hash: Fingerprint,
    /// Whose certificate it is signed with, if it is: its subject and its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<(String, Fingerprint)>,
    /// The signature (CMS, detached), in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Its text.
    pub text: String,
}

/// What a policy would make of the devices that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trial {
    /// How many devices there are.
    pub devices: usize,
    /// How many stand how, by the policy in force.
    pub before: BTreeMap<Level, usize>,
    /// How many would stand how.
    pub after: BTreeMap<Level, usize>,
    /// How many would stand otherwise.
    pub changed: usize,
    /// Some of them: from, to, and why.
    pub examples: Vec<(DeviceId, Level, Level, String)>,
}

impl Trial {
    /// Whether nobody would work any more of those that do.
    pub fn locks_everyone_out(&self) -> bool {
        let working = |levels: &BTreeMap<Level, usize>| -> usize {
            levels.iter().filter(|(level, _)| level.is_working()).map(|(_, count)| count).sum()
        };
        working(&self.before) > 0 && working(&self.after) == 0
    }
}

impl Record for PolicyVersion {
    const COLLECTION: &'static str = "verification-policy";

    fn key(&self) -> String {
        format!("{:016}", self.version)
    }
}

/// The version that is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Current {
    version: u64,
}

impl Record for Current {
    const COLLECTION: &'static str = "verification-policy-in-force";

    fn key(&self) -> String {
        "current".into()
    }
}

impl Authorizer {
    /// The policy that an operator set counts more than the one in the settings.
    pub(super) async fn load_policy(&self) -> Result<(), Refusal> {
        let Some(current) = self.world.store.find::<Current>("current").map_err(unread)? else { return Ok(()) };
        let found = self.version(current.record.version)?;
        let policies = Policies::parse(&found.text).map_err(|why| invalid(&why))?;
        self.use_policy(InForce { version: found.version, policies });
        Ok(())
    }

    /// The number and the text of the policy in force.
    pub fn policy(&self) -> (u64, String) {
        let in_force = self.in_force();
        (in_force.version, in_force.policies.text().into())
    }

    /// A version that is or was in force.
    ///
    /// # Errors
    /// If there is none of that number.
    pub fn version(&self, version: u64) -> Result<PolicyVersion, Refusal> {
        let found = self.world.store.find::<PolicyVersion>(&format!("{version:016}")).map_err(unread)?;
        found.map(|found| found.record).ok_or_else(|| {
            Refusal::new(Fault::Peer, "policy-version", SECTION, format!("there is no version {version} of the policy"))
        })
    }

    /// The versions, the oldest first, without their texts.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn versions(&self) -> Result<Vec<PolicyVersion>, Refusal> {
        let found = self.world.store.scan::<PolicyVersion>(None, usize::try_from(KEPT).unwrap_or(usize::MAX));
        Ok(found
            .map_err(unread)?
            .into_iter()
            .map(|found| PolicyVersion { text: String::new(), ..found.record })
            .collect())
    }

    /// What a policy would make of the devices that there are.
    ///
    /// # Errors
    /// If it does not fit the schema.
    pub fn try_policy(&self, text: &str) -> Result<Trial, Refusal> {
        Ok(self.trial(&Policies::parse(text).map_err(|why| invalid(&why))?))
    }

    fn trial(&self, proposed: &Policies) -> Trial {
        let (now, in_force) = (self.world.clock.now(), self.in_force());
        let devices: Vec<DeviceId> = self.desk().devices().cloned().collect();
        let mut trial = Trial { devices: devices.len(), ..Trial::default() };
        for device in devices {
            // One at a time, so that nobody waits for long.
            let (dossier, level) = self.desk().known(&device, now);
            let decide = |policies: &Policies| policies.decide(&dossier, Question::Stay, level, &self.grace, now);
            let (before, after) = (decide(&in_force.policies), decide(proposed));
            *trial.before.entry(before.level).or_default() += 1;
            *trial.after.entry(after.level).or_default() += 1;
            if before.level != after.level {
                trial.changed += 1;
                if trial.examples.len() < NAMED {
                    trial.examples.push((device, before.level, after.level, after.why()));
                }
            }
        }
        trial
    }

    /// Puts a policy into force, here and after a restart.
    ///
    /// # Errors
    /// If it does not fit the schema (`policy-valid`), needs a signature and has none that counts (`policy-signature`), or
    /// would leave no device at work of those that are (`policy-lockout`): then nothing has changed.
    pub async fn put_policy(
        &self,
        text: &str,
        signature: Option<Vec<u8>>,
        by: String,
        why: String,
    ) -> Result<(PolicyVersion, Trial), Refusal> {
        let policies = Policies::parse(text).map_err(|why| invalid(&why))?;
        let now = self.world.clock.now();
        let signer = match (&self.signers, &signature) {
            (None, None) => None,
            (Some(signers), Some(signature)) => Some(verify(text, signature, signers, now)?),
            (None, Some(_)) => return Err(unsigned("nobody's signature counts here (authorizer.policy-signers)")),
            (Some(_), None) => return Err(unsigned("a policy has to be signed here (authorizer.policy-signers)")),
        };
        let trial = self.trial(&policies);
        if trial.locks_everyone_out() {
            let count: usize =
                trial.before.iter().filter(|(level, _)| level.is_working()).map(|(_, count)| count).sum();
            let detail = format!("it would put every device out of action that works: {count} of {}", trial.devices);
            return Err(Refusal::new(Fault::Denied, "policy-lockout", SECTION, detail));
        }
        let _turn = self.turn.lock().await;
        let version = PolicyVersion {
            version: self.latest()? + 1,
            at: now,
            by,
            why,
            hash: hash(text),
            signer,
            signature: signature.map(hex::encode),
            text: text.into(),
        };
        self.enforce(&version, policies).await?;
        Ok((version, trial))
    }

    /// Puts a version into force again that was before. It passed then, and passes again whatever becomes of it: it is the way
    /// back.
    ///
    /// # Errors
    /// If there is none of that number.
    pub async fn roll_back(&self, to: u64, by: String) -> Result<PolicyVersion, Refusal> {
        let _turn = self.turn.lock().await;
        let found = self.version(to)?;
        let policies = Policies::parse(&found.text).map_err(|why| invalid(&why))?;
        let (version, at, why) = (self.latest()? + 1, self.world.clock.now(), format!("back to version {to}"));
        let version = PolicyVersion { version, at, by, why, ..found };
        self.enforce(&version, policies).await?;
        Ok(version)
    }

    async fn enforce(&self, version: &PolicyVersion, policies: Policies) -> Result<(), Refusal> {
        let number = version.version;
        let backend = |why: String| Refusal::new(Fault::Backend, "authorizer-records", SECTION, why);
        let changes = Changes::new()
            .put(version)
            .and_then(|changes| changes.put(&Current { version: number }))
            .and_then(|changes| changes.append(POLICY_LOG, version))
            .map_err(|why| backend(why.to_string()))?;
        self.world.store.commit(changes).await.map_err(|why| backend(why.to_string()))?;
        self.use_policy(InForce { version: number, policies });
        tracing::info!(role = "authorizer", version = number, by = version.by, hash = %version.hash, "a policy is in force");
        self.desk().mark_all(POLICY);
        self.wake.notify_one();
        Ok(())
    }

    fn use_policy(&self, policy: InForce) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = policy.into();
    }

    fn latest(&self) -> Result<u64, Refusal> {
        let current = self.world.store.find::<Current>("current").map_err(unread)?;
        Ok(current.map_or(0, |current| current.record.version))
    }
}

/// Whose signature it is.
fn verify(text: &str, signature: &[u8], signers: &Anchors, now: Time) -> Result<(String, Fingerprint), Refusal> {
    if signature.len() > SIGNATURE {
        return Err(unsigned("the signature is too long"));
    }
    let form = |why: landfall_pki::PkiError| unsigned(&why.to_string());
    let message = SignedData::parse(signature).map_err(form)?;
    let mut digest = message.content_digest().map_err(form)?;
    digest.update(text.as_bytes());
    let signer = message.verify_detached(digest).map_err(|why| unsigned(&why.to_string()))?;
    path::validate(&signer, message.certificates(), signers, &PathPolicy::at(now))
        .map_err(|why| unsigned(&why.to_string()))?;
    Ok((signer.subject(), signer.fingerprint()))
}

fn hash(text: &str) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    Fingerprint(digest.as_ref().try_into().unwrap_or_default())
}

fn invalid(why: &landfall_assurance::PolicyProblem) -> Refusal {
    Refusal::new(Fault::Malformed, "policy-valid", SECTION, why.to_string())
}

fn unsigned(why: &str) -> Refusal {
    Refusal::new(Fault::Denied, "policy-signature", SECTION, why)
}

fn unread(why: ReadError) -> Refusal {
    let mut refusal = gate::away();
    refusal.detail = why.to_string();
    refusal
}
