//! Who can be tried, and when (RFC 8995 s4.1, s5.1): a pure table.

use super::config::Timing;
use crate::{proxy::Offer, voucher::Nonce};
use landfall_pki::Certificate;
use landfall_types::{Time, http::Request};

/// Most places remembered. A link full of fake proxies must not fill the memory.
const MOST: usize = 32;

/// Every place that might lead to a registrar.
#[derive(Debug, Default)]
pub(super) struct Prospects(Vec<Prospect>);

#[derive(Debug)]
struct Prospect {
    offer: Offer,
    expires: Option<Time>,
    last_used: Option<Time>,
    failures: u32,
    not_before: Time,
    pending: Option<Pending>,
}

/// A voucher request that a registrar has accepted and not yet answered. It outlives the connection, for it has to be
/// sent again unchanged (RFC 8995 s5.6).
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) request: Request,
    pub(super) nonce: Nonce,
    /// Where the request goes: to the prospect itself, unless it redirected.
    pub(super) target: Offer,
    pub(super) redirected: bool,
    /// The registrar's certificate, which must be the same on the next connection (RFC 8995 s5).
    pub(super) registrar: Certificate,
    /// When the request was sent first.
    pub(super) since: Time,
}

impl Prospects {
    /// Takes note of an announcement; true if the place is new.
    pub(super) fn hear(&mut self, offer: &Offer, now: Time) -> bool {
        let expires = offer.ttl.map(|ttl| now + ttl);
        if let Some(known) = self.find(offer) {
            known.expires = expires;
            return false;
        }
        self.0.retain(|p| p.pending.is_some() || p.expires.is_none_or(|expires| expires > now));
        if self.0.len() >= MOST && !self.evict() {
            return false;
        }
        let offer = offer.clone();
        self.0.push(Prospect { offer, expires, last_used: None, failures: 0, not_before: now, pending: None });
        true
    }

    /// Makes room by forgetting whoever failed most.
    fn evict(&mut self) -> bool {
        let failed = self.0.iter().enumerate().filter(|(_, p)| p.pending.is_none() && p.failures > 0);
        let worst = failed.max_by_key(|(_, p)| p.failures).map(|(at, _)| at);
        worst.map(|at| self.0.swap_remove(at)).is_some()
    }

    /// Whom to try now: of those that are due, the one used least recently, and of those the one heard of first.
    pub(super) fn next(&mut self, now: Time) -> Option<(Offer, Option<Pending>)> {
        let due = self.0.iter_mut().filter(|p| p.is_live(now) && p.not_before <= now);
        let next = due.min_by_key(|p| p.last_used)?;
        next.last_used = Some(now);
        Some((next.offer.clone(), next.pending.take()))
    }

    /// When the first of them, other than `except`, may be tried.
    pub(super) fn due_at(&self, now: Time, except: Option<&Offer>) -> Option<Time> {
        let others = self.0.iter().filter(|p| p.is_live(now) && !except.is_some_and(|e| e.same_place(&p.offer)));
        others.map(|p| p.not_before).min()
    }

    /// An attempt failed: whoever it was with is left alone for a while, longer each time (RFC 8995 s4.1).
    pub(super) fn failed(&mut self, offer: &Offer, now: Time, timing: &Timing) {
        if let Some(prospect) = self.find(offer) {
            prospect.failures = prospect.failures.saturating_add(1);
            prospect.not_before = now + timing.back_off_after(prospect.failures);
        }
    }

    /// The registrar there asked for patience until `at`.
    pub(super) fn postpone(&mut self, offer: &Offer, at: Time, pending: Pending) {
        if let Some(prospect) = self.find(offer) {
            prospect.failures = 0;
            prospect.not_before = at;
            prospect.pending = Some(pending);
        }
    }

    /// The connection with which the request was to be sent again failed; the registrar still has the request.
    pub(super) fn keep(&mut self, offer: &Offer, pending: Pending) {
        if let Some(prospect) = self.find(offer) {
            prospect.pending = Some(pending);
        }
    }

    /// A link came up: failures before that say nothing any more (RFC 8995 s4.1).
    pub(super) fn forgive(&mut self, now: Time) {
        for prospect in self.0.iter_mut().filter(|p| p.pending.is_none()) {
            prospect.failures = 0;
            prospect.not_before = now;
        }
    }

    fn find(&mut self, offer: &Offer) -> Option<&mut Prospect> {
        self.0.iter_mut().find(|p| p.offer.same_place(offer))
    }
}

impl Prospect {
    fn is_live(&self, now: Time) -> bool {
        self.pending.is_some() || self.expires.is_none_or(|expires| expires > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Source;
    use std::time::Duration;

    const T0: Time = Time::from_unix(1000);

    fn offer(host: &str) -> Offer {
        Offer::fixed(host.parse().unwrap(), 443)
    }

    fn after(seconds: u64) -> Time {
        T0 + Duration::from_secs(seconds)
    }

    fn next(prospects: &mut Prospects, now: Time) -> Option<String> {
        prospects.next(now).map(|(offer, _)| offer.name)
    }

    #[test]
    fn least_recently_used_first_and_each_backs_off_alone() {
        let (mut prospects, timing) = (Prospects::default(), Timing::default());
        for host in ["a", "b", "c"] {
            assert!(prospects.hear(&offer(host), T0));
            assert!(!prospects.hear(&offer(host), T0));
        }
        for (second, host) in ["a", "b", "c"].into_iter().enumerate() {
            let now = after(second as u64);
            assert_eq!(next(&mut prospects, now).as_deref(), Some(host));
            prospects.failed(&offer(host), now, &timing);
        }
        assert_eq!(next(&mut prospects, after(3)), None);
        assert_eq!(prospects.due_at(after(3), None), Some(after(5)));
        assert_eq!(prospects.due_at(after(3), Some(&offer("a"))), Some(after(6)));
        assert_eq!(next(&mut prospects, after(60)).as_deref(), Some("a"));
        prospects.failed(&offer("a"), after(60), &timing);
        assert_eq!(next(&mut prospects, after(60)).as_deref(), Some("b"));
    }

    #[test]
    fn back_off_doubles_up_to_an_hour() {
        let timing = Timing::default();
        let waits: Vec<u64> = (1..=12).map(|failures| timing.back_off_after(failures).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert_eq!(timing.back_off_after(u32::MAX).as_secs(), 3600);
    }

    #[test]
    fn announcements_expire_unless_repeated() {
        let mut prospects = Prospects::default();
        let flooded = Offer { source: Source::Grasp, ttl: Some(Duration::from_secs(180)), ..offer("a") };
        prospects.hear(&flooded, T0);
        assert_eq!(next(&mut prospects, after(181)), None);
        prospects.hear(&flooded, after(181));
        assert_eq!(next(&mut prospects, after(200)).as_deref(), Some("a"));
    }

    #[test]
    fn a_flood_of_fakes_fills_no_memory() {
        let (mut prospects, timing) = (Prospects::default(), Timing::default());
        for fake in 0..1000 {
            prospects.hear(&offer(&format!("fake{fake}")), T0);
        }
        assert_eq!(prospects.0.len(), MOST);
        assert!(!prospects.hear(&offer("real"), T0));
        prospects.failed(&offer("fake0"), T0, &timing);
        assert!(prospects.hear(&offer("real"), T0));
        assert_eq!(prospects.0.len(), MOST);
    }

    #[test]
    fn a_new_link_forgives() {
        let (mut prospects, timing) = (Prospects::default(), Timing::default());
        prospects.hear(&offer("a"), T0);
        prospects.failed(&offer("a"), T0, &timing);
        prospects.forgive(after(1));
        assert_eq!(next(&mut prospects, after(1)).as_deref(), Some("a"));
    }
}
