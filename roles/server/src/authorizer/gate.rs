//! Where every role of this process asks the authorizer, whether there is one or not.

use super::Authorizer;
use landfall_assurance::{Fact, Kind, Level, Question, Ruling};
use landfall_lifecycle::verification::Assessment;
use landfall_policy::{Decision, Verdict};
use landfall_store::Store;
use landfall_types::{DeviceId, Fault, Refusal, Time};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::broadcast;

/// So many changes may wait to be heard; whoever has missed some looks at all.
const UNHEARD: usize = 16_384;
const SECTION: &str = "SP 1800-36B 4.5";

/// The way to the authorizer. Clones are the same way.
#[derive(Clone)]
pub struct Gate(Arc<Inside>);

struct Inside {
    state: RwLock<State>,
    moved: broadcast::Sender<DeviceId>,
}

#[derive(Clone, Default)]
enum State {
    /// The settings have no `[authorizer]`: nothing is asked.
    #[default]
    Unused,
    /// The settings have one, and it does not run.
    Away,
    Here(Arc<Authorizer>),
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Inside { state: RwLock::default(), moved: broadcast::channel(UNHEARD).0 }))
    }
}

impl Gate {
    /// From now on it is asked; while it does not run, nobody joins.
    pub fn expect(&self) {
        self.set(State::Away);
    }

    pub(super) fn open(&self, authorizer: Arc<Authorizer>) {
        self.set(State::Here(authorizer));
    }

    /// The authorizer, if it runs.
    pub fn authorizer(&self) -> Option<Arc<Authorizer>> {
        match self.state() {
            State::Here(authorizer) => Some(authorizer),
            State::Unused | State::Away => None,
        }
    }

    /// Whether the settings have one that does not run.
    pub fn is_away(&self) -> bool {
        matches!(self.state(), State::Away)
    }

    /// Tells it what is known; nobody hears it where there is none.
    ///
    /// # Errors
    /// If it does not run, or a fact is unfit, or nothing could be made durable.
    pub async fn tell(&self, facts: Vec<Fact>) -> Result<(), Refusal> {
        match self.state() {
            State::Unused => Ok(()),
            State::Away => Err(away()),
            State::Here(authorizer) => authorizer.assert(facts).await.map(drop),
        }
    }

    /// Whether a device may join, with what has been found out just now; None where nobody decides that.
    ///
    /// # Errors
    /// If there should be an authorizer and it does not run: nobody joins.
    pub async fn join(&self, device: &DeviceId, facts: Vec<Fact>) -> Result<Option<Ruling>, Refusal> {
        match self.state() {
            State::Unused => Ok(None),
            State::Away => Err(away()),
            State::Here(authorizer) => authorizer.join(device, facts).await.map(Some),
        }
    }

    /// The same for a role that has decided that a device may come: what becomes of that. A device of which nothing speaks but
    /// that nobody has said yet whether it is trusted waits for a person, who can say so.
    pub(crate) async fn admits(&self, device: &DeviceId, facts: Vec<Fact>, decision: Decision) -> Decision {
        if !decision.permits() {
            return decision;
        }
        let ruling = match self.join(device, facts).await {
            Ok(None) => return decision,
            Ok(Some(ruling)) => ruling,
            Err(why) => return Decision::because(Verdict::Deny, "authorizer-away", why.to_string()),
        };
        if ruling.level >= Level::Remediation {
            return decision;
        }
        let wants_trust = ruling.missing.contains(&Kind::DeviceTrusted)
            && !ruling.reasons.is_empty()
            && ruling.reasons.iter().all(|reason| reason.kinds == [Kind::DeviceTrusted]);
        let verdict = if wants_trust { Verdict::Ask } else { Verdict::Deny };
        Decision::because(verdict, "authorizer", format!("{} by policy: {}", ruling.level, ruling.why()))
    }

    /// Has it look at what the records say of a device now; nobody waits for that.
    pub(crate) fn look_again(&self, device: &DeviceId) {
        if let State::Here(authorizer) = self.state() {
            let device = device.clone();
            tokio::spawn(async move { authorizer.review(&device).await });
        }
    }

    /// Whether a device may do something that not every device may, or have it done to it; None where nobody decides that.
    ///
    /// # Errors
    /// If there should be an authorizer and it does not run.
    pub async fn operate(&self, device: &DeviceId, operation: &str) -> Result<Option<Ruling>, Refusal> {
        match self.state() {
            State::Unused => Ok(None),
            State::Away => Err(away()),
            State::Here(authorizer) => {
                authorizer.rule_for_good(device, Question::Operate(operation.into())).await.map(Some)
            }
        }
    }

    /// How far a device is let in now; None where nobody decides that. While the authorizer is away its last decision
    /// counts, until it expires.
    ///
    /// # Errors
    /// If nothing is decided of the device that counts, or the records cannot be read.
    pub fn level(&self, store: &Store, device: &DeviceId, now: Time) -> Result<Option<(Level, String)>, Refusal> {
        match self.state() {
            State::Unused => Ok(None),
            State::Here(authorizer) => Ok(Some(authorizer.level(device))),
            State::Away => {
                let backend = |why: landfall_store::ReadError| {
                    Refusal::new(Fault::Backend, "authorizer-records", SECTION, why.to_string())
                };
                let found = store.find::<Assessment>(device.as_str()).map_err(backend)?;
                let last = found.map(|found| found.record).filter(|last| now < last.until).ok_or_else(|| {
                    let why = "the authorizer does not run, and no decision of it counts any more";
                    Refusal::new(Fault::Denied, "authorizer-away", SECTION, why)
                })?;
                Ok(Some((last.level, last.ruling.why())))
            }
        }
    }

    /// The devices whose level changes from now on.
    pub fn moves(&self) -> broadcast::Receiver<DeviceId> {
        self.0.moved.subscribe()
    }

    pub(super) fn moved(&self, device: DeviceId) {
        // Nobody has to listen.
        let _ = self.0.moved.send(device);
    }

    fn state(&self) -> State {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: State) {
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

pub(crate) fn away() -> Refusal {
    let why = "the authorizer, which decides who may come, does not run";
    Refusal::new(Fault::Backend, "authorizer-away", SECTION, why)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state() {
            State::Unused => "Gate(unused)",
            State::Away => "Gate(away)",
            State::Here(_) => "Gate(here)",
        })
    }
}
