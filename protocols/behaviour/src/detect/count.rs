//! How many different things there were within a time.

use landfall_types::Time;
use std::{collections::BTreeSet, time::Duration};

/// Counts different things in windows that follow each other. It keeps the things of two of them at most, and no more of each
/// than it takes to know that they are too many.
#[derive(Clone, Debug)]
pub(super) struct Window<T> {
    length: Duration,
    limit: usize,
    start: Time,
    now: BTreeSet<T>,
    before: BTreeSet<T>,
    told: bool,
}

impl<T: Ord> Window<T> {
    pub(super) const fn new(length: Duration, limit: usize) -> Self {
        Self { length, limit, start: Time::EPOCH, now: BTreeSet::new(), before: BTreeSet::new(), told: false }
    }

    /// Adds one. How many there are, once in a window, if that is more than the limit.
    pub(super) fn add(&mut self, at: Time, one: T) -> Option<usize> {
        let since = at.since(self.start);
        if since >= self.length {
            let follows = since < self.length * 2;
            let now = std::mem::take(&mut self.now);
            self.before = if follows { now } else { BTreeSet::new() };
            // A rush that goes on is not told again.
            self.told &= follows;
            self.start = if follows { self.start + self.length } else { at };
        }
        if self.now.len() <= self.limit {
            self.now.insert(one);
        }
        // What was in the window before counts by the part of it that is still within the length: none of it was just now.
        let past = at.since(self.start).as_millis();
        let whole = self.length.as_millis().max(1);
        let earlier = self.before.difference(&self.now).count();
        let part = u128::try_from(earlier).unwrap_or(u128::MAX).saturating_mul(whole.saturating_sub(past)) / whole;
        let count = self.now.len().saturating_add(usize::try_from(part).unwrap_or(usize::MAX));
        let strikes = count > self.limit && !self.told;
        self.told |= strikes;
        strikes.then_some(count)
    }
}
