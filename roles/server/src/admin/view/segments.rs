//! The parts of the network on this machine, and who is in them.

use crate::settings::SegmentKind;
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The parts of the network on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segments {
    /// The parts.
    pub segments: Vec<SegmentView>,
    /// The ports that devices are plugged into.
    pub ports: Vec<PortView>,
    /// How often the kernel's rules were changed since the start; the kernel has the same number.
    pub generation: u32,
    /// When the kernel's rules were last held against what should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub checked: Option<Time>,
    /// How often they had to be put right since the start, the first time included.
    pub repairs: u64,
}

/// A part of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentView {
    /// What the operator calls it.
    pub name: String,
    /// What it is for.
    pub kind: SegmentKind,
    /// Its bridge, or the server's own interface in its VLAN.
    pub bridge: String,
    /// The VID of its VLAN in the bridge that all segments share, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<u16>,
    /// The VLAN by which places mean it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<String>,
    /// Whether its devices reach each other.
    pub lateral: bool,
    /// What its devices reach, if it is not for production: protocol, where, port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<String>,
    /// How many devices are in it that showed their certificate.
    pub devices: usize,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortView {
    /// The interface.
    pub port: String,
    /// In which part of the network it is; in none while it is shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The serial number of the device behind it that showed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// That device's address: nobody else comes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Since when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Until when, unless it shows itself again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// What devices did against what their manufacturers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violations {
    /// What it was, the latest first.
    pub violations: Vec<ViolationView>,
    /// How much was dropped, by port.
    pub dropped: Vec<DroppedView>,
}

/// One thing that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViolationView {
    /// When it was first seen.
    #[schema(value_type = String, format = DateTime)]
    pub first: Time,
    /// When it was last seen, within the same minute.
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// How often it was told of; more may have been dropped.
    pub times: u64,
    /// The serial number of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The port that it is plugged into.
    pub port: String,
    /// Which way it went: `from-device`, `to-device`.
    pub direction: String,
    /// The other end: its address, or its interface and what is not IP.
    pub peer: String,
    /// The number of the protocol in IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// The other end's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// Why it was dropped: the entry that says so, or that none permits it.
    pub why: String,
}

/// Frames of a port that were dropped since its device came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedView {
    /// The port.
    pub port: String,
    /// The serial number of the device behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// From the device.
    pub from_device: u64,
    /// To the device.
    pub to_device: u64,
    /// From the device, in the last minute.
    pub last_minute: u64,
}
