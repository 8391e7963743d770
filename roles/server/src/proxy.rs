//! The join proxy: circuits between pledges on a link and the registrar (RFC 8995 s4).

use crate::{
    role::{RoleError, RoleName, Shutdown, Task},
    settings::ProxySettings,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::proxy::Offer;
use landfall_net::{
    discovery::{Announcement, Announcer, Browser, Interface, Service},
    proxy::{Proxy, ProxyLimits},
};
use landfall_types::Fingerprint;
use std::net::SocketAddr;
use tokio::{
    net::{TcpListener, lookup_host},
    sync::watch,
};

/// How a join proxy is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where pledges reach it.
    pub listen: SocketAddr,
    /// The registrar behind it.
    pub registrar: Registrar,
    /// The interfaces on which it announces itself, if it does.
    pub announce: Option<Vec<Interface>>,
    /// What pledges may use of it.
    pub limits: ProxyLimits,
}

/// How the registrar is found.
#[derive(Clone, Debug)]
pub enum Registrar {
    /// It is there.
    At(SocketAddr),
    /// By what registrars announce on these interfaces.
    Discovered(Vec<Interface>),
}

impl Config {
    /// What `settings` mean on this machine; looks up the registrar's name.
    pub async fn from_settings(settings: &ProxySettings) -> Result<Self, RoleError> {
        let interfaces =
            || Interface::select(&settings.interfaces).map_err(RoleError::while_("the interfaces (proxy.interfaces)"));
        let registrar = match &settings.registrar {
            None => Registrar::Discovered(interfaces()?),
            Some(name) => {
                let what = || format!("the registrar {name} (proxy.registrar)");
                let mut found = lookup_host(name).await.map_err(RoleError::while_(what()))?;
                Registrar::At(found.next().ok_or_else(|| RoleError::new(what(), "has no address"))?)
            }
        };
        Ok(Self {
            listen: settings.listen,
            registrar,
            announce: settings.announce.then(interfaces).transpose()?,
            limits: ProxyLimits {
                circuits: settings.connections,
                per_source: settings.connections_per_source,
                idle: settings.idle.duration(),
                ..ProxyLimits::default()
            },
        })
    }

    /// Binds the listener.
    pub async fn build(self, shutdown: Shutdown) -> Result<Task, RoleError> {
        let what = format!("listening on {} (proxy.listen)", self.listen);
        let listener = TcpListener::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = listener.local_addr().map_err(RoleError::while_(&*what))?;
        Ok(Task::new(RoleName::Proxy, address, self.run(listener, address, shutdown)))
    }

    async fn run(self, listener: TcpListener, address: SocketAddr, shutdown: Shutdown) -> Result<(), RoleError> {
        let _announcer = match &self.announce {
            Some(interfaces) => Some(announce(Service::Proxy, address.port(), interfaces)?),
            None => None,
        };
        let (found, registrar) = watch::channel(None);
        let _search = match self.registrar {
            Registrar::At(registrar) => {
                found.send_replace(Some(registrar));
                None
            }
            Registrar::Discovered(interfaces) => {
                let browser = Browser::start(Service::Registrar, &interfaces)
                    .map_err(RoleError::while_("looking for a registrar"))?;
                Some(AbortOnDrop(tokio::spawn(follow(browser, found.clone()))))
            }
        };
        Proxy::new(listener, registrar, self.limits).run(shutdown.watch()).await;
        Ok(())
    }
}

/// Announces a service of this machine until what is returned is dropped.
pub(crate) fn announce(service: Service, port: u16, interfaces: &[Interface]) -> Result<Announcer, RoleError> {
    Announcer::start(&announcement(service, port)?, interfaces).map_err(RoleError::while_("announcing the service"))
}

fn announcement(service: Service, port: u16) -> Result<Announcement, RoleError> {
    let kind = match service {
        Service::Proxy => "landfall-proxy",
        Service::Registrar => "landfall-registrar",
        Service::Controller => "landfall-configurator",
        Service::Bootstrapping => "landfall-supply-chain",
    };
    let name = unique(kind)?;
    Ok(Announcement { service, name, port, link_local_only: false })
}

/// Tells of a service of Wi-Fi Easy Connect of `organization`, and of its bootstrapping key, if it has one, by the SHA-256
/// (DPP s12).
pub(crate) fn announce_dpp(
    service: Service,
    port: u16,
    organization: &str,
    key: Option<&Fingerprint>,
    interfaces: &[Interface],
) -> Result<Announcer, RoleError> {
    let hash = key.map(|key| STANDARD.encode(key.0));
    let mut text = vec![("txtversion", "1"), ("organization", organization)];
    text.extend(hash.as_ref().map(|hash| ("bskeyhash", hash.as_str())));
    Announcer::by_mdns(&announcement(service, port)?, &text, interfaces)
        .map_err(RoleError::while_("announcing the service"))
}

/// RFC 6763 s4.1.1: an instance's name is unique on its link, and a link may have several of a kind.
fn unique(kind: &str) -> Result<String, RoleError> {
    let mut suffix = [0; 4];
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| RoleError::new("announcing the service", "no random bytes"))?;
    Ok(format!("{kind}-{}", hex::encode(suffix)))
}

/// Keeps to the registrar that was announced last. Nothing in an announcement is authenticated; a wrong one leads
/// pledges to a registrar that cannot show them a voucher.
async fn follow(mut browser: Browser, found: watch::Sender<Option<SocketAddr>>) {
    while let Some(offer) = browser.next().await {
        let Some(address) = resolve(&offer).await else { continue };
        if found.send_replace(Some(address)) != Some(address) {
            tracing::info!(registrar = %address, source = %offer.source, "a registrar announced itself");
        }
    }
}

async fn resolve(offer: &Offer) -> Option<SocketAddr> {
    match offer.address.socket(offer.port) {
        Some(address) => Some(address),
        None => lookup_host((offer.address.to_string(), offer.port)).await.ok()?.next(),
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
