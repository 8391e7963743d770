//! What is to be: segments, ports, and which device is behind which port (SP 1800-36B 3.3.2, 7.3).

use crate::settings::{Reach, SegmentKind};
use landfall_mud::{Context, Policy};
use landfall_nft::{Change, Interface, Link, Seat};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    str::FromStr,
    sync::Arc,
};

/// A part of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What the operator calls it.
    pub name: String,
    /// What it is for.
    pub kind: SegmentKind,
    /// Its bridge, or this machine's own interface in its VLAN.
    pub bridge: Interface,
    /// The VID of its VLAN in the bridge that all segments share, if they do.
    pub vid: Option<u16>,
    /// The VLAN by which `[[access.place]]` means it.
    pub vlan: Option<String>,
    /// Whether its devices reach each other.
    pub lateral: bool,
    /// What its devices reach, if that is not everything.
    pub reach: Vec<Reach>,
}

/// The address of a device's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl From<[u8; 6]> for Mac {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

/// The text is no such address.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is no address of an interface")]
pub struct NotAMac(String);

/// Who is behind a port, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its address: nobody else comes through.
    pub mac: Mac,
    /// Its segment, by its place in [`Picture::segments`].
    pub segment: usize,
    /// What its manufacturer says of it, by its place in [`Picture::intents`].
    pub intent: Option<usize>,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Segments.
    pub segments: Vec<Segment>,
    /// The bridge that all segments share, each as a VLAN; otherwise each has its own.
    pub shared: Option<Interface>,
    /// Ports of that bridge which carry every segment's frames, with its tag.
    pub trunks: BTreeSet<Interface>,
    /// The ports that are guarded.
    pub ports: BTreeSet<Interface>,
    /// Who is behind them. A port without occupant belongs to the onboarding segment, if there is one.
    pub occupants: BTreeMap<Interface, Occupant>,
    /// Ports through which nothing goes, whoever is behind them: they are being moved, or have not been looked at.
    pub shut: BTreeSet<Interface>,
    /// What manufacturers say of kinds of devices (RFC 8520).
    pub intents: Vec<Arc<Policy>>,
    /// Who is in the groups of the network that they speak of.
    pub known: Context,
    /// The addresses that the device behind a port was told for a name.
    pub names: BTreeMap<(Interface, String), BTreeSet<IpAddr>>,
    /// Who tells devices what hosts of a name have for addresses, if somebody does here.
    pub resolvers: Option<Resolvers>,
    /// Whether it is heard what devices say of themselves by DHCP and LLDP.
    pub claims: bool,
    /// Whether an address of IP is that of the device that used it first.
    pub bound: bool,
}

/// The resolvers of devices of which a manufacturer's word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers {
    /// Our own.
    pub own: Vec<IpAddr>,
    /// Whether others may be asked as well.
    pub others: bool,
}

impl Picture {
    /// Where devices are that have no credential yet.
    pub fn onboarding(&self) -> Option<usize> {
        self.segments.iter().position(|segment| segment.kind == SegmentKind::Onboarding)
    }

    /// The segment that is meant by that VLAN.
    pub fn by_vlan(&self, vlan: &str) -> Option<usize> {
        self.segments.iter().position(|segment| segment.vlan.as_deref() == Some(vlan))
    }

    /// Where a port belongs: to its occupant's segment, or else to that of onboarding.
    pub fn segment_of(&self, port: &Interface) -> Option<&Segment> {
        let index = self.occupants.get(port).map(|occupant| occupant.segment).or_else(|| self.onboarding())?;
        self.segments.get(index)
    }

    /// Where in the kernel that is.
    pub fn seat_of(&self, port: &Interface) -> Option<Seat> {
        let segment = self.segment_of(port)?;
        let bridge = self.shared.as_ref().unwrap_or(&segment.bridge).clone();
        Some(Seat { bridge, vlan: segment.vid })
    }

    /// What is to be there beside the ports and is not, as far as `there` tells.
    pub fn missing(&self, there: &[Link]) -> Vec<Change> {
        let find = |name: &Interface| there.iter().find(|link| link.name == *name);
        let Some(shared) = &self.shared else {
            let missing = self.segments.iter().map(|segment| &segment.bridge).filter(|bridge| find(bridge).is_none());
            return missing.cloned().map(Change::Bridge).collect();
        };
        let bridge = find(shared).filter(|link| link.filters);
        let mut missing = Vec::new();
        if bridge.is_none() {
            missing.push(Change::VlanBridge(shared.clone()));
        }
        let all: BTreeSet<u16> = self.segments.iter().filter_map(|segment| segment.vid).collect();
        for segment in &self.segments {
            let Some(vlan) = segment.vid else { continue };
            if find(&segment.bridge).is_none() || bridge.is_none_or(|bridge| !bridge.tagged.contains(&vlan)) {
                missing.push(Change::Own { name: segment.bridge.clone(), bridge: shared.clone(), vlan });
            }
        }
        for port in &self.trunks {
            // One that is not plugged in is seen to when it is.
            if find(port).is_some_and(|link| !link.carries(shared, &all)) {
                missing.push(Change::Trunk { port: port.clone(), bridge: shared.clone(), vlans: all.clone() });
            }
        }
        missing
    }

    /// What the manufacturer of the device behind a port says of it, if it counts: in quarantine and onboarding only the owner's word
    /// does.
    pub fn intent_of(&self, port: &Interface) -> Option<usize> {
        let segment = self.segment_of(port)?;
        let intent = self.occupants.get(port)?.intent.filter(|number| *number < self.intents.len())?;
        (segment.kind == SegmentKind::Production).then_some(intent)
    }

    /// The same, if the port is open.
    pub fn policy_of(&self, port: &Interface) -> Option<&Policy> {
        let is_open = self.ports.contains(port) && !self.shut.contains(port);
        self.intents.get(self.intent_of(port).filter(|_| is_open)?).map(|policy| &**policy)
    }

    /// Devices behind open ports of which a manufacturer's word counts.
    pub fn policies(&self) -> impl Iterator<Item = (&Interface, &Occupant, &Policy)> {
        self.occupants.iter().filter_map(|(port, occupant)| Some((port, occupant, self.policy_of(port)?)))
    }

    /// The place of a policy among those of the picture, which is added if it is not there; one of the first `kept`, which are the
    /// owner's, is not the same even if it says the same.
    pub fn intend(&mut self, policy: &Arc<Policy>, kept: usize) -> usize {
        let found = self.intents.iter().skip(kept).position(|known| known == policy);
        found.map_or_else(
            || {
                self.intents.push(policy.clone());
                self.intents.len() - 1
            },
            |place| place + kept,
        )
    }

    /// Forgets policies that are of no device any more, but not the first `kept`.
    pub fn forget_intents(&mut self, kept: usize) {
        let used: BTreeSet<usize> = self.occupants.values().filter_map(|occupant| occupant.intent).collect();
        let stays: Vec<usize> = (0..self.intents.len()).filter(|place| *place < kept || used.contains(place)).collect();
        if stays.len() == self.intents.len() {
            return;
        }
        self.intents = stays.iter().filter_map(|place| self.intents.get(*place).cloned()).collect();
        for occupant in self.occupants.values_mut() {
            occupant.intent = occupant.intent.and_then(|place| stays.iter().position(|stayed| *stayed == place));
        }
    }

    /// The same with every port shut.
    #[must_use]
    pub fn closed(&self) -> Self {
        Self { shut: self.ports.clone(), ..self.clone() }
    }
}

impl Mac {
    /// The address of one interface; nothing if it is that of a group, or nobody's.
    pub fn new(octets: [u8; 6]) -> Option<Self> {
        match octets {
            [first, ..] if first & 1 == 0 && octets != [0; 6] => Some(Self(octets)),
            _ => None,
        }
    }
}

impl FromStr for Mac {
    type Err = NotAMac;
    /// Reads `02-00-00-00-00-01`, as access points write it (RFC 3580 s3.21), with colons, or with nothing between.
    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let wrong = || NotAMac(text.chars().take(40).collect());
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
        let mut mac = [0; 6];
        hex::decode_to_slice(digits, &mut mac).map_err(|_| wrong())?;
        Self::new(mac).ok_or_else(wrong)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_access_points_write_them() {
        for text in ["02-00-00-00-00-0A", "02:00:00:00:00:0a", "02000000000A", "0200.0000.000a"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "02:00:00:00:00:0a");
        }
        for wrong in
            ["", "02-00-00-00-00", "01-00-5e-00-00-01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:00:00:00:00:0g"]
        {
            wrong.parse::<Mac>().unwrap_err();
        }
    }
}
