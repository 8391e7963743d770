//! What is unusual in what devices do, said so that it can be checked.
//!
//! A type of device has a list of destinations that are usual for it: learnt while it is new, or given. What is outside of that is
//! looked at more closely: a destination that is new, a rhythm as of something that calls home. Whatever the destination, many of
//! them at once, many that do not answer, and much more data than is usual are unusual too.
//!
//! What a type has taught is to be kept by whoever watches ([`Watch::lessons`]), and counts when it is ([`Watch::kept`]); so what is usual
//! is the same after a restart.

mod count;
mod rhythm;
mod volume;

use crate::{bounds, flow::Flow};
use count::Window;
use landfall_types::{DeviceId, Time};
use rhythm::Rhythm;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    time::Duration,
};
use volume::Volume;

/// What looks at flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// A destination with which no device of this type has spoken before.
    NewDestination,
    /// Many destinations in a short time.
    FanOut,
    /// Many ports or hosts that do not answer.
    Scan,
    /// The same destination in a steady rhythm.
    Beacon,
    /// Much more data than usual.
    Volume,
}

impl Detector {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewDestination => "new-destination",
            Self::FanOut => "fan-out",
            Self::Scan => "scan",
            Self::Beacon => "beacon",
            Self::Volume => "volume",
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something unusual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusual {
    /// Which device.
    pub device: DeviceId,
    /// What struck.
    pub detector: Detector,
    /// What was seen.
    pub observed: String,
    /// What would still have been usual.
    pub threshold: String,
    /// When.
    pub at: Time,
}

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; usual: {}", self.detector, self.observed, self.threshold)
    }
}

/// How much is still usual.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// How long a type is new, so that its destinations are learnt.
    pub learning: Duration,
    /// The time within which destinations are counted.
    pub window: Duration,
    /// Destinations within it.
    pub destinations: usize,
    /// Destinations and ports within it that did not answer.
    pub unanswered: usize,
    /// How many intervals make a rhythm.
    pub beats: usize,
    /// How much the intervals of a rhythm may differ: the standard deviation in hundredths of their mean.
    pub jitter: u8,
    /// How far the octets of a minute may be from what is usual, in standard deviations, added up over minutes (CUSUM).
    pub volume: u8,
    /// Octets in a minute that are never unusual.
    pub quiet: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            learning: Duration::from_secs(7 * 24 * 3600),
            window: Duration::from_secs(60),
            destinations: 50,
            unanswered: 20,
            beats: 8,
            jitter: 10,
            volume: 8,
            quiet: 64 * 1024,
        }
    }
}

/// A destination, a protocol and a port of it.
pub type Destination = (IpAddr, u8, u16);

/// What a type of device has taught: a destination that is usual for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lesson {
    /// The type.
    pub device_type: String,
    /// The destination.
    pub destination: Destination,
    /// Until when the type is new.
    pub learning_until: Time,
}

/// Watches the devices of a network.
#[derive(Clone, Debug)]
pub struct Watch {
    limits: Limits,
    types: HashMap<String, Usual>,
    devices: HashMap<DeviceId, Device>,
    /// What was learnt and is not kept yet.
    lessons: BTreeSet<Lesson>,
    /// Flows of devices that are not watched because there are too many.
    pub unwatched: u64,
}

/// What is usual for devices of a type.
#[derive(Clone, Debug)]
struct Usual {
    destinations: BTreeSet<Destination>,
    /// How many more were learnt and are not kept yet.
    learnt: usize,
    learning_until: Time,
}

#[derive(Clone, Debug)]
struct Device {
    destinations: Window<IpAddr>,
    unanswered: Window<Destination>,
    /// New destinations that were told already.
    told: BTreeSet<Destination>,
    rhythms: BTreeMap<Destination, Rhythm>,
    volume: Volume,
}

impl Watch {
    /// One that knows nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, types: HashMap::new(), devices: HashMap::new(), lessons: BTreeSet::new(), unwatched: 0 }
    }

    /// Says what is usual for a type, for example what its manufacturer's description permits; nothing more is learnt of it.
    pub fn know(&mut self, device_type: &str, destinations: impl IntoIterator<Item = Destination>) {
        let destinations = destinations.into_iter().take(bounds::DESTINATIONS).collect();
        self.lessons.retain(|lesson| lesson.device_type != device_type);
        self.types.insert(device_type.to_owned(), Usual { destinations, learnt: 0, learning_until: Time::EPOCH });
    }

    /// What was learnt and is not kept yet, at most so much of it.
    pub fn lessons(&self, most: usize) -> Vec<Lesson> {
        self.lessons.iter().take(most).cloned().collect()
    }

    /// That was kept, now or before a restart: from now on it is usual.
    pub fn kept(&mut self, lessons: impl IntoIterator<Item = Lesson>) {
        for lesson in lessons {
            let is_fresh = self.lessons.remove(&lesson);
            let Lesson { device_type, destination, learning_until } = lesson;
            if self.types.len() >= bounds::TYPES && !self.types.contains_key(&device_type) {
                continue;
            }
            let usual = self.types.entry(device_type).or_insert_with(|| Usual::new(learning_until));
            usual.learnt = usual.learnt.saturating_sub(usize::from(is_fresh));
            // Of what somebody has said is usual nothing is learnt.
            let is_learnt = usual.learning_until == learning_until;
            if is_learnt && usual.destinations.len() + usual.learnt < bounds::DESTINATIONS {
                usual.destinations.insert(destination);
            }
        }
    }

    /// Stops watching a device.
    pub fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    /// How many devices are watched.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Looks at a flow that a device has begun, and tells what is unusual. A flow is to be given when it begins, and when it is
    /// over for its octets and for whether it was answered.
    pub fn flow(&mut self, device: &DeviceId, device_type: &str, flow: &Flow) -> Vec<Unusual> {
        let at = flow.start;
        if !self.devices.contains_key(device) && self.devices.len() >= bounds::DEVICES {
            self.unwatched = self.unwatched.saturating_add(1);
            return Vec::new();
        }
        let limits = &self.limits;
        let own = self.devices.entry(device.clone()).or_insert_with(|| Device::new(limits));
        let mut found = Vec::new();
        if flow.ended {
            found.extend(own.volume.add(limits, at, flow.sent));
            if flow.answered == Some(false) {
                found.extend(own.unanswered(limits, flow));
            }
        } else {
            let is_usual = usual(&mut self.types, &mut self.lessons, limits, device_type, flow);
            found.extend(own.began(limits, device_type, flow, is_usual));
        }
        let tell =
            |(detector, observed, threshold)| Unusual { device: device.clone(), detector, observed, threshold, at };
        found.into_iter().map(tell).collect()
    }
}

/// What struck, what was seen, and what would have been usual.
type Struck = (Detector, String, String);

/// Whether that destination is usual for devices of that type, which is learnt as long as the type is new.
fn usual(
    types: &mut HashMap<String, Usual>,
    lessons: &mut BTreeSet<Lesson>,
    limits: &Limits,
    device_type: &str,
    flow: &Flow,
) -> bool {
    let destination = (flow.destination, flow.protocol, flow.port);
    if !types.contains_key(device_type) && types.len() < bounds::TYPES {
        types.insert(device_type.to_owned(), Usual::new(flow.start + limits.learning));
    }
    let Some(usual) = types.get_mut(device_type) else { return false };
    if usual.destinations.contains(&destination) {
        return true;
    }
    let is_new = flow.start < usual.learning_until;
    if is_new && usual.destinations.len() + usual.learnt < bounds::DESTINATIONS {
        let learning_until = usual.learning_until;
        let lesson = Lesson { device_type: device_type.to_owned(), destination, learning_until };
        usual.learnt += usize::from(lessons.insert(lesson));
        return true;
    }
    // What is on its way to be kept is no news while the type is.
    is_new
        && lessons.contains(&Lesson {
            device_type: device_type.to_owned(),
            destination,
            learning_until: usual.learning_until,
        })
}

impl Usual {
    const fn new(learning_until: Time) -> Self {
        Self { destinations: BTreeSet::new(), learnt: 0, learning_until }
    }
}

impl Device {
    fn new(limits: &Limits) -> Self {
        Self {
            destinations: Window::new(limits.window, limits.destinations),
            unanswered: Window::new(limits.window, limits.unanswered),
            told: BTreeSet::new(),
            rhythms: BTreeMap::new(),
            volume: Volume::default(),
        }
    }

    fn began(&mut self, limits: &Limits, device_type: &str, flow: &Flow, is_usual: bool) -> Vec<Struck> {
        let mut found = Vec::new();
        let seconds = limits.window.as_secs();
        if let Some(count) = self.destinations.add(flow.start, flow.destination) {
            let observed = format!("{count} destinations within {seconds} s, {} the last", flow.destination);
            found.push((Detector::FanOut, observed, format!("at most {}", limits.destinations)));
        }
        if is_usual {
            return found;
        }
        let destination = (flow.destination, flow.protocol, flow.port);
        let called = format!("{} port {} of protocol {}", flow.destination, flow.port, flow.protocol);
        if !self.told.contains(&destination) && self.told.len() < bounds::DESTINATIONS {
            self.told.insert(destination);
            found.push((Detector::NewDestination, called.clone(), format!("those known of {device_type}")));
        }
        if self.rhythms.len() >= bounds::RHYTHMS && !self.rhythms.contains_key(&destination) {
            // The one that was quiet for the longest makes room.
            let quiet =
                self.rhythms.iter().min_by_key(|(_, rhythm)| rhythm.last()).map(|(destination, _)| *destination);
            quiet.and_then(|destination| self.rhythms.remove(&destination));
        }
        if let Some(rhythm) = self.rhythms.entry(destination).or_default().beat(limits, flow.start) {
            let threshold =
                format!("intervals that differ by more than {} %, or fewer than {}", limits.jitter, limits.beats);
            found.push((Detector::Beacon, format!("{called} {rhythm}"), threshold));
        }
        found
    }

    fn unanswered(&mut self, limits: &Limits, flow: &Flow) -> Option<Struck> {
        let count = self.unanswered.add(flow.start, (flow.destination, flow.protocol, flow.port))?;
        let seconds = limits.window.as_secs();
        let observed = format!(
            "{count} ports without an answer within {seconds} s, {} port {} the last",
            flow.destination, flow.port
        );
        Some((Detector::Scan, observed, format!("at most {}", limits.unanswered)))
    }
}
