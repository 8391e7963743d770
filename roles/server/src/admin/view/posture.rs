//! What is shown and taken of devices' software, and of what others assert of devices.

use crate::authorizer::{CredentialReport, FeedReport, PublishedRecord, SbomReport, VexRecord};
use serde::{Deserialize, Serialize};

/// What a list of components is of.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SbomOf {
    /// One device: its id, or its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Or a manufacturer, as the operator names it, with a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The manufacturer's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The release of the firmware; without it, all that no other list is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
}

/// A list of components, and what was found in it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SbomShown {
    /// As it is.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub report: SbomReport,
}

/// A list that a manufacturer's file names, and what became of asking for it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedShown {
    /// As it is on record.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub record: PublishedRecord,
}

/// Which list of components.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SbomId {
    /// Its id.
    pub id: String,
}

/// A document of statements that vulnerabilities apply to products, or do not.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VexShown {
    /// As it is on record, without the document.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub record: VexRecord,
}

/// Which document of statements.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VexId {
    /// Its id.
    pub id: String,
}

/// The feeds that are used.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FeedsShown {
    /// None before the first bundle.
    #[serde(rename = "feeds")]
    #[schema(value_type = Option<Object>)]
    pub report: Option<FeedReport>,
}

/// A credential or a status list to take in.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialBrought {
    /// As its issuer has signed it.
    pub jwt: String,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CredentialTaken {
    /// The credential, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub credential: Option<CredentialReport>,
    /// Of how many devices here it is.
    pub devices: usize,
    /// The URL of the status list, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_list: Option<String>,
}

/// A credential.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CredentialShown {
    /// As it is.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub report: CredentialReport,
}

/// Which credential is taken back.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialWithdrawn {
    /// Its id.
    pub id: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}
