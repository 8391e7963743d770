//! `landfall.toml`: what the operator writes, before any file that it names has been opened.
//!
//! A table per role, and a few for what they share. Unknown keys are errors, since a misspelt limit must not silently
//! mean the default. Relative paths are relative to `data`, and `data` to the folder of the file itself.

mod access;
mod assets;
mod authorizer;
mod behaviour;
mod check;
mod configurator;
mod deny;
mod enforcer;
mod external_ca;
mod mud;
mod registrar;
mod shared;
mod signals;
mod span;
mod subnet;
mod wish;

pub use access::{AccessClientSettings, AccessSettings, PlaceSettings, RadsecSettings, WebSettings};
pub use assets::AssetsSettings;
pub use authorizer::{
    AuthoritySettings, AuthorizerSettings, BrakeSettings, FeedsSettings, NetworkLayerSettings, QuestionsSettings,
    SbomsSettings, StatusListSettings,
};
pub use behaviour::{BehaviourSettings, ExporterSettings, IpfixSettings};
pub use check::{Problem, check};
pub use configurator::{
    CertificateSettings, ConfiguratorLimits, ConfiguratorSettings, CredentialKind, CurveName, GroupSettings,
    MutualWish, NetworkSettings, NotAKind, PushButtonSettings, TenantSettings,
};
pub use deny::{DenyListSettings, DenyListsSettings};
pub use enforcer::{
    EnforcerSettings, IntentSettings, NamesSettings, NotAReach, Others, PortSettings, Protocol, Reach, SegmentKind,
    SegmentSettings,
};
pub use external_ca::EstSettings;
pub use mud::{MakerSettings, MudSettings};
pub use registrar::{AttestationSettings, EnrolmentSettings, RegistrarSettings, VendorSettings};
pub use shared::{
    AdminSettings, IdentitySettings, IntakeSettings, KeysSettings, LimitsSettings, LogFormat, LogSettings,
    MasaSettings, MetricsSettings, ProxySettings, StoreSettings, SupplyChainSettings,
};
pub use signals::{SignalsSettings, SourceSettings, StreamSettings, WebhookSettings};
pub use span::{NotASpan, Span};
pub use subnet::{NotASubnet, Subnet};
pub use wish::{CsrWish, NotAWish};

use crate::role::RoleName;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Where keys, certificates and the database live.
    pub data: PathBuf,
    /// What is written to standard error.
    pub log: LogSettings,
    /// Where records are kept.
    pub store: StoreSettings,
    /// Where private keys are kept.
    pub keys: KeysSettings,
    /// The listener for metrics and health.
    pub metrics: MetricsSettings,
    /// The operator's door.
    pub admin: AdminSettings,
    /// The network's registrar: BRSKI and EST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<RegistrarSettings>,
    /// The manufacturer's authorised signing authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masa: Option<MasaSettings>,
    /// The supply chain service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supply_chain: Option<SupplyChainSettings>,
    /// Supply chain services from which devices come into the book here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intake: Vec<IntakeSettings>,
    /// The join proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySettings>,
    /// The configurator of Wi-Fi Easy Connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configurator: Option<ConfiguratorSettings>,
    /// What access points ask whether a device may be let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessSettings>,
    /// Whether devices may join and stay, by all that is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorizer: Option<AuthorizerSettings>,
    /// The parts of the network on this machine's bridges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcer: Option<EnforcerSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "data".into(),
            log: LogSettings::default(),
            store: StoreSettings::default(),
            keys: KeysSettings::default(),
            metrics: MetricsSettings::default(),
            admin: AdminSettings::default(),
            registrar: None,
            masa: None,
            supply_chain: None,
            intake: Vec::new(),
            proxy: None,
            configurator: None,
            access: None,
            authorizer: None,
            enforcer: None,
        }
    }
}

/// A settings file that cannot be used, in words that say where to look.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {why}; `landfall config init` writes one to start from", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {key}: {why}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// The key, dotted: `registrar.vendor[0].masa`.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Settings {
    /// Reads the file at `path`; relative paths in it become absolute or relative to the working folder.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| SettingsError::Unreadable { path: path.to_owned(), why })?;
        let mut settings =
            Self::parse(&text).map_err(|(key, why)| SettingsError::Wrong { path: path.to_owned(), key, why })?;
        settings.data = path.parent().unwrap_or(Path::new("")).join(&settings.data);
        Ok(settings)
    }

    /// Reads the text of a file; an error is the dotted key and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let wrong = |why: toml::de::Error| ("the file".to_owned(), located(text, &why));
        let document = toml::Deserializer::parse(text).map_err(wrong)?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let key = match error.path().to_string().as_str() {
                "." => "the file".to_owned(),
                path => path.to_owned(),
            };
            (key, located(text, error.inner()))
        })
    }

    /// A commented file that works as it is for a first try.
    pub const fn commented() -> &'static str {
        include_str!("landfall.toml")
    }

    /// `path` as the file means it.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.data.join(path)
    }

    /// Where the admin API listens on this machine.
    pub fn admin_socket(&self) -> PathBuf {
        self.resolve(&self.admin.socket)
    }

    /// The roles that have a table.
    pub fn roles(&self) -> Vec<RoleName> {
        let present = [
            (RoleName::Authorizer, self.authorizer.is_some()),
            (RoleName::Masa, self.masa.is_some()),
            (RoleName::SupplyChain, self.supply_chain.is_some()),
            (RoleName::Registrar, self.registrar.is_some()),
            (RoleName::Proxy, self.proxy.is_some()),
            (RoleName::Configurator, self.configurator.is_some()),
            (RoleName::Enforcer, self.enforcer.is_some()),
            (RoleName::Access, self.access.is_some()),
        ];
        present.into_iter().filter_map(|(role, there)| there.then_some(role)).collect()
    }
}

/// The parser's message with its line.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end();
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("{message} (line {})", before.matches('\n').count() + 1),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_valid_and_says_the_defaults() {
        let commented = Settings::parse(Settings::commented()).unwrap();
        assert_eq!(commented.roles(), [RoleName::Masa, RoleName::Registrar, RoleName::Proxy, RoleName::Configurator]);
        let bare = Settings::parse("[registrar]\n[masa]\n[proxy]\n[configurator]\n").unwrap();
        assert_eq!(commented.log, bare.log);
        assert_eq!(commented.store, bare.store);
        assert_eq!(commented.keys, bare.keys);
        assert_eq!(commented.metrics, bare.metrics);
        assert_eq!(commented.admin, bare.admin);
        assert_eq!(commented.masa, bare.masa);
        assert_eq!(commented.proxy, bare.proxy);
        let (mut a, b) = (commented.registrar.unwrap(), bare.registrar.unwrap());
        assert_eq!(a.vendor.len(), 1);
        a.vendor.clear();
        assert_eq!(a, b);
        let (mut a, b) = (commented.configurator.unwrap(), bare.configurator.unwrap());
        assert_eq!(a.network.len(), 1);
        a.network.clear();
        assert_eq!(a, b);
    }

    #[test]
    fn an_error_names_the_key_and_the_line() {
        let (key, why) = Settings::parse("[registrar]\nlisten = \"[::]:8443\"\nlimits.conections = 5\n").unwrap_err();
        assert_eq!(key, "registrar.limits.conections");
        assert!(why.contains("unknown field") && why.contains("line 3"), "{why}");
        let (key, _) = Settings::parse("[registrar]\n[[registrar.vendor]]\nid = \"\"\nanchors = []\n").unwrap_err();
        assert_eq!(key, "registrar.vendor[0].id");
        let (_, why) = Settings::parse("[registrar\n").unwrap_err();
        assert!(why.contains("line 1"), "{why}");
    }
}
