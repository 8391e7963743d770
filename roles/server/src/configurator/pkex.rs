//! PKEX with a device that has a code (DPP s5.6): it learns our bootstrapping key, and we learn its own and take it into
//! the book. What it gets is decided as ever when it goes on to authenticate itself.

use super::{
    Configurator, Tenant,
    code::{self, PkexCode},
    connection::Connection,
    keys::Held,
};
use crate::{
    book::{Book, Entry, Registration},
    exchange::{self, Ending, Failure, Kind},
};
use landfall_dpp::{
    Curve, System, Uri,
    exchange::{Agreement, KeyRole},
    frame::{Action, AttributeId, Frame, FrameType},
    pkex::{Config, Done, Input, Link, Output, Responder, Timing, Versions},
};
use landfall_lifecycle::transfer::{Bootstrapping, Via};
use landfall_store::Versioned;
use landfall_types::{Changes, Fault, Fingerprint, Outcome, OwnerId, Process, Record, Refusal};
use std::{net::SocketAddr, sync::Arc};
use tokio::time::timeout;

const KIND: Kind = Kind { process: Process::Network, role: "configurator", action: "device-introduced" };
const SECTION: &str = "DPP s5.6";

/// A device that is being introduced.
pub(super) struct Introduction<'a> {
    configurator: &'a Configurator,
    responder: Responder,
    host: Host<'a>,
    ending: Ending,
}

struct Host<'a> {
    configurator: &'a Configurator,
    tenant: Arc<Tenant>,
    code: PkexCode,
    bootstrap: Arc<Held>,
    outbox: Vec<Frame>,
    done: Option<Result<(), Refusal>>,
}

impl Configurator {
    /// The one code that the first frame means, of those whose access points may be at `remote`.
    pub(super) fn introduce(&self, action: &Action, remote: SocketAddr) -> Result<Introduction<'_>, Refusal> {
        let attributes = action.attributes()?;
        let identifier = attributes.one(AttributeId::CodeIdentifier)?;
        let unknown = || Refusal::new(Fault::Denied, "pkex-known", SECTION, "nobody expects a device with such a code");
        let identifier = identifier.map(std::str::from_utf8).transpose().map_err(|_| unknown())?;
        let group = attributes.need_array(AttributeId::FiniteCyclicGroup).map(u16::from_le_bytes)?;
        let mut found = Vec::new();
        for tenant in self.tenants_at(remote.ip()) {
            let record = self.world.store.find::<PkexCode>(&PkexCode::key_of(&tenant.id, identifier));
            let failed =
                |why: landfall_store::ReadError| Refusal::new(Fault::Backend, "pkex-code", SECTION, why.to_string());
            found.extend(record.map_err(failed)?.map(|record| (tenant.clone(), record)));
        }
        let mut found = found.into_iter();
        let (tenant, record) = match (found.next(), found.next()) {
            (Some(only), None) => only,
            (Some(_), Some(_)) => {
                let why = "several tenants have such a code, and this access point may be any of theirs";
                return Err(Refusal::new(Fault::Denied, "pkex-one-tenant", SECTION, why));
            }
            (None, _) => return Err(unknown()),
        };
        let Versioned { record: code, .. } = code::alive(Some(record))?;
        // A device on a curve of no key of ours is told which one to take (DPP s5.6.2).
        let bootstrap = tenant.keys.bootstrap(Curve::of_group(group).unwrap_or(Curve::P256)).clone();
        let config = Config {
            code: self.open_code(&code)?,
            bootstrap: bootstrap.public().clone(),
            version: 3,
            versions: Versions::Two,
            link: Link::Tcp,
            timing: Timing { patience: self.timing.response, ..Timing::default() },
        };
        let responder = Responder::new(config, Box::new(System));
        let mut ending = Ending::new(KIND);
        ending.device = code.serial_number.as_ref().map(ToString::to_string).unwrap_or_default();
        let host = Host { configurator: self, tenant, code, bootstrap, outbox: Vec::new(), done: None };
        Ok(Introduction { configurator: self, responder, host, ending })
    }
}

/// A device that made its key known, and how it goes into the book.
pub(super) struct Taken<'a, F> {
    pub(super) done: &'a Done,
    /// What is known of it, with its URI.
    pub(super) entry: F,
    pub(super) via: Via,
    /// What is to be written in the same moment.
    pub(super) also: Changes,
}

impl Configurator {
    /// Takes a device into the book of `tenant`, unless it is in it.
    pub(super) async fn take_in<F: FnOnce(String) -> Entry>(
        &self,
        tenant: &OwnerId,
        Taken { done, entry, via, also }: Taken<'_, F>,
    ) -> Result<Fingerprint, Failure> {
        let (store, hash) = (&self.world.store, done.peer.bootstrap_hash());
        let book = Book::of(store);
        if Bootstrapping::held(book.by_bootstrap(tenant, &hash)?.as_deref()).is_ok() {
            store.commit(also).await?;
            return Ok(hash);
        }
        let uri = Uri { version: Some(done.version), ..Uri::of(done.peer.clone()) };
        let (entry, at) = (entry(uri.to_string()), self.world.clock.now());
        let registration = Registration { tenant, entries: &[entry], released: &[], via, at };
        let registered = book.register_and(&registration, |registered| {
            Ok(if registered.iter().all(Result::is_ok) { also.clone() } else { Changes::new() })
        });
        let registered = registered.await?.pop();
        registered.ok_or_else(|| Failure::new("nothing was registered"))?.map(|_| hash).map_err(Into::into)
    }
}

impl Introduction<'_> {
    /// Runs to its end; nothing if the connection is of no use any more.
    pub(super) async fn run(mut self, connection: &mut Connection, first: Frame) -> Option<()> {
        let mut next = Some(first);
        while let Some(frame) = next.take() {
            // It counts before anyone can learn whether it was right.
            let counted = match &frame {
                Frame::Action(action) if action.kind == FrameType::PkexCommitRevealRequest => {
                    self.configurator.attempt(&self.host.code.key()).await
                }
                _ => Ok(()),
            };
            match counted {
                Ok(()) => self.drive(Input::Frame { frame, from: None }).await,
                Err(refusal) => self.host.done = Some(Err(refusal)),
            }
            if connection.send(&std::mem::take(&mut self.host.outbox)).await.is_err() {
                break;
            }
            if self.host.done.is_none() {
                next = timeout(self.configurator.timing.response, connection.next()).await.ok().and_then(Result::ok);
            }
        }
        // Whoever merely asks and says no more has tried nothing.
        let ended = self.host.done.take()?;
        let outcome = match &ended {
            Ok(()) => Outcome::Done,
            Err(refusal) => Outcome::Refused(refusal.clone()),
        };
        let _ = self.ending.close::<Input>(outcome);
        let _ = self.ending.tell(&self.configurator.world, None).await;
        ended.ok()
    }

    async fn drive(&mut self, input: Input) {
        let Self { configurator, responder, host, ending } = self;
        if let Err(refusal) = exchange::drive(responder, input, host, ending, &configurator.world.clock).await {
            host.done.get_or_insert(Err(refusal));
        }
    }
}

impl Host<'_> {
    /// The device is in the book before it hears our key.
    async fn learnt(&self, done: &Done) -> Result<Fingerprint, Failure> {
        let (store, hash) = (&self.configurator.world.store, done.peer.bootstrap_hash());
        let found = store.find::<PkexCode>(&self.code.key())?.ok_or_else(|| Failure::new("the code was removed"))?;
        let Versioned { record: mut code, version } = found;
        if code.device.is_some_and(|only| only != hash) {
            return Err(Failure::new("the code is that of another device, which had it first"));
        }
        (code.device, code.failures) = (Some(hash), code.failures.saturating_sub(1));
        let also = Changes::new().put_if(&code, version)?;
        let PkexCode { serial_number, model, role, .. } = code;
        let entry = |uri| Entry { serial_number, model, dpp_role: role, ..Entry::of(uri) };
        self.configurator.take_in(&self.tenant.id, Taken { done, entry, via: Via::Pkex, also }).await
    }
}

impl exchange::Host<Responder> for Host<'_> {
    const FAILED: fn(String) -> Input = Input::Failed;

    async fn perform(&mut self, output: Output, ending: &mut Ending) -> Result<Option<Input>, Failure> {
        match output {
            Output::Send(frame) => self.outbox.push(frame),
            Output::Agree(point) => {
                let agreement = Agreement { key: KeyRole::Bootstrap, point, addend: None };
                return Ok(Some(Input::Agreed(self.bootstrap.agree(&agreement)?)));
            }
            Output::Dropped(refusal) => tracing::debug!(%refusal, "a frame was dropped"),
            Output::Done(Err(refusal)) => self.done = Some(Err(refusal)),
            Output::Done(Ok(done)) => {
                if ending.device.is_empty() {
                    ending.device = done.peer.bootstrap_hash().to_string().chars().take(16).collect();
                }
                self.done = Some(match self.learnt(&done).await {
                    Ok(device) => {
                        tracing::info!(%device, "a device was introduced by its code");
                        Ok(())
                    }
                    Err(failure) => {
                        // Nothing is said that is not on record.
                        self.outbox.clear();
                        Err(Refusal::new(Fault::Denied, "pkex-device", SECTION, failure.why))
                    }
                });
            }
        }
        Ok(None)
    }
}
