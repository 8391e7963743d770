//! What manufacturers say of the devices inside, and who may speak with whom.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may speak with whom on this machine's bridges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// The devices inside.
    pub devices: Vec<DeviceUsage>,
    /// Which of them may begin to speak with which other one.
    pub meetings: Vec<Meeting>,
}

/// What counts for a device of what its manufacturer says of it (RFC 8520).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceUsage {
    /// Its serial number.
    pub device: String,
    /// Its id.
    pub id: String,
    /// Where it is plugged in.
    pub port: String,
    /// The address of its interface.
    pub address: String,
    /// In which part of the network it is.
    pub segment: String,
    /// What is in force: the manufacturer's file, the owner's file, the owner's preset, or the segment's rules.
    pub in_force: String,
    /// Where its file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How that was learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<String>,
    /// Whether that was in an exchange in which it proved who it is.
    pub is_proven: bool,
    /// Who signed the file in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// When, as the signer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub signed_at: Option<Time>,
    /// When it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fetched: Option<Time>,
    /// Until when nobody needs to ask for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fresh_until: Option<Time>,
    /// Where it was found, and on which machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// What the device is, as the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systeminfo: Option<String>,
    /// Whether its manufacturer still supports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_supported: Option<bool>,
    /// Where people find more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// Where the list of its parts is (RFC 9472).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// Where its weaknesses are told (RFC 9472).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaknesses: Vec<String>,
    /// Why its file is not in force, if it is not, or was not fetched anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it may say, and to whom; the first that fits counts, and what fits none is dropped.
    pub says: Vec<Talk>,
    /// What it may hear, and from whom.
    pub hears: Vec<Talk>,
}

/// With whom a device may speak, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Talk {
    /// With whom.
    pub with: String,
    /// Whether it is let through.
    pub is_allowed: bool,
    /// In words.
    pub how: String,
    /// List and entry of the file.
    pub rule: String,
}

/// Two devices of which the first may begin to speak with the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meeting {
    /// The serial number of the first.
    pub from: String,
    /// The serial number of the second.
    pub to: String,
    /// How.
    pub how: String,
}
