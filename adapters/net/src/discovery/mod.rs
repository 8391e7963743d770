//! Finding proxies and registrars, and being found: DNS-SD over mDNS (RFC 8995 appendix B) and GRASP floods (s4.1.1,
//! s4.3), both at once and on every interface, down to one that has nothing but a link-local IPv6 address.

#[cfg(feature = "server")]
mod announce;
#[cfg(feature = "client")]
mod browse;
mod interface;
mod socket;

#[cfg(feature = "server")]
pub use announce::{Announcement, Announcer};
#[cfg(feature = "client")]
pub use browse::Browser;
pub use interface::Interface;

use crate::NetError;
use landfall_brski::proxy::{MDNS_PROXY, MDNS_REGISTRAR};
use mdns_sd::{IfKind, ServiceDaemon};
use std::{fmt, io};

/// What is looked for or announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A join proxy, for pledges.
    Proxy,
    /// A registrar, for proxies, and for pledges on its own link.
    Registrar,
    /// A controller of Wi-Fi Easy Connect, by mDNS alone (DPP s12).
    Controller,
    /// Where bootstrapping keys are registered, by mDNS alone.
    Bootstrapping,
}

impl Service {
    const fn mdns(self) -> &'static str {
        match self {
            Self::Proxy => MDNS_PROXY,
            Self::Registrar => MDNS_REGISTRAR,
            // Both are `_dpp._tcp`, told apart by their subtypes (RFC 6763 s7.1).
            Self::Controller => "_controller._sub._dpp._tcp.local.",
            Self::Bootstrapping => "_bootstrapping._sub._dpp._tcp.local.",
        }
    }

    /// Whether it is announced by GRASP too.
    const fn floods(self) -> bool {
        !matches!(self, Self::Controller | Self::Bootstrapping)
    }
}

/// An mDNS daemon that ends when it is dropped.
struct Mdns(ServiceDaemon);

impl Mdns {
    /// Speaks on `interfaces` only.
    fn on(interfaces: &[Interface]) -> Result<Self, NetError> {
        let daemon = Self(ServiceDaemon::new().map_err(mdns_error)?);
        daemon.0.disable_interface(IfKind::All).map_err(mdns_error)?;
        for interface in interfaces {
            daemon.0.enable_interface(interface.name.as_str()).map_err(mdns_error)?;
        }
        Ok(daemon)
    }
}

impl fmt::Debug for Mdns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mdns")
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        // Refused only if it has ended already.
        let _ = self.0.shutdown();
    }
}

fn mdns_error(error: mdns_sd::Error) -> NetError {
    NetError::Io { step: "mDNS", source: io::Error::other(error) }
}
