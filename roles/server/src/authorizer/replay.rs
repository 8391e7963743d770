//! What a policy would have made of the past: every fact on record, in its order, decided by it and by the one in force.

use super::{Authorizer, FACT_LOG, SECTION, gate};
use landfall_assurance::{Dossier, Fact, Level, Policies, Question};
use landfall_types::{DeviceId, Fault, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

/// So much is read at a time.
const PART: usize = 1000;
/// So many differences are told one by one.
const TOLD: usize = 100;
/// So many devices are held in mind.
const DEVICES: usize = 200_000;

/// What would have been otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replayed {
    /// How many facts were told.
    pub facts: u64,
    /// Of how many devices.
    pub devices: usize,
    /// After how many of them the proposed policy lets the device less far in than the one in force.
    pub stricter: u64,
    /// And further.
    pub laxer: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// One decision that would have been otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// When.
    pub at: Time,
    /// About which device.
    pub device: DeviceId,
    /// By the policy in force.
    pub in_force: Level,
    /// By the proposed one.
    pub proposed: Level,
    /// Why.
    pub why: String,
}

impl Authorizer {
    /// Replays every fact on record.
    ///
    /// # Errors
    /// If the policy does not fit the schema, or the log cannot be read.
    pub async fn replay(self: &Arc<Self>, text: &str) -> Result<Replayed, Refusal> {
        let invalid = |why: landfall_assurance::PolicyProblem| {
            Refusal::new(Fault::Malformed, "policy-valid", SECTION, why.to_string())
        };
        let (proposed, authorizer) = (Policies::parse(text).map_err(invalid)?, self.clone());
        // A long log takes its time: not on the threads that serve devices.
        let replayed = tokio::task::spawn_blocking(move || authorizer.replay_all(&proposed)).await;
        replayed.unwrap_or_else(|_| Err(gate::away()))
    }

    fn replay_all(&self, proposed: &Policies) -> Result<Replayed, Refusal> {
        let in_force = self.in_force();
        let mut replayed = Replayed::default();
        let mut dossiers: HashMap<DeviceId, (Dossier, bool)> = HashMap::new();
        let mut after = 0;
        loop {
            let unread = |why: landfall_store::ReadError| {
                Refusal::new(Fault::Backend, "authorizer-records", SECTION, why.to_string())
            };
            let part = self.world.store.log(FACT_LOG, after, PART).map_err(unread)?;
            let Some(last) = part.last() else { break };
            after = last.seq;
            for line in part {
                let Ok(fact) = serde_json::from_value::<Fact>(line.entry) else { continue };
                replayed.facts += 1;
                let (device, now) = (fact.subject.clone(), fact.at);
                if dossiers.len() >= DEVICES && !dossiers.contains_key(&device) {
                    continue;
                }
                let (dossier, differs) =
                    dossiers.entry(device.clone()).or_insert_with(|| (Dossier::new(device.clone(), now), false));
                if dossier.take(fact, now).is_err() {
                    continue;
                }
                let decide =
                    |policies: &Policies| policies.decide(dossier, Question::Stay, Level::Full, &self.grace, now);
                let (before, then) = (decide(&in_force.policies), decide(proposed));
                let differed = std::mem::replace(differs, before.level != then.level);
                if before.level == then.level || differed {
                    continue;
                }
                match then.level < before.level {
                    true => replayed.stricter += 1,
                    false => replayed.laxer += 1,
                }
                if replayed.differences.len() < TOLD {
                    let why = if then.level < before.level { then.why() } else { before.why() };
                    let (in_force, proposed) = (before.level, then.level);
                    replayed.differences.push(Difference { at: now, device, in_force, proposed, why });
                }
            }
        }
        replayed.devices = dossiers.len();
        Ok(replayed)
    }
}
