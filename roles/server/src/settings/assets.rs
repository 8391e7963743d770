//! `[authorizer.assets]`: the system in which the owner keeps what there is.

use super::Span;
use landfall_assurance::Kind;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// `[authorizer.assets]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AssetsSettings {
    /// Where NetBox is, by https: `https://netbox.example`.
    pub url: String,
    /// Authorities that vouch for the server: PEM files.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
    /// A file with a token of NetBox's.
    pub token_file: PathBuf,
    /// How often both are held against each other.
    #[serde(default = "quarter")]
    pub refresh: Span,
    /// What it says counts for so long.
    #[serde(default = "day")]
    pub max_age: Span,
    /// A device that is inside and has not been seen for so long is reported.
    #[serde(default = "month")]
    pub unseen_after: Span,
    /// Whether it is written there how devices stand: into the custom fields `landfall_level`, `landfall_state` and
    /// `landfall_seen`, which are texts.
    #[serde(default)]
    pub write: bool,
    /// What its custom fields mean: kinds of facts, and the names of the fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<Kind, String>,
}

const fn quarter() -> Span {
    Span::seconds(900)
}

const fn day() -> Span {
    Span::days(1)
}

const fn month() -> Span {
    Span::days(30)
}
