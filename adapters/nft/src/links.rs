//! Bridges, their ports, and the VLANs in them (IEEE 802.1Q).

use crate::{Interface, Kernel, KernelError};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Where a port is: in a bridge, and if that has VLANs, in one of them, whose frames have no tag there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// The bridge.
    pub bridge: Interface,
    /// The number of the VLAN, from 1 to 4094.
    pub vlan: Option<u16>,
}

/// A change to bridges and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes a bridge, and brings it up.
    Bridge(Interface),
    /// Makes a bridge that keeps VLANs apart, and in which a new port is in none; brings it up.
    VlanBridge(Interface),
    /// Makes this machine's own interface in a VLAN of a bridge, and brings it up.
    Own {
        /// Its name.
        name: Interface,
        /// The bridge.
        bridge: Interface,
        /// The VLAN.
        vlan: u16,
    },
    /// Puts a port into a bridge, and there into one VLAN and no other, and brings it up.
    Port {
        /// Which.
        port: Interface,
        /// Where to.
        seat: Seat,
    },
    /// Has a port of a bridge carry these VLANs with their tags, and no others, and brings it up.
    Trunk {
        /// Which.
        port: Interface,
        /// The bridge.
        bridge: Interface,
        /// The VLANs.
        vlans: BTreeSet<u16>,
    },
    /// Takes the link of a port down: nothing goes through, whatever the rules are.
    Down(Interface),
}

/// An interface as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: Interface,
    /// The bridge that it is a port of.
    pub bridge: Option<Interface>,
    /// Whether it is a bridge that keeps VLANs apart.
    pub filters: bool,
    /// The VLANs of which it carries frames with their tags.
    pub tagged: BTreeSet<u16>,
    /// The VLANs whose frames have no tag when they leave it.
    pub untagged: BTreeSet<u16>,
    /// The VLAN in which frames are that come in without a tag.
    pub native: Option<u16>,
}

impl Kernel {
    /// Makes these changes, one after the other; those that are already so stay so. VLANs come last: until then a port that
    /// is new in a bridge that keeps them apart is in none.
    ///
    /// # Errors
    /// At the first that is refused.
    pub async fn change(&self, changes: &[Change]) -> Result<(), KernelError> {
        if changes.is_empty() {
            return Ok(());
        }
        let there: BTreeSet<Interface> = self.links().await?.into_iter().map(|link| link.name).collect();
        let (mut links, mut vlans) = (String::new(), String::new());
        for change in changes {
            // Writing to a string does not fail.
            let _ = change.write(&there, &mut links, &mut vlans);
        }
        for (program, lines) in [("ip", links), ("bridge", vlans)] {
            if !lines.is_empty() {
                self.run(program, &["-batch", "-"], lines.into_bytes()).await?;
            }
        }
        Ok(())
    }

    /// Every interface.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn links(&self) -> Result<Vec<Link>, KernelError> {
        let said: Vec<SaidLink> = self.ask("ip", &["-json", "-details", "link", "show"]).await?;
        let filters = said.iter().filter(|link| link.filters()).map(|link| link.ifname.clone());
        let filters: BTreeSet<String> = filters.collect();
        let vlans: Vec<SaidVlans> =
            if filters.is_empty() { Vec::new() } else { self.ask("bridge", &["-json", "vlan", "show"]).await? };
        let mut vlans: BTreeMap<String, Vec<SaidVlan>> =
            vlans.into_iter().map(|said| (said.ifname, said.vlans)).collect();
        let link = |said: SaidLink| {
            // The kernel tells of VLANs in bridges that do not keep them apart, too.
            let has_vlans =
                [Some(&said.ifname), said.master.as_ref()].into_iter().flatten().any(|it| filters.contains(it));
            let vlans = vlans.remove(&said.ifname).filter(|_| has_vlans).unwrap_or_default();
            let mut link = Link {
                filters: said.filters(),
                // Names that no program here could be given are nobody's port.
                name: said.ifname.parse().ok()?,
                bridge: said.master.and_then(|name| name.parse().ok()),
                tagged: BTreeSet::new(),
                untagged: BTreeSet::new(),
                native: None,
            };
            for said in vlans {
                let has = |flag: &str| said.flags.iter().any(|has| has == flag);
                let to = if has("Egress Untagged") { &mut link.untagged } else { &mut link.tagged };
                to.extend(said.vlan..=said.end.unwrap_or(said.vlan));
                link.native = if has("PVID") { Some(said.vlan) } else { link.native };
            }
            Some(link)
        };
        Ok(said.into_iter().filter_map(link).collect())
    }

    async fn ask<T: DeserializeOwned>(&self, program: &'static str, question: &[&str]) -> Result<T, KernelError> {
        let said = self.run(program, question, Vec::new()).await?;
        serde_json::from_slice(&said).map_err(|why| KernelError::Unable { program, why: why.to_string() })
    }
}

impl Link {
    /// Whether it is a port there, and nowhere else besides; a seat without VLAN is one in a bridge that has none.
    pub fn sits(&self, seat: &Seat) -> bool {
        let vlans: BTreeSet<u16> = seat.vlan.into_iter().collect();
        self.bridge.as_ref() == Some(&seat.bridge)
            && self.native == seat.vlan
            && self.untagged == vlans
            && self.tagged.is_empty()
    }

    /// Whether it carries these VLANs of a bridge with their tags, and nothing else.
    pub fn carries(&self, bridge: &Interface, vlans: &BTreeSet<u16>) -> bool {
        self.bridge.as_ref() == Some(bridge)
            && self.native.is_none()
            && self.untagged.is_empty()
            && self.tagged == *vlans
    }
}

impl Change {
    /// What `ip -batch` and `bridge -batch` read.
    fn write(&self, there: &BTreeSet<Interface>, links: &mut String, vlans: &mut String) -> std::fmt::Result {
        match self {
            // A port's traffic begins at once: in a tree of one bridge there is no loop to look for (forward_delay).
            Self::Bridge(bridge) => {
                if !there.contains(bridge) {
                    writeln!(links, "link add {bridge} type bridge stp_state 0 forward_delay 0")?;
                }
                writeln!(links, "link set {bridge} up")
            }
            Self::VlanBridge(bridge) => {
                match there.contains(bridge) {
                    true => writeln!(links, "link set {bridge} type bridge vlan_filtering 1")?,
                    false => writeln!(
                        links,
                        "link add {bridge} type bridge stp_state 0 forward_delay 0 vlan_filtering 1 vlan_default_pvid 0"
                    )?,
                }
                writeln!(links, "link set {bridge} up")
            }
            Self::Own { name, bridge, vlan } => {
                if !there.contains(name) {
                    writeln!(links, "link add link {bridge} name {name} type vlan id {vlan}")?;
                }
                writeln!(links, "link set {name} up")?;
                writeln!(vlans, "vlan add dev {bridge} vid {vlan} self")
            }
            Self::Port { port, seat: Seat { bridge, vlan } } => {
                writeln!(links, "link set {port} master {bridge}\nlink set {port} up")?;
                let Some(vlan) = vlan else { return Ok(()) };
                writeln!(vlans, "vlan del dev {port} vid 1-4094")?;
                writeln!(vlans, "vlan add dev {port} vid {vlan} pvid untagged")
            }
            Self::Trunk { port, bridge, vlans: all } => {
                writeln!(links, "link set {port} master {bridge}\nlink set {port} up")?;
                writeln!(vlans, "vlan del dev {port} vid 1-4094")?;
                all.iter().try_for_each(|vlan| writeln!(vlans, "vlan add dev {port} vid {vlan}"))
            }
            Self::Down(port) => writeln!(links, "link set {port} down"),
        }
    }
}

/// What `ip -json -details link show` says of an interface.
#[derive(Debug, Deserialize)]
struct SaidLink {
    ifname: String,
    master: Option<String>,
    linkinfo: Option<LinkInfo>,
}

#[derive(Debug, Deserialize)]
struct LinkInfo {
    info_data: Option<InfoData>,
}

#[derive(Debug, Deserialize)]
struct InfoData {
    vlan_filtering: Option<u8>,
}

/// What `bridge -json vlan show` says of a port.
#[derive(Debug, Deserialize)]
struct SaidVlans {
    ifname: String,
    #[serde(default)]
    vlans: Vec<SaidVlan>,
}

#[derive(Debug, Deserialize)]
struct SaidVlan {
    vlan: u16,
    #[serde(rename = "vlanEnd")]
    end: Option<u16>,
    #[serde(default)]
    flags: Vec<String>,
}

impl SaidLink {
    fn filters(&self) -> bool {
        let data = self.linkinfo.as_ref().and_then(|info| info.info_data.as_ref());
        data.and_then(|data| data.vlan_filtering) == Some(1)
    }
}
