//! Where devices are: the addresses of IP that the kernel has found on its links for their interfaces (ARP, neighbour discovery).

use super::{Enforcer, picture::Mac};
use crate::authorizer::{Addresses, Whereabouts};
use landfall_types::DeviceId;
use std::{collections::BTreeSet, net::IpAddr};

impl Whereabouts for Enforcer {
    fn of<'a>(&'a self, device: &'a DeviceId) -> Addresses<'a> {
        Box::pin(self.addresses_of(device))
    }
}

impl Enforcer {
    /// Those of a device at this machine's ports, or in a session of access elsewhere. None if it has not been heard of.
    async fn addresses_of(&self, device: &DeviceId) -> Vec<IpAddr> {
        let interfaces = self.interfaces_of(device).await;
        if interfaces.is_empty() {
            return Vec::new();
        }
        match self.kernel.neighbourhood().await {
            Ok(found) => {
                let its = |(address, mac): (IpAddr, [u8; 6])| interfaces.contains(&Mac::from(mac)).then_some(address);
                let found: BTreeSet<IpAddr> =
                    found.into_iter().filter_map(its).filter(|it| !is_of_a_link(*it)).collect();
                found.into_iter().collect()
            }
            Err(why) => {
                tracing::error!(role = "enforcer", %why, "it cannot be read where devices are");
                Vec::new()
            }
        }
    }

    async fn interfaces_of(&self, device: &DeviceId) -> BTreeSet<Mac> {
        let mut interfaces: BTreeSet<Mac> = {
            let state = self.state.lock().await;
            let ports = state.guests.iter().filter(|(_, guest)| guest.device == *device).map(|(port, _)| port);
            ports.filter_map(|port| state.wanted.occupants.get(port)).map(|occupant| occupant.mac).collect()
        };
        match self.elsewhere(self.world.clock.now()) {
            Ok(sessions) => {
                let its = sessions.into_iter().filter(|(_, (whose, _))| whose == device);
                interfaces.extend(its.map(|(mac, _)| mac));
            }
            Err(why) => tracing::error!(role = "enforcer", %why, "sessions could not be read"),
        }
        interfaces
    }
}

/// Such an address says nothing without its link, of which the kernel may have several (RFC 4007 s6).
const fn is_of_a_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
