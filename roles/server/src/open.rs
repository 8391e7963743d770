//! Opens what settings name: the store and the keys.

use crate::{role::RoleError, settings::Settings};
use landfall_element::{
    ElementError, SecureElement,
    software::{KeySource, SoftwareElement},
};
use landfall_pkcs11::Pkcs11Element;
use landfall_store::Store;
use landfall_tpm::TpmElement;
use landfall_types::Redacted;
use rustix::process::{Resource, Rlimit};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// Nowhere: they are forgotten at the end.
    Memory,
    /// In the SQLite database at this path.
    Sqlite(PathBuf),
}

impl StoreUrl {
    /// Reads `memory:` or `sqlite:PATH`.
    pub fn parse(url: &str) -> Result<Self, RoleError> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(RoleError::new(format!("the store {url:?}"), "is not understood; write sqlite:PATH or memory:")),
        }
    }
}

/// Lets this process have as many files open as the system permits, since every connection is one; and says when that is
/// fewer than the settings count on.
pub fn enough_files(settings: &Settings) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if let Err(why) = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%why, "the limit of open files stays as it is");
    }
    let Some(permitted) = rustix::process::getrlimit(Resource::Nofile).current else { return };
    let connections = settings.configurator.as_ref().map_or(0, |configurator| configurator.limits.connections);
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    if permitted <= wanted {
        tracing::warn!(permitted, wanted, "fewer files may be open than configurator.limits.connections asks for");
    }
}

/// The store that `settings` name, made if it is not there.
pub fn store(settings: &Settings) -> Result<Store, RoleError> {
    match StoreUrl::parse(&settings.store.url)? {
        StoreUrl::Memory => Ok(Store::memory()),
        StoreUrl::Sqlite(path) => {
            let path = settings.resolve(&path);
            make_folder_of(&path)?;
            Store::sqlite(&path).map_err(|why| RoleError::new("opening the store", why))
        }
    }
}

/// The element that `settings` name; one of files is made if it is not there.
pub fn element(settings: &Settings) -> Result<Arc<dyn SecureElement>, RoleError> {
    let folder = settings.resolve(&settings.keys.directory);
    make_folder_of(&folder)?;
    let opened: Result<Arc<dyn SecureElement>, ElementError> = match settings.keys.element.as_str() {
        "software" => SoftwareElement::open(&folder, key_source(settings)?).map(|element| Arc::new(element) as _),
        token if token.starts_with("pkcs11:") => Pkcs11Element::from_uri(token).map(|element| Arc::new(element) as _),
        tpm if tpm.starts_with("tpm:") => TpmElement::from_uri(tpm, &folder).map(|element| Arc::new(element) as _),
        _ => return Err(RoleError::new("keys.element", "is one of software, tpm:… and pkcs11:…")),
    };
    opened.map_err(RoleError::while_("opening the keys"))
}

/// The same, but an error if it is of files and not there.
pub fn existing_element(settings: &Settings) -> Result<Arc<dyn SecureElement>, RoleError> {
    let folder = settings.resolve(&settings.keys.directory);
    match settings.keys.element != "software" || folder.is_dir() {
        true => element(settings),
        false => Err(RoleError::new(
            format!("the keys in {}", folder.display()),
            "are not there yet; `landfall network init` and `landfall factory init` make them",
        )),
    }
}

fn key_source(settings: &Settings) -> Result<KeySource, RoleError> {
    let Some(path) = &settings.keys.passphrase_file else {
        let path = settings.resolve(&settings.keys.key_file);
        make_folder_of(&path)?;
        return Ok(KeySource::KeyFile(path));
    };
    let path = settings.resolve(path);
    let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("the passphrase in {}", path.display()), why);
    let text = Redacted::new(fs::read_to_string(&path).map_err(|why| failed(&why))?);
    match text.expose().lines().next().unwrap_or_default() {
        "" => Err(failed(&"is empty; its first line is the passphrase")),
        line => Ok(KeySource::Passphrase(Redacted::new(line.to_owned()))),
    }
}

/// Makes the folder that `path` is in.
pub fn make_folder_of(path: &Path) -> Result<(), RoleError> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(RoleError::while_(format!("making {}", folder.display()))),
        None => Ok(()),
    }
}
