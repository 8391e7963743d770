//! Lists of which credentials are revoked (Bitstring Status List 1.0), asked for again and again at the places that the settings name.
//!
//! A list that was had is durable and counts until it ends by its own word, whatever becomes of its server; then nothing says any more
//! that a credential with a place on it is good.

use super::SECTION;
use crate::{
    RoleError, Shutdown, World,
    settings::{AuthorizerSettings, Settings},
    site::Site,
};
use landfall_claims::{LONGEST, status::StatusList};
use landfall_net::{NetError, http::ClientLimits};
use landfall_types::{Fault, Refusal, http::Request};
use std::time::Duration;

/// What could not be had is asked for again after this, and after twice as long each time, up to the usual time.
const AGAIN: Duration = Duration::from_secs(30);
const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(10), exchange: Duration::from_secs(30), body_bytes: LONGEST };
/// So many lists are asked for.
const MOST: usize = 64;

/// The lists that are asked for.
#[derive(Debug)]
pub struct StatusLists {
    places: Vec<(String, Site)>,
    refresh: Duration,
}

impl StatusLists {
    /// What `authorizer.status-list` means in `settings`.
    ///
    /// # Errors
    /// If something cannot be meant, or a file that it needs is not there.
    pub fn from_settings(authorizer: &AuthorizerSettings, settings: &Settings) -> Result<Self, RoleError> {
        let refresh = authorizer.status_refresh.duration();
        if refresh < AGAIN {
            return Err(RoleError::new("authorizer.status-refresh", "is less than 30s"));
        }
        if authorizer.status_list.len() > MOST {
            return Err(RoleError::new("authorizer.status-list", format!("are more than {MOST}")));
        }
        let place = |(at, list): (usize, &crate::settings::StatusListSettings)| {
            let site = Site::read(&list.url, &list.anchors, settings);
            let site =
                site.map_err(|(field, why)| RoleError::new(format!("authorizer.status-list[{at}].{field}"), why));
            Ok((list.url.clone(), site?))
        };
        let places = authorizer.status_list.iter().enumerate().map(place).collect::<Result<_, RoleError>>()?;
        Ok(Self { places, refresh })
    }

    /// Asks for them until shutdown.
    pub async fn work(self, world: World, shutdown: Shutdown) {
        let mut again = AGAIN;
        while !self.places.is_empty() {
            let wait = match self.look(&world).await {
                true => {
                    again = AGAIN;
                    self.refresh
                }
                false => {
                    let wait = again.min(self.refresh);
                    again = again.saturating_mul(2);
                    wait
                }
            };
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks for each of them once; whether all were had. One that was not leaves the one of before.
    pub async fn look(&self, world: &World) -> bool {
        let mut all = true;
        for (url, site) in &self.places {
            let had = self.ask(world, url, site).await;
            let outcome = if had.is_ok() { "taken" } else { "refused" };
            metrics::counter!("landfall_status_lists_total", "outcome" => outcome).increment(1);
            if let Err(why) = had {
                tracing::error!(role = "authorizer", url, %why, "a status list could not be had, and the one of before counts until it ends");
                all = false;
            }
        }
        all
    }

    async fn ask(&self, world: &World, url: &str, site: &Site) -> Result<(), Refusal> {
        let authorizer = world.authorizer.authorizer().ok_or_else(super::away)?;
        let mut connection = site.open(LIMITS).await.map_err(failed)?;
        let request = Request::get(&site.path).accept("application/vc+jwt, application/jwt");
        let response = connection.send(request).await.map_err(failed)?;
        let refuse = |check, why: String| Refusal::new(Fault::Peer, check, "BSL 1.0 s3.2", why);
        if response.status != 200 {
            return Err(refuse("status-list-fetch", format!("{url} is answered with {}", response.status)));
        }
        let jwt =
            String::from_utf8(response.body).map_err(|_| refuse("status-list-form", format!("{url} is no text")))?;
        let list = StatusList::read(jwt.trim())?;
        // The credential that counts is the one that stands where credentials say that it does.
        if list.id != url {
            return Err(refuse("status-list-place", format!("at {url} is the list {}", list.id)));
        }
        // One without an end would count for ever for whoever keeps us from asking again.
        if list.valid_until.is_none() {
            return Err(refuse("status-list-endless", format!("the list {url} does not say until when it holds")));
        }
        match authorizer.has_list(&list) {
            true => Ok(()),
            false => authorizer.add_credential(&jwt, format!("fetched from {url}")).await.map(drop),
        }
    }
}

fn failed(why: NetError) -> Refusal {
    Refusal::new(why.fault(), "status-list-fetch", SECTION, why.to_string())
}
