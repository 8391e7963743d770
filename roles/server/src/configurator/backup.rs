//! The configurator's keys in an envelope (DPP s7.5): another one that opens it signs connectors that the same devices
//! and access points believe.

use super::{
    Configurator, Tenant,
    keys::{Exported, Unusable},
};
use landfall_dpp::{backup, crypto::Secret};
use landfall_types::{Event, Fault, Outcome, Process, Redacted, Refusal};
use serde_json::json;
use std::{fmt::Display, time::Duration};

const SECTION: &str = "DPP s7.5";
/// The format has a passphrase hashed a thousand times only, which is little: so it has to be a long one.
const SHORTEST: usize = 16;

impl Configurator {
    /// Puts a new key in the place of the one that signs the tenant's connectors.
    pub(crate) async fn rotate(&self, tenant: &Tenant) -> Result<(), String> {
        let curve = tenant.keys.csign().public().curve();
        let rotated = tenant.keys.rotate(&tenant.id, curve, &self.world).await;
        let failed = |why: &String| Refusal::new(Fault::Backend, "configurator-key", SECTION, why.clone());
        self.tell(&tenant.id, "configurator-key-rotated", rotated.as_ref().err().map(failed)).await;
        rotated.map(drop)
    }

    /// The keys that sign and signed the tenant's connectors, sealed for whoever knows the passphrase.
    pub(crate) async fn backup(&self, tenant: &Tenant, passphrase: &Redacted<String>) -> Result<Vec<u8>, Refusal> {
        let sealed = match passphrase.expose().len() {
            SHORTEST.. => sealed(tenant, &Secret::new(passphrase.expose().as_bytes().to_vec())),
            _ => Err(Refusal::new(
                Fault::Misuse,
                "configurator-passphrase",
                SECTION,
                format!("a passphrase has {SHORTEST} characters or more"),
            )),
        };
        self.tell(&tenant.id, "configurator-backed-up", sealed.as_ref().err().cloned()).await;
        sealed
    }

    /// Signs the tenant's connectors with the latest key in the envelope from now on, and knows again what the others
    /// signed.
    pub(crate) async fn restore(
        &self,
        tenant: &Tenant,
        envelope: &[u8],
        passphrase: &Redacted<String>,
    ) -> Result<(), Refusal> {
        let restored = match backup::open(envelope, &Secret::new(passphrase.expose().as_bytes().to_vec())) {
            Ok(keys) => {
                let keys =
                    keys.into_iter().map(|key| Exported { csign: key.csign, privacy: key.privacy_key }).collect();
                tenant.keys.restore(&tenant.id, keys, &self.world).await.map_err(unusable)
            }
            Err(why) => Err(why.refusal()),
        };
        self.tell(&tenant.id, "configurator-restored", restored.as_ref().err().cloned()).await;
        restored
    }

    pub(super) async fn tell(&self, about: &(impl Display + Sync), action: &'static str, refusal: Option<Refusal>) {
        let (at, process, role, duration) = (self.world.clock.now(), Process::Network, "configurator", Duration::ZERO);
        let outcome = refusal.map_or(Outcome::Done, Outcome::Refused);
        let device = about.to_string();
        self.world.recorder.close(Event { at, process, role, action, device, outcome, duration }).await;
    }
}

/// The tenant's keys for whoever knows the password.
pub(super) fn sealed(tenant: &Tenant, password: &Secret) -> Result<Vec<u8>, Refusal> {
    let keys = tenant.keys.exported().map_err(unusable)?;
    let network = tenant.networks.first();
    let template = json!({
        "wi-fi_tech": "infra",
        "discovery": { "ssid": network.map_or("", |network| &network.ssid) },
        "cred": { "akm": network.map_or_else(|| "dpp".to_owned(), |network| network.akm.to_string()) },
    });
    let configurators: Vec<_> = keys
        .into_iter()
        .map(|Exported { csign, privacy }| backup::Configurator {
            csign,
            privacy_key: privacy,
            config_template: Redacted::new(template.to_string()),
            connector_template: None,
        })
        .collect();
    Ok(backup::seal(&configurators, password, &mut super::keys::random)?)
}

pub(super) fn unusable(why: Unusable) -> Refusal {
    Refusal::new(Fault::Denied, "configurator-key", SECTION, why.to_string())
}
