//! From settings to an enforcer at work: everything shut first, then who may be inside.

use super::{
    Enforcer, Guest, Purposes, State,
    collect::{self, Collector},
    flows::Flows,
    manager,
    names::{Door, Names},
    picture::{Occupant, Picture, Segment},
    plan, purpose,
    told::{Told, ToldNames},
    violation::{self, Dropped},
};
use crate::{
    RoleError, World,
    role::{RoleName, Shutdown, Task},
    settings::{
        BehaviourSettings, EnforcerSettings, NamesSettings, Problem, Reach, SegmentKind, SegmentSettings, Settings,
    },
};
use landfall_lifecycle::network::DomainDevice;
use landfall_nft::{Interface, Kernel};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify},
    task::JoinSet,
};

/// More ports than a machine has.
const MOST: usize = 4096;
/// A bridge's name begins with this, if it is not given.
const PREFIX: &str = "br-";
/// How often it is looked whose time is over.
const TICK: Duration = Duration::from_secs(1);
/// Where a join proxy listens that does not run here.
const USUAL_PROXY: u16 = 8444;

/// How the enforcer is set up.
#[derive(Debug)]
pub struct Config {
    /// Segments and ports.
    pub picture: Picture,
    /// Ports by the names that their authenticators have.
    pub names: BTreeMap<String, Interface>,
    /// What manufacturers say, and of which devices.
    pub purposes: Purposes,
    /// Where the rest of that is fetched from.
    pub manager: Option<manager::Config>,
    /// How often the kernel is looked at.
    pub check: Duration,
    /// The kernel.
    pub kernel: Kernel,
    /// How devices' names are resolved, if they are here.
    pub resolver: Option<NamesSettings>,
    /// How what devices begin is looked at, if it is.
    pub behaviour: Option<BehaviourSettings>,
}

impl Config {
    /// What `enforcer` means in `settings`.
    ///
    /// # Errors
    /// If a name cannot be meant, or `nft` or `ip` is not installed.
    pub fn from_settings(enforcer: &EnforcerSettings, settings: &Settings) -> Result<Self, RoleError> {
        let mut problems = Vec::new();
        let (picture, names, purposes, manager) = read(enforcer, settings, &mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(RoleError::new(problem.key, problem.why));
        }
        let kernel = Kernel::new(enforcer.namespace.as_deref()).map_err(RoleError::while_("the enforcer"))?;
        let (check, resolver) = (enforcer.check.duration(), enforcer.names.clone());
        let behaviour = enforcer.behaviour.clone();
        Ok(Self { picture, names, purposes, manager, check, kernel, resolver, behaviour })
    }

    /// Shuts everything, makes what bridges are missing, puts every port where it belongs, and lets those in again who were
    /// inside and still may be.
    ///
    /// # Errors
    /// If the kernel does not do it: then nothing has been opened.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Enforcer>), RoleError> {
        let failed = RoleError::while_::<landfall_nft::KernelError>;
        let bridges = match &self.picture.shared {
            None => "making the bridges (enforcer.segment)",
            Some(_) => "making the bridge (enforcer.bridge; where the kernel has no VLANs, leave it out)",
        };
        let joins = world.joins.subscribe();
        let flows = self.behaviour.as_ref().map(|settings| Flows::recall(settings, &world.store, world.clock.now()));
        let flows = flows.transpose().map_err(RoleError::while_("reading what devices have taught"))?.map(Mutex::new);
        let enforcer = Arc::new(Enforcer {
            state: Mutex::new(State {
                loaded: self.picture.closed(),
                wanted: self.picture,
                generation: 0,
                frame: Vec::new(),
                guests: BTreeMap::new(),
                told: Told::default(),
                dropped: Dropped::default(),
                down: BTreeSet::new(),
                checked: None,
                repairs: 0,
            }),
            manager: self.manager.map(|config| config.build(world.clone())).transpose()?.map(Arc::new),
            world,
            kernel: self.kernel,
            names: self.names,
            purposes: self.purposes,
            check: self.check,
            contacts: Mutex::default(),
            flows,
            collected: std::sync::Mutex::default(),
            connections: std::sync::Mutex::default(),
            said: Mutex::default(),
            stirred: Notify::new(),
            heard: AtomicBool::default(),
        });
        {
            let state = &mut *enforcer.state.lock().await;
            // Whoever was inside keeps its addresses while all are shut; what could not be read shuts them all the same.
            let restored = enforcer.restore(state).map_err(RoleError::while_("reading who was inside"));
            let closed = state.wanted.closed();
            enforcer.replace(state, closed).await.map_err(failed("shutting every port"))?;
            restored?;
            let there = enforcer.kernel.links().await.map_err(failed("looking at interfaces"))?;
            enforcer.kernel.change(&state.wanted.missing(&there)).await.map_err(failed(bridges))?;
        }
        enforcer.watch_for_denied().await.map_err(failed("watching for what is on deny lists"))?;
        enforcer.watch_flows().await.map_err(failed("looking at what devices begin (enforcer.behaviour)"))?;
        enforcer.check().await.map_err(failed("opening the ports (enforcer.port)"))?;
        let resolver = self.resolver.unwrap_or_default();
        let open = |address: &SocketAddr| Door::open(&enforcer.kernel, *address);
        let doors = resolver.listen.iter().map(open).collect::<Result<Vec<_>, _>>();
        let doors = doors.map_err(RoleError::while_("opening the resolver (enforcer.names.listen)"))?;
        let ipfix = self.behaviour.as_ref().and_then(|behaviour| behaviour.ipfix.as_ref());
        let collector = ipfix.map(|ipfix| Collector::open(&enforcer.kernel, ipfix)).transpose();
        let collector = collector.map_err(RoleError::while_("opening enforcer.behaviour.ipfix.listen"))?;
        let tracked = match self.behaviour.as_ref().is_some_and(|behaviour| behaviour.conntrack) {
            true => Some(enforcer.track().await),
            false => None,
        };
        let tracked =
            tracked.transpose().map_err(RoleError::while_("looking at connections (enforcer.behaviour.conntrack)"))?;
        let names = Arc::new(Names::new(enforcer.clone(), resolver));
        let mut tasks: JoinSet<()> = doors.into_iter().map(|door| door.serve(names.clone())).collect();
        let served = enforcer.clone();
        tasks.spawn(async move {
            tokio::join!(
                served.watch(),
                served.follow(joins),
                served.report_on(),
                served.follow_denied(),
                served.hear_contacts(),
                served.follow_flows(),
                served.collect(collector),
                served.follow_connections(tracked)
            );
        });
        let (listening, mut ear) = (enforcer.clone(), violation::ear(&enforcer));
        tasks.spawn(async move {
            loop {
                if let Some(ear) = ear {
                    listening.listen(ear).await;
                }
                // That nothing is told is no reason to stop. Whoever listened before may be a moment in ending.
                tokio::time::sleep(TICK).await;
                ear = listening.kernel.told(plan::TOLD).ok();
            }
        });
        let work = async move {
            tokio::select! {
                () = shutdown.begun() => Ok(()),
                _ = tasks.join_next() => Ok(()),
            }
        };
        Ok((Task::new(RoleName::Enforcer, None, work), enforcer))
    }
}

impl Enforcer {
    /// Who was inside before a restart and may be still.
    fn restore(&self, state: &mut State) -> Result<(), landfall_store::ReadError> {
        let now = self.world.clock.now();
        for guest in self.world.store.scan::<Guest>(None, MOST)? {
            let guest = guest.record;
            let (Ok(port), Ok(mac)) = (guest.port.parse::<Interface>(), guest.mac.parse()) else { continue };
            let segment = state.wanted.segments.iter().position(|segment| segment.name == guest.segment);
            let device = self.world.store.find::<DomainDevice>(guest.device.as_str())?;
            let may = device.is_some_and(|device| device.state.is_inside()) && now < guest.until;
            if let (Some(segment), true, true) = (segment, may, state.wanted.ports.contains(&port)) {
                // Whose record cannot be read now comes in when it shows itself again.
                let Ok(intent) = self.intent(&mut state.wanted, &guest.device) else { continue };
                state.wanted.occupants.insert(port.clone(), Occupant { mac, segment, intent });
                self.purposes.tell(&mut state.wanted, &port);
                let told = self.world.store.find::<ToldNames>(port.as_str())?.map(|told| told.record);
                if let Some(told) = told.filter(|told| told.device == guest.device) {
                    state.recall(&port, told, now);
                }
                state.guests.insert(port, guest);
            }
        }
        state.count();
        Ok(())
    }

    /// Looks after everything, for as long as it is polled.
    async fn watch(&self) {
        let mut looked = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(TICK.min(self.check)).await;
            self.expire().await;
            if looked.elapsed() >= self.check {
                looked = tokio::time::Instant::now();
                // Files whose time is over are asked for again.
                self.revise().await;
                if let Err(why) = self.check().await {
                    tracing::error!(role = "enforcer", %why, "what the kernel has could not be checked or put right");
                }
            }
        }
    }
}

/// What settings mean, and what is wrong with them.
pub(crate) fn read(
    enforcer: &EnforcerSettings,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> (Picture, BTreeMap<String, Interface>, Purposes, Option<manager::Config>) {
    let mut picture = Picture::default();
    shared(enforcer, &mut picture, problems);
    let proxy = settings.proxy.as_ref().map(|proxy| proxy.listen.port()).filter(|port| *port != 0);
    for (index, settings) in enforcer.segment.iter().enumerate() {
        let key = format!("enforcer.segment[{index}]");
        match segment(settings, proxy.unwrap_or(USUAL_PROXY), &picture) {
            Ok(segment) => picture.segments.push(segment),
            Err((field, why)) => problems.push(Problem::new(format!("{key}.{field}"), why)),
        }
    }
    let mut names = BTreeMap::new();
    for (index, port) in enforcer.port.iter().enumerate() {
        let key = format!("enforcer.port[{index}]");
        let interface: Interface = match port.interface.parse() {
            Ok(interface) => interface,
            Err(why) => {
                problems.push(Problem::new(format!("{key}.interface"), why));
                continue;
            }
        };
        if picture.trunks.contains(&interface) {
            problems.push(Problem::new(format!("{key}.interface"), "is also among the trunks"));
        }
        if !picture.ports.insert(interface.clone()) {
            problems.push(Problem::new(format!("{key}.interface"), "is there twice"));
        }
        let name = port.authenticator.clone().unwrap_or_else(|| interface.to_string());
        if names.insert(name, interface).is_some() {
            problems.push(Problem::new(format!("{key}.authenticator"), "is also that of another port"));
        }
    }
    if enforcer.port.len() > MOST {
        problems.push(Problem::new("enforcer.port", "are more than a machine has"));
    }
    if enforcer.segment.is_empty() {
        problems.push(Problem::new("enforcer.segment", "is empty, so no device could be anywhere"));
    }
    if enforcer.port.is_empty() {
        problems.push(Problem::new("enforcer.port", "is empty, so no port would be guarded"));
    }
    collect::check(enforcer, problems);
    let purposes = purpose::read(enforcer, settings, &mut picture, problems);
    picture.bound = enforcer.bind_addresses;
    picture.claims = enforcer.mud.as_ref().is_some_and(|mud| mud.claims);
    let manager = enforcer.mud.as_ref().and_then(|mud| manager::Config::read(mud, settings, problems));
    (picture, names, purposes, manager)
}

/// The bridge that all segments share, and its trunks.
fn shared(enforcer: &EnforcerSettings, picture: &mut Picture, problems: &mut Vec<Problem>) {
    match enforcer.bridge.as_deref().map(str::parse) {
        Some(Ok(bridge)) => picture.shared = Some(bridge),
        Some(Err(why)) => problems.push(Problem::new("enforcer.bridge", why)),
        None if !enforcer.trunks.is_empty() => {
            problems.push(Problem::new("enforcer.trunks", "are of one bridge for all segments (enforcer.bridge)"));
        }
        None => {}
    }
    for (index, trunk) in enforcer.trunks.iter().enumerate() {
        match trunk.parse() {
            Ok(trunk) => drop(picture.trunks.insert(trunk)),
            Err(why) => problems.push(Problem::new(format!("enforcer.trunks[{index}]"), why)),
        }
    }
}

/// The VID of a segment in the bridge that all share.
fn vid(settings: &SegmentSettings, before: &Picture) -> Result<Option<u16>, (&'static str, String)> {
    if before.shared.is_none() {
        let why = "is for one bridge for all segments (enforcer.bridge)";
        return if settings.vid.is_none() { Ok(None) } else { Err(("vid", why.into())) };
    }
    let vid = settings.vid.or_else(|| settings.vlan.as_deref()?.parse().ok());
    let vid = vid.ok_or_else(|| ("vid", "is missing, and vlan is no number in its place".to_owned()))?;
    if !(1..=4094).contains(&vid) {
        return Err(("vid", "is not from 1 to 4094 (IEEE 802.1Q s9.6)".into()));
    }
    if before.segments.iter().any(|other| other.vid == Some(vid)) {
        return Err(("vid", "is also that of another segment".into()));
    }
    Ok(Some(vid))
}

fn segment(settings: &SegmentSettings, proxy: u16, before: &Picture) -> Result<Segment, (&'static str, String)> {
    let name = &settings.name;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=32).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(("name", "has not 1 to 32 small letters, digits and hyphens".into()));
    }
    let vid = vid(settings, before)?;
    let usual = || match (&before.shared, vid) {
        (Some(shared), Some(vid)) => format!("{shared}.{vid}"),
        _ => format!("{PREFIX}{name}"),
    };
    let bridge = settings.bridge.clone().unwrap_or_else(usual);
    let bridge = bridge.parse::<Interface>().map_err(|why| ("bridge", why.to_string()))?;
    let is_taken = |test: &dyn Fn(&Segment) -> bool| before.segments.iter().any(test);
    if is_taken(&|other| other.name == *name) {
        return Err(("name", "is also that of another segment".into()));
    }
    if is_taken(&|other| other.bridge == bridge) || before.shared.as_ref() == Some(&bridge) {
        return Err(("bridge", "is also that of another, or of all".into()));
    }
    if settings.vlan.is_some() && is_taken(&|other| other.vlan == settings.vlan) {
        return Err(("vlan", "is also that of another segment".into()));
    }
    let reach = match (settings.kind, &settings.reach) {
        (SegmentKind::Production, Some(_)) => return Err(("reach", "is for onboarding and quarantine".into())),
        (SegmentKind::Onboarding, None) => Reach::onboarding(proxy),
        (_, reach) => reach.clone().unwrap_or_default(),
    };
    match settings.kind {
        SegmentKind::Onboarding if settings.vlan.is_some() => {
            return Err(("vlan", "is for devices that were let in, and here are those that were not".into()));
        }
        SegmentKind::Onboarding if before.onboarding().is_some() => {
            return Err(("kind", "is onboarding a second time".into()));
        }
        SegmentKind::Production | SegmentKind::Quarantine if settings.vlan.is_none() => {
            return Err(("vlan", "is missing, so no place could mean it".into()));
        }
        _ => {}
    }
    if settings.lateral && settings.kind != SegmentKind::Production {
        return Err(("lateral", "is for production: others do not reach each other".into()));
    }
    let (name, vlan, lateral) = (name.clone(), settings.vlan.clone(), settings.lateral);
    Ok(Segment { name, kind: settings.kind, bridge, vid, vlan, lateral, reach })
}
