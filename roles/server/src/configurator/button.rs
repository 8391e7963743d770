//! Push button (DPP release 3): an operator pushes a tenant's button, and the one device whose own button is pushed at the
//! same time makes its key known, is taken into the book, and is configured like any other that the policy permits.
//!
//! Nobody has told either side anything before. That both prove their keys afterwards says only that they are the two that
//! were pushed, so the network counts as not authenticated (SP 1800-36B 6.1.2).

use super::{
    Configurator, Tenant,
    authorize::{Expected, Silence},
    connection::Connection,
    keys::Held,
    pkex::Taken,
};
use crate::{
    book::Entry,
    exchange::{Ending, Kind},
};
use landfall_dpp::{
    Curve, System,
    exchange::{Agreement, KeyRole, Mutual},
    frame::{Action, AttributeId, Frame, FrameType},
    pkex::{self, Done},
    push_button::{self, Input, Output, Timing},
};
use landfall_lifecycle::transfer::{Bootstrapping, DppRole, Via};
use landfall_types::{
    Changes, Fault, Fingerprint, Machine, Model, Outcome, OwnerId, Process, Refusal, SerialNumber, Time,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

const KIND: Kind = Kind { process: Process::Network, role: "configurator", action: "button-pushed" };
const SECTION: &str = "DPP release 3, push button";
/// How long a device has to answer a frame of PKEX, before that is repeated.
const AGAIN: Duration = Duration::from_millis(500);

/// What an operator says when pushing the button.
#[derive(Debug)]
pub(crate) struct Push {
    /// The curve of the device's key: nothing of what it announces tells it.
    pub(crate) curve: Curve,
    pub(crate) serial_number: Option<SerialNumber>,
    pub(crate) model: Option<Model>,
    pub(crate) role: Option<DppRole>,
}

/// The buttons of all tenants.
pub(super) struct Buttons {
    config: push_button::Config,
    buttons: Mutex<HashMap<OwnerId, Button>>,
}

/// A tenant's button. It is listened for devices all the time, so that one which was pushed before ours is known of.
struct Button {
    machine: push_button::Configurator,
    pushed: Option<Pushed>,
    /// What is to be said again once the device is heard of again, as nothing else tells by which connection.
    unsent: Vec<Frame>,
}

/// A push that nothing has come of yet.
struct Pushed {
    bootstrap: Arc<Held>,
    push: Push,
    end: End,
}

/// Takes what has come of a push: the device, or why there is none.
struct End(oneshot::Sender<(String, Result<(), Refusal>)>);

/// What a frame led to.
#[derive(Default)]
struct Heard {
    /// Whether the button was pushed when it came.
    active: bool,
    send: Vec<Frame>,
    dropped: Option<Refusal>,
    ended: Option<(Pushed, Result<Done, Refusal>)>,
}

/// A device that was found by a push, and who waits for what comes of it.
pub(super) struct Found {
    pub(super) device: Expected,
    name: String,
    end: End,
}

impl Buttons {
    pub(super) fn new(window: Duration, listening: Duration) -> Self {
        // A device that listens longer than we do is not ready when PKEX begins; a push ends with its window.
        let pkex = pkex::Timing { response: AGAIN, retries: u32::MAX, ..pkex::Timing::default() };
        let timing = Timing { window, monitoring: listening, ..Timing::default() };
        Self { config: push_button::Config { timing, pkex }, buttons: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OwnerId, Button>> {
        self.buttons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the button of `tenant` something, and does what comes of it.
    fn tell(&self, tenant: &OwnerId, now: Time, first: Input) -> Heard {
        let mut buttons = self.lock();
        let button = buttons.entry(tenant.clone()).or_insert_with(|| Button::new(self.config));
        let mut heard = Heard { active: button.machine.is_active(), ..Heard::default() };
        // What is over is over, whether its timer was noticed or not.
        let late = button.machine.poll_timeout().is_some_and(|at| at <= now);
        if matches!(first, Input::Frame { .. }) {
            heard.send.append(&mut button.unsent);
        }
        let is_timer = matches!(first, Input::Timeout);
        let mut next =
            late.then_some(Input::Timeout).into_iter().chain([first]).collect::<std::collections::VecDeque<_>>();
        while let Some(input) = next.pop_front() {
            if let Err(misuse) = button.machine.handle(now, input) {
                heard.ended = button.pushed.take().map(|pushed| (pushed, Err(misuse)));
                break;
            }
            while let Some(output) = button.machine.poll_output() {
                match output {
                    Output::Send { frame, .. } => heard.send.push(frame),
                    Output::Agree(point) => next.extend(button.pushed.as_ref().map(|pushed| pushed.agree(point))),
                    Output::Dropped(refusal) => heard.dropped = Some(refusal),
                    Output::Done(done) => heard.ended = button.pushed.take().map(|pushed| (pushed, done)),
                    // A configurator announces nothing.
                    Output::Announce { .. } => {}
                }
            }
        }
        if is_timer {
            button.unsent = std::mem::take(&mut heard.send);
        }
        heard
    }

    /// When the button of `tenant` has to be looked at.
    fn deadline(&self, tenant: &OwnerId) -> Option<Time> {
        self.lock().get(tenant).and_then(|button| button.machine.poll_timeout())
    }

    /// Takes a push, unless there is one.
    fn take(&self, tenant: &OwnerId, pushed: Pushed) -> Result<(), Refusal> {
        let mut buttons = self.lock();
        let button = buttons.entry(tenant.clone()).or_insert_with(|| Button::new(self.config));
        if button.pushed.is_some() {
            return Err(denied("push-button-pushed", "the button is pushed already: wait for what comes of it"));
        }
        button.pushed = Some(pushed);
        button.unsent.clear();
        Ok(())
    }
}

impl Button {
    fn new(config: push_button::Config) -> Self {
        Self { machine: push_button::Configurator::new(config, Box::new(System)), pushed: None, unsent: Vec::new() }
    }
}

impl Pushed {
    fn agree(&self, point: landfall_dpp::curve::PublicKey) -> Input {
        match self.bootstrap.agree(&Agreement { key: KeyRole::Bootstrap, point, addend: None }) {
            Ok(secret) => Input::Agreed(secret),
            Err(why) => Input::Failed(why.to_string()),
        }
    }
}

impl End {
    fn tell(self, device: String, result: Result<(), Refusal>) {
        // The operator may be gone; the event is written by whoever waits, and that goes on.
        let _ = self.0.send((device, result));
    }
}

impl Found {
    /// Tells the operator what came of the device.
    pub(super) fn tell(self, result: Result<(), Refusal>) {
        self.end.tell(self.name, result);
    }
}

impl Configurator {
    /// Pushes the button of `tenant`: its name, once the only device whose button was pushed as well is configured.
    pub(crate) async fn push(self: &Arc<Self>, tenant: &Arc<Tenant>, push: Push) -> Result<String, Refusal> {
        if tenant.mutual() == Mutual::Required {
            let why = "its networks want to be authenticated by devices, and a push of a button tells a device nothing";
            return Err(denied("push-button-mutual", why));
        }
        let bootstrap = tenant.keys.bootstrap(push.curve).clone();
        let key = bootstrap.public().clone();
        let (end, ended) = oneshot::channel();
        self.buttons.take(&tenant.id, Pushed { bootstrap, push, end: End(end) })?;
        self.buttons.tell(&tenant.id, self.world.clock.now(), Input::Pushed(key));
        tracing::info!(tenant = %tenant.id, "the button was pushed");
        // Whatever becomes of the one who asks, what was begun comes to an end, and that is on record.
        let (configurator, tenant) = (self.clone(), tenant.id.clone());
        let waiting = tokio::spawn(async move { configurator.await_device(&tenant, ended).await });
        waiting.await.unwrap_or_else(|why| Err(Refusal::new(Fault::Backend, "push-button", SECTION, why.to_string())))
    }

    async fn await_device(
        &self,
        tenant: &OwnerId,
        mut ended: oneshot::Receiver<(String, Result<(), Refusal>)>,
    ) -> Result<String, Refusal> {
        const LONG: Duration = Duration::from_secs(3600);
        let mut ending = Ending::new(KIND);
        let (device, result) = loop {
            let wait = self.buttons.deadline(tenant).map_or(LONG, |at| at.since(self.world.clock.now()));
            tokio::select! {
                end = &mut ended => break end.unwrap_or_else(|_| (String::new(), Err(interrupted()))),
                // A little later, since a deadline that is not quite reached is none.
                () = sleep(wait + Duration::from_millis(1)) => {
                    let heard = self.buttons.tell(tenant, self.world.clock.now(), Input::Timeout);
                    if let Some((_, Err(refusal))) = heard.ended {
                        break (String::new(), Err(refusal));
                    }
                }
            }
        };
        ending.device.clone_from(&device);
        let outcome = result.clone().map_or_else(Outcome::Refused, |()| Outcome::Done);
        let _ = ending.close::<Input>(outcome);
        ending.tell(&self.world, None).await;
        result.map(|()| device)
    }

    /// Hears a frame of a device whose button was pushed; the device, once it is known to be the only one.
    pub(super) async fn hear(&self, connection: &mut Connection, action: &Action) -> Result<Option<Found>, Silence> {
        let (remote, from) = (connection.remote(), connection.sender());
        let (mut active, mut dropped, mut found) = (false, None, None);
        // An announcement is heard by everyone in reach; two who answer it are one too many for the device.
        for tenant in self.tenants_at(remote.ip()) {
            let frame = Frame::Action(action.clone());
            let heard = self.buttons.tell(&tenant.id, self.world.clock.now(), Input::Frame { frame, from });
            active |= heard.active;
            dropped = heard.dropped.or(dropped);
            if connection.send(&heard.send).await.is_err() {
                tracing::debug!(%remote, "a device is gone whose button was pushed");
            }
            match heard.ended {
                None => {}
                Some((pushed, Err(refusal))) => pushed.end.tell(String::new(), Err(refusal)),
                Some((pushed, Ok(done))) => found = self.found(tenant, pushed, &done).await?,
            }
        }
        match (active, dropped) {
            (false, _) if action.kind == FrameType::PbPresenceAnnouncement => Err(self.not_pushed(connection, action)),
            (false, Some(refusal)) => Err(Silence::of_nobody(refusal)),
            (_, dropped) => {
                if let Some(refusal) = dropped {
                    tracing::debug!(%refusal, %remote, "a frame was dropped");
                }
                Ok(found)
            }
        }
    }

    /// The device is in the book before it is asked anything more.
    async fn found(&self, tenant: &Arc<Tenant>, pushed: Pushed, done: &Done) -> Result<Option<Found>, Silence> {
        let Pushed { push, end, .. } = pushed;
        let Push { serial_number, model, role, .. } = push;
        let name = serial_number.as_ref().map(ToString::to_string);
        let short = || done.peer.bootstrap_hash().to_string().chars().take(16).collect();
        let name = name.unwrap_or_else(short);
        let entry = |uri| Entry { serial_number, model, dpp_role: role, ..Entry::of(uri) };
        let taken = self.take_in(&tenant.id, Taken { done, entry, via: Via::PushButton, also: Changes::new() }).await;
        let held = taken.and_then(|hash| Ok(self.held(tenant, &hash)?));
        let entry = match held {
            Ok(entry) => entry,
            Err(failure) => {
                end.tell(name, Err(Refusal::new(Fault::Denied, "push-button-device", SECTION, failure.why)));
                return Ok(None);
            }
        };
        match self.admit(tenant, entry).await {
            Ok(device) => Ok(Some(Found { device: Expected { pushed: true, ..device }, name, end })),
            Err(silence) => {
                end.tell(name, Err(silence.refusal().clone()));
                Err(silence)
            }
        }
    }

    fn held(&self, tenant: &Tenant, hash: &Fingerprint) -> Result<Bootstrapping, Refusal> {
        let found = crate::book::Book::of(&self.world.store).by_bootstrap(&tenant.id, hash);
        let found = found.map_err(|why| Refusal::new(Fault::Backend, "device-book", SECTION, why.to_string()))?;
        Ok(Bootstrapping::held(found.as_deref())?.clone())
    }

    fn not_pushed(&self, connection: &Connection, action: &Action) -> Silence {
        let hash = match action.attributes().and_then(|found| found.need_array(AttributeId::ResponderBootstrapHash)) {
            Ok(hash) => Fingerprint(hash).to_string(),
            Err(why) => return why.into(),
        };
        let refusal = denied("push-button-not-pushed", "a device's button was pushed, and that of no configurator");
        let mut tenants = self.tenants_at(connection.remote().ip());
        match (tenants.next(), tenants.next()) {
            (Some(only), None) => Silence::about(&only.id, hash, refusal),
            _ => Silence::of_nobody(refusal).naming(hash),
        }
    }
}

impl fmt::Debug for Buttons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buttons({:?})", self.config)
    }
}

fn denied(check: &'static str, why: &str) -> Refusal {
    Refusal::new(Fault::Denied, check, SECTION, why)
}

fn interrupted() -> Refusal {
    Refusal::new(Fault::Backend, "push-button", SECTION, "it was cut short")
}
