//! What follows for a device from what policy says of it, and when.
//!
//! What speaks against a device counts at once. What speaks for it again counts when it has done so for a while, and not
//! soon after the device was let down, so that what comes and goes does not throw it in and out.

use super::brake::{Brake, BrakeManners};
use landfall_assurance::{Level, Ruling};
use landfall_types::{DeviceId, Record, Time};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// What an operator put into force, as a cause: a person has decided that, knowing for how many.
pub const POLICY: &str = "policy";

/// How quickly things follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// So long a better ruling must have held before the device is let further in.
    pub recover: Duration,
    /// So long a device that was let down stays so, whatever is said of it.
    pub dwell: Duration,
    /// So long a decision counts where nobody can be asked anew.
    pub valid: Duration,
    /// How much a single source may do by itself.
    pub brake: BrakeManners,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            recover: Duration::from_secs(30),
            dwell: Duration::from_secs(60),
            valid: Duration::from_secs(3600),
            brake: BrakeManners::default(),
        }
    }
}

/// How a device stands by policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Assessment {
    /// Which.
    pub device: DeviceId,
    /// How far it is let in now.
    pub level: Level,
    /// Since when.
    pub since: Time,
    /// Whether it was let down then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lowered: bool,
    /// What policy says, which may be better or, where a person has to agree, worse.
    pub ruling: Ruling,
    /// When it said so.
    pub ruled: Time,
    /// By which version of the policy.
    pub policy: u64,
    /// The better level that it is on its way to, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<(Level, Time)>,
    /// Why a worse one waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Until when it counts where nobody can be asked anew.
    pub until: Time,
    /// When it is looked at again in any case.
    pub next_check: Time,
}

/// A worse level that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Held {
    /// The level.
    pub level: Level,
    /// The sources that have done too much already.
    pub sources: Vec<String>,
    /// Since when.
    pub since: Time,
}

/// What is heard of a device.
#[derive(Clone, Debug)]
pub struct Heard<'a> {
    /// What policy says.
    pub ruling: Ruling,
    /// By which version of it.
    pub policy: u64,
    /// Who told what is new: sources of facts, `expiry`, `policy`.
    pub causes: &'a BTreeSet<String>,
    /// How many devices there are in all.
    pub fleet: usize,
}

/// What must be done besides writing the assessment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The device is to be where devices of its level are, at once.
    Place,
    /// It is to be out.
    Disconnect,
    /// Its credential is to be revoked, for that reason.
    Revoke(String),
    /// A person is to be told.
    Notify(String),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a step that is not committed did not happen"]
pub struct Step {
    /// The assessment from now on.
    pub assessment: Assessment,
    /// What must be done besides.
    pub effects: Vec<Effect>,
    /// Whether anything is different that is worth an entry in a log.
    pub is_news: bool,
}

/// What follows for a device from what is heard of it.
pub fn assess(
    device: &DeviceId,
    before: Option<&Assessment>,
    heard: Heard<'_>,
    brake: &mut Brake,
    manners: &Manners,
    now: Time,
) -> Step {
    let Heard { ruling, policy, causes, fleet } = heard;
    let mut effects = Vec::new();
    let mut next = Assessment {
        device: device.clone(),
        level: before.map_or(ruling.level, |before| before.level),
        since: before.map_or(now, |before| before.since),
        lowered: before.is_some_and(|before| before.lowered),
        better: before.and_then(|before| before.better),
        held: None,
        ruled: now,
        policy,
        until: now + manners.valid,
        next_check: now + manners.valid / 2,
        ruling,
    };
    let wanted = next.ruling.level;
    if wanted < next.level {
        next.better = None;
        let sources = blamed(&next.ruling, causes);
        let isolates = next.level.is_working() && !wanted.is_working() && !causes.contains(POLICY);
        let mut is_let = |source: &&String| brake.lets(source, device, fleet, &manners.brake, now);
        if !isolates || sources.iter().any(|source| is_let(&source)) {
            next.go(wanted, now);
        } else {
            let since = before.and_then(|before| before.held.as_ref()).map_or(now, |held| held.since);
            if since == now {
                effects.push(Effect::Notify(format!(
                    "{device} would be {wanted} ({}), which waits for a person: {} did too much at once",
                    next.ruling.why(),
                    sources.join(", ")
                )));
            }
            next.held = Some(Held { level: wanted, sources, since });
        }
    } else if wanted > next.level {
        // It goes as far as every ruling since then has let it.
        let (level, since) = next.better.map_or((wanted, now), |(level, since)| (level.min(wanted), since));
        let due = next.due(since, manners);
        next.better = Some((level, since));
        if due <= now {
            next.go(level, now);
        }
        if next.level < wanted {
            let (_, since) = *next.better.get_or_insert((wanted, now));
            next.next_check = next.next_check.min(next.due(since, manners));
        }
    } else {
        next.better = None;
    }
    if let Some(at) = next.ruling.next_check {
        next.next_check = next.next_check.min(at);
    }
    let is_new = before.is_none();
    let changed = before.is_none_or(|before| before.level != next.level);
    if changed {
        effects.push(Effect::Place);
        if next.level == Level::Blocked && !is_new {
            effects.push(Effect::Disconnect);
        }
        if !next.level.is_working() && !is_new {
            effects.push(Effect::Notify(format!("{device} is {} now: {}", next.level, next.ruling.why())));
        }
        if next.level == Level::Blocked && next.ruling.revoke {
            effects.push(Effect::Revoke(next.ruling.why()));
        }
    }
    let is_news = changed
        || before.is_some_and(|before| {
            before.ruling.level != next.ruling.level
                || before.ruling.reasons != next.ruling.reasons
                || before.policy != next.policy
                || before.held.is_some() != next.held.is_some()
        });
    Step { assessment: next, effects, is_news }
}

impl Assessment {
    fn go(&mut self, level: Level, now: Time) {
        self.lowered = level < self.level;
        self.level = level;
        self.since = now;
        self.better = None;
    }

    /// When it may be let further in, if it has been on its way since then. Who was not let down does not wait.
    fn due(&self, since: Time, manners: &Manners) -> Time {
        if self.lowered { (since + manners.recover).max(self.since + manners.dwell) } else { since }
    }
}

/// Who is behind it: of those who told something new, those on whose word it rests; all of them where it rests on nothing
/// being known.
fn blamed(ruling: &Ruling, causes: &BTreeSet<String>) -> Vec<String> {
    let blamed = ruling.blamed();
    let named: Vec<String> = causes.iter().filter(|cause| blamed.contains(cause.as_str())).cloned().collect();
    if named.is_empty() { causes.iter().cloned().collect() } else { named }
}

impl Record for Assessment {
    const COLLECTION: &'static str = "verification-assessment";

    fn key(&self) -> String {
        self.device.to_string()
    }
}
