//! Whose word counts: for what is asserted of devices, and for what is wrong with software.

use crate::{
    RoleError,
    identity::{certificates, public_key},
    settings::{AuthorizerSettings, SbomsSettings, Settings},
};
use landfall_claims::{Authorities, Authority, authority::Role};
use landfall_types::Fingerprint;
use std::{collections::BTreeMap, fs, time::Duration};

/// Whose word counts.
#[derive(Clone, Debug, Default)]
pub struct Believed {
    /// The root of the publisher of feeds (TUF), if there is one.
    pub feed_root: Option<Vec<u8>>,
    /// Who may assert what.
    pub authorities: Authorities,
    /// Manufacturers as the operator names them, by the keys of who issues their devices' birth certificates.
    pub vendors: BTreeMap<Fingerprint, String>,
    /// How far devices are believed that say what they consist of.
    pub devices: OwnWord,
}

/// How far devices are believed that say themselves what they consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnWord {
    /// For how long, if they do not say it again.
    pub max_age: Duration,
    /// Whether that counts where nobody else says it; otherwise it only counts against them.
    pub alone: bool,
}

impl From<&SbomsSettings> for OwnWord {
    fn from(settings: &SbomsSettings) -> Self {
        Self { max_age: settings.max_age.duration(), alone: settings.devices_alone }
    }
}

impl Default for OwnWord {
    fn default() -> Self {
        Self::from(&SbomsSettings::default())
    }
}

impl Believed {
    /// What `authorizer` and the vendors of the registrar mean in `settings`.
    pub(super) fn from_settings(authorizer: &AuthorizerSettings, settings: &Settings) -> Result<Self, RoleError> {
        let mut believed = Self { devices: OwnWord::from(&authorizer.sboms), ..Self::default() };
        if let Some(path) = &authorizer.feeds.root {
            let path = settings.resolve(path);
            let what = format!("the root of feeds in {} (authorizer.feeds.root)", path.display());
            let root = fs::read(&path).map_err(RoleError::while_(&*what))?;
            landfall_tuf::Trust::pin(&root).map_err(RoleError::while_(&*what))?;
            believed.feed_root = Some(root);
        }
        for own in &authorizer.authority {
            // Whoever speaks of his own devices has to be named with them.
            if own.role == Role::Manufacturer && own.vendor.is_none() {
                let why = "is a manufacturer without a vendor, and could speak of nobody's devices";
                return Err(RoleError::new(format!("the authority {:?}", own.name), why));
            }
            let key = public_key(&settings.resolve(&own.key))?.fingerprint();
            let (vendor, name) = (own.vendor.as_ref().map(ToString::to_string), own.name.clone());
            believed.authorities.0.push(Authority { key, role: own.role, vendor, name });
        }
        for vendor in settings.registrar.iter().flat_map(|registrar| &registrar.vendor) {
            for path in &vendor.anchors {
                for anchor in certificates(&settings.resolve(path))? {
                    believed.vendors.insert(anchor.public_key().fingerprint(), vendor.id.to_string());
                }
            }
        }
        Ok(believed)
    }
}
