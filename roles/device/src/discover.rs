//! Announcements, from every source that the configuration allows.

use crate::{Config, DeviceError};
use landfall_brski::proxy::{Offer, Source};
use landfall_net::discovery::{Browser, Interface, Service};

/// Hears announcements until it is dropped.
#[derive(Debug)]
pub(crate) struct Announcements {
    browser: Option<Browser>,
    mdns: bool,
    grasp: bool,
    fixed: Vec<Offer>,
}

impl Announcements {
    /// Looks at the configuration only; listening begins with [`Announcements::seek`].
    pub(crate) fn new(config: &Config) -> Result<Self, DeviceError> {
        let (mdns, grasp) = (config.discovery.mdns, config.discovery.grasp);
        let fixed = config.fixed_offers()?;
        if fixed.is_empty() && !mdns && !grasp {
            return Err(DeviceError::Config("[discovery] leaves no way to find a registrar".into()));
        }
        Ok(Self { browser: None, mdns, grasp, fixed })
    }

    /// Begins to listen, or asks again; gives those that are known anyway.
    ///
    /// RFC 8995 s4.1: GRASP and mDNS side by side. A device that can be onboarded by a configured registrar does not
    /// fail because it cannot listen.
    pub(crate) fn seek(&mut self, config: &Config) -> Result<Vec<Offer>, DeviceError> {
        if (self.mdns || self.grasp) && self.browser.is_none() {
            let started = Interface::select(&config.discovery.interfaces)
                .and_then(|interfaces| Browser::start(Service::Proxy, &interfaces));
            match started {
                Ok(browser) => self.browser = Some(browser),
                Err(error) if self.fixed.is_empty() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "cannot hear announcements"),
            }
        }
        Ok(self.fixed.clone())
    }

    /// The next announcement; waits for ever if there is nothing to hear.
    pub(crate) async fn next(&mut self) -> Offer {
        loop {
            let heard = match &mut self.browser {
                Some(browser) => browser.next().await,
                None => std::future::pending().await,
            };
            match heard {
                Some(offer) if self.wanted(offer.source) => return offer,
                Some(_) => {}
                None => self.browser = None,
            }
        }
    }

    const fn wanted(&self, source: Source) -> bool {
        match source {
            Source::Mdns => self.mdns,
            Source::Grasp => self.grasp,
            Source::Configured | Source::Redirect => true,
        }
    }
}
