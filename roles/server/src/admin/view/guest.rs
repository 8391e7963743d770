//! Devices that somebody else owns.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device that somebody else owns is to be permitted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewGuest {
    /// Its manufacturer, as the settings call it.
    pub vendor: String,
    /// Its serial number.
    pub serial_number: String,
    /// For how many days.
    pub days: u32,
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
}

/// A device that somebody else owns, and that is or was permitted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestView {
    /// Its manufacturer, as the settings call it.
    pub vendor: String,
    /// Its serial number.
    pub serial_number: String,
    /// Whether it may come in now.
    pub good: bool,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Time>,
    /// Why the permission was taken back, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}
