//! Being found.

use super::{Interface, Mdns, Service, mdns_error, socket};
use crate::NetError;
use aws_lc_rs::rand;
use landfall_brski::proxy::grasp::{Flood, PERIOD};
use mdns_sd::{IfKind, ServiceInfo};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::interval;

/// What to tell.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// What is offered.
    pub service: Service,
    /// What to call it, for people: one DNS label of at most 63 bytes.
    pub name: String,
    /// Its TCP port.
    pub port: u16,
    /// Whether only link-local IPv6 addresses are told, as of a proxy that listens on these alone.
    pub link_local_only: bool,
}

/// Announces a service by mDNS and GRASP until it is dropped.
#[derive(Debug)]
pub struct Announcer {
    mdns: Mdns,
    fullname: String,
    _floods: JoinSet<()>,
}

impl Announcer {
    /// Starts announcing on `interfaces`. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`NetError::Io`] if mDNS does not work here, [`NetError::Misuse`] if no interface has a fitting address.
    pub fn start(announcement: &Announcement, interfaces: &[Interface]) -> Result<Self, NetError> {
        Self::start_every(announcement, interfaces, PERIOD)
    }

    /// The same, with another period of GRASP floods than the usual minute.
    ///
    /// # Errors
    /// As [`Announcer::start`].
    pub fn start_every(
        announcement: &Announcement,
        interfaces: &[Interface],
        period: Duration,
    ) -> Result<Self, NetError> {
        let mut floods = JoinSet::new();
        for interface in interfaces {
            if let Some(address) = interface.link_local().filter(|_| announcement.service.floods()) {
                floods.spawn(flood(announcement.service, address, interface.index, announcement.port, period));
            }
        }
        Self::register(service_info(announcement, announcement.service.mdns(), &[], interfaces)?, floods, interfaces)
    }

    /// The same by mDNS only, with `text` as its TXT record, as services of Wi-Fi Easy Connect are told (DPP s12).
    ///
    /// # Errors
    /// As [`Announcer::start`].
    pub fn by_mdns(
        announcement: &Announcement,
        text: &[(&str, &str)],
        interfaces: &[Interface],
    ) -> Result<Self, NetError> {
        let info = service_info(announcement, announcement.service.mdns(), text, interfaces)?;
        Self::register(info, JoinSet::new(), interfaces)
    }

    fn register(info: ServiceInfo, floods: JoinSet<()>, interfaces: &[Interface]) -> Result<Self, NetError> {
        let fullname = info.get_fullname().to_owned();
        let mdns = Mdns::on(interfaces)?;
        mdns.0.register(info).map_err(mdns_error)?;
        Ok(Self { mdns, fullname, _floods: floods })
    }
}

impl Drop for Announcer {
    /// Says goodbye, so that nobody comes in vain.
    fn drop(&mut self) {
        let _ = self.mdns.0.unregister(&self.fullname);
    }
}

fn service_info(
    announcement: &Announcement,
    kind: &str,
    text: &[(&str, &str)],
    interfaces: &[Interface],
) -> Result<ServiceInfo, NetError> {
    let told = |address: &&IpAddr| match address {
        IpAddr::V6(v6) => v6.is_unicast_link_local() || !announcement.link_local_only,
        IpAddr::V4(_) => !announcement.link_local_only,
    };
    let addresses: Vec<IpAddr> =
        interfaces.iter().flat_map(|interface| &interface.addresses).filter(told).copied().collect();
    if addresses.is_empty() {
        return Err(NetError::Misuse("no interface has an address to announce".into()));
    }
    let host =
        format!("{}.local.", announcement.name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let mut info = ServiceInfo::new(kind, &announcement.name, &host, addresses.as_slice(), announcement.port, text)
        .map_err(mdns_error)?;
    info.set_interfaces(interfaces.iter().map(|interface| IfKind::Name(interface.name.clone())).collect());
    info.set_link_local_only(announcement.link_local_only);
    Ok(info)
}

async fn flood(service: Service, address: Ipv6Addr, interface: u32, port: u16, period: Duration) {
    // A socket for each flood: an address may come late, as one that is still being probed for (RFC 4862 s5.4).
    const RETRY: Duration = Duration::from_secs(1);
    let mut ticks = interval(period);
    loop {
        ticks.tick().await;
        if let Err(error) = flood_once(service, address, interface, port).await {
            tracing::warn!(%address, interface, %error, "cannot send a GRASP flood");
            ticks.reset_after(RETRY.min(period));
        }
    }
}

async fn flood_once(service: Service, address: Ipv6Addr, interface: u32, port: u16) -> Result<(), NetError> {
    // RFC 8990 s2.7: a session id is random.
    let mut session = [0; 4];
    rand::fill(&mut session).map_err(|_| NetError::Misuse("the system has no random numbers".into()))?;
    let session = u32::from_ne_bytes(session);
    let flood = match service {
        Service::Proxy => Flood::proxy(session, address, port),
        Service::Registrar => Flood::registrar(session, address, port),
        Service::Controller | Service::Bootstrapping => return Ok(()),
    };
    let sent = socket::sender(address, interface)?.send(&flood.encode()).await;
    sent.map(drop).map_err(|source| NetError::Io { step: "sending a GRASP flood", source })
}
