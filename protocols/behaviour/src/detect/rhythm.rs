//! Whether flows to one destination begin in a steady rhythm.

use super::Limits;
use crate::bounds;
use landfall_types::Time;
use std::{collections::VecDeque, fmt};

/// The beginnings of the last flows to one destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Rhythm {
    beats: VecDeque<Time>,
    told: bool,
}

/// What a steady rhythm is like.
pub(super) struct Steady {
    intervals: usize,
    /// In milliseconds.
    mean: f64,
    /// In hundredths of the mean.
    jitter: f64,
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, jitter) = (self.mean / 1000.0, self.jitter);
        write!(f, "every {seconds:.1} s, {} times in a row, differing by {jitter:.1} %", self.intervals)
    }
}

/// Intervals below this many milliseconds are one conversation in several connections.
const SHORTEST: f64 = 5000.0;

impl Rhythm {
    pub(super) fn last(&self) -> Option<Time> {
        self.beats.back().copied()
    }

    /// Adds a beginning. What the rhythm is like, when it becomes steady.
    pub(super) fn beat(&mut self, limits: &Limits, at: Time) -> Option<Steady> {
        if self.last().is_some_and(|last| at <= last) {
            return None;
        }
        self.beats.push_back(at);
        if self.beats.len() > limits.beats.clamp(2, bounds::BEATS) + 1 {
            self.beats.pop_front();
        }
        if self.beats.len() <= limits.beats.clamp(2, bounds::BEATS) {
            return None;
        }
        let pairs = self.beats.iter().zip(self.beats.iter().skip(1));
        let intervals: Vec<f64> = pairs.map(|(a, b)| b.since(*a).as_secs_f64() * 1000.0).collect();
        let count = intervals.len() as f64;
        let mean = intervals.iter().sum::<f64>() / count;
        let variance = intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
        let jitter = 100.0 * variance.sqrt() / mean;
        let steady = mean >= SHORTEST && jitter <= f64::from(limits.jitter);
        let strikes = steady && !self.told;
        self.told = steady;
        strikes.then_some(Steady { intervals: intervals.len(), mean, jitter })
    }
}
