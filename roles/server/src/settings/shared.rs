//! The tables that roles share, and the short ones.

use super::Span;
use landfall_lifecycle::transfer::TransferPolicy;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LogSettings {
    /// Lines for people or JSON for programs.
    pub format: LogFormat,
    /// A level, or directives such as `info,landfall_server=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct StoreSettings {
    /// `sqlite:PATH`, or `memory:` to forget everything at the end.
    pub url: String,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: "sqlite:landfall.db".into() }
    }
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct KeysSettings {
    /// `software` for encrypted files; `tpm:` and where the TPM is ([`landfall_tpm::TpmConfig::parse`]); `pkcs11:` and the
    /// rest of a URI (RFC 7512).
    pub element: String,
    /// The folder of key files: encrypted, or wrapped by the TPM.
    pub directory: PathBuf,
    /// The file of 32 random bytes that opens them: made at first use, best kept on another medium.
    pub key_file: PathBuf,
    /// A file whose first line opens them, instead of `key-file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
}

impl Default for KeysSettings {
    fn default() -> Self {
        Self {
            element: "software".into(),
            directory: "keys".into(),
            key_file: "keys.secret".into(),
            passphrase_file: None,
        }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MetricsSettings {
    /// Where `/metrics`, `/healthz` and `/readyz` are; an empty string switches them off.
    pub listen: String,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".into() }
    }
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AdminSettings {
    /// The Unix socket, open to the user who runs the server and to root.
    pub socket: PathBuf,
    /// Mutual TLS for operators elsewhere, who show an operator certificate of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The server's certificate there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySettings>,
    /// Who issues operator certificates: a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_anchors: Option<PathBuf>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { socket: "admin.sock".into(), listen: None, identity: None, operator_anchors: None }
    }
}

/// A certificate with its chain, and where its key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IdentitySettings {
    /// A PEM file: the certificate first, then its chain.
    pub certificate: PathBuf,
    /// The key's URI; without it, the first line of the file beside the certificate that ends in `.key-uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<landfall_types::KeyUri>,
}

impl IdentitySettings {
    /// The one in `certificate`, with the URI of its key in the file beside it.
    pub fn at(certificate: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: None }
    }
}

/// What one listener bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LimitsSettings {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes in a request's body.
    pub body: usize,
    /// How long a handshake may take.
    pub handshake: Span,
    /// How long a connection may stay without a whole request head.
    pub idle: Span,
    /// How long a request may take, from its head to the answer.
    pub request: Span,
    /// How long requests under way may take when the server stops.
    pub drain: Span,
}

impl Default for LimitsSettings {
    fn default() -> Self {
        Self {
            connections: 1024,
            body: 256 * 1024,
            handshake: Span::seconds(10),
            idle: Span::seconds(15),
            request: Span::seconds(60),
            drain: Span::seconds(30),
        }
    }
}

impl From<&LimitsSettings> for landfall_net::http::Limits {
    fn from(limits: &LimitsSettings) -> Self {
        Self {
            connections: limits.connections,
            handshake: limits.handshake.duration(),
            head: limits.idle.duration(),
            request: limits.request.duration(),
            body_bytes: limits.body,
            drain: limits.drain.duration(),
            ..Self::default()
        }
    }
}

/// `[masa]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MasaSettings {
    /// Where registrars reach it.
    pub listen: SocketAddr,
    /// The TLS server's certificate.
    pub identity: IdentitySettings,
    /// The certificate that vouchers are signed with.
    pub voucher_signer: IdentitySettings,
    /// Who issued the IDevIDs that it vouches for: PEM files.
    pub idevid_anchors: Vec<PathBuf>,
    /// What the registrars of customers lead to, beside the certificates in the sales records (RFC 8995 s5.5.4): PEM
    /// files.
    pub customer_anchors: Vec<PathBuf>,
    /// Revocation lists of customers' domains (RFC 8995 s5.5.3): files in PEM or DER, read again when they change. Once
    /// such a list is overdue, no registrar below its issuer is accepted.
    pub customer_crls: Vec<PathBuf>,
    /// Who may claim a device (RFC 8995 s5.5.3, s7.4.2).
    pub transfer: TransferPolicy,
    /// Whether only devices that the factory's records hold are vouched for.
    pub made_here_only: bool,
    /// What the listener bears.
    pub limits: LimitsSettings,
}

impl Default for MasaSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 9443)),
            identity: IdentitySettings::at("manufacturer/masa-tls.pem"),
            voucher_signer: IdentitySettings::at("manufacturer/masa.pem"),
            idevid_anchors: vec!["manufacturer/root.pem".into()],
            customer_anchors: Vec::new(),
            customer_crls: Vec::new(),
            transfer: TransferPolicy::default(),
            made_here_only: true,
            limits: LimitsSettings::default(),
        }
    }
}

/// `[supply-chain]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SupplyChainSettings {
    /// Where tenants reach it.
    pub listen: SocketAddr,
    /// The TLS server's certificate.
    pub identity: IdentitySettings,
    /// Whether it is announced by multicast DNS as `_dpp._tcp` with the subtype `_bootstrapping`, for tools on its link.
    pub announce: bool,
    /// The network interfaces that it announces itself on; empty means all but loopback.
    pub interfaces: Vec<String>,
    /// How many requests of one tenant are served at a time.
    pub at_once: usize,
    /// What the listener bears; a body holds many devices.
    pub limits: LimitsSettings,
}

impl Default for SupplyChainSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 9445)),
            identity: IdentitySettings::at("manufacturer/masa-tls.pem"),
            announce: false,
            interfaces: Vec::new(),
            at_once: 16,
            limits: LimitsSettings { body: 8 * 1024 * 1024, ..LimitsSettings::default() },
        }
    }
}

/// `[[intake]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntakeSettings {
    /// The supply chain service, host and port.
    pub service: String,
    /// What its certificate leads to: PEM files.
    pub anchors: Vec<PathBuf>,
    /// The certificate by which the service knows us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySettings>,
    /// A file that holds our token, instead of a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Whose book the devices come into here.
    #[serde(default = "home")]
    pub tenant: String,
}

fn home() -> String {
    crate::book::HOME.into()
}

/// `[proxy]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProxySettings {
    /// Where pledges reach it.
    pub listen: SocketAddr,
    /// The registrar behind it, host and port; without it, it is discovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// Whether pledges are told of it, by multicast DNS (RFC 8995 appendix B) and GRASP (s4.1.1).
    pub announce: bool,
    /// The network interfaces that it announces itself on; empty means all but loopback.
    pub interfaces: Vec<String>,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address.
    pub connections_per_source: usize,
    /// How long a relayed connection may stay idle.
    pub idle: Span,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0u16; 8], 8444)),
            registrar: None,
            announce: true,
            interfaces: Vec::new(),
            connections: 512,
            connections_per_source: 8,
            idle: Span::seconds(75),
        }
    }
}
