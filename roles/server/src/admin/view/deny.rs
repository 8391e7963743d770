//! What is shown and taken of deny lists.

use crate::deny::{Listed, Origin};
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A deny list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DenyListView {
    /// What it is called.
    pub name: String,
    /// Who brought it.
    pub origin: Origin,
    /// How it is written: `plain`, `csv`, `stix`, `taxii`.
    pub format: String,
    /// How much is on it.
    pub entries: usize,
    /// How much stands there and was not taken.
    pub left_out: usize,
    /// Of when it is, if it ever came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub taken: Option<Time>,
    /// Until when it is fresh enough to say that nobody was in contact with what is on it, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fresh_until: Option<Time>,
    /// When it was last asked for.
    #[schema(value_type = String, format = DateTime)]
    pub tried: Time,
    /// Why it did not come, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A deny list with what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DenyListShown {
    /// The list.
    #[serde(flatten)]
    pub list: DenyListView,
    /// The first of what is on it.
    #[serde(rename = "first-entries")]
    pub entries: Vec<Listed>,
    /// The first of what was not taken, with the reason.
    #[serde(rename = "first-left-out")]
    pub left_out: Vec<(String, String)>,
}

/// A deny list to take in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProposedDenyList {
    /// What it is to be called: small letters, digits and hyphens.
    pub name: String,
    /// How it is written: `plain`, `csv`, `stix`.
    pub format: String,
    /// The list; of longer than about two megabytes the settings can name a file.
    pub text: String,
}

/// A deny list that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DenyListAdded {
    /// The list.
    pub list: DenyListView,
    /// The first of what was not taken, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// What was forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forgiven {
    /// With how many lists the device had been in contact.
    pub lists: usize,
}
