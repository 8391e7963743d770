//! Asking for lists of components where manufacturers' files say that they are (RFC 9472 s5): for the releases that devices run, again
//! and again.
//!
//! A file speaks for the devices whose certificates name it. A list that cannot be had is not known, and what was had is stale when
//! its time is over; what follows from either is the policy's to say.

use super::{
    published::{Need, Terms},
    well_known::{self, Devices},
};
use crate::{
    RoleError, Shutdown, World,
    authorizer::{Authorizer, about::About, backend},
    enforcer::manager::{self, Manager},
    fetch::{Checks, Found, Wanted},
    settings::SbomsSettings,
};
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_mud::{MudUrl, file::Retrieval};
use landfall_software::bounds;
use landfall_types::{DeviceId, Fault, Record, Refusal, VendorId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

/// So often it is looked what is due.
const LOOK: Duration = Duration::from_secs(60);
/// So many are asked for at the same time.
const AT_ONCE: usize = 8;
/// So many releases are told by their names.
const NAMED: usize = 8;
/// So much is read at a time.
const PART: usize = 500;
pub(super) const CHECKS: Checks = Checks {
    section: "RFC 9472 s5",
    fetch: "sbom-fetch",
    time: "sbom-fetch-time",
    size: "sbom-fetch-size",
    redirect: "sbom-fetch-redirect",
    private: "sbom-fetch-private",
    tls: "sbom-fetch-tls",
};
pub(super) const LIST: Wanted = Wanted {
    accept: "application/vnd.cyclonedx+json, application/spdx+json, application/json",
    most: bounds::SBOM,
    checks: &CHECKS,
};

/// Asks for what manufacturers publish.
#[derive(Debug)]
pub struct Publications {
    world: World,
    manager: Arc<Manager>,
    devices: Option<Devices>,
    terms: Terms,
}

/// What devices need.
#[derive(Default)]
struct Needed {
    looked_at: BTreeSet<DeviceId>,
    files: BTreeMap<DeviceId, String>,
    lists: BTreeMap<String, Wish>,
    /// What was said of devices of one manufacturer with one URL and one signer.
    said: BTreeMap<(Option<VendorId>, String, Option<String>), Option<manager::Published>>,
}

/// A list that is needed, and where it is.
struct Wish {
    need: Need,
    by: manager::Published,
    place: Result<Place, Refusal>,
}

/// Where a list is.
#[derive(Clone, Debug)]
enum Place {
    /// At its manufacturer's.
    Web(MudUrl),
    /// On the device itself, wherever that is.
    Device(DeviceId),
}

impl Place {
    /// What it is called.
    fn name(&self) -> &str {
        match self {
            Self::Web(url) => url.as_str(),
            Self::Device(_) => well_known::PATH,
        }
    }
}

impl Publications {
    /// What `authorizer.sboms` means; devices themselves are asked if it is said how.
    ///
    /// # Errors
    /// If it cannot be meant.
    pub fn new(
        settings: &SbomsSettings,
        manager: Arc<Manager>,
        devices: Option<Devices>,
        world: World,
    ) -> Result<Arc<Self>, RoleError> {
        Self::check(settings)?;
        let terms = Terms { refresh: settings.refresh.duration(), max_age: settings.max_age.duration() };
        Ok(Arc::new(Self { world, manager, devices, terms }))
    }

    pub(crate) fn check(settings: &SbomsSettings) -> Result<(), RoleError> {
        let (refresh, max_age) = (settings.refresh.duration(), settings.max_age.duration());
        if refresh < LOOK {
            return Err(RoleError::new("authorizer.sboms.refresh", "is less than 1m"));
        }
        if max_age < refresh {
            return Err(RoleError::new("authorizer.sboms.max-age", "is less than refresh, so lists would come and go"));
        }
        Ok(())
    }

    /// Asks for them until shutdown.
    pub async fn work(self: Arc<Self>, shutdown: Shutdown) {
        let mut grounds = self.world.grounds.subscribe();
        let mut only: Option<BTreeSet<DeviceId>> = None;
        loop {
            if let Err(why) = self.look(only.as_ref()).await {
                tracing::error!(role = "authorizer", %why, "what manufacturers publish of software could not be taken in");
            }
            only = tokio::select! {
                () = shutdown.clone().begun() => return,
                () = self.manager.changed() => None,
                () = tokio::time::sleep(LOOK) => None,
                told = grounds.recv() => match told {
                    Ok(device) => {
                        let mut devices = BTreeSet::from([device]);
                        while let Ok(device) = grounds.try_recv() {
                            devices.insert(device);
                        }
                        Some(devices)
                    }
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                },
            };
        }
    }

    /// Asks for what devices need and is due: all of them, or only those that are named.
    ///
    /// # Errors
    /// If records cannot be read or written.
    pub async fn look(self: &Arc<Self>, only: Option<&BTreeSet<DeviceId>>) -> Result<(), Refusal> {
        let Some(authorizer) = self.world.authorizer.authorizer() else { return Ok(()) };
        let mut needed = Needed::default();
        match only {
            Some(devices) => {
                for device in devices {
                    let found = self.world.store.find::<DomainDevice>(device.as_str()).map_err(backend)?;
                    if let Some(found) = found {
                        self.add(&authorizer, &found.record, &mut needed);
                    }
                }
            }
            None => self.add_all(&authorizer, &mut needed)?,
        }
        let Needed { looked_at, files, lists, .. } = needed;
        authorizer.name_files(&looked_at, files).await?;
        if only.is_none() {
            authorizer.keep_published(&lists.keys().cloned().collect()).await?;
        }
        let mut running = JoinSet::new();
        for Wish { need, by, place } in lists.into_values() {
            let place = match place {
                Ok(place) => place,
                Err(why) => {
                    authorizer.miss(&need, &why).await?;
                    continue;
                }
            };
            if !authorizer.is_due(&need, place.name()) {
                continue;
            }
            if running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let (this, authorizer) = (self.clone(), authorizer.clone());
            running.spawn(async move {
                let came = this.ask(&by, &place).await;
                let at = place.name();
                if let Err(why) = authorizer.receive(&need, at, came, this.terms).await {
                    tracing::error!(role = "authorizer", at, %why, "what came of asking for a list of components could not be kept");
                }
            });
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }

    async fn ask(&self, by: &manager::Published, place: &Place) -> Result<Found, Refusal> {
        match (place, &self.devices) {
            (Place::Web(url), _) => self.manager.fetch(by, url, LIST).await,
            (Place::Device(device), Some(devices)) => devices.ask(&self.world, device).await,
            (Place::Device(_), None) => {
                let why = "there is no registrar here whose certificates devices could be known by";
                Err(CHECKS.refuse(Fault::Denied, "sbom-local-domain", why.into()))
            }
        }
    }

    fn add_all(&self, authorizer: &Authorizer, needed: &mut Needed) -> Result<(), Refusal> {
        let mut after = None::<String>;
        loop {
            let part = self.world.store.scan::<DomainDevice>(after.as_deref(), PART).map_err(backend)?;
            let Some(last) = part.last() else { return Ok(()) };
            after = Some(last.record.key());
            part.iter().for_each(|found| self.add(authorizer, &found.record, needed));
        }
    }

    fn add(&self, authorizer: &Authorizer, device: &DomainDevice, needed: &mut Needed) {
        let id = &device.identity.device;
        needed.looked_at.insert(id.clone());
        let Some(source) = device.mud_source() else { return };
        let kind = (device.identity.vendor.clone(), source.url, source.signer);
        let said = needed.said.entry(kind).or_insert_with(|| self.manager.published(device));
        let Some(by) = said.as_ref() else { return };
        let Some(sbom) = by.says.transparency.as_ref().and_then(|says| says.sbom.as_ref()) else { return };
        let Some(about) = authorizer.about(id) else { return };
        needed.files.insert(id.clone(), by.file.clone());
        let (mud_file, signer) = (by.file.clone(), by.signer.clone());
        let its_own = matches!(sbom, Retrieval::Local(kind) if kind == "https");
        // One that is not inside has no certificate that it could show.
        if its_own && !matches!(device.state, State::Enrolled | State::Connected) {
            return;
        }
        let need = Need { mud_file, signer, firmware: about.firmware, device: its_own.then(|| id.clone()) };
        let place = match its_own {
            true => Ok(Place::Device(id.clone())),
            false => place(sbom, need.firmware.as_deref()).map(Place::Web),
        };
        needed.lists.entry(need.id()).or_insert_with(|| Wish { need, by: by.clone(), place });
    }
}

impl Authorizer {
    pub(super) fn about(&self, device: &DeviceId) -> Option<About> {
        self.desk().dossier(device).map(About::of)
    }
}

/// Where the list of a release is.
fn place(sbom: &Retrieval, firmware: Option<&str>) -> Result<MudUrl, Refusal> {
    let refuse = |fault, check, why: String| Err(CHECKS.refuse(fault, check, why));
    let lists = match sbom {
        Retrieval::Cloud(lists) => lists,
        // Nobody can tell who answers.
        Retrieval::Local(kind) => {
            let why = format!("the device itself is to be asked, by {kind}, which is not done: https alone is");
            return refuse(Fault::Denied, "sbom-local", why);
        }
        Retrieval::Contact(whom) => {
            return refuse(Fault::Denied, "sbom-contact", format!("a person is to be asked: {whom}"));
        }
    };
    let named = || lists.iter().map(|(release, _)| release.as_str()).take(NAMED).collect::<Vec<_>>().join(", ");
    // A list of another release than that which a device runs would hide what is wrong with it.
    let Some(firmware) = firmware else {
        let why = format!("lists of {} are named, and of a device it is not known which release it runs", named());
        return refuse(Fault::Denied, "sbom-release-unknown", why);
    };
    let Some((_, url)) = lists.iter().find(|(release, _)| release == firmware) else {
        return refuse(
            Fault::Denied,
            "sbom-release",
            format!("lists of {} are named, and none of {firmware}", named()),
        );
    };
    url.parse()
        .map_err(|_| CHECKS.refuse(Fault::Denied, "sbom-url", format!("{url} is no URL of https that can be asked")))
}
