//! Devices that were made.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeDevice {
    /// Its serial number.
    pub serial_number: String,
    /// Its id.
    pub device: String,
    /// Its model.
    pub model: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made: Time,
    /// Why it was struck off, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}
