//! `[enforcer.mud]`: manufacturers' files by the URLs that devices name (RFC 8520), and whom to believe.

use super::{Span, Subnet};
use landfall_types::VendorId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[enforcer.mud]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MudSettings {
    /// Whose files are fetched, and who vouches for them; the first that fits a device and its URL counts.
    pub maker: Vec<MakerSettings>,
    /// A MUD file of the owner's, for devices whose manufacturer's cannot be had: names and time, and nothing else, without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<PathBuf>,
    /// Whether that is also for devices that name no file; else their segment's rules are.
    pub unnamed: bool,
    /// Whether a URL that a device merely claims, by DHCP, counts where none is proven.
    pub claims: bool,
    /// Addresses of the owner's own networks from which files may be fetched; otherwise from the public network only.
    pub private: Vec<Subnet>,
    /// How long a file and its signature may take together.
    pub deadline: Span,
}

/// `[[enforcer.mud.maker]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MakerSettings {
    /// What the operator calls it.
    pub name: String,
    /// Only for devices of these manufacturers, as `[[registrar.vendor]]` names them.
    #[serde(default)]
    pub manufacturers: Vec<VendorId>,
    /// Only for files at these hosts: `mud.example.com`, `mud.example.com:8443`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Authorities that vouch for who signs the files.
    pub anchors: Vec<PathBuf>,
    /// Authorities that vouch for the web server: of Debian, `/etc/ssl/certs/ISRG_Root_X1.pem` and others.
    pub web_anchors: Vec<PathBuf>,
}

impl Default for MudSettings {
    fn default() -> Self {
        Self {
            maker: Vec::new(),
            preset: None,
            unnamed: false,
            claims: false,
            private: Vec::new(),
            deadline: Span::seconds(30),
        }
    }
}
