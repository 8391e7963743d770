//! What the network and the asset system say of each other: pure, from both.

use super::netbox::Asset;
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_types::{DeviceId, Time};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Statuses in which a device is not expected to be at work.
const NOT_YET: [&str; 3] = ["planned", "staged", "inventory"];
pub(super) const GOING: &str = "decommissioning";

/// A device that the two do not agree about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mismatch {
    /// In which way.
    pub what: Disagreement,
    /// Its serial number.
    pub serial_number: String,
    /// As the network knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Its name in the asset system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// When the network last saw it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Time>,
    /// In words.
    pub why: String,
}

/// In which way two do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disagreement {
    /// It has shown itself, or the asset system has it at work, and it was never let in.
    DiscoveredNotOnboarded,
    /// It was let in, and has not been seen for long.
    OnboardedNotSeen,
    /// It was let in, and the asset system does not have it.
    OnboardedNotAnAsset,
    /// The asset system has it taken away, and it is inside.
    OnboardedAndGoing,
    /// Several have that serial number, so that nobody can tell which is which.
    Ambiguous,
}

impl Disagreement {
    /// Every way.
    pub const ALL: [Self; 5] = [
        Self::DiscoveredNotOnboarded,
        Self::OnboardedNotSeen,
        Self::OnboardedNotAnAsset,
        Self::OnboardedAndGoing,
        Self::Ambiguous,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiscoveredNotOnboarded => "discovered-not-onboarded",
            Self::OnboardedNotSeen => "onboarded-not-seen",
            Self::OnboardedNotAnAsset => "onboarded-not-an-asset",
            Self::OnboardedAndGoing => "onboarded-and-going",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// What was found, and which asset is which device.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared<'a> {
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) pairs: Vec<(&'a DomainDevice, &'a Asset)>,
}

/// Holds both against each other, by serial numbers.
pub(super) fn compare<'a>(
    devices: &'a [DomainDevice],
    assets: &'a [Asset],
    seen: impl Fn(&DomainDevice) -> Time,
    unseen_after: Duration,
    now: Time,
) -> Compared<'a> {
    let mut known: BTreeMap<&str, (Vec<&DomainDevice>, Vec<&Asset>)> = BTreeMap::new();
    for device in devices {
        known.entry(device.identity.serial_number.as_str()).or_default().0.push(device);
    }
    for asset in assets.iter().filter(|asset| !asset.serial.is_empty()) {
        known.entry(&asset.serial).or_default().1.push(asset);
    }
    let mut compared = Compared::default();
    for (serial, (devices, assets)) in known {
        let mut tell = |what, device: Option<&DomainDevice>, asset: Option<&Asset>, why: String| {
            compared.mismatches.push(Mismatch {
                what,
                serial_number: serial.to_owned(),
                device: device.map(|device| device.identity.device.clone()),
                asset: asset.map(|asset| asset.name.clone()),
                seen: device.map(&seen),
                why,
            });
        };
        match (devices.as_slice(), assets.as_slice()) {
            ([device], [asset]) => {
                compared.pairs.push((device, asset));
                one(device, Some(asset), &seen, unseen_after, now, &mut tell);
            }
            ([device], []) => one(device, None, &seen, unseen_after, now, &mut tell),
            ([], [asset]) => {
                if !NOT_YET.contains(&asset.status.as_str()) && asset.status != GOING {
                    let why = format!("it is {} in the asset system, and has never asked to join here", asset.status);
                    tell(Disagreement::DiscoveredNotOnboarded, None, Some(asset), why);
                }
            }
            (devices, assets) => {
                let (here, there) = (devices.len(), assets.len());
                let why = format!("{here} devices here and {there} in the asset system have it");
                tell(Disagreement::Ambiguous, devices.first().copied(), assets.first().copied(), why);
            }
        }
    }
    compared
}

/// What there is to say of one device.
fn one(
    device: &DomainDevice,
    asset: Option<&Asset>,
    seen: &impl Fn(&DomainDevice) -> Time,
    unseen_after: Duration,
    now: Time,
    tell: &mut impl FnMut(Disagreement, Option<&DomainDevice>, Option<&Asset>, String),
) {
    if !device.state.is_inside() {
        if !matches!(device.state, State::Revoked | State::Retired) {
            let why = format!("it has shown itself, and is {}", device.state);
            tell(Disagreement::DiscoveredNotOnboarded, Some(device), asset, why);
        }
        return;
    }
    let last = seen(device);
    if now.since(last) > unseen_after {
        let why = format!("it was let in, and was last seen at {last}");
        tell(Disagreement::OnboardedNotSeen, Some(device), asset, why);
    }
    match asset {
        None => {
            let why = "it was let in, and the asset system has nothing with its serial number".to_owned();
            tell(Disagreement::OnboardedNotAnAsset, Some(device), None, why);
        }
        Some(asset) if asset.status == GOING => {
            let why = "the asset system has it taken away, and it is inside".to_owned();
            tell(Disagreement::OnboardedAndGoing, Some(device), Some(asset), why);
        }
        Some(_) => {}
    }
}
