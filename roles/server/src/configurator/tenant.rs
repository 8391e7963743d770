//! One of those whose devices are configured here: its keys, its networks, its policy. Nothing of it is another's.

use super::{certify::Issuer, config::TenantConfig, keys::Keys};
use crate::{
    RoleError, World,
    settings::{GroupSettings, MutualWish, NetworkSettings, Subnet},
};
use landfall_dpp::{Curve, Uri, config::Akms, exchange::Mutual};
use landfall_pki::Certificate;
use landfall_policy::Policy;
use landfall_types::{Fingerprint, Model, OwnerId};
use std::{net::IpAddr, time::Duration};

/// A tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name: in its device book are the devices that may come.
    pub id: OwnerId,
    relays: Vec<Subnet>,
    mutual: MutualWish,
    /// Its networks, the best first.
    pub networks: Vec<Network>,
    pub(super) policy: Policy,
    pub(super) keys: Keys,
    /// Who issues certificates for its networks with 802.1X, if it has one.
    pub(super) issuer: Option<Issuer>,
    /// Whether devices are asked how joining went.
    pub(super) ask_status: bool,
}

/// A network that devices are configured for.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name on the air.
    pub ssid: String,
    /// How it is joined.
    pub akm: Akms,
    models: Vec<Model>,
    groups: Vec<GroupSettings>,
    /// How long a connector lasts, if it ends.
    pub expires: Option<Duration>,
    mutual: MutualWish,
    pub(super) eap_server: Option<String>,
    pub(super) eap_anchor: Option<Certificate>,
}

impl Tenant {
    /// The tenant of `config`, with its keys, which are made if there are none.
    pub(super) async fn open(config: TenantConfig, ask_status: bool, world: &World) -> Result<Self, RoleError> {
        let TenantConfig { settings, issuer, eap_anchors } = config;
        let keys = Keys::open(&settings.id, settings.csign.0, settings.exportable, world).await?;
        let networks = settings.network.into_iter().zip(eap_anchors);
        let networks = networks.map(|(network, anchor)| Network::new(network, anchor, settings.mutual)).collect();
        Ok(Self {
            relays: settings.relays,
            mutual: settings.mutual,
            networks,
            policy: settings.policy.unwrap_or_else(|| settings.acceptance.policy()),
            keys,
            issuer,
            ask_status,
            id: settings.id,
        })
    }

    /// Whether its access points may be at `address`.
    pub(super) fn is_relayed_from(&self, address: IpAddr) -> bool {
        self.relays.is_empty() || self.relays.iter().any(|subnet| subnet.contains(address))
    }

    /// The hashes of its bootstrapping keys, in the order of the curves.
    pub(super) fn bootstrap_hashes(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        Curve::ALL.into_iter().map(|curve| self.keys.bootstrap(curve).public().bootstrap_hash())
    }

    /// Its bootstrapping keys: the curve, the URI and the hash of each.
    pub fn uris(&self) -> impl Iterator<Item = (Curve, Uri, Fingerprint)> + '_ {
        Curve::ALL.into_iter().map(|curve| {
            let key = self.keys.bootstrap(curve).public();
            let uri = Uri { version: Some(3), ..Uri::of(key.clone()) };
            (curve, uri, key.bootstrap_hash())
        })
    }

    /// The ids of the keys that signed its connectors, the present one last.
    pub fn signers(&self) -> Vec<String> {
        self.keys.signers().iter().map(|held| landfall_dpp::jwk::kid(held.public())).collect()
    }

    /// The curve of its bootstrapping key with that hash.
    pub(super) fn bootstrap_curve(&self, hash: &Fingerprint) -> Option<Curve> {
        Curve::ALL.into_iter().find(|curve| self.keys.bootstrap(*curve).public().bootstrap_hash() == *hash)
    }

    /// Whether a device has to authenticate the network, before it is known which network it gets.
    pub(super) fn mutual(&self) -> Mutual {
        let all = |wish| !self.networks.is_empty() && self.networks.iter().all(|network| network.mutual == wish);
        match self.mutual {
            _ if all(MutualWish::Required) => Mutual::Required,
            _ if all(MutualWish::Never) => Mutual::Never,
            MutualWish::Never if self.networks.is_empty() => Mutual::Never,
            MutualWish::Required if self.networks.is_empty() => Mutual::Required,
            _ => Mutual::IfKnown,
        }
    }
}

impl Network {
    fn new(settings: NetworkSettings, eap_anchor: Option<Certificate>, mutual: MutualWish) -> Self {
        let everybody = |id| GroupSettings { id, models: Vec::new() };
        let named: Vec<_> = settings.groups.into_iter().map(everybody).chain(settings.group).collect();
        let groups = if named.is_empty() { vec![everybody(settings.ssid.clone())] } else { named };
        Self {
            ssid: settings.ssid,
            akm: settings.kind.0,
            models: settings.models,
            groups,
            expires: settings.expires.map(|span| span.duration()),
            mutual: settings.mutual.unwrap_or(mutual),
            eap_server: settings.eap_server,
            eap_anchor,
        }
    }

    /// Whether it is for devices of that model.
    pub(super) fn is_for(&self, model: Option<&Model>) -> bool {
        fits(&self.models, model)
    }

    /// Whether it takes devices that did not authenticate it.
    pub(super) fn takes_ducklings(&self) -> bool {
        self.mutual != MutualWish::Required
    }

    /// The groups of a device of that model.
    pub(super) fn groups_for(&self, model: Option<&Model>) -> impl Iterator<Item = &str> {
        self.groups.iter().filter(move |group| fits(&group.models, model)).map(|group| group.id.as_str())
    }

    /// Every group that a device in it may have.
    pub(super) fn all_groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.id.as_str())
    }
}

/// An empty list restricts nothing.
fn fits(models: &[Model], model: Option<&Model>) -> bool {
    models.is_empty() || model.is_some_and(|model| models.contains(model))
}
