//! Looking for proxies and registrars.

use super::{Interface, Mdns, Service, mdns_error, socket};
use crate::NetError;
use landfall_brski::proxy::grasp::{Flood, MAX_SIZE};
use landfall_brski::proxy::{Host, Offer, Source};
use mdns_sd::{ResolvedService, ScopedIp, ServiceEvent};
use std::net::SocketAddr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Offers that are kept until somebody asks for them; more are forgotten, as they will be announced again.
const WAITING: usize = 64;

/// Hears announcements of one service until it is dropped.
#[derive(Debug)]
pub struct Browser {
    offers: mpsc::Receiver<Offer>,
    mdns: Option<Mdns>,
    listeners: JoinSet<()>,
}

impl Browser {
    /// Asks by mDNS and listens for GRASP floods on `interfaces`. It is enough if one of the two works on one of them.
    /// To be called within a Tokio runtime.
    ///
    /// # Errors
    /// The last [`NetError`] if neither works anywhere, or [`NetError::Misuse`] if there is no interface.
    pub fn start(service: Service, interfaces: &[Interface]) -> Result<Self, NetError> {
        let (found, offers) = mpsc::channel(WAITING);
        let mut browser = Self { offers, mdns: None, listeners: JoinSet::new() };
        let mut last = NetError::Misuse("there is no interface to look for others on".into());
        for interface in interfaces.iter().filter(|_| service.floods()) {
            match socket::listener(interface.index) {
                Ok(socket) => {
                    browser.listeners.spawn(hear_floods(socket, service, interface.index, found.clone()));
                }
                Err(error) => {
                    tracing::warn!(interface = interface.name, %error, "cannot hear GRASP");
                    last = error;
                }
            }
        }
        let browsing = Mdns::on(interfaces).and_then(|mdns| {
            let events = mdns.0.browse(service.mdns()).map_err(mdns_error)?;
            Ok((mdns, events))
        });
        match browsing {
            Ok((mdns, events)) => {
                browser.mdns = Some(mdns);
                browser.listeners.spawn(async move {
                    while let Ok(event) = events.recv_async().await {
                        if let ServiceEvent::ServiceResolved(service) = event {
                            offers_of(&service).into_iter().for_each(|offer| drop(found.try_send(offer)));
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot ask by mDNS");
                last = error;
            }
        }
        match browser.listeners.is_empty() {
            true => Err(last),
            false => Ok(browser),
        }
    }

    /// The next announcement, which may be of an offer made before. Nothing in it is authenticated.
    pub async fn next(&mut self) -> Option<Offer> {
        self.offers.recv().await
    }
}

async fn hear_floods(socket: tokio::net::UdpSocket, service: Service, interface: u32, found: mpsc::Sender<Offer>) {
    let mut datagram = [0; MAX_SIZE + 1];
    loop {
        let (length, from) = match socket.recv_from(&mut datagram).await {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "cannot hear GRASP any more");
                return;
            }
        };
        // RFC 8990 s2.8.11: floods go over one link only, so they come from a link-local address.
        let on_link = matches!(from, SocketAddr::V6(from) if from.ip().is_unicast_link_local());
        match Flood::decode(datagram.get(..length).unwrap_or_default()) {
            Ok(flood) if on_link => {
                let offers = match service {
                    Service::Proxy => flood.proxies(interface),
                    Service::Registrar => flood.registrars(interface),
                    Service::Controller | Service::Bootstrapping => Vec::new(),
                };
                offers.into_iter().for_each(|offer| drop(found.try_send(offer)));
            }
            Ok(_) => tracing::debug!(%from, "a flood from another link"),
            Err(error) => tracing::debug!(%from, %error, "not a flood"),
        }
    }
}

/// One offer for each address, link-local IPv6 first: it works without any configuration.
fn offers_of(service: &ResolvedService) -> Vec<Offer> {
    // RFC 6763 s7.1: an instance of a subtype is called after the type itself.
    let kind = service.ty_domain.rsplit("._sub.").next().unwrap_or_default();
    let name = service.fullname.strip_suffix(kind).unwrap_or(&service.fullname).trim_end_matches('.');
    let mut offers: Vec<Offer> = service
        .addresses
        .iter()
        .filter_map(host)
        .map(|address| Offer { name: name.into(), address, port: service.port, source: Source::Mdns, ttl: None })
        .collect();
    offers.sort_by_key(|offer| match &offer.address {
        Host::V6 { address, .. } if address.is_unicast_link_local() => 0,
        Host::V6 { .. } => 1,
        _ => 2,
    });
    offers
}

fn host(address: &ScopedIp) -> Option<Host> {
    match address {
        ScopedIp::V4(v4) => Some(Host::V4(*v4.addr())),
        ScopedIp::V6(v6) => {
            let address = *v6.addr();
            let scope = if address.is_unicast_link_local() { v6.scope_id().index } else { 0 };
            Some(Host::V6 { address, scope })
        }
        _ => None,
    }
}
