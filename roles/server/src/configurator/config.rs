//! How a configurator is set up.

use super::{
    Configurator, Tenant,
    button::Buttons,
    certify::{Domain, Issuer},
    hand_over::HandOvers,
    refused::RefusedLately,
    underway::Underway,
};
use crate::{
    Identity, RoleError, World,
    external_ca::ExternalCa,
    identity::certificates,
    settings::{CertificateSettings, ConfiguratorSettings, NetworkSettings, Settings, TenantSettings},
};
use landfall_dpp::exchange::Timing;
use landfall_net::{discovery::Interface, listen::Bounds};
use landfall_pki::Certificate;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// How long a device waits for a decision before it is told to come back. Behind the relay of hostapd 2.10, one that is
/// told so never hears more; after two seconds without an answer, though, a wpa_supplicant gives up.
const DECISION: Duration = Duration::from_secs(1);

/// How a configurator is set up: everything opened and loaded.
#[derive(Debug)]
pub struct Config {
    /// Where access points and devices reach it.
    pub listen: SocketAddr,
    /// The interfaces on which it announces itself, if it does.
    pub announce: Option<Vec<Interface>>,
    /// What the announcement calls its owner.
    pub organization: String,
    /// Whose devices it configures.
    pub tenants: Vec<TenantConfig>,
    /// What the listener bears.
    pub bounds: Bounds,
    /// How long a connection may stay without a whole frame.
    pub idle: Duration,
    /// How long it may stay without its first.
    pub first: Duration,
    /// How long to wait for the answer to a frame.
    pub response: Duration,
    /// How long to wait until a device tells how joining went; not at all if it is zero.
    pub join: Duration,
    /// How long a push of the button is good for.
    pub push: Duration,
    /// How long it is listened for other devices then.
    pub listening: Duration,
}

/// One tenant.
#[derive(Debug)]
pub struct TenantConfig {
    /// What its settings say.
    pub settings: TenantSettings,
    /// Who issues certificates for its networks with 802.1X, if it has one.
    pub(super) issuer: Option<Issuer>,
    /// What the certificates of its networks' EAP servers lead to, in the order of the networks.
    pub eap_anchors: Vec<Option<Certificate>>,
}

impl Config {
    /// What `configurator` means in `settings`, with every file that it names opened.
    pub fn from_settings(
        configurator: &ConfiguratorSettings,
        settings: &Settings,
        world: &World,
    ) -> Result<Self, RoleError> {
        let interfaces = || {
            Interface::select(&configurator.interfaces)
                .map_err(RoleError::while_("the interfaces (configurator.interfaces)"))
        };
        let limits = &configurator.limits;
        Ok(Self {
            listen: configurator.listen,
            announce: configurator.announce.then(interfaces).transpose()?,
            organization: configurator.organization.clone(),
            tenants: configurator
                .tenants()
                .map(|tenant| tenant_of(tenant, settings, world))
                .collect::<Result<_, _>>()?,
            bounds: Bounds { connections: limits.connections, drain: limits.drain.duration() },
            idle: limits.idle.duration(),
            first: limits.first.duration(),
            response: limits.response.duration(),
            join: limits.join.duration(),
            push: configurator.push_button.window.duration(),
            listening: configurator.push_button.listening.duration(),
        })
    }

    pub(super) async fn configurator(self, world: World) -> Result<Configurator, RoleError> {
        let mut tenants = std::collections::BTreeMap::new();
        let own = self.tenants.first().map(|tenant| tenant.settings.id.clone());
        let own = own.ok_or_else(|| RoleError::new("the configurator", "has no tenant"))?;
        for config in self.tenants {
            let tenant = Tenant::open(config, !self.join.is_zero(), &world).await?;
            tenants.insert(tenant.id.clone(), Arc::new(tenant));
        }
        let timing = Timing { response: self.response, connection: self.join, decision: DECISION, ..Timing::RELIABLE };
        Ok(Configurator {
            world,
            tenants,
            own,
            timing,
            idle: self.idle,
            first: self.first,
            underway: Underway::default(),
            buttons: Buttons::new(self.push, self.listening),
            hand_overs: HandOvers::default(),
            refused: RefusedLately::default(),
        })
    }
}

fn tenant_of(tenant: TenantSettings, settings: &Settings, world: &World) -> Result<TenantConfig, RoleError> {
    if tenant.id.as_str().len() > super::LONGEST_TENANT {
        return Err(RoleError::new(format!("the tenant {}", tenant.id), "has too long a name"));
    }
    let needs_certificates = tenant.network.iter().any(|network| network.kind.0.dot1x);
    let issuer = needs_certificates.then(|| issuer(&tenant, settings, world)).transpose()?;
    let eap_anchors = tenant.network.iter().map(|network| eap_anchor(network, settings)).collect::<Result<_, _>>()?;
    Ok(TenantConfig { settings: tenant, issuer, eap_anchors })
}

fn issuer(tenant: &TenantSettings, settings: &Settings, world: &World) -> Result<Issuer, RoleError> {
    let CertificateSettings { authority, lifetime, est } = &tenant.certificates;
    if let Some(est) = est {
        return ExternalCa::load(est, settings, world.element.as_ref()).map(|ca| Issuer::Elsewhere(Arc::new(ca)));
    }
    // The list of the domain's CA is the registrar's: what is revoked is in the records that they share.
    let registrar = settings.registrar.as_ref().filter(|registrar| registrar.authority == *authority);
    let crl_url = registrar.and_then(|registrar| registrar.crl_url.as_deref()).map(str::parse).transpose()?;
    let authority = Identity::load(authority, |path| settings.resolve(path), world.element.as_ref())?;
    Ok(Issuer::Here(Domain { authority, lifetime: lifetime.duration(), crl_url }))
}

fn eap_anchor(network: &NetworkSettings, settings: &Settings) -> Result<Option<Certificate>, RoleError> {
    let Some(path) = &network.eap_anchor else { return Ok(None) };
    Ok(certificates(&settings.resolve(path))?.into_iter().next())
}
