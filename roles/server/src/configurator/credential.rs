//! The credentials that devices were given, for access points and for operators: passwords go to access points only.

use super::{Configurator, Tenant};
use crate::{World, exchange::Failure, registrar::CertificateRecord};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_lifecycle::network::{CERTIFICATE_LOG, CREDENTIAL_LOG, NetworkCredential, Revocation, SharedSecret};
use landfall_store::ReadError;
use landfall_types::{Changes, DeviceId, Record, Redacted, Time};

/// More networks than a device is ever configured for, and more certificates than it ever has.
const MOST: usize = 1000;

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

/// What takes back what a device is not to have any more.
pub(super) struct Withdrawal {
    pub(super) changes: Changes,
    /// Whether certificates are among it, so that a new list of those that are revoked is due.
    pub(super) certificates: bool,
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

    /// Takes back what leads `device` into networks that are not among the `given`, those that it has from now on: the
    /// credentials are deleted, and the certificates that led nowhere else are revoked.
    pub(super) fn withdraw(
        &self,
        device: &DeviceId,
        given: &[&NetworkCredential],
        at: Time,
    ) -> Result<Withdrawal, Failure> {
        let store = &self.world.store;
        let found = store.find_by::<NetworkCredential>(NetworkCredential::BY_DEVICE, device.as_str(), MOST)?;
        let is_given = |network: &str| given.iter().any(|given| given.network == network);
        let gone = found.into_iter().filter(|found| found.deleted.is_none() && !is_given(&found.network));
        let mut changes = Changes::new();
        let mut certificates: Vec<String> = Vec::new();
        for gone in gone {
            let why = format!("it was configured anew, without {:?}", gone.network);
            let record = gone.record.deleted(Revocation { at, by: "configurator".into(), why });
            changes = changes.put_if(&record, gone.version)?.append(CREDENTIAL_LOG, &record.log_entry())?;
            certificates.extend(record.certificate);
        }
        if certificates.is_empty() {
            return Ok(Withdrawal { changes, certificates: false });
        }
        let mut revoked_any = false;
        for found in CertificateRecord::of_device(store, device)? {
            let key = found.key();
            let still = given.iter().any(|given| given.certificate.as_deref() == Some(key.as_str()));
            if found.revoked.is_none() && certificates.contains(&key) && !still {
                let why = "it was configured anew, for other networks".into();
                let revoked = Some(Revocation { at, by: "configurator".into(), why });
                let record = CertificateRecord { revoked, ..found.record };
                changes = changes.put_if(&record, found.version)?.append(CERTIFICATE_LOG, &record.log_entry())?;
                revoked_any = true;
            }
        }
        Ok(Withdrawal { changes, certificates: revoked_any })
    }

    fn open(&self, credential: &NetworkCredential, secret: &SharedSecret) -> Result<Password, Unreadable> {
        let password = open(&self.world, credential, secret)?;
        Ok(Password {
            name: credential.key.to_string().chars().take(16).collect(),
            mac: secret.mac.clone(),
            identifier: secret.identifier.clone(),
            password,
            methods: credential.methods.clone(),
        })
    }
}

/// The password that a device has for itself, for access points.
pub(crate) fn open(
    world: &World,
    credential: &NetworkCredential,
    secret: &SharedSecret,
) -> Result<Redacted<String>, Unreadable> {
    let sealed = STANDARD.decode(&secret.sealed).map_err(|why| Unreadable::Sealed(why.to_string()))?;
    let vault = world.element.vault();
    let vault = vault.ok_or_else(|| Unreadable::Sealed("the element opens nothing".into()))?;
    let name = name_in_vault(&NetworkCredential::key_of(&credential.device, &credential.network));
    let password = vault.open(&name, &sealed).map_err(|why| Unreadable::Sealed(why.to_string()))?;
    let password = String::from_utf8(password.expose().clone());
    Ok(password.map_err(|_| Unreadable::Sealed("it is no text".into()))?.into())
}

/// What a password is sealed as: the names of networks hold whatever their owners like, those in a vault do not.
pub(super) fn name_in_vault(key: &str) -> String {
    format!("password-{}", landfall_dpp::crypto::sha256(&[key.as_bytes()]))
}
