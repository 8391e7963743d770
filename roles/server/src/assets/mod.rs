//! The system in which the owner keeps what there is (NetBox), both ways: what it says of devices becomes facts, how they stand is
//! written there, and where the two do not agree somebody hears of it.

mod netbox;
mod report;

pub use report::{Disagreement, Mismatch};

use crate::{
    RoleError, Shutdown, World,
    access::Session,
    authorizer::{AT_ONCE, Authorizer, away},
    settings::{AssetsSettings, Settings},
    site::{Site, Wrong, secret},
};
use landfall_assurance::{Fact, Kind, Level, Shape};
use landfall_lifecycle::network::DomainDevice;
use landfall_policy::Value;
use landfall_types::{Fault, Record, Refusal, Time};
use netbox::{Asset, NetBox, Written};
use report::{Compared, GOING, compare};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a fact is from that the asset system says.
pub const SOURCE: &str = "asset system";
const SECTION: &str = "SP 1800-36B 3.3.2";
/// So much is read at a time.
const PART: usize = 500;
/// What could not be had is asked for again after this, and after twice as long each time, up to the usual time.
const AGAIN: Duration = Duration::from_secs(30);
/// Where it is written how devices stand.
const LEVEL: &str = "landfall_level";
const STATE: &str = "landfall_state";
const SEEN: &str = "landfall_seen";

/// How the asset system is set up.
#[derive(Debug)]
pub struct Config {
    netbox: NetBox,
    refresh: Duration,
    max_age: Duration,
    unseen_after: Duration,
    write: bool,
    facts: BTreeMap<Kind, String>,
}

impl Config {
    /// What `authorizer.assets` means in `settings`.
    ///
    /// # Errors
    /// If something cannot be meant, or a file that it needs is not there.
    pub fn from_settings(assets: &AssetsSettings, settings: &Settings) -> Result<Self, RoleError> {
        let read = || -> Result<Self, Wrong> {
            let site = Site::read(&assets.url, &assets.anchors, settings)?;
            let token = secret(&assets.token_file, settings).map_err(|why| ("token-file", why))?;
            let (refresh, max_age) = (assets.refresh.duration(), assets.max_age.duration());
            if refresh < AGAIN {
                return Err(("refresh", "is less than 30s".into()));
            }
            if max_age <= refresh {
                return Err(("max-age", "is not longer than refresh, so that nothing would count for long".into()));
            }
            Ok(Self {
                netbox: NetBox::new(site, token)?,
                refresh,
                max_age,
                unseen_after: assets.unseen_after.duration(),
                write: assets.write,
                facts: assets.facts.clone(),
            })
        };
        read().map_err(|(field, why)| RoleError::new(format!("authorizer.assets.{field}"), why))
    }

    /// The asset system in that world.
    pub fn build(self, world: World) -> Arc<Assets> {
        Arc::new(Assets { world, config: self, report: Mutex::default(), turn: tokio::sync::Mutex::default() })
    }
}

/// The asset system as it was found.
#[derive(Debug)]
pub struct Assets {
    world: World,
    config: Config,
    report: Mutex<AssetReport>,
    /// Once at a time.
    turn: tokio::sync::Mutex<()>,
}

/// Where the network and the asset system do not agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AssetReport {
    /// When both were held against each other, if they ever were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Time>,
    /// How many devices the asset system has.
    pub assets: usize,
    /// How many of them are devices here.
    pub matched: usize,
    /// How many it was told how they stand, the last time.
    pub written: usize,
    /// What they do not agree about.
    pub mismatches: Vec<Mismatch>,
    /// Why it could not be had, or written, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Assets {
    /// Where the two do not agree, as it was found the last time.
    pub fn report(&self) -> AssetReport {
        self.kept().clone()
    }

    /// Holds both against each other again and again, until shutdown.
    pub async fn work(self: Arc<Self>, shutdown: Shutdown) {
        let mut again = AGAIN;
        loop {
            let wait = match self.synchronize().await {
                Ok(_) => {
                    again = AGAIN;
                    self.config.refresh
                }
                Err(_) => {
                    let wait = again.min(self.config.refresh);
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

    /// Asks the asset system, takes in what it says, finds where the two do not agree, and writes how devices stand.
    ///
    /// # Errors
    /// If it cannot be had, or says what it cannot mean: then nothing it said before is taken back, and expires by itself.
    pub async fn synchronize(&self) -> Result<AssetReport, Refusal> {
        let _turn = self.turn.lock().await;
        let done = self.once().await;
        let mut kept = self.kept();
        match &done {
            Ok(report) => {
                for what in Disagreement::ALL {
                    let count = report.mismatches.iter().filter(|mismatch| mismatch.what == what).count();
                    metrics::gauge!("landfall_asset_mismatches", "what" => what.name()).set(count as f64);
                }
                *kept = report.clone();
            }
            Err(why) => {
                let trouble = Some(why.to_string());
                if kept.trouble != trouble {
                    tracing::error!(role = "authorizer", %why, "the asset system could not be held against the network");
                }
                kept.trouble = trouble;
            }
        }
        done
    }

    async fn once(&self) -> Result<AssetReport, Refusal> {
        let authorizer = self.world.authorizer.authorizer().ok_or_else(away)?;
        let assets = self.config.netbox.devices().await?;
        let (devices, now) = (self.devices()?, self.world.clock.now());
        let seen: BTreeMap<&str, Time> = devices
            .iter()
            .map(|device| Ok((device.identity.device.as_str(), self.seen(&authorizer, device, now)?)))
            .collect::<Result<_, Refusal>>()?;
        let seen =
            |device: &DomainDevice| seen.get(device.identity.device.as_str()).copied().unwrap_or(device.last_asked);
        let compared = compare(&devices, &assets, seen, self.config.unseen_after, now);
        let Compared { mismatches, pairs } = compared;
        let facts: Vec<Fact> = pairs.iter().flat_map(|(device, asset)| self.facts(device, asset, now)).collect();
        for part in facts.chunks(AT_ONCE) {
            authorizer.assert(part.to_vec()).await?;
        }
        let mut report = AssetReport {
            compared: Some(now),
            assets: assets.len(),
            matched: pairs.len(),
            written: 0,
            mismatches,
            trouble: None,
        };
        if self.config.write {
            let written: Vec<Written> = pairs
                .iter()
                .filter_map(|(device, asset)| {
                    let level = authorizer.level(&device.identity.device).0;
                    stands(device, asset, level, seen(device))
                })
                .collect();
            self.config.netbox.write(&written).await?;
            report.written = written.len();
        }
        Ok(report)
    }

    fn devices(&self) -> Result<Vec<DomainDevice>, Refusal> {
        let (mut devices, mut after) = (Vec::new(), None::<String>);
        loop {
            let part = self.world.store.scan::<DomainDevice>(after.as_deref(), PART).map_err(|why| backend(&why))?;
            let Some(last) = part.last() else { return Ok(devices) };
            after = Some(last.record.key());
            devices.extend(part.into_iter().map(|found| found.record));
        }
    }

    /// When the network last saw a device: it asked for something, was let in at a port or by an access point, or is still there.
    fn seen(&self, authorizer: &Authorizer, device: &DomainDevice, now: Time) -> Result<Time, Refusal> {
        let id = &device.identity.device;
        let sessions = Session::of_device(&self.world.store, id).map_err(|why| backend(&why))?;
        let here = sessions.iter().map(|session| if now < session.until { now } else { session.since });
        let view = authorizer.view(id);
        let placed = view.iter().flat_map(|view| view.dossier.of(Kind::Segment)).map(|fact| fact.at);
        Ok(here.chain(placed).chain([device.last_asked]).max().unwrap_or(device.last_asked))
    }

    /// What the asset system says of a device.
    fn facts(&self, device: &DomainDevice, asset: &Asset, now: Time) -> Vec<Fact> {
        let fact = |kind, value: Option<Value>| {
            let fact = Fact {
                subject: device.identity.device.clone(),
                kind,
                value: value.clone().unwrap_or_else(|| false.into()),
                source: SOURCE.into(),
                issuer: None,
                at: now,
                expires: Some(now + self.config.max_age),
                verifier: "assets".into(),
            };
            match value {
                Some(_) => fact,
                // It does not say so any more.
                None => Fact { value: empty(kind), ..fact }.withdrawn(now),
            }
        };
        let going = (asset.status == GOING).then(|| false.into());
        let owner = asset.tenant.clone().map(Value::from);
        let mut facts = vec![fact(Kind::DeviceTrusted, going), fact(Kind::Owner, owner)];
        for (kind, field) in &self.config.facts {
            let value = asset.fields.get(field).and_then(|value| meant(*kind, value));
            facts.retain(|fact| fact.kind != *kind);
            facts.push(fact(*kind, value));
        }
        facts
    }

    fn kept(&self) -> MutexGuard<'_, AssetReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a custom field says, if it has the form of that kind of fact.
fn meant(kind: Kind, value: &serde_json::Value) -> Option<Value> {
    match kind.shape() {
        Shape::Bool => value.as_bool().map(Value::from),
        Shape::Number => value.as_i64().map(Value::from),
        Shape::Text => value.as_str().filter(|text| !text.is_empty()).map(Value::from),
        Shape::List => {
            let texts = value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>().map(Value::from)
        }
    }
}

/// A value of the form of that kind, for what is taken back.
fn empty(kind: Kind) -> Value {
    match kind.shape() {
        Shape::Bool => false.into(),
        Shape::Number => 0.into(),
        Shape::Text => "".into(),
        Shape::List => Vec::new().into(),
    }
}

/// What is to be written of a device, if it does not stand there already.
fn stands(device: &DomainDevice, asset: &Asset, level: Level, seen: Time) -> Option<Written> {
    let fields = [(LEVEL, level.to_string()), (STATE, device.state.to_string()), (SEEN, seen.to_string())];
    let is_there =
        |(name, text): &(&str, String)| asset.fields.get(*name).and_then(|value| value.as_str()) == Some(text);
    match fields.iter().all(is_there) {
        true => None,
        false => {
            let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
            Some(Written { id: asset.id, fields: fields.collect() })
        }
    }
}

fn backend(why: &dyn std::fmt::Display) -> Refusal {
    refuse(Fault::Backend, "assets-records", why.to_string())
}

fn refuse(fault: Fault, check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(fault, check, SECTION, why)
}
