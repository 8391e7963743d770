//! Whose device it is, and whether it may come: decided before anything is answered (SP 1800-36B 4.3, S1.C2).
//!
//! Whoever sends the first frame has proved nothing yet. So nothing is told to it that it could learn from, and nothing
//! that it says changes the record of a device that is inside.

use super::{
    Configurator, Tenant,
    button::Found,
    connection::Connection,
    decide,
    onboarding::Onboarding,
    pkex::Introduction,
    reconfigure::Reconfiguration,
    underway::{Entry, Place},
};
use crate::{authorizer::sources, book::Book, registrar::device::Tracked, role::Shutdown};
use landfall_dpp::{
    Uri,
    curve::PublicKey,
    frame::{Action, AttributeId, Frame, FrameError, FrameType},
    uri::Host,
};
use landfall_lifecycle::{device::DeviceEvent, network::Identity, transfer::Bootstrapping};
use landfall_policy::{Decision, Verdict};
use landfall_store::ReadError;
use landfall_types::{Event, Fault, Fingerprint, Outcome, OwnerId, Process, Refusal};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

const SECTION: &str = "NIST SP 1800-36B s4.3";
/// How long it may take to reach a device or an access point.
const REACHING: Duration = Duration::from_secs(10);

/// A device that may come, as far as is known before it is authenticated.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) tenant: Arc<Tenant>,
    pub(super) identity: Identity,
    /// How the book has it.
    pub(super) entry: Bootstrapping,
    /// Its bootstrapping key.
    pub(super) key: PublicKey,
    /// The address of its radio, if its URI says it.
    pub(super) mac: Option<[u8; 6]>,
    /// Whether all that it knows of us is that our button was pushed too.
    pub(super) pushed: bool,
}

/// What a first frame leads to.
enum Begun<'a> {
    /// An exchange by this connection.
    Here(Box<Onboarding<'a>>),
    /// The device is at it by another connection: there its frames go.
    Elsewhere(mpsc::Sender<Frame>),
    /// The device has a code, and begins by making itself known.
    Introduced(Box<Introduction<'a>>),
    /// The device was configured before, and has a connector.
    Again(Box<Reconfiguration<'a>>),
    /// Its button was pushed together with ours.
    Pushed(Box<Found>, Place),
    Nothing,
}

/// What becomes of a connection after a first frame.
enum After {
    /// It waits for the next one.
    Free,
    /// What comes by it belongs to an exchange by another connection.
    Elsewhere(mpsc::Sender<Frame>),
    /// It is of no use any more.
    Gone,
}

/// Why a device gets no answer.
#[derive(Debug)]
pub(super) struct Silence {
    tenant: Option<OwnerId>,
    device: String,
    refusal: Refusal,
    /// It may come once a person has said so.
    awaits_approval: bool,
}

impl Configurator {
    /// Attends to one connection until it is closed, is idle for too long, or the server stops.
    pub(super) async fn attend(&self, connection: &mut Connection, shutdown: Shutdown) {
        // Where the frames of the device behind this connection go, if it is being configured by another one.
        let mut elsewhere: Option<mpsc::Sender<Frame>> = None;
        loop {
            let idle = Instant::now() + self.idle;
            let next = tokio::select! {
                biased;
                () = shutdown.clone().begun() => return,
                next = timeout_at(idle, connection.next()) => next,
            };
            let Ok(Ok(frame)) = next else { return };
            if let Some(exchange) = elsewhere.as_ref().filter(|_| !begins(&frame)) {
                // One that is over needs nothing more, and one that is behind gets it again.
                let _ = exchange.try_send(frame);
                continue;
            }
            match self.begin(connection, frame).await {
                After::Free => {}
                After::Elsewhere(exchange) => elsewhere = Some(exchange),
                After::Gone => return,
            }
        }
    }

    /// Does what the first frame asks for.
    async fn begin(&self, connection: &mut Connection, frame: Frame) -> After {
        let remote = connection.remote();
        let found = match &frame {
            Frame::Action(action) => match action.kind {
                FrameType::PresenceAnnouncement => self.announced(action, remote).await,
                FrameType::AuthenticationRequest => self.asked(action, remote).await,
                FrameType::ReconfigAnnouncement => self.again(action, remote).map_err(Silence::of_nobody),
                FrameType::PbPresenceAnnouncement
                | FrameType::PkexExchangeResponse
                | FrameType::PkexCommitRevealResponse => self.pushed(connection, action).await,
                FrameType::PkexExchangeRequest => {
                    let begun =
                        self.introduce(action, remote).map(|introduction| Begun::Introduced(Box::new(introduction)));
                    begun.map_err(Silence::of_nobody)
                }
                _ => Err(unexpected(action)),
            },
            Frame::Gas(_) => Ok(Begun::Nothing),
        };
        match found {
            Ok(Begun::Nothing) => After::Free,
            Ok(Begun::Elsewhere(exchange)) => After::Elsewhere(exchange),
            Ok(Begun::Here(onboarding)) => {
                let first = matches!(&frame, Frame::Action(action) if action.kind == FrameType::AuthenticationRequest);
                match onboarding.run(connection, first.then_some(frame)).await {
                    Some(()) => After::Free,
                    None => After::Gone,
                }
            }
            Ok(Begun::Again(reconfiguration)) => match reconfiguration.run(connection).await {
                Some(()) => After::Free,
                None => After::Gone,
            },
            Ok(Begun::Pushed(found, place)) => {
                let onboarding = Onboarding::initiate(self, found.device.clone(), place, remote);
                found.tell(onboarding.run_to_end(connection).await);
                After::Free
            }
            Ok(Begun::Introduced(introduction)) => match introduction.run(connection, frame).await {
                Some(()) => After::Free,
                None => After::Gone,
            },
            Err(silence) => {
                self.silent(silence, remote).await;
                // Somebody with a code that is none waits for an answer that will not come.
                if is_introduction(&frame) { After::Gone } else { After::Free }
            }
        }
    }

    /// DPP s6.2: a device announces its presence, and the configurator that knows it becomes the initiator.
    async fn announced(&self, action: &Action, remote: SocketAddr) -> Result<Begun<'_>, Silence> {
        let hash = hash(action, AttributeId::ResponderBootstrapHash)?;
        let find = |tenant: &Tenant| Book::of(&self.world.store).by_chirp(&tenant.id, &hash);
        let expected = self.expect(remote, &hash, find).await?;
        Ok(match self.underway.enter(&expected.identity.device, remote, true) {
            Entry::Free(place) => Begun::Here(Box::new(Onboarding::initiate(self, expected, place, remote))),
            Entry::Here(exchange) => Begun::Elsewhere(exchange),
            Entry::Taken => Begun::Nothing,
        })
    }

    /// DPP s6.3.2: a device begins itself. Only a device that can prove who it is may, so it must name its key.
    async fn asked(&self, action: &Action, remote: SocketAddr) -> Result<Begun<'_>, Silence> {
        let own = hash(action, AttributeId::ResponderBootstrapHash)?;
        let tenant = self.tenants_at(remote.ip()).find_map(|tenant| Some((tenant, tenant.bootstrap_curve(&own)?)));
        let (tenant, curve) = tenant.ok_or_else(|| Silence {
            tenant: None,
            device: own.to_string(),
            refusal: Refusal::new(Fault::Denied, "configurator-key", "DPP s6.3.3", "no key here has this hash")
                .field("Responder Bootstrapping Key Hash"),
            awaits_approval: false,
        })?;
        let device = hash(action, AttributeId::InitiatorBootstrapHash)?;
        let find = |other: &Tenant| match other.id == tenant.id {
            true => Book::of(&self.world.store).by_bootstrap(&tenant.id, &device),
            false => Ok(None),
        };
        let expected = self.expect(remote, &device, find).await?;
        let place = self.underway.enter(&expected.identity.device, remote, false).free();
        Ok(place.map_or(Begun::Nothing, |place| {
            Begun::Here(Box::new(Onboarding::respond(self, expected, curve, place, remote)))
        }))
    }

    /// DPP s6.5.2: a device announces itself to the configurator that signed its connector.
    fn again(&self, action: &Action, remote: SocketAddr) -> Result<Begun<'_>, Refusal> {
        let announced = self.announced_again(action, remote)?;
        Ok(match self.underway.enter(&announced.name, remote, true) {
            Entry::Free(place) => Begun::Again(Box::new(Reconfiguration::new(self, announced, place, remote))),
            Entry::Here(exchange) => Begun::Elsewhere(exchange),
            Entry::Taken => Begun::Nothing,
        })
    }

    /// DPP release 3, push button: a device whose button was pushed, and ours as well.
    async fn pushed(&self, connection: &mut Connection, action: &Action) -> Result<Begun<'_>, Silence> {
        let Some(found) = self.hear(connection, action).await? else { return Ok(Begun::Nothing) };
        let place = self.underway.enter(&found.device.identity.device, connection.remote(), false).free();
        Ok(match place {
            Some(place) => Begun::Pushed(Box::new(found), place),
            None => {
                let why = "it is being configured by another access point";
                found.tell(Err(Refusal::new(Fault::Denied, "device-busy", SECTION, why)));
                Begun::Nothing
            }
        })
    }

    /// Reaches out to a device of `tenant`, at the address in its URI or through the access point at `by`.
    pub(crate) async fn reach(&self, tenant: &OwnerId, hash: &Fingerprint, by: Option<Host>) -> Result<(), Refusal> {
        let refused = |check, why: String| Refusal::new(Fault::Denied, check, SECTION, why);
        let tenant =
            self.tenant(tenant).ok_or_else(|| refused("tenant-known", format!("there is no tenant {tenant}")))?;
        let failed = |why: ReadError| Refusal::new(Fault::Backend, "device-book", SECTION, why.to_string());
        let found = Book::of(&self.world.store).by_bootstrap(&tenant.id, hash).map_err(failed)?;
        let entry = Bootstrapping::held(found.as_deref())?.clone();
        let host = match by {
            Some(host) => host,
            None => entry.uri.parse::<Uri>()?.host.ok_or_else(|| {
                refused("device-host", "its URI names no host; name an access point that listens".into())
            })?,
        };
        let stream = connect(&host).await?;
        let remote = stream.peer_addr().map_err(|why| refused("device-host", why.to_string()))?;
        let expected = self.admit(tenant, entry).await.map_err(|silence| silence.refusal)?;
        let place = self.underway.enter(&expected.identity.device, remote, false).free();
        let place = place.ok_or_else(|| refused("device-busy", "it is being configured, or just was".into()))?;
        let onboarding = Onboarding::initiate(self, expected, place, remote);
        onboarding.run_to_end(&mut Connection::new(stream, remote)).await
    }

    /// The one device that `find` finds in the books of those whose access points may be at `remote`.
    async fn expect(
        &self,
        remote: SocketAddr,
        hash: &Fingerprint,
        find: impl Fn(&Tenant) -> Result<Option<landfall_store::Versioned<Bootstrapping>>, ReadError>,
    ) -> Result<Expected, Silence> {
        let tenants: Vec<_> = self.tenants_at(remote.ip()).collect();
        let only = match tenants.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        };
        let silence =
            |refusal| Silence { tenant: only.clone(), device: hash.to_string(), refusal, awaits_approval: false };
        let (mut held, mut released) = (Vec::new(), None);
        for tenant in tenants {
            let found = find(tenant)
                .map_err(|why| silence(Refusal::new(Fault::Backend, "device-book", SECTION, why.to_string())))?;
            match (Bootstrapping::held(found.as_deref()), found.as_ref()) {
                (Ok(entry), _) => held.push((tenant, entry.clone())),
                (Err(refusal), Some(entry)) => {
                    released = Some(Silence {
                        tenant: Some(tenant.id.clone()),
                        device: entry.name(),
                        refusal,
                        awaits_approval: false,
                    });
                }
                (Err(_), None) => {}
            }
        }
        let mut held = held.into_iter();
        match (held.next(), held.next()) {
            (Some((tenant, entry)), None) => self.admit(tenant, entry).await,
            (Some(_), Some(_)) => Err(silence(Refusal::new(
                Fault::Denied,
                "bootstrapping-one-tenant",
                SECTION,
                "several tenants have this device, and this access point may be any of theirs",
            ))),
            (None, _) => Err(match (released, Bootstrapping::held(None)) {
                (Some(released), _) => released,
                (None, Err(refusal)) => silence(refusal),
                (None, Ok(_)) => silence(Refusal::new(Fault::Backend, "device-book", SECTION, "nothing was found")),
            }),
        }
    }

    /// Whether a device of the tenant's may come.
    pub(super) async fn admit(&self, tenant: &Arc<Tenant>, entry: Bootstrapping) -> Result<Expected, Silence> {
        let silence = |refusal, awaits_approval| Silence {
            tenant: Some(tenant.id.clone()),
            device: entry.name(),
            refusal,
            awaits_approval,
        };
        let backend = |why: String| silence(Refusal::new(Fault::Backend, "device-record", SECTION, why), false);
        let uri: Uri = entry.uri.parse().map_err(|why: landfall_dpp::uri::UriError| silence(why.into(), false))?;
        let own = tenant.keys.bootstrap(uri.key.curve()).public().bootstrap_hash();
        if entry.configurator.is_some_and(|only| only != own) {
            let why = "it was made to take another configurator only";
            return Err(silence(Refusal::new(Fault::Denied, "configurator-of-device", SECTION, why), false));
        }
        let (serial, model) = (entry.serial_number.clone(), entry.model.clone());
        let identity = Identity::bootstrapped(&tenant.id, entry.bootstrap_hash, serial, model);
        let identity = identity.map_err(|why| backend(why.to_string()))?;
        let now = self.world.clock.now();
        let mut device =
            Tracked::find_or_new(&self.world.store, identity.clone(), now).map_err(|why| backend(why.to_string()))?;
        let decision = decide::before(&tenant.policy, &device.device, entry.via, now);
        let known = sources::of_record(&device.device, now);
        let decision = self.world.authorizer.admits(&device.device.identity.device, known, decision).await;
        if decision.permits() {
            let (tenant, key, mac) = (tenant.clone(), uri.key, uri.mac);
            return Ok(Expected { tenant, identity, entry, key, mac, pushed: false });
        }
        let awaits_approval = decision.verdict == Verdict::Ask;
        let refusal = refusal_of(&decision);
        // What is inside stays as it is: anyone can repeat what a device announced.
        if !device.device.state.is_inside() && decide::is_news(&device.device, &decision) {
            let stepped = device.step(DeviceEvent::Asked { decision }, now).and_then(|_| device.take_changes());
            // A revoked device cannot ask, which is no error here.
            if let Ok(changes) = stepped
                && let Err(why) = self.world.store.commit(changes).await
            {
                tracing::warn!(%why, device = %entry.name(), "that a device asked could not be written");
            }
        }
        Err(silence(refusal, awaits_approval))
    }

    /// The peer hears nothing; the operator does.
    pub(super) async fn silent(&self, silence: Silence, remote: SocketAddr) {
        let Silence { tenant, device, refusal, awaits_approval } = silence;
        let (now, from) = (self.world.clock.now(), remote.ip().to_canonical().to_string());
        metrics::counter!("landfall_configurator_silent_total", "check" => refusal.check.to_string()).increment(1);
        if !self.refused.note(tenant.as_ref(), &device, &from, &refusal, now) {
            return;
        }
        let outcome = if awaits_approval { Outcome::Pending } else { Outcome::Refused(refusal) };
        let (process, role, action) = (Process::Network, "configurator", "device-announced");
        let duration = Duration::ZERO;
        self.world.recorder.close(Event { at: now, process, role, action, device, outcome, duration }).await;
    }
}

pub(super) fn refusal_of(decision: &Decision) -> Refusal {
    match decision.verdict {
        Verdict::Ask => {
            let why = format!("it waits for `landfall network approve`: {}", decision.why());
            Refusal::new(Fault::Denied, "approval-awaited", SECTION, why)
        }
        Verdict::Deny | Verdict::Permit => Refusal::new(Fault::Denied, "policy-denied", SECTION, decision.why()),
    }
}

/// Whether a frame begins something, and so is not a part of an exchange under way.
fn begins(frame: &Frame) -> bool {
    matches!(frame, Frame::Action(action) if matches!(
        action.kind,
        FrameType::PresenceAnnouncement
            | FrameType::PbPresenceAnnouncement
            | FrameType::AuthenticationRequest
            | FrameType::PkexExchangeRequest
            | FrameType::ReconfigAnnouncement
    ))
}

fn is_introduction(frame: &Frame) -> bool {
    matches!(frame, Frame::Action(action) if action.kind == FrameType::PkexExchangeRequest)
}

fn hash(action: &Action, id: AttributeId) -> Result<Fingerprint, FrameError> {
    action.attributes()?.need_array::<32>(id).map(Fingerprint)
}

/// A frame of which it cannot be said what device it is about.
impl From<FrameError> for Silence {
    fn from(why: FrameError) -> Self {
        Self::of_nobody(why.into())
    }
}

impl Silence {
    /// About a device of the tenant's.
    pub(super) fn about(tenant: &OwnerId, device: String, refusal: Refusal) -> Self {
        Self { tenant: Some(tenant.clone()), device, refusal, awaits_approval: false }
    }

    /// About something that names no device.
    pub(super) const fn of_nobody(refusal: Refusal) -> Self {
        Self { tenant: None, device: String::new(), refusal, awaits_approval: false }
    }

    /// The same about the device with that name, whoever has it.
    pub(super) fn naming(self, device: String) -> Self {
        Self { device, ..self }
    }

    /// Why.
    pub(super) const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

fn unexpected(action: &Action) -> Silence {
    let detail = format!("{} does not begin anything here", action.kind);
    Silence::of_nobody(Refusal::new(Fault::Peer, "first-frame", "DPP s6", detail))
}

async fn connect(host: &Host) -> Result<TcpStream, Refusal> {
    let failed = |why: String| Refusal::new(Fault::Backend, "device-host", "DPP s12", format!("{host}: {why}"));
    let connecting = async {
        let mut last = None;
        for address in lookup_host((host.name.as_str(), host.port)).await.map_err(|why| failed(why.to_string()))? {
            match TcpStream::connect(address).await.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => return Ok(stream),
                Err(why) => last = Some(why.to_string()),
            }
        }
        Err(failed(last.unwrap_or_else(|| "it has no address".into())))
    };
    timeout(REACHING, connecting).await.unwrap_or_else(|_| Err(failed("it does not answer".into())))
}
