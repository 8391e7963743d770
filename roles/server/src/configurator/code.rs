//! Codes of PKEX (DPP s5.6): each is for one device that its owner expects, and is worth nothing after five failures.
//!
//! An attempt counts as failed, on record, before its answer can be known, so that no restart gives anyone a guess more.

use super::{Configurator, Tenant};
use crate::exchange::Failure;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::pkex::Code;
use landfall_lifecycle::transfer::{Bootstrapping, DppRole};
use landfall_store::{ReadError, Store, Versioned};
use landfall_types::{Changes, Fault, Fingerprint, Model, OwnerId, Record, Redacted, Refusal, SerialNumber, Time};
use serde::{Deserialize, Serialize};

const SECTION: &str = "DPP s5.6";
/// More codes than a tenant ever has.
const MOST: usize = 10_000;
/// How often a record is written anew when others write it at the same time.
const ATTEMPTS: usize = 16;

/// A code, by which one device is to be introduced. It is gone once that device is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PkexCode {
    /// Whose device it is for.
    pub tenant: OwnerId,
    /// By what devices tell the tenant's codes apart; one code has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The code, sealed by the element and in base64.
    sealed: String,
    /// The serial number of the device, if its owner knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<SerialNumber>,
    /// Its model, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// What it is to become in the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<DppRole>,
    /// When it was made.
    pub made: Time,
    /// How often it has failed.
    pub failures: u8,
    /// The hash of the bootstrapping key of the device that had the code: it is nobody else's from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Fingerprint>,
}

/// A code as its owner tells it.
#[derive(Debug)]
pub(crate) struct NewCode {
    pub(crate) identifier: Option<String>,
    pub(crate) code: Redacted<String>,
    pub(crate) serial_number: Option<SerialNumber>,
    pub(crate) model: Option<Model>,
    pub(crate) role: Option<DppRole>,
}

impl Record for PkexCode {
    const COLLECTION: &'static str = "pkex-code";

    fn key(&self) -> String {
        Self::key_of(&self.tenant, self.identifier.as_deref())
    }
}

impl PkexCode {
    /// The key of the code of `tenant` with that identifier.
    pub fn key_of(tenant: &OwnerId, identifier: Option<&str>) -> String {
        let name = identifier.map(|identifier| landfall_dpp::crypto::sha256(&[identifier.as_bytes()]).to_string());
        format!("{}{}", Bootstrapping::keys_of(tenant), name.unwrap_or_default())
    }

    /// Whether it has failed too often.
    pub const fn is_dead(&self) -> bool {
        self.failures >= Code::ATTEMPTS
    }

    fn name_in_vault(key: &str) -> String {
        format!("pkex-{}", landfall_dpp::crypto::sha256(&[key.as_bytes()]))
    }
}

impl Configurator {
    /// Takes a code for a device of the tenant's.
    pub(crate) async fn add_code(&self, tenant: &Tenant, new: NewCode) -> Result<PkexCode, Refusal> {
        let NewCode { identifier, code, serial_number, model, role } = new;
        let refused = |check, why: String| Refusal::new(Fault::Denied, check, SECTION, why);
        Code::new(identifier.as_deref(), code.expose().as_bytes())
            .map_err(|why| refused("pkex-code", why.to_string()))?;
        let backend = |why: String| Refusal::new(Fault::Backend, "pkex-code", SECTION, why);
        let name = PkexCode::name_in_vault(&PkexCode::key_of(&tenant.id, identifier.as_deref()));
        let vault = self.world.element.vault().ok_or_else(|| backend("the element seals nothing".into()))?;
        let sealed = vault.seal(&name, code.expose().as_bytes()).map_err(|why| backend(why.to_string()))?;
        let (tenant, made) = (tenant.id.clone(), self.world.clock.now());
        let sealed = STANDARD.encode(sealed);
        let record =
            PkexCode { tenant, identifier, sealed, serial_number, model, role, made, failures: 0, device: None };
        let changes = Changes::new().insert(&record).map_err(|why| backend(why.to_string()))?;
        match self.world.store.commit(changes).await {
            Ok(_) => Ok(record),
            Err(why) if why.is_conflict() => {
                Err(refused("pkex-identifier", "there is a code with this identifier: remove that first".into()))
            }
            Err(why) => Err(backend(why.to_string())),
        }
    }

    /// The tenant's codes, in no order that tells anything.
    pub(crate) fn codes(&self, tenant: &Tenant) -> Result<Vec<PkexCode>, ReadError> {
        of(&self.world.store, &tenant.id)
    }

    /// Forgets a code; false if there is none with that identifier.
    pub(crate) async fn remove_code(&self, tenant: &Tenant, identifier: Option<&str>) -> Result<bool, Failure> {
        let key = PkexCode::key_of(&tenant.id, identifier);
        if self.world.store.find::<PkexCode>(&key)?.is_none() {
            return Ok(false);
        }
        self.world.store.commit(Changes::new().delete::<PkexCode>(key)).await?;
        Ok(true)
    }

    /// The code of `record`, for one exchange.
    pub(super) fn open_code(&self, record: &PkexCode) -> Result<Code, Refusal> {
        let failed = |why: &str| Refusal::new(Fault::Backend, "pkex-code", SECTION, why);
        let vault = self.world.element.vault().ok_or_else(|| failed("the element opens nothing"))?;
        let sealed = STANDARD.decode(&record.sealed).map_err(|_| failed("a code on record is not base64"))?;
        let name = PkexCode::name_in_vault(&record.key());
        let code = vault.open(&name, &sealed).map_err(|why| failed(&why.to_string()))?;
        Code::with_failures(record.identifier.as_deref(), code.expose(), record.failures)
            .map_err(|why| failed(&why.to_string()))
    }

    /// Counts an attempt at the code as failed, until it has turned out well.
    pub(super) async fn attempt(&self, key: &str) -> Result<(), Refusal> {
        let failed = |why: String| Refusal::new(Fault::Backend, "pkex-code", SECTION, why);
        for _ in 0..ATTEMPTS {
            let found = self.world.store.find::<PkexCode>(key).map_err(|why| failed(why.to_string()))?;
            let Versioned { mut record, version } = alive(found)?;
            record.failures += 1;
            let changes = Changes::new().put_if(&record, version).map_err(|why| failed(why.to_string()))?;
            match self.world.store.commit(changes).await {
                Err(why) if why.is_conflict() => {}
                done => return done.map(drop).map_err(|why| failed(why.to_string())),
            }
        }
        Err(failed("too many try this code at once".into()))
    }
}

/// A code that is worth something.
pub(super) fn alive(found: Option<Versioned<PkexCode>>) -> Result<Versioned<PkexCode>, Refusal> {
    let refused = |check, why| Refusal::new(Fault::Denied, check, SECTION, why);
    match found {
        None => Err(refused("pkex-known", "nobody expects a device with such a code")),
        Some(found) if found.is_dead() => Err(refused("pkex-attempts", "the code has failed too often: make another")),
        Some(found) => Ok(found),
    }
}

fn of(store: &Store, tenant: &OwnerId) -> Result<Vec<PkexCode>, ReadError> {
    let found = store.scan::<PkexCode>(Some(Bootstrapping::keys_of(tenant).trim_end_matches('/')), MOST)?;
    Ok(found.into_iter().map(|found| found.record).filter(|code| code.tenant == *tenant).collect())
}

/// What ends the code by which the device with that bootstrapping key was introduced.
pub(super) fn used_by(store: &Store, tenant: &OwnerId, device: &Fingerprint) -> Result<Changes, ReadError> {
    let used = of(store, tenant)?.into_iter().filter(|code| code.device == Some(*device));
    Ok(used.fold(Changes::new(), |changes, code| changes.delete::<PkexCode>(code.key())))
}
