//! The supply chain service: tenants that register devices, sell them to each other, and receive what they bought.

use super::Bootstrapping;
use landfall_types::{Fingerprint, OwnerId, Record, Time};
use serde::{Deserialize, Serialize};

/// The log of every change of hands in the supply chain service.
pub const SUPPLY_LOG: &str = "supply-chain";

/// Somebody who uses the service: a manufacturer, a seller, an owner. What it has is seen by nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tenant {
    /// Its name, by which others sell to it.
    pub id: OwnerId,
    /// The SHA-256 of certificates by which its clients are known: their own, or that of a CA which issues to them alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Fingerprint>,
    /// What its clients may show instead of a certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
}

/// A bearer token, of which only the hash is kept: it is 256 random bits, so that the hash tells nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Token {
    /// The SHA-256 of the token as text.
    pub hash: Fingerprint,
    /// When it was made.
    pub made: Time,
}

impl Tenant {
    /// The index by certificate.
    pub const BY_CERTIFICATE: &'static str = "certificate";
    /// The index by the hash of a token.
    pub const BY_TOKEN: &'static str = "token";

    /// A tenant that nobody can act for yet.
    pub const fn new(id: OwnerId) -> Self {
        Self { id, certificates: Vec::new(), tokens: Vec::new() }
    }
}

impl Record for Tenant {
    const COLLECTION: &'static str = "tenant";

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let certificates = self.certificates.iter().map(|hash| (Self::BY_CERTIFICATE, hash.to_string()));
        let tokens = self.tokens.iter().map(|token| (Self::BY_TOKEN, token.hash.to_string()));
        certificates.chain(tokens).collect()
    }
}

/// How many arrivals a tenant's feed has. Whoever adds to the feed writes this too, so that no number is used twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Whose.
    pub tenant: OwnerId,
    /// The number of the last arrival.
    pub last: u64,
}

impl Record for Feed {
    const COLLECTION: &'static str = "supply-feed";

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// Something that changed in a tenant's book, for the tenant to hear of. It names the device only: what is told is how
/// the book has it when the tenant asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Arrival {
    /// Whose book.
    pub tenant: OwnerId,
    /// The number of the change in the tenant's feed; the first has 1.
    pub number: u64,
    /// The device's bootstrapping key.
    pub bootstrap_hash: Fingerprint,
}

impl Arrival {
    /// The key of the arrival of `tenant` with that number; keys are in the order of the numbers.
    pub fn key_of(tenant: &OwnerId, number: u64) -> String {
        format!("{}{number:020}", Bootstrapping::keys_of(tenant))
    }
}

impl Record for Arrival {
    const COLLECTION: &'static str = "supply-arrival";

    fn key(&self) -> String {
        Self::key_of(&self.tenant, self.number)
    }
}

/// How far an owner has taken in what a service has for it: written together with what was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Intake {
    /// The service, host and port.
    pub service: String,
    /// Into whose book it goes here.
    pub tenant: OwnerId,
    /// The number of the last arrival that was taken in.
    pub last: u64,
}

impl Intake {
    /// The key of the record for that service and that tenant.
    pub fn key_of(service: &str, tenant: &OwnerId) -> String {
        format!("{}{service}", Bootstrapping::keys_of(tenant))
    }
}

impl Record for Intake {
    const COLLECTION: &'static str = "supply-intake";

    fn key(&self) -> String {
        Self::key_of(&self.service, &self.tenant)
    }
}

/// A device that a service has for an owner, and another tenant here holds still: it comes into the owner's book as soon
/// as the other releases it. Written together with how far the intake got, so that no device is forgotten on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Awaited {
    /// The service, host and port.
    pub service: String,
    /// The device as it will stand in the owner's book.
    pub device: Bootstrapping,
}

impl Awaited {
    /// The key of the record for that service, that tenant and that bootstrapping key.
    pub fn key_of(service: &str, tenant: &OwnerId, bootstrap_hash: &Fingerprint) -> String {
        format!("{}{bootstrap_hash}", Self::keys_of(service, tenant))
    }

    /// What the keys of all that is awaited from that service for that tenant begin with, and of nothing else.
    pub fn keys_of(service: &str, tenant: &OwnerId) -> String {
        format!("{}/", Intake::key_of(service, tenant))
    }
}

impl Record for Awaited {
    const COLLECTION: &'static str = "supply-awaited";

    fn key(&self) -> String {
        Self::key_of(&self.service, &self.device.tenant, &self.device.bootstrap_hash)
    }
}

/// What the log says of a device in the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum SupplyEvent {
    /// A tenant registered it.
    Registered {
        /// Its bootstrapping key.
        bootstrap_hash: Fingerprint,
        /// The tenant.
        tenant: OwnerId,
        /// When.
        at: Time,
    },
    /// A tenant sold it to another.
    Sold {
        /// Its bootstrapping key.
        bootstrap_hash: Fingerprint,
        /// Who sold it.
        from: OwnerId,
        /// Who bought it.
        to: OwnerId,
        /// The sale.
        sale: String,
        /// When.
        at: Time,
    },
    /// The tenant that has it struck it off.
    Withdrawn {
        /// Its bootstrapping key.
        bootstrap_hash: Fingerprint,
        /// The tenant.
        tenant: OwnerId,
        /// Why.
        why: String,
        /// When.
        at: Time,
    },
}
