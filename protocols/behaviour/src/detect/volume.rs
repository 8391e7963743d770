//! Whether a device sends much more than is usual for it.

use super::{Detector, Limits, Struck};
use landfall_types::Time;

/// What a device sends in a minute: a mean and a variance that forget slowly (EWMA), and how far it has been above them of late,
/// added up (CUSUM), so that both a burst and a trickle that lasts are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    minute: i64,
    octets: u64,
    mean: f64,
    variance: f64,
    minutes: u32,
    above: f64,
}

/// How much of the mean each minute is.
const WEIGHT: f64 = 0.05;
/// How many standard deviations above the mean are no reason to add up.
const SLACK: f64 = 0.5;
/// How many minutes it takes to know what is usual.
const WARM: u32 = 30;
/// How many minutes of silence are looked at one by one.
const SILENCE: i64 = 240;

impl Volume {
    pub(super) fn add(&mut self, limits: &Limits, at: Time, octets: u64) -> Option<Struck> {
        let minute = at.as_unix().div_euclid(60);
        let mut found = None;
        if self.minutes == 0 && self.octets == 0 {
            self.minute = minute;
        }
        if minute > self.minute {
            found = self.close(limits, self.octets);
            for _ in 0..(minute - self.minute - 1).min(SILENCE) {
                self.close(limits, 0);
            }
            (self.minute, self.octets) = (minute, 0);
        }
        // What comes late counts where it comes.
        self.octets = self.octets.saturating_add(octets);
        found
    }

    /// A minute is over.
    fn close(&mut self, limits: &Limits, octets: u64) -> Option<Struck> {
        let sent = octets as f64;
        let (mean, deviation) = (self.mean, self.variance.sqrt().max(self.mean / 10.0).max(1.0));
        let warm = self.minutes >= WARM;
        self.minutes = self.minutes.saturating_add(1);
        if warm {
            self.above = (self.above + (sent - mean) / deviation - SLACK).clamp(0.0, 1e9);
            if self.above > f64::from(limits.volume) && octets > limits.quiet {
                let (above, minutes) = (self.above, f64::from(limits.volume));
                self.above = 0.0;
                // What struck is not to become usual at once.
                self.learn(mean + deviation);
                let observed =
                    format!("{octets} octets in a minute, {above:.0} deviations of {deviation:.0} above {mean:.0}");
                return Some((
                    Detector::Volume,
                    observed,
                    format!("at most {minutes:.0} deviations, or {} octets", limits.quiet),
                ));
            }
        }
        self.learn(sent);
        None
    }

    fn learn(&mut self, sent: f64) {
        // The first minutes are weighed alike.
        let weight = WEIGHT.max(1.0 / f64::from(self.minutes.max(1)));
        let off = sent - self.mean;
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }
}
