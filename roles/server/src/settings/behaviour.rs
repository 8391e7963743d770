//! `[enforcer.behaviour]`: looking at what devices begin for what is unusual.

use super::Span;
use landfall_behaviour::detect::Limits;
use serde::{Deserialize, Serialize};

/// `[enforcer.behaviour]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BehaviourSettings {
    /// How long a kind of device is new, so that its destinations are learnt.
    pub learning: Span,
    /// The time within which destinations are counted.
    pub window: Span,
    /// So many destinations within it are not unusual.
    pub destinations: usize,
    /// Nor are so many that do not answer.
    pub unanswered: usize,
    /// So many octets in a minute are never unusual.
    pub quiet: u64,
    /// For how long what was unusual is held against a device.
    pub remember: Span,
}

impl Default for BehaviourSettings {
    fn default() -> Self {
        let Limits { learning, window, destinations, unanswered, quiet, .. } = Limits::default();
        let span = |time: std::time::Duration| Span::seconds(time.as_secs());
        let (learning, window) = (span(learning), span(window));
        Self { learning, window, destinations, unanswered, quiet, remember: Span::seconds(3600) }
    }
}

impl BehaviourSettings {
    /// The same for the detectors.
    pub fn limits(&self) -> Limits {
        Limits {
            learning: self.learning.duration(),
            window: self.window.duration(),
            destinations: self.destinations,
            unanswered: self.unanswered,
            quiet: self.quiet,
            ..Limits::default()
        }
    }
}
