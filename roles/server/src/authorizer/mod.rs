//! The authorizer (SP 1800-36B 4.5, G.2.1 steps 3 to 7 and 12): whether a device may join, how far it may stay, and what it
//! may do, by policy and by all that is known of it.
//!
//! Others tell it facts ([`Authorizer::assert`]). Each that says something new is followed by a decision, in the same commit;
//! what expires is followed by one when it does. Nothing is asked again and again.

mod about;
mod believed;
mod credentials;
mod desk;
mod gate;
mod network_layer;
mod policy;
mod replay;
mod software;
pub(crate) mod sources;
mod status;
mod work;

pub use believed::{Believed, OwnWord};
pub use credentials::{Brought, CredentialRecord, CredentialReport, Withdrawal};
pub use desk::View;
pub use gate::Gate;
pub use network_layer::{Joining, NetworkLayer};
pub use policy::{PolicyVersion, Trial};
pub use replay::{Difference, Replayed};
pub use software::{
    Addresses, Devices, FeedFile, FeedRecord, FeedReport, FindingReport, Had, Publications, PublishedRecord,
    SbomRecord, SbomReport, Scope, VexRecord, Whereabouts,
};
pub use status::StatusLists;
pub use work::Entry;

pub(crate) use gate::away;
pub(crate) use software::BUNDLE;

use crate::{
    RoleError, World,
    identity::anchors,
    role::{RoleName, Shutdown, Task},
    settings::{AuthorizerSettings, Settings},
};
use about::About;
use credentials::Credentials;
use desk::Desk;
use landfall_assurance::{Fact, Grace, Kind, Known, Level, Policies, Question, Ruling};
use landfall_element::SecureElement;
use landfall_lifecycle::verification::{Braked, Manners};
use landfall_pki::Anchors;
use landfall_types::{DeviceId, Fault, Fingerprint, Refusal};
use software::Software;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, oneshot};

/// The log of every fact that said something new.
pub const FACT_LOG: &str = "verification-facts";
/// The log of every decision that says something new, of every joining and every operation.
pub const DECISION_LOG: &str = "verification-decisions";
/// The log of the policies that were in force.
pub const POLICY_LOG: &str = "verification-policies";

/// So many facts may be told at once.
pub const AT_ONCE: usize = 1000;
/// So many may be under way; others wait.
const UNDER_WAY: usize = 16_384;
/// So often it is looked whether feeds have come to another age.
const REFRESH: Duration = Duration::from_secs(60);
const SECTION: &str = "SP 1800-36B 4.5";

/// How the authorizer is set up.
#[derive(Debug)]
pub struct Config {
    /// How quickly things follow.
    pub manners: Manners,
    /// What may be unknown for how long.
    pub grace: Grace,
    /// The policies where no operator has set others.
    pub policies: Policies,
    /// Whose signature a policy needs, if any.
    pub signers: Option<Anchors>,
    /// Whose word counts for what is asserted of devices and of software.
    pub believed: Believed,
    /// Who else has to let a device join.
    pub network_layer: Option<NetworkLayer>,
}

impl Config {
    /// What `authorizer` means in `settings`; keys are opened in `element`.
    pub fn from_settings(
        authorizer: &AuthorizerSettings,
        settings: &Settings,
        element: Option<&dyn SecureElement>,
    ) -> Result<Self, RoleError> {
        let policies = match &authorizer.policy {
            None => Policies::default(),
            Some(path) => {
                let path = settings.resolve(path);
                let what = format!("the policies in {} (authorizer.policy)", path.display());
                let text = std::fs::read_to_string(&path).map_err(RoleError::while_(&*what))?;
                Policies::parse(&text).map_err(RoleError::while_(&*what))?
            }
        };
        let signers = match authorizer.policy_signers.is_empty() {
            true => None,
            false => Some(anchors(&authorizer.policy_signers, |path| settings.resolve(path))?),
        };
        let believed = Believed::from_settings(authorizer, settings)?;
        let network_layer = authorizer.network_layer.as_ref();
        let network_layer = network_layer.map(|asked| NetworkLayer::read(asked, settings, element)).transpose()?;
        let (manners, grace) = (authorizer.manners(), authorizer.grace());
        Ok(Self { manners, grace, policies, signers, believed, network_layer })
    }

    /// Reads what is on record.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Authorizer>), RoleError> {
        let failed = |why: &dyn std::fmt::Display| RoleError::new("reading what is known of devices", why);
        let now = world.clock.now();
        let desk = Desk::load(&world.store, now).map_err(|why| failed(&why))?;
        let Believed { feed_root, authorities, vendors, devices } = self.believed.clone();
        let pinned = feed_root.as_deref().map(software::digest);
        let software = Software::load(&world.store, pinned, devices, now).map_err(|why| failed(&why))?;
        let credentials = Credentials::load(&world.store, authorities, vendors, now).map_err(|why| failed(&why))?;
        let authorizer = Arc::new(Authorizer {
            manners: self.manners,
            grace: self.grace,
            signers: self.signers,
            policies: RwLock::new(Arc::new(policy::InForce { version: 0, policies: self.policies })),
            desk: Mutex::new(desk),
            believed: self.believed,
            network_layer: self.network_layer,
            software: RwLock::new(software),
            credentials: RwLock::new(credentials),
            bringing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            places: Arc::new(Semaphore::new(UNDER_WAY)),
            turn: tokio::sync::Mutex::default(),
            world: world.clone(),
        });
        authorizer.load_policy().await.map_err(|why| failed(&why))?;
        world.authorizer.open(authorizer.clone());
        let known = sources::all(&world).map_err(|why| failed(&why))?;
        authorizer.desk().take(known, now).map_err(|why| failed(&why))?;
        authorizer.derive_all();
        let running = authorizer.clone();
        let work = async move {
            let work = tokio::spawn(running.clone().work(shutdown.clone()));
            let refreshing = tokio::spawn(running.clone().refresh(shutdown));
            let ended = work.await;
            refreshing.abort();
            running.world.authorizer.expect();
            ended.map_err(|why| RoleError::new("the authorizer", why))
        };
        Ok((Task::new(RoleName::Authorizer, None, work), authorizer))
    }
}

/// The authorizer as it runs.
#[derive(Debug)]
pub struct Authorizer {
    world: World,
    manners: Manners,
    grace: Grace,
    signers: Option<Anchors>,
    policies: RwLock<Arc<policy::InForce>>,
    desk: Mutex<Desk>,
    believed: Believed,
    network_layer: Option<NetworkLayer>,
    /// What follows from these two is told by `about`; whoever needs several of the locks takes the desk's first.
    software: RwLock<Software>,
    credentials: RwLock<Credentials>,
    /// Lists of components, feeds and credentials are brought one at a time.
    bringing: tokio::sync::Mutex<()>,
    wake: Notify,
    /// Facts that are under way.
    places: Arc<Semaphore>,
    /// One policy is put into force at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Authorizer {
    /// Takes facts in, and resolves when they and what follows from them are durable and in effect here. How many of them
    /// said something new.
    ///
    /// # Errors
    /// If one of them is unfit (then none is taken), there are too many at once, or nothing can be written.
    pub async fn assert(&self, facts: Vec<Fact>) -> Result<usize, Refusal> {
        if facts.len() > AT_ONCE {
            let why = format!("{} facts at once are more than {AT_ONCE}", facts.len());
            return Err(Refusal::new(Fault::Malformed, "facts-at-once", SECTION, why));
        }
        let count = u32::try_from(facts.len()).unwrap_or(u32::MAX);
        let _place = self.places.clone().acquire_many_owned(count).await.map_err(|_| away())?;
        let (done, decided) = oneshot::channel();
        let news = {
            let (mut desk, now) = (self.desk(), self.world.clock.now());
            let grounds = about::grounds(&facts);
            let news = desk
                .take(facts, now)
                .map_err(|why| Refusal::new(Fault::Malformed, "fact-unfit", SECTION, why.to_string()))?;
            self.follow(&mut desk, &grounds, now);
            desk.wait(done);
            news
        };
        self.wake.notify_one();
        decided.await.map_err(|_| away())?.map(|()| news)
    }

    /// Whether a device may join, with what has been found out just now (G.2.1 steps 4 and 6).
    ///
    /// # Errors
    /// As with [`Self::assert`].
    pub async fn join(&self, device: &DeviceId, facts: Vec<Fact>) -> Result<Ruling, Refusal> {
        let joining = Joining { device: device.clone(), facts, via: Vec::new() };
        self.join_after(joining).await.map(|(ruling, _)| ruling)
    }

    /// The same where other authorizers may have been asked before, and by which version of the policy. Whom our own policies let
    /// join, the network-layer authorization service has to let join too (4.5, steps 5a and 5b).
    ///
    /// # Errors
    /// As with [`Self::assert`], or if the question has been here before.
    pub async fn join_after(&self, joining: Joining) -> Result<(Ruling, u64), Refusal> {
        let device = &joining.device;
        if joining.facts.iter().any(|fact| fact.subject != *device) {
            let why = "a fact is about another device than the question";
            return Err(Refusal::new(Fault::Malformed, "join-subject", SECTION, why).field("facts"));
        }
        if let Some(network_layer) = &self.network_layer {
            network_layer.follow(&joining.via)?;
        }
        self.assert(joining.facts.clone()).await?;
        let (mut ruling, mut version) = self.rule(device, Question::Join);
        // What we refuse nobody else is asked.
        if let Some(network_layer) = self.network_layer.as_ref().filter(|_| ruling.level >= Level::Remediation) {
            let theirs = network_layer.ask(&joining).await;
            // Something may have become known meanwhile.
            (ruling, version) = self.rule(device, Question::Join);
            ruling = network_layer::both(ruling, theirs);
        }
        self.write(Entry::answer(device, &ruling, version, self.world.clock.now())).await?;
        Ok((ruling, version))
    }

    /// What policy says to `question` about a device, written to the log.
    ///
    /// # Errors
    /// If it cannot be written: then nothing is decided.
    pub async fn rule_for_good(&self, device: &DeviceId, question: Question) -> Result<Ruling, Refusal> {
        let (ruling, version) = self.rule(device, question);
        let entry = Entry::answer(device, &ruling, version, self.world.clock.now());
        self.write(entry).await?;
        Ok(ruling)
    }

    /// What policy would say to `question` about a device now, and by which version.
    pub fn rule(&self, device: &DeviceId, question: Question) -> (Ruling, u64) {
        let (now, in_force) = (self.world.clock.now(), self.in_force());
        let (dossier, level) = self.desk().known(device, now);
        (in_force.policies.decide(&dossier, question, level, &self.grace, now), in_force.version)
    }

    /// How far a device is let in now, and why not further.
    pub fn level(&self, device: &DeviceId) -> (Level, String) {
        let found = self.desk().level(device);
        let (level, why) = found.unwrap_or_else(|| {
            let (ruling, _) = self.rule(device, Question::Stay);
            (ruling.level, ruling.why())
        });
        // Nobody can be held to rules that nobody knows.
        match level == Level::Limited && !self.knows_intent(device) {
            true => (Level::Quarantine, format!("{why}; and what it is to communicate with is not known")),
            false => (level, why),
        }
    }

    fn knows_intent(&self, device: &DeviceId) -> bool {
        let (dossier, _) = self.desk().known(device, self.world.clock.now());
        let known = dossier.known(Kind::IntentKnown, &self.grace, self.world.clock.now());
        matches!(known, Known::Holds(value, _) if value == true.into())
    }

    /// A person lets a source go on that put too many devices out of action, or takes back what it told: how many devices are
    /// looked at anew. None if it does not wait for one.
    pub async fn judge_source(&self, source: &str, believe: bool) -> Option<usize> {
        let looked_at = self.desk().judge_source(source, believe, &self.manners, self.world.clock.now())?;
        self.wake.notify_one();
        Some(looked_at)
    }

    /// Looks at what the records say of a device now (its certificates, what an operator said), and at what follows.
    pub async fn review(&self, device: &DeviceId) {
        if let Err(why) = self.forget_shown(device).await {
            tracing::error!(role = "authorizer", %device, %why, "what a device has said of itself could not be forgotten");
        }
        let told = match sources::of_device(&self.world, device) {
            Ok(facts) if facts.is_empty() => return,
            Ok(facts) => self.assert(facts).await.map(drop),
            Err(why) => Err(Refusal::new(Fault::Backend, "authorizer-records", SECTION, why.to_string())),
        };
        if let Err(why) = told {
            tracing::error!(role = "authorizer", %device, %why, "what is on record of a device could not be taken in");
        }
    }

    /// Everything about a device, if anything is known of it.
    pub fn view(&self, device: &DeviceId) -> Option<View> {
        self.desk().view(device, &self.grace, self.world.clock.now())
    }

    /// Devices by their ids, from the one after `after` on; only those of that level, if one is given.
    pub fn views(&self, after: Option<&str>, most: usize, level: Option<Level>) -> Vec<View> {
        let desk = self.desk();
        let is_wanted = |device: &&DeviceId| {
            after.is_none_or(|after| device.as_str() > after)
                && desk.assessment(device).is_some_and(|it| level.is_none_or(|level| it.level == level))
        };
        let mut devices: Vec<&DeviceId> = desk.devices().filter(is_wanted).collect();
        devices.sort();
        let now = self.world.clock.now();
        devices.into_iter().take(most).filter_map(|device| desk.view(device, &self.grace, now)).collect()
    }

    /// The device that was born with the key of that digest.
    pub(crate) fn born_with(&self, key: Fingerprint) -> Option<DeviceId> {
        let desk = self.desk();
        let has = |device: &&DeviceId| desk.dossier(device).is_some_and(|dossier| About::of(dossier).key == Some(key));
        desk.devices().find(has).cloned()
    }

    /// The devices of which that source has told.
    pub fn told_by(&self, source: &str) -> Vec<DeviceId> {
        let desk = self.desk();
        let tells = |device: &&DeviceId| {
            desk.dossier(device).is_some_and(|dossier| dossier.facts.iter().any(|fact| fact.source == source))
        };
        desk.devices().filter(tells).cloned().collect()
    }

    /// The sources that have put too many devices out of action, and wait for a person.
    pub fn braked(&self) -> Vec<Braked> {
        self.desk().braked()
    }

    async fn refresh(self: Arc<Self>, shutdown: Shutdown) {
        let mut told = None;
        loop {
            self.refresh_age(&mut told).await;
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_force(&self) -> Arc<policy::InForce> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn backend(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Backend, "authorizer-records", SECTION, why.to_string())
}
