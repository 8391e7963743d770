//! `[authorizer.deny-lists]`: lists of addresses and names with which no device should be in contact.

use super::Span;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[authorizer.deny-lists]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DenyListsSettings {
    /// The lists; operators may add others.
    pub list: Vec<DenyListSettings>,
    /// How often servers are asked. Files are looked at each minute.
    pub refresh: Span,
    /// For how long a contact speaks against a device.
    pub remember: Span,
}

/// `[[authorizer.deny-lists.list]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DenyListSettings {
    /// What the operator calls it.
    pub name: String,
    /// The file that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Where it is asked for: of a TAXII 2.1 server the address of the collection, with a slash at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How it is written: `plain`, `csv`, `stix`, or `taxii`; a file is plain and a server of TAXII without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Authorities that vouch for the server: of Debian, `/etc/ssl/certs/ISRG_Root_X1.pem` and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<PathBuf>,
    /// A file with `NAME:PASSWORD`, if the server wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_file: Option<PathBuf>,
    /// One that is older is no ground to say that nobody was in contact with what is on it: a week for what a server says, for ever
    /// for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

impl Default for DenyListsSettings {
    fn default() -> Self {
        Self { list: Vec::new(), refresh: Span::seconds(3600), remember: Span::days(7) }
    }
}
