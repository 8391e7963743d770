//! What the authorizer is told of devices that are inside (SP 1800-36B 4.5): whether what they are for is known, how much of what they do
//! is against it, and that somebody watches whether they are in contact with what is on deny lists.
//!
//! Only what changes is told, and of a count only that it began, doubled, halved or ended: whatever a device does, little is told
//! of it. What could not be told is told with the next look.

use super::{Enforcer, State, plan};
use crate::deny;
use landfall_assurance::{Fact, Kind};
use landfall_lifecycle::network::DomainDevice;
use landfall_nft::Interface;
use landfall_policy::Value;
use landfall_types::{DeviceId, Time};
use std::{collections::BTreeMap, time::Duration};

/// How soon what is against a device's intent is told.
const LOOK: Duration = Duration::from_secs(1);
/// For how long what a device did counts after nobody judges it any more, and how much earlier it is told again until then.
const HOLDS: Duration = Duration::from_secs(600);
const EARLIER: Duration = Duration::from_secs(300);
/// So much is told at once.
const PART: usize = 500;

/// What was told of whom.
#[derive(Debug, Default)]
pub(super) struct Said(BTreeMap<DeviceId, Last>);

#[derive(Clone, Debug, Default)]
struct Last {
    known: Option<bool>,
    watched: Option<Time>,
    violations: Option<(u64, Time)>,
}

impl Enforcer {
    /// Tells what changes, for as long as it is polled.
    pub(super) async fn report_on(&self) {
        loop {
            let is_moved = tokio::select! {
                () = self.stirred.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            if let Err(why) = self.count_dropped().await {
                tracing::error!(role = "enforcer", %why, "what was dropped could not be counted");
            }
            self.report(is_moved).await;
        }
    }

    /// Tells the authorizer what is otherwise than it was told; with `moved` also where who is may have changed.
    pub async fn report(&self, moved: bool) {
        let mut said = self.said.lock().await;
        if self.world.authorizer.authorizer().is_none() {
            // One that comes back has it all told again.
            said.0.clear();
            return;
        }
        let now = self.world.clock.now();
        let watched = self.watched().await;
        let inside = self.inside(&said, moved).await;
        said.0.retain(|device, _| inside.contains_key(device));
        let mut news: Vec<(DeviceId, Last, Vec<Fact>)> = Vec::new();
        for (device, found) in inside {
            let last = said.0.get(&device).cloned().unwrap_or_default();
            let (next, facts) = last.followed_by(&device, &found, watched, now);
            if !facts.is_empty() {
                news.push((device, next, facts));
            }
        }
        for part in news.chunks(PART) {
            let facts = part.iter().flat_map(|(.., facts)| facts.iter().cloned()).collect();
            match self.world.authorizer.tell(facts).await {
                Ok(()) => said.0.extend(part.iter().map(|(device, last, _)| (device.clone(), last.clone()))),
                Err(why) => {
                    tracing::warn!(role = "enforcer", %why, "what devices do could not be told, and is told again");
                    said.0.retain(|device, _| part.iter().all(|(untold, ..)| untold != device));
                }
            }
        }
    }

    /// Everyone inside: whether what it is for is known, if that is to be looked at, and what it did against it, if it is judged.
    async fn inside(&self, said: &Said, moved: bool) -> BTreeMap<DeviceId, (Option<bool>, Option<u64>)> {
        let state = self.state.lock().await;
        let mut inside: BTreeMap<DeviceId, (Option<bool>, Option<u64>)> = BTreeMap::new();
        for (port, guest) in &state.guests {
            let judged = state.wanted.policy_of(port).map(|_| state.dropped.lately(port));
            let is_new = || said.0.get(&guest.device).is_none_or(|last| last.known.is_none());
            let known = (moved || is_new()).then(|| self.is_meant(&state, port, &guest.device));
            let (all, sum) = inside.entry(guest.device.clone()).or_insert((known, None));
            // Of a device at several ports the worst counts.
            *all = all.zip(known).map(|(all, known)| all && known);
            *sum = judged.map_or(*sum, |count| Some(sum.unwrap_or_default().saturating_add(count)));
        }
        inside
    }

    /// Whether a device is held to what its manufacturer says of it, wherever it is on this machine, or to what its owner does.
    pub(crate) async fn knows_intent(&self, device: &DeviceId) -> bool {
        let state = self.state.lock().await;
        let ports = state.ports_of(|guest| guest.device == *device);
        ports.iter().any(|port| self.is_meant(&state, port, device))
    }

    fn is_meant(&self, state: &State, port: &Interface, device: &DeviceId) -> bool {
        let is_held = state.wanted.occupants.get(port).is_some_and(|occupant| occupant.intent.is_some());
        let found = self.world.store.find::<DomainDevice>(device.as_str()).ok().flatten();
        is_held
            && found.is_some_and(|found| {
                // What anybody may claim by DHCP, or the owner has preset for those that say nothing, is no knowledge of the device.
                self.purposes.of(&found.record).is_some()
                    || self.word(&found.record).is_some_and(|word| word.is_proven())
            })
    }

    /// Takes in what the kernel has dropped by now, if it has told of any since.
    async fn count_dropped(&self) -> Result<(), landfall_nft::KernelError> {
        let counted = match self.heard.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => plan::count_dropped(&self.kernel).await?,
            false => BTreeMap::new(),
        };
        self.state.lock().await.dropped.count(&counted, self.world.clock.now());
        Ok(())
    }
}

impl Last {
    fn followed_by(
        &self,
        device: &DeviceId,
        found: &(Option<bool>, Option<u64>),
        watched: Option<Time>,
        now: Time,
    ) -> (Self, Vec<Fact>) {
        let (mut next, mut facts) = (self.clone(), Vec::new());
        let tell = |kind, value: Value, expires| {
            let (subject, source, verifier) = (device.clone(), "enforcer".to_owned(), "enforcer".to_owned());
            Fact { subject, kind, value, source, issuer: None, at: now, expires, verifier }
        };
        if let Some(known) = found.0.filter(|known| self.known != Some(*known)) {
            next.known = Some(known);
            facts.push(tell(Kind::IntentKnown, known.into(), None));
        }
        if let Some(count) = found.1.filter(|count| self.is_news(*count, now)) {
            next.violations = Some((count, now));
            let value = i64::try_from(count).unwrap_or(i64::MAX).into();
            facts.push(tell(Kind::IntentViolations, value, (count > 0).then(|| now + HOLDS)));
        }
        // Whoever it is in contact with from now on is told of beside this.
        if let Some(until) = watched.filter(|until| self.watched != Some(*until)) {
            next.watched = Some(until);
            facts.push(deny::contact(device, deny::SOURCE, Vec::new(), now, until));
        }
        (next, facts)
    }

    fn is_news(&self, count: u64, now: Time) -> bool {
        let Some((before, at)) = self.violations else { return true };
        let has_changed = before != count && (before == 0 || count == 0 || count / 2 >= before || before / 2 >= count);
        has_changed || (before > 0 && at + EARLIER <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_count_is_told_that_it_began_doubled_halved_or_ended() {
        let now = Time::from_unix(1_800_000_000);
        let device: DeviceId = "aa.D-1".parse().unwrap();
        let mut last = Last::default();
        let mut told = Vec::new();
        let counts = (0..100).chain([99, 60, 50, 49, 40, 24, 1, 0, 0]);
        for count in counts {
            let (next, facts) = last.followed_by(&device, &(None, Some(count)), None, now);
            told.extend(facts.into_iter().map(|fact| (fact.value, fact.expires.is_some())));
            last = next;
        }
        let expected = [0, 1, 2, 4, 8, 16, 32, 64, 24, 1, 0].map(|count: i64| (count.into(), count > 0));
        assert_eq!(told, expected);
        // What goes on is told again before it expires.
        let (next, _) = last.followed_by(&device, &(None, Some(7)), None, now);
        assert!(next.followed_by(&device, &(None, Some(7)), None, now + Duration::from_secs(299)).1.is_empty());
        assert_eq!(next.followed_by(&device, &(None, Some(7)), None, now + EARLIER).1.len(), 1);
        // Nobody judges it: nothing is told.
        assert!(next.followed_by(&device, &(None, None), None, now + EARLIER).1.is_empty());
    }
}
