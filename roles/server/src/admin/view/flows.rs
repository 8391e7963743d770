//! Who tells of flows of devices elsewhere, and what became of it.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who tells of flows of devices elsewhere, and what became of it since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowSources {
    /// The exporters in the settings.
    pub exporters: Vec<ExporterView>,
    /// Others who have sent something, and are not heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangers: Option<StrangersView>,
    /// The kernel's connection tracking, if it is listened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsView>,
}

/// An exporter of flows (IPFIX).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExporterView {
    /// What the operator calls it.
    pub name: String,
    /// From where it has sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
    /// Messages that have come.
    pub messages: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// Why the last one was: the check, the section and what was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_why: Option<String>,
    /// Flows of devices here.
    pub flows: u64,
    /// Flows of nobody here.
    pub nobodys: u64,
    /// Sets of records that could not be read, as no template for them had come.
    pub unknown: u64,
    /// Records that were sent and have not come.
    pub missed: u64,
}

/// Who is not in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrangersView {
    /// How much has come from them.
    pub messages: u64,
    /// From where the last of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// And when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
}

/// What the kernel's connection tracking has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsView {
    /// Beginnings and ends of connections.
    pub events: u64,
    /// Those of devices elsewhere.
    pub flows: u64,
    /// Those of nobody, or of devices at ports of this machine.
    pub nobodys: u64,
    /// Events that were given up, since newer ones came before they were read.
    pub missed: u64,
    /// How often the kernel had no room for events, and does not say for how many.
    pub overruns: u64,
}
