//! What the authorizer has before it: dossiers, assessments, and what is to be looked at.

use landfall_assurance::{Background, Dossier, Fact, Grace, Level, Taken, Unfit};
use landfall_lifecycle::verification::{Assessment, Brake, Braked, Manners};
use landfall_store::{ReadError, Store};
use landfall_types::{DeviceId, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, VecDeque};
use tokio::sync::oneshot;

/// So much is read at a time.
const PART: usize = 1000;
/// What has expired, as a cause.
pub(super) const EXPIRY: &str = "expiry";

/// What is told when a batch is durable.
pub(super) type Done = oneshot::Sender<Result<(), Refusal>>;

#[derive(Debug, Default)]
pub(super) struct Desk {
    files: HashMap<DeviceId, File>,
    /// Those to be looked at, and who told something new of each. Of each there is one entry, however much is told.
    marked: HashMap<DeviceId, BTreeSet<String>>,
    /// Those, in the order in which they are looked at.
    queue: VecDeque<DeviceId>,
    /// How many have ever been put there, and taken from there.
    queued: u64,
    taken: u64,
    /// Those whose dossier is to be written.
    pub(super) unsaved: BTreeSet<DeviceId>,
    /// What is to go to the log of facts.
    pub(super) news: Vec<Fact>,
    /// Those who wait until it is, and until so many have been looked at.
    waiting: VecDeque<(u64, Done)>,
    /// When each is to be looked at again.
    due: BTreeSet<(Time, DeviceId)>,
    pub(super) brake: Brake,
    /// Devices that wait for a person because of a source.
    held: HashMap<String, BTreeSet<DeviceId>>,
}

#[derive(Debug)]
struct File {
    dossier: Dossier,
    /// Without its facts, which are in the dossier.
    assessment: Option<Assessment>,
}

/// One device, as an operator is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct View {
    /// What is known.
    pub dossier: Dossier,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessment: Option<Assessment>,
    /// What its background comes to.
    pub background: Background,
}

impl Desk {
    pub(super) fn load(store: &Store, now: Time) -> Result<Self, ReadError> {
        let mut desk = Self::default();
        let mut after: Option<String> = None;
        loop {
            let part = store.scan::<Dossier>(after.as_deref(), PART)?;
            let Some(last) = part.last() else { break };
            after = Some(last.record.key());
            for found in part {
                let device = found.record.device.clone();
                let assessment = store.find::<Assessment>(device.as_str())?.map(|found| found.record);
                desk.files.insert(device.clone(), File { dossier: found.record, assessment: None });
                match assessment {
                    Some(assessment) => desk.keep(assessment),
                    None => desk.mark(&device, EXPIRY),
                }
            }
        }
        if let Some(brake) = store.find::<Brake>(&Brake::default().key())? {
            desk.brake = brake.record;
        }
        desk.mark_due(now);
        Ok(desk)
    }

    /// Takes facts in, all or none; how many of them said something new.
    pub(super) fn take(&mut self, facts: Vec<Fact>, now: Time) -> Result<usize, Unfit> {
        let mut after: HashMap<DeviceId, Dossier> = HashMap::new();
        let (mut news, mut renewed) = (Vec::new(), Vec::new());
        for fact in facts {
            let device = fact.subject.clone();
            let dossier = after.entry(device.clone()).or_insert_with(|| {
                let known = self.files.get(&device).map(|file| file.dossier.clone());
                known.unwrap_or_else(|| Dossier::new(device.clone(), now))
            });
            match dossier.take(fact.clone(), now)? {
                Taken::News => news.push(fact),
                Taken::Renewed => renewed.push((device, fact.source)),
                Taken::Late => {}
            }
        }
        for (device, dossier) in after {
            self.unsaved.insert(device.clone());
            match self.files.get_mut(&device) {
                Some(file) => file.dossier = dossier,
                None => drop(self.files.insert(device, File { dossier, assessment: None })),
            }
        }
        // What holds longer moves the next look at it.
        for (device, source) in renewed {
            self.mark(&device, &source);
        }
        for fact in &news {
            self.mark(&fact.subject, &fact.source);
        }
        let count = news.len();
        self.news.extend(news);
        Ok(count)
    }

    /// Puts these facts in the place of all that `verifier` has told of a device; what stays as it was is not told again.
    pub(super) fn replace(&mut self, device: &DeviceId, verifier: &str, facts: Vec<Fact>, now: Time) {
        let Some(file) = self.files.get(device) else { return };
        let held: Vec<&Fact> = file.dossier.facts.iter().filter(|fact| fact.verifier == verifier).collect();
        let is_place = |a: &Fact, b: &Fact| (a.kind, &a.source) == (b.kind, &b.source);
        let is_same =
            |a: &Fact, b: &Fact| is_place(a, b) && (&a.value, a.issuer, a.expires) == (&b.value, b.issuer, b.expires);
        let gone = held.iter().filter(|held| !facts.iter().any(|fact| is_place(held, fact)));
        let gone: Vec<Fact> = gone.map(|held| (*held).clone().withdrawn(now)).collect();
        let fresh = facts.iter().filter(|fact| !held.iter().any(|held| is_same(held, fact)));
        let told: Vec<Fact> = gone.into_iter().chain(fresh.cloned()).collect();
        for fact in told {
            let kind = fact.kind;
            if let Err(why) = self.take(vec![fact], now) {
                tracing::warn!(role = "authorizer", %device, %kind, %why, "what follows cannot be taken in");
            }
        }
    }

    pub(super) fn mark(&mut self, device: &DeviceId, cause: &str) {
        match self.marked.get_mut(device) {
            Some(causes) => drop(causes.insert(cause.to_owned())),
            None => {
                self.marked.insert(device.clone(), [cause.to_owned()].into());
                self.queue.push_back(device.clone());
                self.queued += 1;
            }
        }
    }

    /// Tells `done` when all that is marked now has been looked at.
    pub(super) fn wait(&mut self, done: Done) {
        self.waiting.push_back((self.queued, done));
    }

    /// The next ones to be looked at, with who told something new of each.
    pub(super) fn next(&mut self, most: usize) -> Vec<(DeviceId, BTreeSet<String>)> {
        let devices: Vec<DeviceId> = self.queue.drain(..most.min(self.queue.len())).collect();
        self.taken += devices.len() as u64;
        devices.into_iter().filter_map(|device| self.marked.remove_entry(&device)).collect()
    }

    /// Those who have waited until what was taken so far is looked at.
    pub(super) fn waited(&mut self) -> Vec<Done> {
        let count = self.waiting.iter().take_while(|(until, _)| *until <= self.taken).count();
        self.waiting.drain(..count).map(|(_, done)| done).collect()
    }

    pub(super) fn mark_all(&mut self, cause: &str) {
        let devices: Vec<DeviceId> = self.files.keys().cloned().collect();
        devices.iter().for_each(|device| self.mark(device, cause));
    }

    /// Marks those whose time has come; when the next one's does.
    pub(super) fn mark_due(&mut self, now: Time) -> Option<Time> {
        while let Some((at, device)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, device.clone()));
            self.mark(&device, EXPIRY);
        }
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn fleet(&self) -> usize {
        self.files.len()
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.files.keys()
    }

    /// What is known of a device, and how it stands.
    pub(super) fn known(&self, device: &DeviceId, now: Time) -> (Dossier, Level) {
        match self.files.get(device) {
            Some(file) => (file.dossier.clone(), file.assessment.as_ref().map_or(Level::Blocked, |it| it.level)),
            None => (Dossier::new(device.clone(), now), Level::Blocked),
        }
    }

    pub(super) fn dossier(&self, device: &DeviceId) -> Option<&Dossier> {
        self.files.get(device).map(|file| &file.dossier)
    }

    pub(super) fn assessment(&self, device: &DeviceId) -> Option<&Assessment> {
        self.files.get(device)?.assessment.as_ref()
    }

    pub(super) fn level(&self, device: &DeviceId) -> Option<(Level, String)> {
        self.assessment(device).map(|it| (it.level, it.ruling.why()))
    }

    /// Keeps an assessment from now on.
    pub(super) fn keep(&mut self, mut assessment: Assessment) {
        let device = assessment.device.clone();
        let Some(file) = self.files.get_mut(&device) else { return };
        assessment.ruling.facts = Vec::new();
        if let Some(before) = &file.assessment {
            self.due.remove(&(before.next_check, device.clone()));
            for source in before.held.iter().flat_map(|held| &held.sources) {
                self.held.get_mut(source).map(|devices| devices.remove(&device));
            }
        }
        self.due.insert((assessment.next_check, device.clone()));
        for source in assessment.held.iter().flat_map(|held| &held.sources) {
            self.held.entry(source.clone()).or_default().insert(device.clone());
        }
        file.assessment = Some(assessment);
    }

    pub(super) fn judge_source(&mut self, source: &str, believe: bool, manners: &Manners, now: Time) -> Option<usize> {
        let is_waiting = match believe {
            true => self.brake.release(source, &manners.brake, now),
            false => self.brake.dismiss(source, &manners.brake, now),
        };
        if !is_waiting {
            return None;
        }
        let mut looked_at = self.held.remove(source).unwrap_or_default();
        if !believe {
            for (device, file) in &mut self.files {
                if file.dossier.forget(source) {
                    looked_at.insert(device.clone());
                    self.unsaved.insert(device.clone());
                }
            }
        }
        looked_at.iter().for_each(|device| self.mark(device, source));
        Some(looked_at.len())
    }

    pub(super) fn braked(&self) -> Vec<Braked> {
        self.brake.waiting()
    }

    pub(super) fn view(&self, device: &DeviceId, grace: &Grace, now: Time) -> Option<View> {
        let file = self.files.get(device)?;
        Some(View {
            background: file.dossier.background(grace, now),
            dossier: file.dossier.clone(),
            assessment: file.assessment.clone(),
        })
    }
}
