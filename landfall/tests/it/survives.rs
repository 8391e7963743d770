//! Servers and devices that are killed at random points: nothing is lost, and nothing is used twice.
//!
//! `LANDFALL_KILL_DEVICES` says how many devices there are, `LANDFALL_KILL_SEED` repeats the draws of an earlier run.
//! What lies between a draw and what it hits is the machine's own time, so the same seed does not give the same run.

use crate::{
    books::balance,
    ground::{Ground, Role},
};
use landfall_brski::pledge::Progress;
use landfall_device::{Agent, Outcome};
use landfall_testkit::{Rng, Running};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How many devices are at it at a time.
const AT_ONCE: usize = 16;
/// How long a device counts as one of them: one that takes longer was hit by a kill, and waits before it goes on.
const PLACE: Duration = Duration::from_millis(500);
/// Far more than it takes; a device that is never onboarded must not hold up the test for ever.
const PATIENCE: Duration = Duration::from_secs(1800);

pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// A seed that is new each time, so that runs differ, unless one is asked for.
pub(crate) fn seed() -> u64 {
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    number("LANDFALL_KILL_SEED").unwrap_or_else(fresh)
}

/// What devices went through, shared by all of them.
#[derive(Default)]
struct Tally {
    attempts: usize,
    /// Why attempts failed, and how often.
    failures: BTreeMap<String, usize>,
}

impl Tally {
    fn note(&mut self, failure: Option<&str>) {
        self.attempts += 1;
        if let Some(failure) = failure {
            *self.failures.entry(failure.to_owned()).or_default() += 1;
        }
    }
}

#[test]
fn killed_servers_lose_nothing_and_use_nothing_twice() {
    let (devices, seed) = (number("LANDFALL_KILL_DEVICES").unwrap_or(2000) as usize, seed());
    println!("LANDFALL_KILL_SEED={seed} LANDFALL_KILL_DEVICES={devices}");
    let ground = Arc::new(Ground::lay(devices));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (told, onboarded) = watch::channel(0);
    let (servers, kills) = runtime.block_on(async {
        let mut rng = Rng::new(seed);
        let bundles = ground.devices();
        assert_eq!(bundles.len(), devices);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut coming = JoinSet::new();
        let servers = Servers::start(&ground);
        for bundle in bundles {
            let life = Life { ground: ground.clone(), bundle, tally: tally.clone(), rng: Rng::new(rng.next()) };
            let (places, told) = (places.clone(), told.clone());
            coming.spawn(async move {
                life.live(&places).await;
                told.send_modify(|onboarded| *onboarded += 1);
            });
        }
        let killer = tokio::spawn(kill(servers, draws(&mut rng, devices), onboarded));
        let all = async { while coming.join_next().await.transpose().expect("a device").is_some() {} };
        timeout(PATIENCE, all).await.expect("some devices were never onboarded");
        killer.await.unwrap()
    });
    servers.stop();
    let tally = tally.lock().unwrap();
    println!("{kills} kills, each with a restart; {} attempts of {devices} devices", tally.attempts);
    tally.failures.iter().for_each(|(why, count)| println!("{count:6} × {why}"));
    assert!(tally.attempts > devices, "no kill hit anybody");
    println!("{}", balance(&ground));
}

/// The servers, always up again.
struct Servers {
    ground: Arc<Ground>,
    masa: Running,
    registrar: Running,
}

impl Servers {
    fn start(ground: &Arc<Ground>) -> Self {
        let (masa, registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
        Self { ground: ground.clone(), masa, registrar }
    }

    fn of(&mut self, role: Role) -> &mut Running {
        match role {
            Role::Masa => &mut self.masa,
            Role::Registrar => &mut self.registrar,
        }
    }

    /// Ends the victims by SIGKILL, and starts them again at once; those that are hit twice are ended again while they
    /// start.
    fn killed(mut self, draw: &Draw) -> Self {
        draw.victims.iter().for_each(|victim| self.of(*victim).signal("KILL"));
        for victim in draw.victims {
            self.of(*victim).wait();
            if let Some(moment) = draw.twice {
                let mut starting = self.ground.start(*victim);
                std::thread::sleep(moment);
                starting.signal("KILL");
                starting.wait();
            }
            *self.of(*victim) = self.ground.serve(*victim);
        }
        self
    }

    fn stop(mut self) {
        for role in [Role::Registrar, Role::Masa] {
            self.of(role).signal("TERM");
            assert!(self.of(role).wait().success(), "the {} did not stop as it should", role.name());
        }
    }
}

/// A device that asks until it is in, like a real one.
struct Life {
    ground: Arc<Ground>,
    bundle: PathBuf,
    tally: Arc<Mutex<Tally>>,
    rng: Rng,
}

impl Life {
    /// Each attempt is a new start of the agent, from what is on its disk. One in eight devices is not started again but
    /// left to itself, with the pauses that the specification wants.
    async fn live(mut self, places: &Semaphore) {
        let attempts = (self.rng.below(8) > 0).then_some(1);
        loop {
            let place = places.acquire().await.unwrap();
            let agent = Agent::open(self.ground.device(&self.bundle)).unwrap();
            let mut quiet = |_: &Progress| ();
            let mut onboarding = pin!(agent.onboard(attempts, None, &mut quiet));
            let soon = timeout(PLACE, &mut onboarding).await;
            drop(place);
            let outcome = match soon {
                Ok(outcome) => outcome,
                Err(_it_waits) => onboarding.await,
            };
            let failure = match outcome.unwrap() {
                Outcome::Onboarded(done) if done.reported => None,
                Outcome::Onboarded(_) => Some("onboarded, but the registrar could not be told".to_owned()),
                Outcome::Refused(refusal) => Some(refusal.check.to_string()),
            };
            self.tally.lock().unwrap().note(failure.as_deref());
            if failure.is_none() {
                return;
            }
            sleep(Duration::from_millis(200 + self.rng.below(800))).await;
        }
    }
}

/// When to kill whom.
struct Draw {
    /// Once so many devices are onboarded, and
    after: usize,
    /// a moment later,
    moment: Duration,
    /// these,
    victims: &'static [Role],
    /// and once more so long after they were started again.
    twice: Option<Duration>,
}

/// Four kills for every hundred devices, and twenty at least.
fn draws(rng: &mut Rng, devices: usize) -> Vec<Draw> {
    const VICTIMS: [&[Role]; 5] =
        [&[Role::Masa], &[Role::Masa], &[Role::Registrar], &[Role::Registrar], &[Role::Masa, Role::Registrar]];
    let mut draws: Vec<Draw> = (0..devices.div_ceil(25).max(20))
        .map(|_| Draw {
            after: rng.below(devices as u64) as usize,
            moment: Duration::from_micros(rng.below(200_000)),
            victims: VICTIMS[rng.below(5) as usize],
            twice: rng.percent(25).then(|| Duration::from_micros(rng.below(100_000))),
        })
        .collect();
    draws.sort_by_key(|draw| draw.after);
    draws
}

async fn kill(mut servers: Servers, draws: Vec<Draw>, mut onboarded: watch::Receiver<usize>) -> (Servers, usize) {
    let mut kills = 0;
    for draw in draws {
        onboarded.wait_for(|onboarded| *onboarded >= draw.after).await.unwrap();
        sleep(draw.moment).await;
        kills += draw.victims.len() * (1 + usize::from(draw.twice.is_some()));
        servers = tokio::task::spawn_blocking(move || servers.killed(&draw)).await.unwrap();
    }
    (servers, kills)
}

#[test]
fn killed_devices_go_on_from_what_they_hold() {
    let seed = seed();
    println!("LANDFALL_KILL_SEED={seed}");
    let (ground, mut rng) = (Arc::new(Ground::lay(20)), Rng::new(seed));
    let (servers, mut kills) = (Servers::start(&ground), 0);
    for bundle in ground.devices() {
        for _ in 0..5 {
            let mut agent = Running::start(&mut ground.device_command(&bundle, &["onboard", "--attempts", "1"]));
            std::thread::sleep(Duration::from_millis(rng.below(250)));
            agent.signal("KILL");
            kills += usize::from(!agent.wait().success());
        }
        let output = ground.device_command(&bundle, &["onboard", "--attempts", "1", "--json"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    servers.stop();
    println!("{kills} kills\n{}", balance(&ground));
    assert!(kills > 0);
}
