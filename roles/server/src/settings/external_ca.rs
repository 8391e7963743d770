//! `[….est]`: a CA elsewhere that is asked by EST.

use super::{IdentitySettings, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A CA elsewhere that is asked by EST (RFC 7030).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EstSettings {
    /// The EST server, host and port, by the name in its certificate.
    pub server: String,
    /// The label of the CA in paths, if the server has several (RFC 7030 s3.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the server's certificate leads to: PEM files.
    pub anchors: Vec<PathBuf>,
    /// What the certificates that it issues lead to: PEM files; without them, `anchors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<PathBuf>,
    /// The certificate by which the server knows us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySettings>,
    /// A file whose first line is `name:password`, for HTTP Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// How long to wait for a certificate, however often the server says "later". The device waits as long.
    #[serde(default = "patience")]
    pub patience: Span,
}

const fn patience() -> Span {
    Span::seconds(60)
}
