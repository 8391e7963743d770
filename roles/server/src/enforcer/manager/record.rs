//! What was fetched, and what became of each attempt.

use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::{Record, Refusal, Time};
use serde::{Deserialize, Serialize};

/// The log of every file that was taken into use, and of every one that was not.
pub(crate) const LOG: &str = "manufacturer-usage";

/// One manufacturer's file as it is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MudRecord {
    /// Whose anchors it is held against: the name of `[[enforcer.mud.maker]]`.
    pub maker: String,
    /// Where it is.
    pub url: String,
    /// The last one that was found good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<GoodFile>,
    /// When it was last asked for.
    pub tried: Time,
    /// Not before then is it asked for again.
    pub next: Time,
    /// How often in a row that did not go well.
    pub failures: u32,
    /// Why not, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// A file that was found good, and how it was come by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GoodFile {
    /// The very bytes.
    pub file: String,
    /// The signature, in base64.
    pub signature: String,
    /// Who signed it.
    pub signer: String,
    /// When, as the signer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Time>,
    /// When it came.
    pub fetched: Time,
    /// Until when nobody needs to ask for a new one (RFC 8520 s3.5).
    pub fresh_until: Time,
    /// Where it was found, after redirects.
    pub from: String,
    /// On which machine.
    pub address: String,
}

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trouble {
    /// The check that failed.
    pub check: String,
    /// In words.
    pub why: String,
}

/// What the log says of an attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Attempt<'a> {
    pub(super) at: Time,
    pub(super) maker: &'a str,
    pub(super) url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<&'a Trouble>,
}

impl MudRecord {
    pub(super) fn key_of(maker: &str, url: &str) -> String {
        format!("{maker} {url}")
    }
}

impl GoodFile {
    pub(super) fn encode(signature: &[u8]) -> String {
        STANDARD.encode(signature)
    }

    pub(super) fn signature(&self) -> Vec<u8> {
        STANDARD.decode(&self.signature).unwrap_or_default()
    }
}

impl From<&Refusal> for Trouble {
    fn from(refusal: &Refusal) -> Self {
        Self { check: refusal.check.to_string(), why: format!("{} [{}]", refusal.detail, refusal.section) }
    }
}

impl Record for MudRecord {
    const COLLECTION: &'static str = "mud-file";

    fn key(&self) -> String {
        Self::key_of(&self.maker, &self.url)
    }
}
