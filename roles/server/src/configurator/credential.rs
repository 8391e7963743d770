//! The credentials that devices were given, for access points and for operators: passwords go to access points only.

use super::{Configurator, Tenant};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_lifecycle::network::{NetworkCredential, SharedSecret};
use landfall_store::ReadError;
use landfall_types::Redacted;

/// A password, and whose it is on the air.
pub(super) struct Password {
    /// By what access points and their logs call the device.
    pub(super) name: String,
    /// The address of its radio.
    pub(super) mac: Option<String>,
    /// The identifier that the device sends (IEEE 802.11 s12.4.3).
    pub(super) identifier: Option<String>,
    pub(super) password: Redacted<String>,
    /// By which methods it leads in.
    pub(super) methods: String,
}

/// Why the passwords of a network cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error("a password on record does not open: {0}")]
    Sealed(String),
}

impl Configurator {
    /// Every password of one network that still leads in, in the order of the devices' ids.
    pub(super) fn passwords(&self, tenant: &Tenant, network: &str) -> Result<Vec<Password>, Unreadable> {
        let value = NetworkCredential::network_value(tenant.id.as_str(), network);
        let found =
            self.world.store.find_by::<NetworkCredential>(NetworkCredential::BY_NETWORK, &value, usize::MAX >> 1)?;
        let good = found.into_iter().map(|found| found.record).filter(|credential| credential.deleted.is_none());
        let mut passwords = Vec::new();
        for credential in good {
            if let Some(secret) = &credential.secret {
                passwords.push(self.open(&credential, secret)?);
            }
        }
        Ok(passwords)
    }

    fn open(&self, credential: &NetworkCredential, secret: &SharedSecret) -> Result<Password, Unreadable> {
        let sealed = STANDARD.decode(&secret.sealed).map_err(|why| Unreadable::Sealed(why.to_string()))?;
        let vault = self.world.element.vault();
        let vault = vault.ok_or_else(|| Unreadable::Sealed("the element opens nothing".into()))?;
        let name = name_in_vault(&NetworkCredential::key_of(&credential.device, &credential.network));
        let password = vault.open(&name, &sealed).map_err(|why| Unreadable::Sealed(why.to_string()))?;
        let password = String::from_utf8(password.expose().clone());
        let password = password.map_err(|_| Unreadable::Sealed("it is no text".into()))?;
        Ok(Password {
            name: credential.key.to_string().chars().take(16).collect(),
            mac: secret.mac.clone(),
            identifier: secret.identifier.clone(),
            password: password.into(),
            methods: credential.methods.clone(),
        })
    }
}

/// What a password is sealed as: the names of networks hold whatever their owners like, those in a vault do not.
pub(super) fn name_in_vault(key: &str) -> String {
    format!("password-{}", landfall_dpp::crypto::sha256(&[key.as_bytes()]))
}
