//! What got no answer lately, and why: the peer hears nothing, so the operator has to.

use landfall_types::{OwnerId, Refusal, Time};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many are kept.
const KEPT: usize = 1000;
/// How long until the same is told again: devices announce themselves every half minute, at several access points.
const AGAIN: Duration = Duration::from_secs(600);
/// How many new ones are told in [`WINDOW`]; anyone can make up as many as he likes.
const TOLD: u32 = 120;
const WINDOW: Duration = Duration::from_secs(60);

/// Something that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose access point or device it was, if that is known: others do not hear of it.
    pub tenant: Option<OwnerId>,
    /// The device, in words that an operator recognises: its serial number, or the hash that it announced.
    pub device: String,
    /// From where it came.
    pub from: String,
    /// Why.
    pub refusal: Refusal,
    /// When first.
    pub first: Time,
    /// When last.
    pub last: Time,
    /// How often.
    pub count: u64,
}

/// The latest of them.
#[derive(Debug, Default)]
pub(super) struct RefusedLately(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    list: VecDeque<(Refused, Time)>,
    window: Option<Time>,
    told: u32,
}

impl RefusedLately {
    /// Notes it, and says whether it is worth an event.
    pub(super) fn note(
        &self,
        tenant: Option<&OwnerId>,
        device: &str,
        from: &str,
        refusal: &Refusal,
        now: Time,
    ) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(other, _): &(Refused, Time)| {
            other.device == device && other.tenant.as_ref() == tenant && other.refusal.check == refusal.check
        };
        let before = kept.list.iter().position(same).and_then(|at| kept.list.remove(at));
        let is_new = before.as_ref().is_none_or(|(_, told)| now.since(*told) >= AGAIN);
        let tell = is_new && kept.may_tell(now);
        let told = match &before {
            Some((_, told)) if !tell => *told,
            _ => now,
        };
        let (first, count) = before.map_or((now, 0), |(before, _)| (before.first, before.count));
        let (tenant, refusal) = (tenant.cloned(), refusal.clone());
        let (device, from) = (device.to_owned(), from.to_owned());
        let entry = Refused { tenant, device, from, refusal, first, last: now, count: count + 1 };
        kept.list.push_front((entry, told));
        kept.list.truncate(KEPT);
        tell
    }

    /// The latest first.
    pub(super) fn list(&self) -> Vec<Refused> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.list.iter().map(|(refused, _)| refused.clone()).collect()
    }
}

impl Kept {
    fn may_tell(&mut self, now: Time) -> bool {
        if self.window.is_none_or(|since| now.since(since) >= WINDOW) {
            (self.window, self.told) = (Some(now), 0);
        }
        self.told += 1;
        self.told <= TOLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_types::Fault;

    #[test]
    fn the_same_is_told_once_and_a_flood_is_bounded() {
        let (lately, start) = (RefusedLately::default(), Time::from_unix(1_000_000));
        let refusal = Refusal::new(Fault::Denied, "bootstrapping-known", "", "not in the book");
        assert!(lately.note(None, "a", "ap", &refusal, start));
        assert!(!lately.note(None, "a", "ap", &refusal, start + Duration::from_secs(30)));
        assert!(lately.note(None, "a", "ap", &refusal, start + AGAIN));
        assert_eq!((lately.list().len(), lately.list()[0].count), (1, 3));
        let told = (0..5000).filter(|n| lately.note(None, &n.to_string(), "ap", &refusal, start + AGAIN)).count();
        assert!(told < TOLD as usize);
        assert_eq!(lately.list().len(), KEPT);
    }
}
