//! Where configurators are: known beforehand, named in the configurator's URI, or announced by DNS-SD.

use crate::{DeviceError, config::Discovery};
use landfall_dpp::Uri;
use landfall_net::{
    discovery::{Browser, Interface, Service},
    http::Endpoint,
};

/// So many places are remembered; more are forgotten, as they will be announced again.
const REMEMBERED: usize = 16;

/// Finds controllers until it is dropped.
#[derive(Debug)]
pub(super) struct Search {
    places: Vec<Endpoint>,
    browser: Option<Browser>,
}

impl Search {
    /// Those that are known, and those that will be announced if `discovery` allows it.
    pub(super) fn begin(known: Vec<Endpoint>, discovery: &Discovery) -> Result<Self, DeviceError> {
        let browser = match discovery.mdns {
            false => None,
            true => {
                let started = Interface::select(&discovery.interfaces)
                    .and_then(|interfaces| Browser::start(Service::Controller, &interfaces));
                match started {
                    Ok(browser) => Some(browser),
                    Err(error) if known.is_empty() => return Err(error.into()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot hear announcements");
                        None
                    }
                }
            }
        };
        match known.is_empty() && browser.is_none() {
            true => {
                Err(DeviceError::Config("there is no way to find a configurator: name one with --controller".into()))
            }
            false => Ok(Self { places: known, browser }),
        }
    }

    /// Those that are known by now.
    pub(super) fn places(&self) -> &[Endpoint] {
        &self.places
    }

    /// Whether more may become known.
    pub(super) const fn goes_on(&self) -> bool {
        self.browser.is_some()
    }

    /// Waits for one that was not known; for ever if there is nothing to hear.
    pub(super) async fn new_place(&mut self) -> Endpoint {
        loop {
            let heard = match &mut self.browser {
                Some(browser) => browser.next().await,
                None => std::future::pending().await,
            };
            let Some(offer) = heard else {
                self.browser = None;
                continue;
            };
            let place = Endpoint::from(&offer);
            if !self.places.contains(&place) {
                if self.places.len() == REMEMBERED {
                    self.places.remove(0);
                }
                self.places.push(place.clone());
                return place;
            }
        }
    }
}

/// Where a configurator says that it is.
pub(super) fn of_uri(uri: &Uri) -> Result<Option<Endpoint>, DeviceError> {
    let Some(host) = &uri.host else { return Ok(None) };
    let name = host.name.parse().map_err(|_| DeviceError::Config(format!("configurator: {host} is no host")))?;
    Ok(Some(Endpoint { host: name, port: host.port }))
}
