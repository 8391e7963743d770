//! What follows from what is told and from what expires: decided and written in one commit, then done.

use super::{Authorizer, DECISION_LOG, FACT_LOG, SECTION, desk::Done};
use landfall_assurance::{Level, Question, Ruling};
use landfall_lifecycle::{
    device::DeviceEvent,
    verification::{Assessment, Brake, Effect, Heard, Step, assess},
};
use landfall_types::{Changes, DeviceId, Event, Fault, Outcome, Process, Refusal, Time, record::Unwritable};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// So many devices are looked at in one commit.
const PART: usize = 500;
/// What cannot be written is tried again after so long.
const AGAIN: Duration = Duration::from_millis(500);
/// Nothing is waited for longer than this: the machine's clock may be set.
const LONGEST: Duration = Duration::from_secs(60);

/// What the log says of a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When.
    pub at: Time,
    /// About which device.
    pub device: DeviceId,
    /// How far it is let in from then on; of a question that changes nothing, what was answered.
    pub level: Level,
    /// Before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Level>,
    /// By which version of the policy.
    pub policy: u64,
    /// Who told what was new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Whether it waits for a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// What policy says, with the facts.
    pub ruling: Ruling,
}

impl Entry {
    pub(super) fn answer(device: &DeviceId, ruling: &Ruling, policy: u64, at: Time) -> Self {
        let (device, level) = (device.clone(), ruling.level);
        Self { at, device, level, from: None, policy, causes: Vec::new(), held: false, ruling: ruling.clone() }
    }

    fn of(step: &Step, before: Option<Level>, causes: &BTreeSet<String>) -> Self {
        let Assessment { device, level, ruling, ruled, policy, held, .. } = &step.assessment;
        Self {
            at: *ruled,
            device: device.clone(),
            level: *level,
            from: before,
            policy: *policy,
            causes: causes.iter().cloned().collect(),
            held: held.is_some(),
            ruling: ruling.clone(),
        }
    }
}

/// What one commit is to hold, and what is to be done after it.
#[derive(Default)]
struct Batch {
    steps: Vec<(Step, BTreeSet<String>)>,
    dossiers: BTreeSet<DeviceId>,
    news: Vec<landfall_assurance::Fact>,
    waiting: Vec<Done>,
    changes: Changes,
}

impl Authorizer {
    pub(super) async fn work(self: Arc<Self>, shutdown: crate::Shutdown) {
        loop {
            let (batch, next) = self.batch();
            if !batch.is_idle() {
                if let Err(why) = self.settle(batch).await {
                    tracing::error!(role = "authorizer", why, "what follows from facts could not be written");
                    tokio::time::sleep(AGAIN).await;
                }
                continue;
            }
            let left = next.map_or(LONGEST, |next| next.since(self.world.clock.now()).min(LONGEST));
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(left.max(Duration::from_millis(1))) => {}
            }
        }
    }

    /// Takes what is to be looked at off the desk, and decides it.
    fn batch(&self) -> (Batch, Option<Time>) {
        let (now, in_force) = (self.world.clock.now(), self.in_force());
        let mut desk = self.desk();
        let next = desk.mark_due(now);
        let devices = desk.next(PART);
        let fleet = desk.fleet();
        let mut batch = Batch {
            dossiers: std::mem::take(&mut desk.unsaved),
            news: std::mem::take(&mut desk.news),
            ..Batch::default()
        };
        let mut brake = std::mem::take(&mut desk.brake);
        let before = brake.clone();
        for (device, causes) in devices {
            let Some(dossier) = desk.dossier(&device) else { continue };
            let assessment = desk.assessment(&device);
            let level = assessment.map_or(Level::Blocked, |it| it.level);
            let ruling = in_force.policies.decide(dossier, Question::Stay, level, &self.grace, now);
            let heard = Heard { ruling, policy: in_force.version, causes: &causes, fleet };
            let step = assess(&device, assessment, heard, &mut brake, &self.manners, now);
            batch.steps.push((step, causes));
        }
        batch.waiting = desk.waited();
        let written = batch.write(&desk, (brake != before).then_some(&brake));
        desk.brake = brake;
        if let Err(why) = written {
            tracing::error!(role = "authorizer", %why, "what follows from facts cannot be written");
        }
        (batch, next)
    }

    /// Writes a batch, and does what is to be done. What could not be written is put back.
    async fn settle(&self, batch: Batch) -> Result<(), String> {
        let Batch { steps, dossiers, news, waiting, changes } = batch;
        let begun = Instant::now();
        if let Err(why) = self.world.store.commit(changes).await {
            let mut desk = self.desk();
            for (step, causes) in steps {
                causes.iter().for_each(|cause| desk.mark(&step.assessment.device, cause));
            }
            desk.unsaved.extend(dossiers);
            desk.news.splice(0..0, news);
            let why = why.to_string();
            for done in waiting {
                let _ = done.send(Err(Refusal::new(Fault::Backend, "authorizer-records", SECTION, why.clone())));
            }
            return Err(why);
        }
        {
            let mut desk = self.desk();
            steps.iter().for_each(|(step, _)| desk.keep(step.assessment.clone()));
        }
        self.world.decided.send_replace(());
        metrics::counter!("landfall_authorizer_decisions_total").increment(steps.len() as u64);
        metrics::histogram!("landfall_authorizer_commit_seconds").record(begun.elapsed().as_secs_f64());
        for (step, _) in steps {
            self.act(step).await;
        }
        for done in waiting {
            let _ = done.send(Ok(()));
        }
        Ok(())
    }

    async fn act(&self, step: Step) {
        let device = &step.assessment.device;
        for effect in step.effects {
            match effect {
                Effect::Place | Effect::Disconnect => self.world.authorizer.moved(device.clone()),
                Effect::Revoke(why) => self.revoke(device, why).await,
                Effect::Notify(what) => self.notify(device, what).await,
            }
        }
    }

    /// The credential goes (table G-1: "its voucher is revoked, which removes the device from the network").
    async fn revoke(&self, device: &DeviceId, why: String) {
        let event = DeviceEvent::Revoked { by: "policy".into(), why };
        match crate::happen::happen(&self.world, device, event).await {
            Ok(_) => {
                self.world.revoked.notify_one();
                self.world.authorizer.moved(device.clone());
            }
            // It has none, or it was revoked before.
            Err(why) => tracing::warn!(role = "authorizer", %device, why = why.body.error, "nothing was revoked"),
        }
    }

    async fn notify(&self, device: &DeviceId, what: String) {
        tracing::warn!(role = "authorizer", %device, what, "alert");
        let refusal = Refusal::new(Fault::Denied, "policy", SECTION, what);
        self.close(device, "device-assessed", Outcome::Refused(refusal)).await;
    }

    pub(super) async fn close(&self, device: &DeviceId, action: &'static str, outcome: Outcome) {
        let (at, process, role) = (self.world.clock.now(), Process::Verification, "authorizer");
        let device = device.to_string();
        self.world.recorder.close(Event { at, process, role, action, device, outcome, duration: Duration::ZERO }).await;
    }

    pub(super) async fn write(&self, entry: Entry) -> Result<(), Refusal> {
        let backend = |why: String| Refusal::new(Fault::Backend, "authorizer-records", SECTION, why);
        let changes = Changes::new().append(DECISION_LOG, &entry).map_err(|why| backend(why.to_string()))?;
        self.world.store.commit(changes).await.map(drop).map_err(|why| backend(why.to_string()))?;
        self.world.decided.send_replace(());
        Ok(())
    }
}

impl Batch {
    fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.dossiers.is_empty() && self.news.is_empty() && self.waiting.is_empty()
    }

    fn write(&mut self, desk: &super::desk::Desk, brake: Option<&Brake>) -> Result<(), Unwritable> {
        let mut changes = Changes::new();
        for fact in &self.news {
            changes = changes.append(FACT_LOG, fact)?;
        }
        for dossier in self.dossiers.iter().filter_map(|device| desk.dossier(device)) {
            changes = changes.put(dossier)?;
        }
        for (step, causes) in &self.steps {
            changes = changes.put(&step.assessment)?;
            if step.is_news {
                let before = desk.assessment(&step.assessment.device).map(|it| it.level);
                changes = changes.append(DECISION_LOG, &Entry::of(step, before, causes))?;
            }
        }
        if let Some(brake) = brake {
            changes = changes.put(brake)?;
        }
        self.changes = changes;
        Ok(())
    }
}
