//! `[authorizer.signals]`: who is told what becomes of devices, and whose word of them counts.

use super::{IdentitySettings, Span};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// `[authorizer.signals]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SignalsSettings {
    /// Who we are to those who receive security events and send them: a URL. It is their issuer and their audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The certificate with whose key security events are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<IdentitySettings>,
    /// Where others push their events, and ask for ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The TLS server's certificate there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySettings>,
    /// What could not be told for so long is not told any more.
    pub keep: Span,
    /// What could not be told is told again after this, and after twice as long each time, up to ten minutes.
    pub retry: Span,
    /// For how long another service's word counts.
    pub remember: Span,
    /// Who is told by a request that bears a tag (Standard Webhooks).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook: Vec<WebhookSettings>,
    /// Who receives security events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stream: Vec<StreamSettings>,
    /// Whose security events count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<SourceSettings>,
}

/// `[[authorizer.signals.webhook]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhookSettings {
    /// What the operator calls it.
    pub name: String,
    /// Where it is told, by https.
    pub url: String,
    /// Authorities that vouch for the server: PEM files.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
    /// A file with the key of the tags: `whsec_` and 24 to 64 octets in base64.
    pub secret_file: PathBuf,
    /// Of what it is told: `level-changed`, `held`, `join-ruled`, `operation-ruled`; of the first two without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// `[[authorizer.signals.stream]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamSettings {
    /// What the operator calls it; a receiver that asks does so under `/ssf/poll/NAME`.
    pub name: String,
    /// Who receives: a URL.
    pub audience: String,
    /// Where events are pushed (RFC 8935); without it the receiver asks for them (RFC 8936).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<String>,
    /// Authorities that vouch for the server there: PEM files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<PathBuf>,
    /// A file with the token that is shown when pushing, or that who asks has to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// `[[authorizer.signals.source]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceSettings {
    /// What the operator calls it.
    pub name: String,
    /// Who it is: a URL.
    pub issuer: String,
    /// Its keys: PEM files with a certificate or a public key.
    pub keys: Vec<PathBuf>,
    /// Where it is asked for events (RFC 8936); without it, it pushes them to `/ssf/push` (RFC 8935).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<String>,
    /// Authorities that vouch for the server there: PEM files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<PathBuf>,
    /// A file with the token that is shown when asking, or that who pushes has to show.
    pub token_file: PathBuf,
}

impl Default for SignalsSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            signer: None,
            listen: None,
            identity: None,
            keep: Span::days(7),
            retry: Span::seconds(5),
            remember: Span::days(7),
            webhook: Vec::new(),
            stream: Vec::new(),
            source: Vec::new(),
        }
    }
}

impl SignalsSettings {
    /// Whether nobody is told and nobody heard.
    pub const fn is_empty(&self) -> bool {
        self.webhook.is_empty() && self.stream.is_empty() && self.source.is_empty()
    }
}
