//! The fleet brake: no single source puts more than a share of all devices out of action unless a person says so.

use landfall_types::{DeviceId, Record, Time};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How much a single source may do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BrakeManners {
    /// Per cent of all devices.
    pub share: u8,
    /// So many devices in any case.
    pub at_least: usize,
    /// Within this time.
    pub within: Duration,
    /// For so long a source whose word was taken back puts nobody out of action.
    pub dismissed: Duration,
}

impl Default for BrakeManners {
    fn default() -> Self {
        Self { share: 10, at_least: 3, within: Duration::from_secs(3600), dismissed: Duration::from_secs(86_400) }
    }
}

/// What each source has done lately, and which of them wait for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake(BTreeMap<String, Window>);

/// A source that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Braked {
    /// Which.
    pub source: String,
    /// Since when.
    pub since: Time,
    /// How many devices it has put out of action before.
    pub done: usize,
    /// Until when it puts nobody out of action, if what it told was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed_until: Option<Time>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Window {
    isolated: BTreeMap<DeviceId, Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    braked: Option<Time>,
    /// Until when a person lets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    let_until: Option<Time>,
    /// Until when a person does not believe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dismissed_until: Option<Time>,
}

impl Brake {
    /// Whether `source` may put `device` out of action, of so many that there are; then it is counted.
    pub fn lets(&mut self, source: &str, device: &DeviceId, fleet: usize, manners: &BrakeManners, now: Time) -> bool {
        self.0.retain(|_, window| window.is_of_use(manners, now));
        let window = self.0.entry(source.to_owned()).or_default();
        if window.isolated.contains_key(device) {
            return true;
        }
        let share = fleet.saturating_mul(manners.share.into()) / 100;
        let most = if window.dismissed_until.is_some() { 0 } else { share.max(manners.at_least) };
        let is_let = window.let_until.is_some_and(|until| now < until);
        if !is_let && (window.braked.is_some() || window.isolated.len() >= most) {
            window.braked.get_or_insert(now);
            return false;
        }
        window.isolated.insert(device.clone(), now);
        true
    }

    /// A person lets a source go on, for as long as what it does is counted; false if it does not wait for one.
    pub fn release(&mut self, source: &str, manners: &BrakeManners, now: Time) -> bool {
        let Some(window) = self.0.get_mut(source).filter(|window| window.braked.is_some()) else { return false };
        window.braked = None;
        window.dismissed_until = None;
        window.let_until = Some(now + manners.within);
        true
    }

    /// A person has taken back what a source told: for a while it puts nobody out of action, and what it says again of devices waits
    /// for a person again. False if it does not wait for one.
    pub fn dismiss(&mut self, source: &str, manners: &BrakeManners, now: Time) -> bool {
        let Some(window) = self.0.get_mut(source).filter(|window| window.braked.is_some()) else { return false };
        *window = Window { dismissed_until: Some(now + manners.dismissed), ..Window::default() };
        true
    }

    /// The sources that wait for a person.
    pub fn waiting(&self) -> Vec<Braked> {
        let waiting = self.0.iter().filter_map(|(source, window)| {
            let Window { isolated, braked, dismissed_until, .. } = window;
            Some(Braked {
                source: source.clone(),
                since: (*braked)?,
                done: isolated.len(),
                dismissed_until: *dismissed_until,
            })
        });
        waiting.collect()
    }
}

impl Window {
    /// Forgets what is too long ago; whether anything is left.
    fn is_of_use(&mut self, manners: &BrakeManners, now: Time) -> bool {
        self.isolated.retain(|_, at| now < *at + manners.within);
        self.let_until = self.let_until.filter(|until| now < *until);
        self.dismissed_until = self.dismissed_until.filter(|until| now < *until);
        !self.isolated.is_empty() || self.braked.is_some() || self.let_until.is_some() || self.dismissed_until.is_some()
    }
}

impl Record for Brake {
    const COLLECTION: &'static str = "verification-brake";

    fn key(&self) -> String {
        "brake".into()
    }
}
