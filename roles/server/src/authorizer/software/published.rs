//! Lists of components where manufacturers' files say that they are (RFC 9472): what is kept of each, and for which devices each
//! of those files is.

use super::{
    Held, SECTION, Scope,
    record::{SbomRecord, digest},
};
use crate::{
    authorizer::{Authorizer, backend},
    enforcer::manager::Trouble,
    fetch::Found,
};
use landfall_store::Store;
use landfall_types::{Changes, DeviceId, Fault, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The log of every time that a list was asked for.
pub(crate) const LOG: &str = "published-software";
/// So much is read and written at a time.
const PART: usize = 500;
/// So many are kept; a network has fewer kinds of devices.
const MOST: usize = 4096;
/// Who did not answer is asked again after a minute, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(60);
const DOUBLINGS: u32 = 16;
/// A device that is to be asked itself waits no longer.
const DEVICE: Duration = Duration::from_secs(900);

/// A list that a manufacturer's file names, and what became of asking for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PublishedRecord {
    /// The id that the list has here, once it was had.
    pub id: String,
    /// The file that names it: whose anchors it is held against, and where it is.
    pub mud_file: String,
    /// Who signed that.
    pub signer: String,
    /// Of which release of the firmware; none for devices of which that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// On which device, if that itself is to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Where it is, if the file says where it can be had from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was last asked for.
    pub tried: Time,
    /// Not before then is it asked for again.
    pub next: Time,
    /// How often in a row that did not go well.
    pub failures: u32,
    /// The last time that it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub had: Option<Had>,
    /// Why it was not, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// How a list was come by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Had {
    /// When.
    pub at: Time,
    /// Until when it counts, if it cannot be had again.
    pub until: Time,
    /// Where it was found, after redirects.
    pub from: String,
    /// On which machine.
    pub address: String,
}

impl Record for PublishedRecord {
    const COLLECTION: &'static str = "verification-published-sbom";

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Which file a device's certificate names, once it was found good.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NamedFile {
    device: DeviceId,
    mud_file: String,
}

impl Record for NamedFile {
    const COLLECTION: &'static str = "verification-mud-file";

    fn key(&self) -> String {
        self.device.to_string()
    }
}

/// What manufacturers publish, and of which devices.
#[derive(Debug, Default)]
pub(super) struct Published {
    sought: BTreeMap<String, PublishedRecord>,
    files: BTreeMap<DeviceId, String>,
}

impl Published {
    pub(super) fn load(store: &Store) -> Result<Self, Refusal> {
        let sought = store.scan::<PublishedRecord>(None, MOST).map_err(backend)?;
        let sought = sought.into_iter().map(|found| (found.record.id.clone(), found.record)).collect();
        let (mut files, mut after) = (BTreeMap::new(), None::<String>);
        loop {
            let part = store.scan::<NamedFile>(after.as_deref(), PART).map_err(backend)?;
            let Some(last) = part.last() else { return Ok(Self { sought, files }) };
            after = Some(last.record.key());
            files.extend(part.into_iter().map(|found| (found.record.device, found.record.mud_file)));
        }
    }

    /// The file that a device's certificate names.
    pub(super) fn file_of(&self, device: &DeviceId) -> Option<&String> {
        self.files.get(device)
    }

    pub(super) fn find(&self, id: &str) -> Option<&PublishedRecord> {
        self.sought.get(id)
    }

    pub(super) fn drop(&mut self, id: &str) {
        self.sought.remove(id);
    }

    /// Until when a list counts.
    pub(super) fn until(&self, id: &str) -> Option<Time> {
        self.find(id)?.had.as_ref().map(|had| had.until)
    }
}

/// A list that some device needs.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) mud_file: String,
    pub(super) signer: String,
    pub(super) firmware: Option<String>,
    /// The device, if it itself is asked.
    pub(super) device: Option<DeviceId>,
}

impl Need {
    pub(super) fn id(&self) -> String {
        SbomRecord::id(&self.scope(), self.firmware.as_deref())
    }

    fn scope(&self) -> Scope {
        match &self.device {
            Some(device) => Scope::Shown(device.clone()),
            None => Scope::MudFile(self.mud_file.clone()),
        }
    }
}

/// How long a list is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) refresh: Duration,
    pub(super) max_age: Duration,
}

impl Authorizer {
    /// The lists that manufacturers' files name, and what became of asking for each.
    pub fn published_sboms(&self) -> Vec<PublishedRecord> {
        self.software().published.sought.values().cloned().collect()
    }

    /// Takes in which files devices' certificates name; of those in `looked_at` that are not in `files` it is none.
    pub(super) async fn name_files(
        &self,
        looked_at: &BTreeSet<DeviceId>,
        files: BTreeMap<DeviceId, String>,
    ) -> Result<(), Refusal> {
        let (gone, new): (Vec<DeviceId>, Vec<NamedFile>) = {
            let software = self.software();
            let held = &software.published.files;
            let gone = looked_at.iter().filter(|device| held.contains_key(device) && !files.contains_key(device));
            let new = files.iter().filter(|(device, file)| held.get(device) != Some(file));
            let new = new.map(|(device, mud_file)| NamedFile { device: device.clone(), mud_file: mud_file.clone() });
            (gone.cloned().collect(), new.collect())
        };
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        for part in gone.chunks(PART) {
            let changes =
                part.iter().fold(Changes::new(), |changes, device| changes.delete::<NamedFile>(device.as_str()));
            self.world.store.commit(changes).await.map_err(backend)?;
        }
        for part in new.chunks(PART) {
            let changes = part.iter().try_fold(Changes::new(), |changes, file| changes.put(file)).map_err(backend)?;
            self.world.store.commit(changes).await.map_err(backend)?;
        }
        let affected: BTreeSet<DeviceId> = gone.iter().chain(new.iter().map(|file| &file.device)).cloned().collect();
        {
            let held = &mut self.software_mut().published.files;
            for device in &gone {
                held.remove(device);
            }
            held.extend(new.into_iter().map(|file| (file.device, file.mud_file)));
        }
        self.retell(|about| affected.contains(&about.device)).await.map(drop)
    }

    /// Forgets the lists that no device needs any more, or that nobody names.
    pub(super) async fn keep_published(&self, needed: &BTreeSet<String>) -> Result<(), Refusal> {
        let _turn = self.bringing.lock().await;
        let gone: Vec<PublishedRecord> = {
            let software = self.software();
            software.published.sought.values().filter(|record| !needed.contains(&record.id)).cloned().collect()
        };
        for record in gone {
            let changes = Changes::new().delete::<PublishedRecord>(&record.id).delete::<SbomRecord>(&record.id);
            self.forget(changes, &record).await?;
        }
        Ok(())
    }

    /// Whether a list is to be asked for at that place now.
    pub(super) fn is_due(&self, need: &Need, url: &str) -> bool {
        let (software, now) = (self.software(), self.world.clock.now());
        software.published.find(&need.id()).is_none_or(|record| {
            record.next <= now
                || record.url.as_deref() != Some(url)
                || record.signer != need.signer
                || record.firmware != need.firmware
        })
    }

    /// Takes down that a list that devices need can be had nowhere; one that was had does not count any more.
    pub(super) async fn miss(&self, need: &Need, why: &Refusal) -> Result<(), Refusal> {
        let _turn = self.bringing.lock().await;
        let (now, trouble) = (self.world.clock.now(), Some(Trouble::from(why)));
        let before = self.software().published.find(&need.id()).cloned();
        if before.is_some_and(|before| before.trouble == trouble && before.url.is_none()) {
            return Ok(());
        }
        let record = PublishedRecord { trouble, ..need.record(now) };
        tracing::warn!(role = "authorizer", mud_file = need.mud_file, %why, "a list of components cannot be had");
        let changes = Changes::new().put(&record).map_err(backend)?.delete::<SbomRecord>(&record.id);
        let changes = changes.append(LOG, &record).map_err(backend)?;
        self.forget(changes, &record).await?;
        self.software_mut().published.sought.insert(record.id.clone(), record);
        Ok(())
    }

    /// Takes in what came of asking for a list. One that could not be had or read does not take the place of the one before,
    /// which counts until its time is over.
    pub(super) async fn receive(
        &self,
        need: &Need,
        url: &str,
        came: Result<Found, Refusal>,
        terms: Terms,
    ) -> Result<(), Refusal> {
        let _turn = self.bringing.lock().await;
        let now = self.world.clock.now();
        let before = self.software().published.find(&need.id()).cloned();
        let held = self.software().lists.get(&need.id()).map(|held| (held.record.hash, held.record.firmware.clone()));
        let read = came.and_then(|found| {
            self.may_keep(before.is_none())?;
            // What is the same need not be read again.
            let list = match held == Some((digest(&found.body), need.firmware.clone())) {
                true => None,
                false => Some(self.examine(
                    need.scope(),
                    need.firmware.clone(),
                    &found.body,
                    format!("fetched from {}", found.from),
                )?),
            };
            Ok((found, list))
        });
        let record = PublishedRecord { url: Some(url.to_owned()), ..need.record(now) };
        let outcome = if read.is_ok() { "taken" } else { "refused" };
        metrics::counter!("landfall_published_sboms_total", "outcome" => outcome).increment(1);
        let (record, list) = match read {
            Ok((found, list)) => {
                let until = now + terms.max_age;
                let had = Had { at: now, until, from: found.from.to_string(), address: found.address.to_string() };
                (PublishedRecord { next: now + terms.refresh, had: Some(had), ..record }, list)
            }
            Err(why) => {
                tracing::warn!(role = "authorizer", url, %why, "a list of components is not taken, and the one of before counts until its time is over");
                let (failures, had) = before.map_or((0, None), |before| (before.failures, before.had));
                // A device that was away may be back at any time.
                let longest = if need.device.is_some() { terms.refresh.min(DEVICE) } else { terms.refresh };
                let wait = AGAIN.saturating_mul(2u32.saturating_pow(failures.min(DOUBLINGS))).min(longest);
                let (next, failures) = (now + wait, failures.saturating_add(1));
                (PublishedRecord { next, failures, had, trouble: Some(Trouble::from(&why)), ..record }, None)
            }
        };
        let mut changes = Changes::new().put(&record).and_then(|it| it.append(LOG, &record)).map_err(backend)?;
        if let Some((sbom, _)) = &list {
            changes = changes.put(sbom).map_err(backend)?;
        }
        self.world.store.commit(changes).await.map_err(backend)?;
        let is_good = record.trouble.is_none();
        {
            let mut software = self.software_mut();
            if let Some((sbom, held)) = list {
                tracing::info!(
                    role = "authorizer",
                    url,
                    sbom = sbom.id,
                    "a list of components was taken from where a manufacturer's file says"
                );
                software.lists.insert(sbom.id, held);
            }
            software.published.sought.insert(record.id.clone(), record);
        }
        match (is_good, &need.device) {
            (false, _) => Ok(()),
            (true, None) => self.retell_of(&need.mud_file).await,
            (true, Some(device)) => self.retell_one(device).await,
        }
    }

    fn may_keep(&self, is_new: bool) -> Result<(), Refusal> {
        match is_new && self.software().published.sought.len() >= MOST {
            true => Err(Refusal::new(Fault::Denied, "sbom-count", SECTION, format!("there are {MOST} already"))),
            false => Ok(()),
        }
    }

    async fn forget(&self, changes: Changes, record: &PublishedRecord) -> Result<(), Refusal> {
        self.world.store.commit(changes).await.map_err(backend)?;
        let had: Option<Held> = {
            let mut software = self.software_mut();
            software.published.sought.remove(&record.id);
            software.lists.remove(&record.id)
        };
        match (had, &record.device) {
            (None, _) => Ok(()),
            (Some(_), None) => self.retell_of(&record.mud_file).await,
            (Some(_), Some(device)) => self.retell_one(device).await,
        }
    }

    async fn retell_of(&self, mud_file: &str) -> Result<(), Refusal> {
        self.retell(|about| self.software().published.file_of(&about.device).is_some_and(|file| file == mud_file))
            .await
            .map(drop)
    }
}

impl Need {
    fn record(&self, now: Time) -> PublishedRecord {
        let Self { mud_file, signer, firmware, device } = self.clone();
        PublishedRecord {
            id: self.id(),
            mud_file,
            signer,
            firmware,
            device,
            url: None,
            tried: now,
            next: now,
            failures: 0,
            had: None,
            trouble: None,
        }
    }
}
