//! `[authorizer]`: whether devices may join and stay, by all that is known of them.

use super::{AssetsSettings, DenyListsSettings, IdentitySettings, SignalsSettings, Span};
use landfall_assurance::{Grace, Kind};
use landfall_claims::Role;
use landfall_lifecycle::verification::{BrakeManners, Manners};
use landfall_types::VendorId;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// `[authorizer]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AuthorizerSettings {
    /// The policies (Cedar) where no operator has set others; without a file, those that come along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
    /// What the certificates lead to of those who sign policies: PEM files. If there are any, a policy needs a signature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_signers: Vec<PathBuf>,
    /// So long what is known must have been better before a device that was let down is let further in.
    pub recover: Span,
    /// So long a device that was let down stays so, whatever becomes known.
    pub dwell: Span,
    /// So long a decision counts while the authorizer does not run.
    pub valid: Span,
    /// How much a single source may do without a person.
    pub brake: BrakeSettings,
    /// The feeds of what is wrong with software.
    #[serde(skip_serializing_if = "FeedsSettings::is_empty")]
    pub feeds: FeedsSettings,
    /// Lists of components where manufacturers' files say that they are.
    pub sboms: SbomsSettings,
    /// Who may assert what of devices, by credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<AuthoritySettings>,
    /// Lists of which of those credentials are revoked, and where they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_list: Vec<StatusListSettings>,
    /// How often they are asked for.
    pub status_refresh: Span,
    /// For how long kinds of facts may be unknown: after they expired, or after the device was first known of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grace: BTreeMap<Kind, Span>,
    /// Lists of addresses and names with which no device should be in contact.
    pub deny_lists: DenyListsSettings,
    /// Who is told what becomes of devices, and whose word of them counts.
    #[serde(skip_serializing_if = "SignalsSettings::is_empty")]
    pub signals: SignalsSettings,
    /// The system in which the owner keeps what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<AssetsSettings>,
    /// Who else has to let a device join: the network-layer onboarding authorization service (SP 1800-36B 4.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_layer: Option<NetworkLayerSettings>,
    /// Where other authorizers ask whether a device may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<QuestionsSettings>,
}

/// `[authorizer.network-layer]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkLayerSettings {
    /// Where it is asked, by https: `https://aaa.example:9449/v1/verification/join`.
    pub url: String,
    /// Authorities that vouch for the server there: PEM files.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
    /// The certificate that it is shown.
    pub identity: IdentitySettings,
    /// It answers within this time, or nobody joins.
    #[serde(default = "five_seconds")]
    pub deadline: Span,
    /// It is asked so many things at a time; others wait.
    #[serde(default = "thirty_two")]
    pub at_once: usize,
}

/// `[authorizer.questions]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct QuestionsSettings {
    /// Where others ask.
    pub listen: SocketAddr,
    /// The TLS server's certificate there.
    pub identity: IdentitySettings,
    /// The certificates of those who may ask, or of a CA that issues theirs and nothing else: PEM files.
    pub anchors: Vec<PathBuf>,
}

const fn five_seconds() -> Span {
    Span::seconds(5)
}

const fn thirty_two() -> usize {
    32
}

/// `[authorizer.feeds]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FeedsSettings {
    /// The root of the publisher whose bundles are taken (TUF): a file that came by a way that can be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
}

impl FeedsSettings {
    const fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

/// `[authorizer.sboms]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SbomsSettings {
    /// How often each is asked for.
    pub refresh: Span,
    /// One that could not be had for so long is no knowledge of what a device runs.
    pub max_age: Span,
    /// Whether what a device says itself counts where nobody else says what it consists of. Without it, it counts only against
    /// the device: whoever is asked what is wrong with him is not the one to say that nothing is.
    pub devices_alone: bool,
    /// The port at which devices are asked, whose manufacturers' files say that they themselves have their list.
    pub device_port: u16,
}

impl Default for SbomsSettings {
    fn default() -> Self {
        Self { refresh: Span::days(1), max_age: Span::days(14), devices_alone: false, device_port: 443 }
    }
}

/// `[[authorizer.authority]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthoritySettings {
    /// What the operator calls it.
    pub name: String,
    /// Its key: a PEM file with a certificate or a public key.
    pub key: PathBuf,
    /// What it may assert: `owner` everything; `user` trust in devices and their types; `manufacturer` types, owners and
    /// vulnerabilities of its own devices; `auditor` tests and vulnerabilities.
    pub role: Role,
    /// Of whose devices it may speak; of all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<VendorId>,
}

/// `[[authorizer.status-list]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatusListSettings {
    /// Where it is, by https, as credentials name it.
    pub url: String,
    /// Authorities that vouch for the server: PEM files.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
}

/// `[authorizer.brake]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BrakeSettings {
    /// Per cent of all devices that a single source may put out of action.
    pub share: u8,
    /// So many devices in any case.
    pub at_least: usize,
    /// Within this time.
    pub within: Span,
    /// For so long a source that was dismissed puts nobody out of action.
    pub dismissed: Span,
}

impl Default for AuthorizerSettings {
    fn default() -> Self {
        Self {
            policy: None,
            policy_signers: Vec::new(),
            recover: Span::seconds(30),
            dwell: Span::seconds(60),
            valid: Span::seconds(3600),
            brake: BrakeSettings::default(),
            feeds: FeedsSettings::default(),
            sboms: SbomsSettings::default(),
            authority: Vec::new(),
            status_list: Vec::new(),
            status_refresh: Span::seconds(3600),
            grace: BTreeMap::new(),
            deny_lists: DenyListsSettings::default(),
            signals: SignalsSettings::default(),
            assets: None,
            network_layer: None,
            questions: None,
        }
    }
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self { share: 10, at_least: 3, within: Span::seconds(3600), dismissed: Span::days(1) }
    }
}

impl AuthorizerSettings {
    /// How quickly things follow.
    pub const fn manners(&self) -> Manners {
        let BrakeSettings { share, at_least, within, dismissed } = self.brake;
        Manners {
            recover: self.recover.duration(),
            dwell: self.dwell.duration(),
            valid: self.valid.duration(),
            brake: BrakeManners { share, at_least, within: within.duration(), dismissed: dismissed.duration() },
        }
    }

    /// What may be unknown for how long.
    pub fn grace(&self) -> Grace {
        Grace(self.grace.iter().map(|(kind, span)| (*kind, span.duration())).collect())
    }
}
