//! Device books.

use super::Failure;
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of a tenant's book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BookPart {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only what comes after this key: the `next` of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many, 100 if it is not said, never more than 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A device in a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BookDevice {
    /// The SHA-256 of its bootstrapping key.
    pub bootstrap_hash: String,
    /// Its serial number, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Its model, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its bootstrapping URI.
    pub uri: String,
    /// What it is to become in the network, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The hash of the only configurator's key that it takes, if it takes no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_only: Option<String>,
    /// When it came into the book.
    #[schema(value_type = String, format = DateTime)]
    pub received: Time,
    /// How it came into the book.
    pub via: String,
    /// Whether the tenant holds it still.
    pub held: bool,
}

/// Devices for a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewDevices {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How they come: `qr`, `uri`, `nfc` or `file`.
    pub via: String,
    /// The devices, each with its `dppUri` and, if it is known, `dppRole`, `serialNumber`, `model`, `device`.
    #[schema(value_type = Vec<Object>)]
    pub devices: Vec<serde_json::Value>,
}

/// What became of devices for a book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicesAdded {
    /// Those that are in the book.
    pub devices: Vec<BookDevice>,
    /// Those that are not; they are called by their place in the list, from 0 on.
    pub failed: Vec<Failure>,
}

/// How a picture lies in its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PictureWidth {
    /// Dots in a row.
    pub width: usize,
}

/// What QR codes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Codes {
    /// The text of each.
    pub texts: Vec<String>,
}

/// Devices to be taken out of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicesReleased {
    /// Whose book; the only owner's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Serial numbers or hashes of keys.
    pub devices: Vec<String>,
}
