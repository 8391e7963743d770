//! Access points and switches, which are RADIUS's clients.

use crate::{
    RoleError,
    settings::{AccessClientSettings, Settings, Subnet},
};
use landfall_eap::radius::Secret;
use landfall_types::Redacted;
use std::net::IpAddr;

/// An access point or switch.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) name: String,
    pub(super) secret: Secret,
    /// Where it takes orders.
    pub(super) orders: Option<u16>,
    /// Whether it moves sessions when told to (CoA), or just ends them.
    pub(super) changes: bool,
    addresses: Vec<Subnet>,
}

impl Client {
    /// One that asks from `addresses`, and takes orders at the port `orders`.
    pub fn new(name: impl Into<String>, addresses: Vec<Subnet>, secret: Secret, orders: Option<u16>) -> Self {
        Self { name: name.into(), secret, orders, changes: false, addresses }
    }

    /// The same, if it moves sessions when told to (RFC 5176 s2.2).
    #[must_use]
    pub fn with_changes(self, changes: bool) -> Self {
        Self { changes, ..self }
    }

    /// With its secret read.
    pub(crate) fn load(client: &AccessClientSettings, settings: &Settings) -> Result<Self, RoleError> {
        let path = settings.resolve(&client.secret_file);
        let what = || format!("the secret of {} in {}", client.name, path.display());
        let text = std::fs::read_to_string(&path).map(Redacted::new).map_err(RoleError::while_(what()))?;
        let line = text.expose().lines().next().unwrap_or_default();
        let secret = Secret::new(Redacted::new(line.as_bytes().to_vec())).map_err(RoleError::while_(what()))?;
        Ok(Self::new(&client.name, client.addresses.clone(), secret, client.orders).with_changes(client.changes))
    }

    /// Whether it asks from there.
    pub(super) fn is_at(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|subnet| subnet.contains(address))
    }
}
