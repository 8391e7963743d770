//! One device's exchange: frames carried, keys asked, decisions taken, and everything on record before it is said.

use super::{
    Configurator, Tenant,
    authorize::{Expected, refusal_of},
    certify::{self, Certified, Issuer},
    code,
    connection::Connection,
    decide,
    grant::{self, Kept, Made},
    hand_over,
    keys::Held,
    underway::Place,
};
use crate::{
    authorizer::sources,
    exchange::{self, Ending, Failure, Kind},
    registrar::device::Tracked,
};
use landfall_dpp::{
    Curve, Role, Status, System,
    auth::{Peer, Session},
    capabilities::Capabilities,
    enterprise,
    exchange::{
        Config, ConfiguratorConfig, Done, Event, Exchange, Facts, Grants, Input, Issued, KeyRole, Mutual, Output,
        PeerKey, Record, Ruling,
    },
    frame::{Frame, FrameType},
};
use landfall_lifecycle::{
    device::DeviceEvent,
    network::{CERTIFICATE_LOG, CREDENTIAL_LOG, ConfigurationSeen, Report, ReportKind},
    transfer::Via,
};
use landfall_types::{Fault, Fingerprint, Machine, Outcome, Process, Refusal, Time};
use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::sleep};

const BY_US: Kind = Kind { process: Process::Network, role: "configurator", action: "device-configured" };
const AGAIN: Kind = Kind { process: Process::Network, role: "configurator", action: "device-reconfigured" };
const BY_DEVICE: Kind =
    Kind { process: Process::Network, role: "configurator", action: "device-configured-on-request" };

/// A device that is being configured.
pub(super) struct Onboarding<'a> {
    configurator: &'a Configurator,
    exchange: Exchange,
    host: Host<'a>,
    /// Gives the device free for other access points when it is dropped.
    place: Place,
    ending: Ending,
}

/// What the exchange needs from the world.
struct Host<'a> {
    configurator: &'a Configurator,
    tenant: Arc<Tenant>,
    device: Expected,
    bootstrap: Arc<Held>,
    csign: Arc<Held>,
    /// Frames to be sent.
    outbox: Vec<Frame>,
    /// The hash of the key in the device's connector, if it is that by which it was authenticated.
    proved: Option<Fingerprint>,
    /// The device's record in the course of the exchange.
    tracked: Option<Tracked>,
    /// What a CA elsewhere is asked for, while the device waits.
    asked: JoinSet<(Facts, Result<Certified, Refusal>)>,
    /// What was decided and waits to be written.
    granted: Option<Granted>,
    /// Whether the device was sent its configuration, or was about to be.
    configured: bool,
    /// Why a frame was dropped last: when nothing better comes, that is what went wrong.
    dropped: Option<Refusal>,
    done: Option<Result<Done, Refusal>>,
}

struct Granted {
    kept: Vec<Kept>,
    certificate: Option<Certified>,
    configuration: ConfigurationSeen,
}

impl<'a> Onboarding<'a> {
    /// We begin: the device announced itself, or is reached out to.
    pub(super) fn initiate(configurator: &'a Configurator, device: Expected, place: Place, remote: SocketAddr) -> Self {
        let curve = device.key.curve();
        // A device that was made with our key authenticates us, so that one that does not is another.
        // One that was pushed has just learnt our key.
        let knows_us = device.pushed || device.entry.configurator.is_some();
        let mutual = if knows_us { Mutual::Required } else { device.tenant.mutual() };
        let peer = Peer { key: device.key.clone() };
        let host = Host::new(configurator, device, curve);
        let exchange = Exchange::initiator(host.config(mutual), peer, Box::new(System));
        tracing::debug!(device = %host.device.entry.name(), %remote, "a device is being authenticated");
        Self { configurator, exchange, ending: host.ending(BY_US), host, place }
    }

    /// The device begins. It has to prove who it is: nothing is given to somebody who merely knows our key.
    pub(super) fn respond(
        configurator: &'a Configurator,
        device: Expected,
        curve: Curve,
        place: Place,
        remote: SocketAddr,
    ) -> Self {
        let host = Host::new(configurator, device, curve);
        let exchange = Exchange::responder(host.config(Mutual::Required), Box::new(System));
        tracing::debug!(device = %host.device.entry.name(), %remote, "a device asks to be authenticated");
        Self { configurator, exchange, ending: host.ending(BY_DEVICE), host, place }
    }

    /// The device was authenticated by the connector that it has, which is for the key with the hash `proved`.
    pub(super) fn again(
        configurator: &'a Configurator,
        device: Expected,
        session: Session,
        proved: Fingerprint,
        place: Place,
    ) -> Self {
        let mut host = Host::new(configurator, device, session.peer.curve);
        host.proved = Some(proved);
        let now = configurator.world.clock.now();
        let exchange = Exchange::configuration(host.config(Mutual::IfKnown), session, now, Box::new(System));
        Self { configurator, exchange, ending: host.ending(AGAIN), host, place }
    }

    /// Runs to its end; nothing if the connection is of no use any more.
    pub(super) async fn run(mut self, connection: &mut Connection, first: Option<Frame>) -> Option<()> {
        let carried = self.carry(connection, first).await;
        // What came of it is on record; the device heard it by the protocol.
        let _ = self.close().await;
        carried
    }

    /// The same for an operator, who hears what came of it.
    pub(super) async fn run_to_end(mut self, connection: &mut Connection) -> Result<(), Refusal> {
        let _ = self.carry(connection, None).await;
        self.close().await
    }

    async fn carry(&mut self, connection: &mut Connection, first: Option<Frame>) -> Option<()> {
        let mut next = match first {
            Some(frame) => Input::Frame(frame),
            // What was authenticated again waits for the device.
            None if self.host.proved.is_some() => Input::Timeout,
            None => Input::Start,
        };
        loop {
            self.drive(next).await;
            let sent = connection.send(&std::mem::take(&mut self.host.outbox)).await;
            if let Err(why) = sent {
                self.lost(&why.to_string());
                return None;
            }
            if self.exchange.is_over() {
                return Some(());
            }
            let deadline = self.exchange.poll_timeout();
            let wait = deadline.map(|deadline| deadline.since(self.configurator.world.clock.now()));
            next = tokio::select! {
                certified = next_of(&mut self.host.asked) => self.host.certified(certified).await,
                frame = self.place.elsewhere() => Input::Frame(frame),
                frame = connection.next() => match frame {
                    // Other access points and further rounds: it is being answered already.
                    Ok(Frame::Action(action)) if matches!(
                        action.kind,
                        FrameType::PresenceAnnouncement | FrameType::PbPresenceAnnouncement
                    ) =>
                    {
                        Input::Timeout
                    }
                    Ok(frame) => Input::Frame(frame),
                    Err(why) => {
                        self.lost(&why.to_string());
                        return None;
                    }
                },
                // A little later, since a deadline that is not quite reached is none.
                () = sleep(wait.unwrap_or(Duration::from_secs(3600)) + Duration::from_millis(1)) => Input::Timeout,
            };
        }
    }

    /// Hands the core an input and does all that it asks for.
    async fn drive(&mut self, input: Input) {
        let Self { configurator, exchange, host, ending, .. } = self;
        if let Err(refusal) = exchange::drive(exchange, input, host, ending, &configurator.world.clock).await {
            host.done.get_or_insert(Err(refusal));
        }
    }

    fn lost(&mut self, why: &str) {
        let waits = self.exchange.waits_for();
        let detail = format!("{why} ({waits})");
        self.host.done.get_or_insert(Err(Refusal::new(Fault::Peer, "connection-lost", "DPP s12", detail)));
    }

    /// Tells of the end.
    async fn close(self) -> Result<(), Refusal> {
        let Self { configurator, mut host, place, mut ending, .. } = self;
        let unfinished = || Err(Refusal::new(Fault::Backend, "exchange-unfinished", "landfall", "it came to no end"));
        let ended = host.done.take().unwrap_or_else(unfinished);
        let ended = match (ended, host.dropped.take()) {
            // That nothing more came is said of one whose frames were no good, too; this is why.
            (Err(ended), Some(dropped)) if ended.fault == Fault::Peer => {
                Err(Refusal { detail: format!("{}; then {}", dropped.detail, ended.detail), ..dropped })
            }
            (ended, _) => ended,
        };
        host.report(&ended).await;
        let joined = |done: &Done| done.connection.as_ref().is_none_or(|status| status.result == Status::Ok);
        if host.configured && ended.as_ref().is_ok_and(joined) {
            place.through();
        }
        let result = ended.map(drop);
        let outcome = result.clone().map_or_else(Outcome::Refused, |()| Outcome::Done);
        let _: Result<Option<Input>, Failure> = ending.close(outcome);
        ending.tell(&configurator.world, None).await;
        result
    }
}

impl<'a> Host<'a> {
    fn new(configurator: &'a Configurator, device: Expected, curve: Curve) -> Self {
        let tenant = device.tenant.clone();
        Self {
            configurator,
            bootstrap: tenant.keys.bootstrap(curve).clone(),
            csign: tenant.keys.csign(),
            tenant,
            device,
            outbox: Vec::new(),
            proved: None,
            tracked: None,
            asked: JoinSet::new(),
            granted: None,
            configured: false,
            dropped: None,
            done: None,
        }
    }

    fn config(&self, mutual: Mutual) -> Arc<Config> {
        let csign = self.csign.public().clone();
        // DPP s7.5: the privacy protection key is on the curve of the key that signs connectors.
        let privacy = self.tenant.keys.privacy(csign.curve()).map(|held| held.public().clone());
        Arc::new(Config {
            bootstrap: self.bootstrap.public().clone(),
            capabilities: Capabilities::from(Role::Configurator),
            version: 3,
            mutual,
            channel: None,
            configurator: Some(ConfiguratorConfig { csign, privacy }),
            enrollee: None,
            timing: self.configurator.timing,
        })
    }

    fn ending(&self, kind: Kind) -> Ending {
        let mut ending = Ending::new(kind);
        ending.device = self.device.identity.serial_number.to_string();
        ending
    }

    fn key(&self, role: KeyRole) -> Result<&Held, Failure> {
        match role {
            KeyRole::Bootstrap => Ok(&self.bootstrap),
            KeyRole::CSign => Ok(&self.csign),
            KeyRole::Privacy | KeyRole::NetworkAccess => Err(Failure::new("no exchange has a use for this key")),
        }
    }

    fn hear(&mut self, event: Event) {
        let device = self.device.entry.name();
        match event {
            Event::Dropped(refusal) => {
                tracing::debug!(device, %refusal, "a frame was dropped");
                self.dropped = Some(refusal);
            }
            Event::PeerPending => {
                tracing::info!(device, "the device waits for its user to scan the configurator's code")
            }
            Event::Authenticated(peer) => {
                self.dropped = None;
                let both = peer.we_proved;
                tracing::debug!(device, release = peer.version, curve = %peer.curve, both, "authenticated");
            }
            Event::ComeBack(_) => {}
        }
    }

    /// Decides what the device gets; not yet if a CA elsewhere has to be asked first.
    async fn rule(&mut self, facts: Facts, certificate: Option<Certified>) -> Result<Option<Ruling>, Failure> {
        let deny = |(status, refusal)| Ok(Some(Ruling::Deny(status, refusal)));
        let now = self.configurator.world.clock.now();
        let tracked = match self.judge(&facts, now).await? {
            Ok(tracked) => tracked,
            Err(refused) => return deny(refused),
        };
        let csr = match grant::make(&self.device, &facts, certificate.as_ref(), &self.configurator.world, now) {
            Ok(Made::NeedsCsr) => return Ok(Some(Ruling::Csr(enterprise::challenge_password_only()))),
            Ok(Made::NeedsKey(curve)) => return Ok(Some(Ruling::NewKey(curve))),
            Ok(Made::Given(given)) => {
                let (objects, kept): (Vec<_>, Vec<_>) = given.into_iter().unzip();
                let configuration = seen(&self.device, &facts, &kept, now);
                self.granted = Some(Granted { kept, certificate, configuration });
                self.tracked = Some(tracked);
                return Ok(Some(Ruling::Provide(Grants { objects, status: self.tenant.ask_status })));
            }
            Ok(Made::AsksForKeys) => {
                if !self.configurator.hand_overs.allows(&self.device.identity.device, now) {
                    return deny((Status::ConfigureFailure, hand_over::not_allowed()));
                }
                let configuration = seen(&self.device, &facts, &[], now);
                self.granted = Some(Granted { kept: Vec::new(), certificate: None, configuration });
                self.tracked = Some(tracked);
                return Ok(Some(Ruling::HandOver));
            }
            Ok(Made::NeedsCertificate(csr)) => csr,
            Err(refused) => return deny(refused),
        };
        match &self.tenant.issuer {
            Some(Issuer::Here(domain)) => match domain.certify(&self.device, &csr, now) {
                Ok(certified) => Box::pin(self.rule(facts, Some(certified))).await,
                Err(refusal) => self.unissued(&facts, refusal).await.map(Some),
            },
            Some(Issuer::Elsewhere(ca)) => {
                let clock = self.configurator.world.clock.clone();
                let certified = certify::elsewhere(ca.clone(), self.device.clone(), csr, clock);
                self.asked.spawn(async { (facts, certified.await) });
                Ok(None)
            }
            None => Err(Failure::new("there is nobody to issue certificates")),
        }
    }

    /// The CA elsewhere has answered: what is decided now may be another thing than before it was asked.
    async fn certified(&mut self, (facts, answer): (Facts, Result<Certified, Refusal>)) -> Input {
        let ruling = match answer {
            Ok(certificate) => self.rule(facts, Some(certificate)).await,
            Err(refusal) => self.unissued(&facts, refusal).await.map(Some),
        };
        match ruling {
            Ok(Some(ruling)) => Input::Ruled(ruling),
            Ok(None) => Input::Failed("one certificate was not enough".into()),
            Err(failure) => Input::Failed(failure.why),
        }
    }

    /// The device may come in, but there is no certificate for it: its record says so, not the audit alone.
    async fn unissued(&self, facts: &Facts, refusal: Refusal) -> Result<Ruling, Failure> {
        let world = &self.configurator.world;
        let now = world.clock.now();
        let mut tracked = match self.judge(facts, now).await? {
            Ok(tracked) => tracked,
            Err((status, refusal)) => return Ok(Ruling::Deny(status, refusal)),
        };
        let (about, reason) = (ReportKind::Configuration, Some(refusal.detail.clone()));
        let report = Report { at: now, about, success: false, reason, with_new_certificate: None };
        tracked.step(DeviceEvent::Reported { report }, now)?;
        world.store.commit(tracked.take_changes()?).await?;
        Ok(Ruling::Deny(Status::ConfigureFailure, refusal))
    }

    /// The policy decides anew, now that the device is authenticated and says what it wants.
    async fn judge(&self, facts: &Facts, now: Time) -> Result<Result<Tracked, grant::Refused>, Failure> {
        let world = &self.configurator.world;
        if !facts.peer.peer_proved || facts.peer.peer.is_some_and(|hash| hash != self.device.entry.bootstrap_hash) {
            let why = "it did not prove to hold its bootstrapping key";
            let refusal = Refusal::new(Fault::Peer, "device-proved", "DPP s6.3", why);
            return Ok(Err((Status::AuthFailure, refusal)));
        }
        let deny = |refusal| Ok(Err((Status::ConfigureFailure, refusal)));
        let mut tracked = Tracked::find_or_new(&world.store, self.device.identity.clone(), now)?;
        let decision = decide::with_request(&self.tenant.policy, &tracked.device, self.device.entry.via, facts, now);
        let known = sources::of_record(&tracked.device, now);
        let decision = world.authorizer.admits(&tracked.device.identity.device, known, decision).await;
        let refused = (!decision.permits()).then(|| refusal_of(&decision));
        if let Err(refusal) = tracked.step(DeviceEvent::Asked { decision }, now) {
            return deny(refusal);
        }
        if let Some(refusal) = refused {
            world.store.commit(tracked.take_changes()?).await?;
            return deny(refusal);
        }
        Ok(Ok(tracked))
    }

    /// What is about to be said has to be on record.
    async fn persist(&mut self, record: Record) -> Result<(), Failure> {
        match record {
            Record::Issued(issued) => self.issue(issued).await,
            Record::HandedOver(_) => self.hand_over().await,
            Record::Received(_) | Record::TakenOver(_) => Err(Failure::new("a configurator receives no configuration")),
        }
    }

    /// That the device, which is a configurator, has our keys: what was allowed once is used up before they are sent.
    async fn hand_over(&mut self) -> Result<(), Failure> {
        let Granted { configuration, .. } = self.granted.take().ok_or_else(|| Failure::new("nothing was granted"))?;
        let device = self.tracked.as_mut().ok_or_else(|| Failure::new("the device has no record here"))?;
        let now = configuration.at;
        if !self.configurator.hand_overs.take(&self.device.identity.device, now) {
            return Err(Failure::new(hand_over::not_allowed().detail));
        }
        device.step(DeviceEvent::Configured { configuration }, now)?;
        self.configurator.world.store.commit(device.take_changes()?).await?;
        self.configurator.tell(&self.device.entry.name(), "configurator-handed-over", None).await;
        self.configured = true;
        Ok(())
    }

    /// What was issued, and that the device has it, in one commit.
    async fn issue(&mut self, issued: Issued) -> Result<(), Failure> {
        let Granted { kept, certificate, configuration } =
            self.granted.take().ok_or_else(|| Failure::new("nothing was granted"))?;
        let device = self.tracked.as_mut().ok_or_else(|| Failure::new("the device has no record here"))?;
        let now = configuration.at;
        let mut connectors = issued.connectors.into_iter();
        let given: Vec<_> = kept.iter().map(|kept| &kept.credential).collect();
        let withdrawal = self.configurator.withdraw(&self.device.identity.device, &given, now)?;
        let mut changes = withdrawal.changes;
        for Kept { mut credential, with_connector } in kept {
            // Should it never hear of the new connector, it comes again with the one that it has.
            credential.former = self.proved;
            credential.connector = if with_connector { connectors.next() } else { None };
            changes = changes.put(&credential)?.append(CREDENTIAL_LOG, &credential.log_entry())?;
        }
        if let Some(Certified { record, .. }) = certificate {
            changes = changes.insert(&record)?.append(CERTIFICATE_LOG, &record.log_entry())?;
        }
        // The code that introduced it has served.
        if self.device.entry.via == Via::Pkex {
            let store = &self.configurator.world.store;
            changes = changes.and(code::used_by(store, &self.tenant.id, &self.device.entry.bootstrap_hash)?);
        }
        device.step(DeviceEvent::Configured { configuration }, now)?;
        self.configurator.world.store.commit(changes.and(device.take_changes()?)).await?;
        self.configurator.world.joined(&device.device.identity.device);
        if withdrawal.certificates {
            self.configurator.world.revoked.notify_one();
        }
        self.configured = true;
        Ok(())
    }

    /// What came of it goes into the device's record, if it was sent a configuration at all.
    async fn report(&self, ended: &Result<Done, Refusal>) {
        if !self.configured {
            return;
        }
        let world = &self.configurator.world;
        let now = world.clock.now();
        let report = |about, success, reason| Report { at: now, about, success, reason, with_new_certificate: None };
        let mut reports = Vec::new();
        match ended {
            Ok(done) => {
                // A device of release 1 does not say whether it takes its configuration.
                if done.result == Some(Status::Ok) {
                    reports.push(report(ReportKind::Configuration, true, None));
                }
                if let Some(status) = &done.connection {
                    let joined = status.result == Status::Ok;
                    let reason = (!joined).then(|| status.result.words().to_owned());
                    reports.push(report(ReportKind::Connection, joined, reason));
                }
            }
            Err(refusal) => reports.push(report(ReportKind::Configuration, false, Some(refusal.detail.clone()))),
        }
        let written = async || -> Result<(), Failure> {
            let id = &self.device.identity.device;
            let Some(mut device) = world.store.snapshot(|store| Tracked::find(store, id))? else { return Ok(()) };
            for report in reports {
                device.step(DeviceEvent::Reported { report }, now)?;
            }
            world.store.commit(device.take_changes()?).await?;
            Ok(())
        };
        if let Err(failure) = written().await {
            tracing::warn!(why = failure.why, device = %self.device.entry.name(), "what became of the device could not be written");
        }
    }
}

impl exchange::Host<Exchange> for Host<'_> {
    const FAILED: fn(String) -> Input = Input::Failed;

    async fn perform(&mut self, output: Output, _: &mut Ending) -> Result<Option<Input>, Failure> {
        Ok(Some(match output {
            Output::Send(frame) => {
                self.outbox.push(frame);
                return Ok(None);
            }
            Output::Agree(agreement) => Input::Agreed(self.key(agreement.key)?.agree(&agreement)?),
            Output::Sign { key, bytes } => Input::Signed(self.key(key)?.sign(&bytes)?),
            Output::FindPeer { hash } => Input::Peer(match hash == self.device.entry.bootstrap_hash {
                true => PeerKey::Known(self.device.key.clone()),
                false => PeerKey::Unknown,
            }),
            Output::Rule(mut facts) => {
                // SP 1800-36B s6.1.2: it would have taken the key of whoever pushed a button.
                facts.peer.we_proved &= !self.device.pushed || self.device.entry.configurator.is_some();
                return Ok(self.rule(*facts, None).await?.map(Input::Ruled));
            }
            Output::Seal { password } => Input::Sealed(self.configurator.seal_for(&self.tenant, &password)?),
            Output::Persist(record) => {
                self.persist(*record).await?;
                Input::Persisted
            }
            Output::Join => return Err(Failure::new("a configurator joins nothing")),
            Output::Event(event) => {
                self.hear(event);
                return Ok(None);
            }
            Output::Done(done) => {
                self.done = Some(done);
                return Ok(None);
            }
        }))
    }
}

/// What the next of them comes to; never if there is none.
async fn next_of<T: 'static>(tasks: &mut JoinSet<T>) -> T {
    match tasks.join_next().await {
        Some(Ok(done)) => done,
        _ => pending().await,
    }
}

fn seen(device: &Expected, facts: &Facts, kept: &[Kept], now: Time) -> ConfigurationSeen {
    ConfigurationSeen {
        at: now,
        introduced: Some(device.entry.via),
        networks: kept.iter().map(|kept| kept.credential.network.clone()).collect(),
        role: facts.request.net_role.as_str().to_owned(),
        network_authenticated: facts.peer.we_proved,
        key: landfall_dpp::crypto::sha256(&[&facts.key.spki()]),
        expires: kept.iter().filter_map(|kept| kept.credential.expires).min(),
        mud_url: facts.request.mud_url.clone(),
        others: facts.request.others.clone(),
    }
}
