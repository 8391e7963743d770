//! The machine's network interfaces.

use crate::NetError;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// Its index, which is also the scope id of link-local addresses on it.
    pub index: u32,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it leads nowhere but back.
    pub loopback: bool,
}

impl Interface {
    /// Every interface that is up and has an address, by index.
    ///
    /// # Errors
    /// [`NetError::Io`] if the system does not tell.
    pub fn all() -> Result<Vec<Self>, NetError> {
        let addresses =
            if_addrs::get_if_addrs().map_err(|source| NetError::Io { step: "listing interfaces", source })?;
        let mut interfaces = BTreeMap::new();
        for address in addresses.into_iter().filter(if_addrs::Interface::is_oper_up) {
            let (Some(index), loopback) = (address.index, address.is_loopback()) else { continue };
            let interface = interfaces.entry(index).or_insert_with(|| Self {
                name: address.name.clone(),
                index,
                addresses: Vec::new(),
                loopback,
            });
            interface.addresses.push(address.ip());
        }
        Ok(interfaces.into_values().collect())
    }

    /// The interface called `name`.
    ///
    /// # Errors
    /// [`NetError::Misuse`] if there is none that is up and has an address.
    pub fn named(name: &str) -> Result<Self, NetError> {
        let found = Self::all()?.into_iter().find(|interface| interface.name == name);
        found.ok_or_else(|| NetError::Misuse(format!("there is no interface {name} that is up and has an address")))
    }

    /// Those called `names`; if none are named, all except loopback.
    ///
    /// # Errors
    /// As [`Interface::named`].
    pub fn select(names: &[String]) -> Result<Vec<Self>, NetError> {
        match names {
            [] => Ok(Self::all()?.into_iter().filter(|interface| !interface.loopback).collect()),
            names => names.iter().map(|name| Self::named(name)).collect(),
        }
    }

    /// Its first link-local IPv6 address.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(*address),
            _ => None,
        })
    }

    /// Its link-local IPv6 address with `port` and scope, to listen on: where a proxy meets pledges.
    pub fn link_local_socket(&self, port: u16) -> Option<SocketAddr> {
        self.link_local().map(|address| SocketAddrV6::new(address, port, 0, self.index).into())
    }
}
