//! What the agent is told: a TOML file, with flags on top.

use crate::{
    DeviceError, connect, dpp,
    posture::{Attestation, Software},
    update::Update,
};
use landfall_brski::{proxy::Offer, voucher::Format};
use landfall_element::KeySource;
use landfall_net::http::Endpoint;
use landfall_pki::Algorithm;
use landfall_types::{KeyUri, Redacted};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How the agent works.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// What the factory handed out; needed once, at the first start.
    pub bundle: Option<PathBuf>,
    /// Where the agent keeps what it is told, and its keys.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Where to leave copies of what crossed the wire.
    pub evidence: Option<PathBuf>,
    /// Whether the device knows the time. One that does not ignores every date (RFC 8995 s2.6.1).
    #[serde(default = "yes")]
    pub clock: bool,
    /// Whether vouchers without a nonce are taken (RFC 8995 s7.2).
    #[serde(default = "yes")]
    pub nonceless: bool,
    /// The form of voucher requests and vouchers: `cms` or `jws`.
    #[serde(default)]
    pub format: Form,
    /// What kind of key an LDevID gets, unless the registrar wishes another: `p256`, `p384` or `ed25519`.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Whether a renewed LDevID gets a new key.
    #[serde(default = "yes")]
    pub rekey: bool,
    /// How the keys are protected.
    #[serde(default)]
    pub keys: Keys,
    /// How registrars are found.
    #[serde(default)]
    pub discovery: Discovery,
    /// How the device goes into the network with its LDevID.
    #[serde(default)]
    pub connect: connect::Config,
    /// How the device takes part in Wi-Fi Easy Connect.
    #[serde(default)]
    pub dpp: dpp::Config,
    /// What it shows of its software.
    #[serde(default)]
    pub attestation: Attestation,
    /// What it consists of, as it says.
    #[serde(default)]
    pub software: Software,
    /// Whose new firmware it takes.
    #[serde(default)]
    pub update: Update,
}

/// The form of vouchers and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// JSON in CMS, which every party of RFC 8995 speaks.
    #[default]
    Cms,
    /// JSON in JWS.
    Jws,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Cms => Self::CmsJson,
            Form::Jws => Self::JwsJson,
        }
    }
}

/// Where keys are. How those in files are protected at rest: by a key file beside the state unless a passphrase is named.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Keys {
    /// `software` for files; `tpm:` and where the TPM is ([`landfall_tpm::TpmConfig::parse`]); `pkcs11:` and the rest of a
    /// URI of RFC 7512. Files is the default.
    pub element: Option<String>,
    /// A file with 32 random bytes, made at the first start. Best on another medium than the state.
    pub key_file: Option<PathBuf>,
    /// A file whose first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The environment variable that holds the passphrase.
    pub passphrase_env: Option<String>,
    /// Where memory of the chip shows the seed that its maker put there, if the birth key is derived from it
    /// ([`landfall_element::seed::birth_key`]): at least 32 octets. A file on a disk is refused: `landfall device seed` seals
    /// what would stand there in clear.
    pub seed_file: Option<PathBuf>,
    /// Where the IDevID's private key is, if the device made it itself and it is not where `landfall device request` makes
    /// it.
    pub idevid: Option<KeyUri>,
}

/// How registrars and proxies are found.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Discovery {
    /// By DNS-SD over mDNS (RFC 8995 appendix B).
    pub mdns: bool,
    /// By GRASP floods (RFC 8995 s4.1.1).
    pub grasp: bool,
    /// On which interfaces; none named is all but loopback.
    pub interfaces: Vec<String>,
    /// Registrars or proxies that are known beforehand: `host:port`.
    pub registrars: Vec<String>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { mdns: true, grasp: true, interfaces: Vec::new(), registrars: Vec::new() }
    }
}

const fn yes() -> bool {
    true
}

fn default_state() -> PathBuf {
    "/var/lib/landfall-device".into()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bundle: None,
            state: default_state(),
            evidence: None,
            clock: true,
            nonceless: true,
            format: Form::default(),
            algorithm: Algorithm::default(),
            rekey: true,
            keys: Keys::default(),
            discovery: Discovery::default(),
            connect: connect::Config::default(),
            dpp: dpp::Config::default(),
            attestation: Attestation::default(),
            software: Software::default(),
            update: Update::default(),
        }
    }
}

impl Config {
    /// From a TOML file; relative paths in it start at its folder.
    ///
    /// # Errors
    /// [`DeviceError::Io`], or [`DeviceError::File`] with the line and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, DeviceError> {
        let text = fs::read_to_string(path).map_err(DeviceError::io(path))?;
        let mut config: Self = toml::from_str(&text).map_err(|e| DeviceError::file(path, e))?;
        config.connect.check()?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.state = folder.join(&config.state);
        let Self {
            bundle,
            evidence,
            keys: Keys { key_file, passphrase_file, seed_file, .. },
            connect,
            dpp,
            attestation,
            software,
            update,
            ..
        } = &mut config;
        // An archive is a file too; what is at a server stays as it is.
        if let Some(from) = update.from.as_mut().filter(|from| !from.contains("://")) {
            *from = folder.join(&from).display().to_string();
        }
        let sockets = [&mut connect.control, &mut dpp.radio];
        attestation.service_signers.iter_mut().for_each(|path| *path = folder.join(&path));
        let measured = [&mut attestation.event_log, &mut attestation.firmware, &mut attestation.service_values];
        let named = [bundle, evidence, key_file, passphrase_file, seed_file, &mut software.sbom];
        let updates = [&mut update.root, &mut update.image, &mut update.anchors];
        for path in named.into_iter().chain(sockets).chain(measured).chain(updates).flatten() {
            *path = folder.join(&path);
        }
        Ok(config)
    }

    pub(crate) fn key_source(&self) -> Result<KeySource, DeviceError> {
        let keys = &self.keys;
        match (&keys.key_file, &keys.passphrase_file, &keys.passphrase_env) {
            (None, None, None) => Ok(KeySource::KeyFile(self.state.join("keys.key"))),
            (Some(file), None, None) => Ok(KeySource::KeyFile(file.clone())),
            (None, Some(file), None) => {
                let text = Redacted::new(fs::read_to_string(file).map_err(DeviceError::io(file))?);
                let line = text.expose().lines().next().unwrap_or_default();
                Ok(KeySource::Passphrase(Redacted::new(line.to_owned())))
            }
            (None, None, Some(name)) => match std::env::var(name) {
                Ok(passphrase) => Ok(KeySource::Passphrase(Redacted::new(passphrase))),
                Err(_) => Err(DeviceError::Config(format!("the environment variable {name} is not set"))),
            },
            _ => Err(DeviceError::Config("[keys] names more than one way to protect them".into())),
        }
    }

    pub(crate) fn fixed_offers(&self) -> Result<Vec<Offer>, DeviceError> {
        let offer = |text: &String| {
            let endpoint: Endpoint = text.parse().map_err(|e| DeviceError::Config(format!("registrars: {e}")))?;
            Ok(Offer::fixed(endpoint.host, endpoint.port))
        };
        self.discovery.registrars.iter().map(offer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_everything_and_one_with_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.toml");
        fs::write(&path, "").unwrap();
        let config = Config::read(&path).unwrap();
        assert!(config.clock && config.rekey && config.discovery.mdns && config.fixed_offers().unwrap().is_empty());
        let text = r#"
            bundle = "bundle.json"
            state = "state"
            evidence = "/tmp/evidence"
            clock = false
            nonceless = false
            format = "jws"
            algorithm = "p384"
            rekey = false
            [keys]
            passphrase-env = "LANDFALL_TEST_UNSET"
            idevid = "software:idevid"
            [discovery]
            mdns = false
            interfaces = ["eth0"]
            registrars = ["registrar.example:8443", "[fe80::1%3]:443", "192.0.2.1"]
        "#;
        fs::write(&path, text).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.bundle, Some(dir.path().join("bundle.json")));
        assert_eq!(config.state, dir.path().join("state"));
        assert_eq!(config.evidence, Some("/tmp/evidence".into()));
        assert_eq!((config.format, config.algorithm), (Form::Jws, Algorithm::EcdsaP384));
        let offers: Vec<_> = config.fixed_offers().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(offers, ["registrar.example:8443", "[fe80::1%3]:443", "192.0.2.1:443"]);
        assert!(matches!(config.key_source(), Err(DeviceError::Config(_))));
    }

    #[test]
    fn the_example_says_what_the_defaults_are() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("device.toml");
        let (example, default) = (Config::read(&path).unwrap(), Config::default());
        assert_eq!(format!("{:?}", Config { bundle: None, ..example }), format!("{default:?}"));
    }

    #[test]
    fn what_cannot_work_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.toml");
        for wrong in ["clok = true", "clock = 1", "[discovery]\nmdsn = true", "format = \"xml\"", "algorithm = \"rsa\""]
        {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(Config::read(&path), Err(DeviceError::File { .. })), "{wrong}");
        }
        let keys = Keys { key_file: Some("a".into()), passphrase_env: Some("B".into()), ..Keys::default() };
        assert!(Config { keys, ..Config::default() }.key_source().is_err());
        let discovery = Discovery { registrars: vec!["a b".into()], ..Discovery::default() };
        assert!(Config { discovery, ..Config::default() }.fixed_offers().is_err());
    }
}
