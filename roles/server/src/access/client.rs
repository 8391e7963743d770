//! Access points and switches, which are RADIUS's clients.

use crate::{
    RoleError,
    settings::{AccessClientSettings, Settings, Subnet},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use landfall_eap::radius::Secret;
use landfall_pki::Certificate;
use landfall_types::{Fingerprint, OwnerId, Redacted};
use std::{net::IpAddr, path::PathBuf};

/// An access point or switch.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) name: String,
    /// What it shares with the server where it is known by its address.
    pub(super) secret: Option<Secret>,
    /// Where it takes orders.
    pub(super) orders: Option<u16>,
    /// Whether it moves sessions when told to (CoA), or just ends them.
    pub(super) changes: bool,
    /// Whose devices' passwords it is told.
    pub(super) tenant: OwnerId,
    addresses: Vec<Subnet>,
    names: Vec<String>,
    fingerprints: Vec<Fingerprint>,
    token: Option<Redacted<Vec<u8>>>,
}

impl Client {
    /// One that asks from `addresses`, and takes orders at the port `orders`.
    pub fn new(name: impl Into<String>, addresses: Vec<Subnet>, secret: Secret, orders: Option<u16>) -> Self {
        Self { secret: Some(secret), orders, addresses, ..Self::named(name) }
    }

    /// One that is known over TLS only, by a DNS name in its certificate.
    pub fn over_tls(name: impl Into<String>, dns_name: impl Into<String>) -> Self {
        Self { names: vec![dns_name.into()], ..Self::named(name) }
    }

    /// One that is known over TLS only, by its certificate's SHA-256.
    pub fn pinned(name: impl Into<String>, certificate: Fingerprint) -> Self {
        Self { fingerprints: vec![certificate], ..Self::named(name) }
    }

    /// A RADIUS server that asks by HTTP, and is known by its name and a token.
    pub fn with_token(name: impl Into<String>, token: Redacted<Vec<u8>>) -> Self {
        Self { token: Some(token), ..Self::named(name) }
    }

    fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            secret: None,
            orders: None,
            changes: false,
            tenant: OwnerId::home(),
            addresses: Vec::new(),
            names: Vec::new(),
            fingerprints: Vec::new(),
            token: None,
        }
    }

    /// The same, if it moves sessions when told to (RFC 5176 s2.2).
    #[must_use]
    pub fn with_changes(self, changes: bool) -> Self {
        Self { changes, ..self }
    }

    /// With its secret read.
    pub(crate) fn load(client: &AccessClientSettings, settings: &Settings) -> Result<Self, RoleError> {
        let read = |path: Option<&PathBuf>| {
            let Some(path) = path.map(|path| settings.resolve(path)) else { return Ok(None) };
            let what = || format!("what is shared with {} in {}", client.name, path.display());
            let text = std::fs::read_to_string(&path).map(Redacted::new).map_err(RoleError::while_(what()))?;
            let line = Redacted::new(text.expose().lines().next().unwrap_or_default().as_bytes().to_vec());
            match line.expose().len() {
                0 => Err(RoleError::new(what(), "is nothing")),
                _ => Ok(Some(line)),
            }
        };
        let secret =
            read(Some(&client.secret_file).filter(|path| !path.as_os_str().is_empty()))?.map(Secret::new).transpose();
        Ok(Self {
            name: client.name.clone(),
            secret: secret.map_err(RoleError::while_(format!("the secret of {}", client.name)))?,
            token: read(client.token_file.as_ref())?,
            orders: client.orders,
            changes: client.changes,
            tenant: client.tenant.clone(),
            addresses: client.addresses.clone(),
            names: client.certificate_names.clone(),
            fingerprints: client.certificate_fingerprints.clone(),
        })
    }

    /// The secret by which it is known there.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Secret> {
        self.secret.as_ref().filter(|_| self.addresses.iter().any(|subnet| subnet.contains(address)))
    }

    /// Whether that is its certificate by a name in it, if the certificate leads to what is trusted.
    pub(super) fn has_name_of(&self, certificate: &Certificate) -> bool {
        let names = certificate.dns_names();
        self.names.iter().any(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own)))
    }

    /// Whether that is its token.
    pub(super) fn has_token(&self, given: &[u8]) -> bool {
        self.token.as_ref().is_some_and(|token| verify_slices_are_equal(token.expose(), given).is_ok())
    }

    /// Whether that is its very certificate.
    pub(super) fn has_pinned(&self, certificate: &Certificate) -> bool {
        self.fingerprints.contains(&certificate.fingerprint())
    }
}
