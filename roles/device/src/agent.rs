//! What the agent can do.

use crate::{
    Config, DeviceError,
    birth::Birth,
    connect::{Door, Port, Told},
    discover::Announcements,
    dpp,
    drive::{End, LDEVID, Waiting, World, discard, drive},
    evidence::Evidence,
    file,
    state::{Held, Lock, State},
};
use landfall_brski::pledge::{
    Credential, Input, InvalidInput, Onboarding, Output, Progress, Renewal, RenewalConfig, Timing,
};
use landfall_element::{ElementError, SecureElement, SoftwareElement};
use landfall_pkcs11::Pkcs11Element;
use landfall_pki::Certificate;
use landfall_tpm::TpmElement;
use landfall_types::{Event, Fault, Machine, Process, Refusal, SerialNumber, Time};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// How long one network for new devices is given, which may have no registrar; and how long to rest when all were tried.
const VISIT: Duration = Duration::from_secs(120);
const REST: Duration = Duration::from_secs(10);
/// How often a registrar in such a network is tried, if nobody says so.
const TRIES: u32 = 2;
/// How often wpa_supplicant is looked at, which may have been started anew.
const LOOK: Duration = Duration::from_secs(30);
/// A registrar that is shown evidence answers within that time.
const ANSWER: Duration = Duration::from_secs(60);

/// Who watches an onboarding or a renewal.
pub(crate) type Watch<'a> = &'a mut (dyn FnMut(&Progress) + Send + Sync);

/// A device's agent.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) birth: Birth,
    pub(crate) element: Arc<dyn SecureElement>,
    state: State,
    pub(crate) evidence: Evidence,
}

/// How an onboarding or a renewal ended.
#[derive(Debug)]
pub enum Outcome {
    /// The device has a network credential.
    Onboarded(Box<Onboarded>),
    /// It has none, or not a new one, for this reason.
    Refused(Refusal),
}

/// What a device got, and how.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Onboarded {
    /// The device.
    pub serial_number: SerialNumber,
    /// What it has.
    pub credential: LdevidSummary,
    /// Whether it had that before, so that nothing was done.
    pub before: bool,
    /// Whether the registrar was told over a connection with the new credential.
    pub reported: bool,
    /// How many connections were tried.
    pub attempts: u32,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A network credential, in words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LdevidSummary {
    /// The LDevID's subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its own serial number, in hexadecimal.
    pub serial: String,
    /// From when it is valid.
    pub not_before: Time,
    /// Until when.
    pub not_after: Time,
    /// Where its private key lives.
    pub key: String,
    /// Who the registrar is.
    pub registrar: String,
    /// Where the registrar was reached.
    pub address: String,
    /// What the voucher pinned.
    pub pinned: String,
}

/// Where the device stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// The device.
    pub serial_number: SerialNumber,
    /// Its model.
    pub model: String,
    /// Who made it: the issuer of its IDevID.
    pub manufacturer: String,
    /// Where the IDevID's private key lives.
    pub idevid_key: String,
    /// Its network credential.
    pub credential: Option<LdevidSummary>,
    /// Whether the credential is valid now.
    pub valid: bool,
}

impl Agent {
    /// The agent of the device that `config` describes. Takes in the factory's bundle at the first start.
    ///
    /// # Errors
    /// If the configuration, the bundle, the element or the state folder is not as it should be.
    pub fn open(config: Config) -> Result<Self, DeviceError> {
        let element = open_element(&config)?;
        Self::with_element(config, element)
    }

    /// The same with the keys in an element of the caller's choice.
    ///
    /// # Errors
    /// As [`Agent::open`].
    pub fn with_element(config: Config, element: Arc<dyn SecureElement>) -> Result<Self, DeviceError> {
        let state = State::open(&config.state)?;
        // What the bundle says of another protocol is taken in with the rest, since the bundle may be gone later.
        dpp::Birth::open(&config, &element)?;
        let birth = Birth::open(&config, &*element)?;
        let evidence = Evidence::new(config.evidence.clone())?;
        Ok(Self { config, birth, element, state, evidence })
    }

    /// The network credential.
    pub(crate) fn credential(&self) -> Result<Credential, DeviceError> {
        Ok(self.state.read()?.ok_or(DeviceError::NotOnboarded)?.credential)
    }

    /// Where the device stands.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn standing(&self) -> Result<Standing, DeviceError> {
        let held = self.state.read()?;
        let credential = held.as_ref().map(|held| summary(&held.credential));
        let valid = held.is_some_and(|held| !self.config.clock || is_valid(&held.credential.ldevid, Time::now()));
        Ok(Standing {
            serial_number: self.birth.serial_number.clone(),
            model: self.birth.model.to_string(),
            manufacturer: self.birth.idevid.issuer(),
            idevid_key: self.birth.key.to_string(),
            credential,
            valid,
        })
    }

    /// Gets a network credential, unless the device has one (RFC 8995 s5: a configured device does not onboard by
    /// itself). Gives up after `attempts` failures or after `limit`, if there are such bounds.
    ///
    /// # Errors
    /// If the device itself fails; a registrar's refusal is an [`Outcome`].
    pub async fn onboard(
        &self,
        attempts: Option<u32>,
        limit: Option<Duration>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError> {
        let _lock = self.tidy()?;
        if let Some(Held { credential, reported: true }) = self.state.read()? {
            return Ok(self.had(&credential));
        }
        self.evidence.birth(&self.birth);
        match Door::of(&self.config).filter(Door::looks_for_networks) {
            Some(door) => self.onboard_by_air(&door, attempts, limit, watch).await,
            None => self.onboard_here(attempts, limit, watch).await,
        }
    }

    /// With what can be reached now.
    async fn onboard_here(
        &self,
        attempts: Option<u32>,
        limit: Option<Duration>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError> {
        let mut pledge = self.birth.pledge(&self.config)?;
        pledge.attempts = attempts;
        let random = random;
        let mut machine = match self.state.read()? {
            Some(Held { credential, .. }) => Onboarding::resume(pledge, random, credential),
            None => Onboarding::new(pledge, random),
        };
        self.drive(&mut machine, "onboarded", false, true, limit, watch).await
    }

    /// SP 1800-36B G.2.1 step 1: one Wi-Fi network for new devices after another, until one of them leads to our owner.
    async fn onboard_by_air(
        &self,
        door: &Door<'_>,
        attempts: Option<u32>,
        limit: Option<Duration>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError> {
        let begun = Instant::now();
        let mut why = Refusal::new(
            Fault::Backend,
            "connect-onboarding",
            "draft-friel-brski-over-802dot11",
            "there is no Wi-Fi network for new devices that lets us in",
        );
        loop {
            for network in door.onboarding().await? {
                if !door.visit(&network).await? {
                    continue;
                }
                let left = limit.map_or(VISIT, |limit| limit.saturating_sub(begun.elapsed()).min(VISIT));
                let came = self.onboard_here(attempts.or(Some(TRIES)), Some(left), &mut *watch).await;
                door.leave().await?;
                match came? {
                    Outcome::Refused(refusal) => why = refusal,
                    onboarded @ Outcome::Onboarded(_) => return Ok(onboarded),
                }
            }
            if attempts.is_some() || limit.is_some_and(|limit| begun.elapsed() + REST > limit) {
                return Ok(Outcome::Refused(why));
            }
            sleep(REST).await;
        }
    }

    /// Goes into the network with the LDevID now, and waits for as long as `limit` until it is let in.
    ///
    /// # Errors
    /// [`DeviceError::NotOnboarded`], or if wpa_supplicant is not there or does not take what it is told; a network that
    /// refuses is an answer.
    pub async fn connect(&self, limit: Duration) -> Result<Result<LdevidSummary, Refusal>, DeviceError> {
        let held = self.state.read()?.ok_or(DeviceError::NotOnboarded)?.credential;
        let entered = match (Port::of(&self.config), Door::of(&self.config)) {
            (Some(port), _) => port.enter(&held, &*self.element, limit).await?,
            (None, Some(door)) => door.enter(&held, &*self.element, limit).await?,
            (None, None) => {
                return Err(DeviceError::Config("[connect] names neither an interface nor a control socket".into()));
            }
        };
        Ok(entered.map(|()| summary(&held)))
    }

    /// Has wpa_supplicant authenticate with the credential that we have, from the next time on. What goes wrong with that is
    /// no reason to stop: the credential is there all the same, and this is done again.
    async fn hand_over(&self) {
        let handed = async {
            match (Door::of(&self.config), self.state.read()?) {
                (Some(door), Some(held)) => door.hand_over(&held.credential, &*self.element).await,
                _ => Ok(Told::Nothing),
            }
        };
        match handed.await {
            Ok(Told::Nothing) => {}
            Ok(told) => {
                tracing::info!(process = "network", role = "device", ?told, "wpa_supplicant has the credential")
            }
            Err(error) => tracing::warn!(%error, "wpa_supplicant does not have the credential"),
        }
    }

    /// Renews the network credential, at once or when it is time.
    ///
    /// # Errors
    /// [`DeviceError::NotOnboarded`], or if the device itself fails.
    pub async fn renew(&self, now: bool, limit: Option<Duration>, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        let credential = self.credential()?;
        if now && let Err(refusal) = self.service_attested(&credential).await? {
            let outcome = Outcome::Refused(refusal);
            self.log("renewed", &outcome, Duration::ZERO);
            return Ok(outcome);
        }
        self.renew_with(now, limit, watch).await
    }

    /// The same, where the registrar has shown itself.
    async fn renew_with(&self, now: bool, limit: Option<Duration>, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        let _lock = self.tidy()?;
        let mut machine = self.renewal()?;
        tracing::info!(process = "network", role = "device", due = %machine.due(), "renewal");
        let outcome = self.drive(&mut machine, "renewed", true, now, limit, watch).await?;
        if let Outcome::Onboarded(_) = outcome {
            self.hand_over().await;
        }
        Ok(outcome)
    }

    fn renewal(&self) -> Result<Renewal, DeviceError> {
        let config = RenewalConfig {
            serial_number: self.birth.serial_number.clone(),
            rekey: self.config.rekey,
            clock: self.config.clock,
            timing: Timing::default(),
        };
        Ok(Renewal::new(config, self.credential()?, random))
    }

    /// Renews the credential when it is time. A registrar of which is known what it has to look like shows itself first, and is
    /// asked again later if it does not.
    async fn renew_in_time(&self, watch: Watch<'_>) -> Result<Outcome, DeviceError> {
        if self.config.attestation.service_values.is_none() {
            return self.renew_with(false, None, watch).await;
        }
        let due = self.renewal()?.due();
        loop {
            // The clock may be set meanwhile.
            while Time::now() < due {
                sleep(LOOK.min(due.since(Time::now()))).await;
            }
            match self.service_attested(&self.credential()?).await {
                Ok(Ok(())) => return self.renew_with(true, None, watch).await,
                Ok(Err(why)) => tracing::warn!(role = "device", %why, "the registrar may not renew the credential"),
                Err(DeviceError::Net(why)) => tracing::warn!(role = "device", %why, "the registrar shows nothing"),
                Err(error) => return Err(error),
            }
            sleep(LOOK).await;
        }
    }

    /// Shows the registrar from time to time what software runs, if that is wanted.
    async fn show_again_and_again(&self) {
        let Some(seconds) = self.config.attestation.every_seconds else { return std::future::pending().await };
        loop {
            match self.show(ANSWER).await {
                Ok(Ok((ear, _))) => tracing::info!(process = "assurance", role = "device", tier = %ear.tier, "shown"),
                Ok(Err(why)) => tracing::warn!(role = "device", %why, "what runs could not be shown"),
                Err(why) => tracing::warn!(role = "device", %why, "what runs could not be shown"),
            }
            sleep(Duration::from_secs(seconds.max(1))).await;
        }
    }

    /// Onboards the device if it is not, keeps it in the network and its credential alive; ends only when it cannot go on.
    ///
    /// # Errors
    /// As [`Agent::onboard`].
    pub async fn run(&self, watch: Watch<'_>) -> Result<Refusal, DeviceError> {
        if let Outcome::Refused(refusal) = self.onboard(None, None, &mut *watch).await? {
            return Ok(refusal);
        }
        let renewed = Notify::new();
        let renewing = async {
            loop {
                if let Outcome::Refused(refusal) = self.renew_in_time(&mut *watch).await? {
                    return Ok(refusal);
                }
                renewed.notify_one();
            }
        };
        let staying = async {
            if let Some(port) = Port::of(&self.config) {
                let held = || Ok(self.state.read()?.map(|held| held.credential));
                let Err(error) = port.stay(held, &*self.element).await;
                return Err(error);
            }
            loop {
                self.hand_over().await;
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            ended = renewing => ended,
            never = staying => never,
            failed = self.serve_sbom(&renewed) => failed,
            () = self.show_again_and_again() => Err(DeviceError::Defect("it has stopped to show what runs".into())),
        }
    }

    /// Makes the device ready for another owner: forgets the network credential and everything about its owner, also in
    /// wpa_supplicant, and destroys the credential's key. The birth credential stays. True if there was anything to forget.
    ///
    /// # Errors
    /// If something could not be removed; then it is to be called again.
    pub async fn reset(&self) -> Result<bool, DeviceError> {
        let lock = self.state.lock()?;
        let held = self.state.read().ok().flatten().is_some();
        // The credential first: a key without a credential is of no use to anybody, and is removed by the next start.
        self.state.forget()?;
        let keys = self.ldevid_keys()?;
        keys.iter().try_for_each(|key| self.element.delete(key))?;
        // One that is not there has nothing in its memory.
        if let Some(door) = Door::of(&self.config)
            && let Err(error) = door.forget().await
        {
            tracing::warn!(%error, "wpa_supplicant may still know the credential");
        }
        drop(lock);
        Ok(held || !keys.is_empty())
    }

    /// Whether the birth key is of use: an element may have been cleared or exchanged. Said now, that is clear; in the middle
    /// of a handshake it would look like trouble with the network.
    fn has_birth_key(&self) -> Result<(), DeviceError> {
        let signed = self.element.signer(&self.birth.key)?.sign(b"landfall: is the birth key of use?");
        signed.map(drop).map_err(|why| DeviceError::Element(ElementError::Pki(why.into())))
    }

    /// Takes the lock, makes sure of the birth key, and removes keys that an interrupted run left behind.
    fn tidy(&self) -> Result<Lock, DeviceError> {
        let lock = self.state.lock()?;
        self.has_birth_key()?;
        let used = self.state.read()?.map(|held| held.credential.key);
        for key in self.ldevid_keys()?.iter().filter(|key| Some(*key) != used.as_ref()) {
            tracing::warn!(%key, "an interrupted run left this key without a credential; it is destroyed");
            discard(&*self.element, key);
        }
        Ok(lock)
    }

    fn ldevid_keys(&self) -> Result<Vec<landfall_types::KeyUri>, DeviceError> {
        let is_ldevid = |key: &_| self.element.label(key).is_ok_and(|label| label.starts_with(LDEVID));
        Ok(self.element.list()?.into_iter().filter(is_ldevid).collect())
    }

    async fn drive<M>(
        &self,
        machine: &mut M,
        action: &'static str,
        reported: bool,
        start: bool,
        limit: Option<Duration>,
        watch: Watch<'_>,
    ) -> Result<Outcome, DeviceError>
    where
        M: Machine<Input = Input, Output = Output, Error = InvalidInput>,
    {
        let begun = Instant::now();
        let world = World {
            config: &self.config,
            format: self.config.format.into(),
            birth: &self.birth,
            element: &self.element,
            state: &self.state,
            evidence: &self.evidence,
            watch,
            announcements: Announcements::new(&self.config)?,
            reported,
        };
        let outcome = match drive(machine, world, start, limit.map(|limit| begun + limit)).await? {
            End::Done(done) => {
                // A registrar that could not be told is told by the next start.
                if done.reported {
                    self.state.note_reported()?;
                }
                Outcome::Onboarded(Box::new(Onboarded {
                    serial_number: done.serial_number.clone(),
                    credential: summary(&done.credential),
                    before: false,
                    reported: done.reported,
                    attempts: done.attempts,
                    took_ms: u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
                }))
            }
            End::GaveUp(refusal) => Outcome::Refused(refusal),
            End::TimedOut(waiting) => Outcome::Refused(out_of_time(waiting)),
        };
        self.log(action, &outcome, begun.elapsed());
        Ok(outcome)
    }

    fn had(&self, credential: &Credential) -> Outcome {
        Outcome::Onboarded(Box::new(Onboarded {
            serial_number: self.birth.serial_number.clone(),
            credential: summary(credential),
            before: true,
            reported: true,
            attempts: 0,
            took_ms: 0,
        }))
    }

    /// The one closing line.
    fn log(&self, action: &'static str, outcome: &Outcome, duration: Duration) {
        log(&Event {
            at: Time::now(),
            process: Process::Network,
            role: "device",
            action,
            device: self.birth.serial_number.to_string(),
            outcome: match outcome {
                Outcome::Onboarded(_) => landfall_types::Outcome::Done,
                Outcome::Refused(refusal) => landfall_types::Outcome::Refused(refusal.clone()),
            },
            duration,
        });
    }
}

/// The line with which an exchange ends.
pub(crate) fn log(event: &Event) {
    let reason = match &event.outcome {
        landfall_types::Outcome::Refused(refusal) => refusal.to_string(),
        _ => String::new(),
    };
    tracing::info!(
        process = event.process.as_str(),
        role = event.role,
        device = event.device,
        outcome = event.outcome.as_str(),
        reason,
        duration_ms = u64::try_from(event.duration.as_millis()).unwrap_or(u64::MAX),
        "{}",
        event.action,
    );
}

/// The element that the configuration names.
pub(crate) fn open_element(config: &Config) -> Result<Arc<dyn SecureElement>, DeviceError> {
    file::make_folder(&config.state)?;
    let named = config.keys.element.as_deref().unwrap_or("software");
    Ok(match named.split(':').next() {
        Some("software") if named == "software" => {
            Arc::new(SoftwareElement::open(&config.state.join("keys"), config.key_source()?)?)
        }
        Some("pkcs11") => Arc::new(Pkcs11Element::from_uri(named)?),
        Some("tpm") => Arc::new(tpm_element(config)?),
        _ => {
            let why = "[keys] element is one of software, tpm:… and pkcs11:…";
            return Err(DeviceError::Config(why.into()));
        }
    })
}

/// The TPM that the configuration names, for what only TPMs do.
pub(crate) fn tpm_element(config: &Config) -> Result<TpmElement, DeviceError> {
    file::make_folder(&config.state)?;
    let named = config.keys.element.as_deref().filter(|named| named.starts_with("tpm:"));
    let named = named.ok_or_else(|| DeviceError::Config("[keys] element is no TPM".into()))?;
    Ok(TpmElement::from_uri(named, &config.state.join("tpm"))?)
}

fn summary(credential: &Credential) -> LdevidSummary {
    let ldevid = &credential.ldevid;
    LdevidSummary {
        subject: ldevid.subject(),
        issuer: ldevid.issuer(),
        serial: ldevid.serial_hex(),
        not_before: ldevid.not_before(),
        not_after: ldevid.not_after(),
        key: credential.key.to_string(),
        registrar: credential.registrar.subject(),
        address: credential.offer.to_string(),
        pinned: credential.pinned.subject(),
    }
}

fn is_valid(certificate: &Certificate, at: Time) -> bool {
    (certificate.not_before()..=certificate.not_after()).contains(&at)
}

/// The check of a refusal that is none yet: a registrar asked for patience, and the time that was allowed ended before it
/// had decided.
pub(crate) const UNDECIDED: &str = "device-undecided";

fn out_of_time(waiting: Option<Waiting>) -> Refusal {
    match waiting {
        Some(Waiting { registrar, offer }) => {
            let detail = format!(
                "{registrar} at {offer} has not decided yet; have the device approved there, and onboard it again"
            );
            Refusal::new(Fault::Peer, UNDECIDED, "RFC 8995 s5.6", detail)
        }
        None => {
            let detail = "the time that was allowed is over";
            Refusal::new(Fault::Backend, "device-time-limit", "RFC 8995 s4.1", detail)
        }
    }
}

/// The system's random source. It does not fail once a system is up; if it did, a fixed nonce would be the one thing
/// that must not happen (RFC 8995 s11.3), so the process ends.
pub(crate) fn random(bytes: &mut [u8]) {
    if aws_lc_rs::rand::fill(bytes).is_err() {
        std::process::abort();
    }
}
