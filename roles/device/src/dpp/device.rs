//! A device with a folder: looks for configurators until one takes it, and remembers what it got.

use super::{
    Config, Join, NoRadio, Standing, Supplicant, TakeOver, Via, Watch,
    birth::Birth,
    enrollee::{Enrolled, Enrollee, Outcome, Session, Succession, Wishes},
    networks::{Keep, Networks, Store},
    search::{Search, of_uri},
    standing, via,
};
use crate::{DeviceError, state::State};
use landfall_dpp::{NetRole, System, Uri, exchange, pkex::Code};
use landfall_element::SecureElement;
use landfall_net::{dpp::Link, http::Endpoint};
use landfall_types::{Event, Fault, Process, Refusal, Time};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout, timeout_at},
};

/// How long a radio may take to join.
const JOIN: Duration = Duration::from_secs(30);

/// A device that Wi-Fi Easy Connect can onboard.
pub struct Device {
    config: crate::Config,
    birth: Birth,
    state: State,
    store: Store,
    enrollee: Enrollee,
    join: Box<dyn Join>,
    /// Where keys go that are asked for in the place of networks.
    keys_to: Option<TakeOver>,
}

/// How a device goes about it.
#[derive(Clone, Debug, Default)]
pub struct Onboarding {
    /// It sends the Authentication Request itself, to the configurator whose URI is known.
    pub initiate: bool,
    /// It makes itself known by this code.
    pub code: Option<Code>,
    /// Its button was pushed.
    pub push_button: bool,
    /// It onboards even if it has networks; those stay until it has others.
    pub again: bool,
    /// It gives up after so many rounds.
    pub attempts: Option<u32>,
    /// It gives up after this long.
    pub limit: Option<Duration>,
}

/// How onboarding ended.
#[derive(Debug)]
pub enum End {
    /// The device has networks.
    Onboarded {
        /// Where it stands now.
        standing: Box<Standing>,
        /// What the exchange brought; `None` if it had networks before, so that there was none.
        enrolled: Option<Box<Enrolled>>,
    },
    /// The configurator has handed over its keys, which it was asked for in the place of networks.
    TakenOver(Succession),
    /// It has none, or no others, for this reason.
    Refused(Refusal),
}

impl Onboarding {
    fn is_over(&self, round: u32) -> bool {
        self.attempts.is_some_and(|attempts| round >= attempts) || self.code.as_ref().is_some_and(Code::is_dead)
    }
}

impl Device {
    /// The device that `config` describes, if it has a bootstrapping key. Takes in the factory's bundle at the first start.
    ///
    /// # Errors
    /// If the configuration, the bundle, the element or the state folder is not as it should be.
    pub fn open(config: crate::Config) -> Result<Option<Self>, DeviceError> {
        let element = crate::agent::open_element(&config)?;
        Self::with_element(config, element)
    }

    /// The same with the keys in an element of the caller's choice.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn with_element(config: crate::Config, element: Arc<dyn SecureElement>) -> Result<Option<Self>, DeviceError> {
        let state = State::open(&config.state)?;
        let Some(mut birth) = Birth::open(&config, &element)? else { return Ok(None) };
        if let Some(uri) = config.dpp.configurator()? {
            birth.identity.configurator = Some(uri);
        }
        let store = Store::new(&config.state, element);
        let join: Box<dyn Join> = match radio(&config) {
            Some(radio) => Box::new(radio),
            None => Box::new(NoRadio),
        };
        let wishes = wishes(&config.dpp, &birth);
        if wishes.mutual == exchange::Mutual::Required && birth.identity.configurator.is_none() {
            let why = "mutual authentication needs the configurator's URI, in the bundle or by --configurator";
            return Err(DeviceError::Config(why.into()));
        }
        let enrollee = Enrollee { identity: birth.identity.clone(), wishes };
        Ok(Some(Self { config, birth, state, store, enrollee, join, keys_to: None }))
    }

    /// The same, which asks to be a configurator, and leaves the keys that it gets there (DPP s6.4.6).
    #[must_use]
    pub fn taking_over(mut self, to: TakeOver) -> Self {
        self.enrollee.wishes.request.net_role = NetRole::Configurator;
        self.keys_to = Some(to);
        self
    }

    /// Its bootstrapping URI.
    pub const fn uri(&self) -> &Uri {
        &self.enrollee.identity.uri
    }

    /// Where the device stands.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn standing(&self) -> Result<Standing, DeviceError> {
        let networks = self.store.read()?;
        Ok(standing::of(&self.birth, networks.as_ref(), self.config.clock.then(Time::now)))
    }

    /// Gets networks, unless the device has some.
    ///
    /// # Errors
    /// If the device itself fails; a configurator's refusal is an [`End`].
    pub async fn onboard(&self, how: &Onboarding, watch: Watch<'_>) -> Result<End, DeviceError> {
        let _lock = self.state.lock()?;
        if let Some(networks) = self.store.read()?.filter(|_| !how.again && self.keys_to.is_none()) {
            if let Some(radio) = self.radio() {
                radio.join(&networks).await;
            }
            return Ok(End::Onboarded { standing: Box::new(self.standing()?), enrolled: None });
        }
        self.carry_out(how, None, watch).await
    }

    /// Gets other networks from the configurator that it has its own from, which have the place of those once they are
    /// durable: before its connector ends, or when it leads nowhere any more (DPP s6.5).
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn reconfigure(&self, how: &Onboarding, watch: Watch<'_>) -> Result<End, DeviceError> {
        let _lock = self.state.lock()?;
        let Some(mut networks) = self.store.read()? else {
            let why = "the device has no networks: onboard it";
            return Ok(End::Refused(Refusal::new(Fault::Misuse, "dpp-reconfig-nothing", "DPP s6.5", why)));
        };
        if networks.identity.is_none() {
            networks.identify();
        }
        let networks = Arc::new(networks);
        self.store.keep(Arc::clone(&networks))?;
        self.carry_out(how, Some(&networks), watch).await
    }

    /// Gets others in good time, for as long as there are connectors that end.
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn stay(&self, watch: Watch<'_>) -> Result<(), DeviceError> {
        /// The clock of the machine may be set while we sleep.
        const NAP: Duration = Duration::from_secs(30);
        /// However often it failed, it is tried so often.
        const LONGEST: Duration = Duration::from_secs(3600);
        let mut pause = self.config.dpp.pause();
        loop {
            let networks = self.store.read()?.filter(|_| self.config.clock);
            let Some(due) = networks.and_then(|networks| networks.due()) else { return std::future::pending().await };
            while Time::now() < due {
                sleep(due.since(Time::now()).min(NAP)).await;
            }
            let once = Onboarding { attempts: Some(1), ..Onboarding::default() };
            match self.reconfigure(&once, watch).await? {
                End::Onboarded { .. } | End::TakenOver(_) => pause = self.config.dpp.pause(),
                End::Refused(refusal) => {
                    watch(&refusal.to_string());
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    }

    /// Goes where configurators may be, until one gives the device networks: that from which it has those that are `held`.
    async fn carry_out(&self, how: &Onboarding, held: Option<&Networks>, watch: Watch<'_>) -> Result<End, DeviceError> {
        let (begun, start) = (Instant::now(), Time::now());
        let finding = async {
            match held {
                Some(held) if self.config.dpp.via == Via::WpaSupplicant => {
                    via::reconfigure(&self.needed_radio()?, held, &self.store, how.attempts, watch).await
                }
                Some(_) => self.announce(how, held, watch).await,
                None => self.find(how, watch).await,
            }
        };
        let found = match how.limit {
            Some(limit) => timeout(limit, finding).await.unwrap_or_else(|_| Ok(Outcome::Refused(late()))),
            None => finding.await,
        };
        let outcome = found?;
        self.log(if held.is_some() { "reconfigured" } else { "onboarded" }, &outcome, begun.elapsed());
        match outcome {
            // What was cut short after the configuration was durable has done what it was for.
            Outcome::Refused(_) if self.store.read()?.is_some_and(|networks| networks.obtained >= start) => {
                Ok(End::Onboarded { standing: Box::new(self.standing()?), enrolled: None })
            }
            Outcome::Refused(refusal) => Ok(End::Refused(refusal)),
            Outcome::TakenOver(succession) => Ok(End::TakenOver(succession)),
            Outcome::Enrolled(enrolled) => {
                if let Some(radio) =
                    self.radio().filter(|_| self.config.dpp.via == Via::Tcp && enrolled.connection.is_none())
                {
                    radio.join(&enrolled.networks).await;
                }
                Ok(End::Onboarded { standing: Box::new(self.standing()?), enrolled: Some(enrolled) })
            }
        }
    }

    /// Forgets the networks and their key, also in the radio. The bootstrapping key stays. True if there were any.
    ///
    /// # Errors
    /// If something could not be removed; then it is to be called again.
    pub async fn reset(&self) -> Result<bool, DeviceError> {
        let _lock = self.state.lock()?;
        let forgot = self.store.forget()?;
        if let Some(radio) = self.radio() {
            radio.remove_files()?;
            if let Err(error) = radio.forget().await {
                tracing::warn!(%error, "the radio's program may still know the networks");
            }
        }
        Ok(forgot)
    }

    /// Looks for a configurator in all the ways that are allowed, at once.
    async fn find(&self, how: &Onboarding, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        if self.config.dpp.via == Via::WpaSupplicant {
            if self.keys_to.is_some() {
                return Err(DeviceError::Config("wpa_supplicant keeps a configurator's keys for itself".into()));
            }
            return via::onboard(&self.needed_radio()?, &self.enrollee, &self.store, how.attempts, watch).await;
        }
        if how.push_button {
            let mut search = Search::begin(self.places()?, &self.config.discovery)?;
            return self.enrollee.push(&mut search, self.config.dpp.push_rest(), self.session(watch)).await;
        }
        let announcing = async {
            match how.initiate {
                true => self.ask(how, watch).await,
                false => self.announce(how, None, watch).await,
            }
        };
        let Some(address) = self.config.dpp.listen else { return announcing.await };
        let listener = TcpListener::bind(address).await.map_err(DeviceError::io(address.to_string()))?;
        tokio::select! {
            outcome = announcing => outcome,
            outcome = self.listen(listener, watch) => outcome,
        }
    }

    /// Goes to a place where a configurator may be.
    async fn approach(
        &self,
        place: &Endpoint,
        how: &Onboarding,
        held: Option<&Networks>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError> {
        match (held, &how.code) {
            (Some(held), _) => self.enrollee.reconfigure(held, place, self.session(watch)).await,
            (None, Some(code)) => self.enrollee.introduce(code, place, self.session(watch)).await,
            (None, None) => self.enrollee.announce(place, self.session(watch)).await,
        }
    }

    /// Announces the device in rounds, or shows that it has the code, at every place where a configurator may be.
    async fn announce(
        &self,
        how: &Onboarding,
        held: Option<&Networks>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError> {
        let known = self.places()?;
        if known.is_empty() && !self.config.discovery.mdns && self.config.dpp.listen.is_some() {
            return std::future::pending().await;
        }
        let mut search = Search::begin(known, &self.config.discovery)?;
        let mut last = Refusal::new(Fault::Backend, "dpp-nobody", "DPP s6.2.3", "no configurator was found");
        let mut round = 0;
        loop {
            let places = search.places().to_vec();
            for place in &places {
                match self.approach(place, how, held, watch).await? {
                    Outcome::Refused(refusal) => last = note(refusal, watch),
                    enrolled => return Ok(enrolled),
                }
            }
            round += 1;
            if !places.is_empty() && how.is_over(round) {
                return Ok(Outcome::Refused(last));
            }
            // Whoever is heard of meanwhile is not kept waiting.
            let end = Instant::now() + self.config.dpp.pause();
            while let Ok(place) = timeout_at(end, search.new_place()).await {
                match self.approach(&place, how, held, watch).await? {
                    Outcome::Refused(refusal) => last = note(refusal, watch),
                    enrolled => return Ok(enrolled),
                }
            }
            if how.is_over(round) {
                return Ok(Outcome::Refused(last));
            }
        }
    }

    /// Asks the configurator whose URI is known, until it answers.
    async fn ask(&self, how: &Onboarding, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        let configurator = self.enrollee.identity.configurator.as_ref();
        let configurator =
            configurator.ok_or_else(|| DeviceError::Config("name its URI with --configurator".into()))?;
        let places = self.places()?;
        let mut round = 0;
        loop {
            let mut last = None;
            for place in &places {
                match self.enrollee.ask(configurator, place, self.session(watch)).await? {
                    Outcome::Refused(refusal) => last = Some(note(refusal, watch)),
                    enrolled => return Ok(enrolled),
                }
            }
            let Some(last) = last else {
                let why = "the configurator's URI does not say where it is (H): name its address with --controller";
                return Err(DeviceError::Config(why.into()));
            };
            round += 1;
            if how.is_over(round) {
                return Ok(Outcome::Refused(last));
            }
            sleep(self.config.dpp.pause()).await;
        }
    }

    /// Answers those who connect, one after the other: each has to say its first word soon.
    async fn listen(&self, listener: TcpListener, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        loop {
            // A connection that was gone before it was taken is no reason to stop.
            let Ok((stream, _)) = listener.accept().await else { continue };
            let Ok(link) = Link::of(stream) else { continue };
            match self.enrollee.answer(link, self.session(watch)).await? {
                Outcome::Refused(refusal) => drop(note(refusal, watch)),
                enrolled => return Ok(enrolled),
            }
        }
    }

    /// Where configurators are known to be.
    fn places(&self) -> Result<Vec<Endpoint>, DeviceError> {
        let mut places = self.config.dpp.endpoints()?;
        let configurator: Option<&Uri> = self.enrollee.identity.configurator.as_ref();
        places.extend(configurator.map(of_uri).transpose()?.flatten());
        Ok(places)
    }

    fn session<'a>(&'a self, watch: Watch<'a>) -> Session<'a> {
        let keep: &dyn Keep = match &self.keys_to {
            Some(keys_to) => keys_to,
            None => &self.store,
        };
        Session { keep, join: &*self.join, random: Box::new(System), watch }
    }

    fn radio(&self) -> Option<Supplicant> {
        radio(&self.config)
    }

    fn needed_radio(&self) -> Result<Supplicant, DeviceError> {
        self.radio().ok_or_else(|| DeviceError::Config("name the radio's control socket".into()))
    }

    /// The one closing line.
    fn log(&self, action: &'static str, outcome: &Outcome, duration: Duration) {
        crate::agent::log(&Event {
            at: Time::now(),
            process: Process::Network,
            role: "device",
            action,
            device: self.birth.serial_number.to_string(),
            outcome: match outcome {
                Outcome::Enrolled(_) | Outcome::TakenOver(_) => landfall_types::Outcome::Done,
                Outcome::Refused(refusal) => landfall_types::Outcome::Refused(refusal.clone()),
            },
            duration,
        });
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.birth.serial_number)
    }
}

fn radio(config: &crate::Config) -> Option<Supplicant> {
    let control = config.dpp.radio.clone()?;
    // wpa_supplicant reads files and answers there, from another folder than ours.
    let folder = config.state.join("radio");
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    Some(Supplicant { control, folder, patience: JOIN })
}

fn wishes(config: &Config, birth: &Birth) -> Wishes {
    let name = config.name.clone().unwrap_or_else(|| birth.serial_number.to_string());
    let mut wishes = Wishes::new(&name, &birth.identity);
    wishes.release = config.release;
    wishes.patience = config.patience();
    wishes.request.mud_url.clone_from(&config.mud_url);
    wishes.request.bands.clone_from(&config.bands);
    wishes.request.others.clone_from(&config.members);
    if let Some(mutual) = config.mutual {
        wishes.mutual = mutual.into();
    }
    wishes
}

fn note(refusal: Refusal, watch: Watch<'_>) -> Refusal {
    watch(&refusal.to_string());
    refusal
}

fn late() -> Refusal {
    Refusal::new(Fault::Backend, "device-time-limit", "DPP s6.2.3", "the time that was allowed is over")
}
