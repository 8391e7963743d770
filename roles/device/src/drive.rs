//! Drives a pledge core: connections, keys, files and the clock.

use crate::{
    Config, DeviceError,
    birth::Birth,
    discover::Announcements,
    evidence::Evidence,
    posture,
    state::{Held, State},
};
use landfall_brski::pledge::{
    ConnectionId, Credential, Identity, Input, InvalidInput, Output, Progress, SigningKey, Summary,
};
use landfall_brski::{ChannelBinding, proxy::Offer, voucher::Format};
use landfall_element::{ElementError, SecureElement};
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::Algorithm;
use landfall_types::{KeyUri, Machine, Refusal, Time, http::Request};
use std::{collections::BTreeMap, collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

/// The clock of the machine may be set while the agent sleeps, so it never sleeps longer than this.
const NAP: Duration = Duration::from_secs(30);
/// The core decides how long to wait; these only bound what a core that is mistaken could do.
pub(crate) const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(60), exchange: Duration::from_secs(300), body_bytes: 256 * 1024 };
/// Events of connections that have not been looked at yet; a connection waits when there are more.
const WAITING: usize = 16;

/// How a core ended.
#[derive(Debug)]
pub(crate) enum End {
    Done(Box<Summary>),
    GaveUp(Refusal),
    /// The time that was allowed is over; the registrar that had asked for patience then, if one had.
    TimedOut(Option<Waiting>),
}

/// A registrar that has not decided yet (RFC 8995 s5.6: 202).
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// The subject of its certificate.
    pub(crate) registrar: String,
    /// Where it was reached.
    pub(crate) offer: Offer,
}

/// What a core needs of the world.
pub(crate) struct World<'a> {
    pub(crate) config: &'a Config,
    pub(crate) format: Format,
    pub(crate) birth: &'a Birth,
    pub(crate) element: &'a Arc<dyn SecureElement>,
    pub(crate) state: &'a State,
    pub(crate) evidence: &'a Evidence,
    /// Who watches.
    pub(crate) watch: &'a mut (dyn FnMut(&Progress) + Send + Sync),
    pub(crate) announcements: Announcements,
    /// Whether a credential that is made durable has been reported already: a renewed one needs no report.
    pub(crate) reported: bool,
}

/// Drives `machine` from [`Input::Start`], if `start`, until it has ended or `deadline` has passed.
pub(crate) async fn drive<M>(
    machine: &mut M,
    world: World<'_>,
    start: bool,
    deadline: Option<Instant>,
) -> Result<End, DeviceError>
where
    M: Machine<Input = Input, Output = Output, Error = InvalidInput>,
{
    let (events, incoming) = mpsc::channel(WAITING);
    let mut driver =
        Driver { world, events, incoming, lines: BTreeMap::new(), due: VecDeque::new(), talk: None, waiting: None };
    driver.due.extend(start.then_some(Input::Start));
    match deadline {
        Some(deadline) => match timeout_at(deadline, driver.run(machine)).await {
            Ok(end) => end,
            Err(_) => Ok(End::TimedOut(driver.waiting)),
        },
        None => driver.run(machine).await,
    }
}

struct Driver<'a> {
    world: World<'a>,
    events: mpsc::Sender<Input>,
    incoming: mpsc::Receiver<Input>,
    lines: BTreeMap<ConnectionId, Line>,
    /// What the machine has to be told next.
    due: VecDeque<Input>,
    /// Whom the machine talks with.
    talk: Option<Waiting>,
    /// Who asked for patience, and has not answered since.
    waiting: Option<Waiting>,
}

/// A connection's task: takes requests, and is ended when dropped.
struct Line {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
    /// The path of the request under way.
    path: String,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driver<'_> {
    async fn run<M>(&mut self, machine: &mut M) -> Result<End, DeviceError>
    where
        M: Machine<Input = Input, Output = Output, Error = InvalidInput>,
    {
        loop {
            while let Some(output) = machine.poll_output() {
                if let Some(end) = self.act(output).await? {
                    return Ok(end);
                }
            }
            let input = match self.due.pop_front() {
                Some(input) => input,
                None => self.next(machine.poll_timeout()).await,
            };
            self.see(&input);
            machine.handle(Time::now(), input).map_err(|e| DeviceError::Defect(e.to_string()))?;
        }
    }

    /// Waits for whatever happens first.
    async fn next(&mut self, timeout: Option<Time>) -> Input {
        loop {
            let left = timeout.map_or(NAP, |at| at.since(Time::now()));
            tokio::select! {
                Some(input) = self.incoming.recv() => return input,
                offer = self.world.announcements.next() => return Input::Offers(vec![offer]),
                () = sleep_until(Instant::now() + left.min(NAP)) => {}
            }
            if timeout.is_some_and(|at| Time::now() >= at) {
                return Input::Timeout;
            }
        }
    }

    fn see(&mut self, input: &Input) {
        if let Input::Response { connection, response } = input
            && let Some(line) = self.lines.get(connection)
        {
            self.world.evidence.response(&line.path, response);
        }
    }

    async fn act(&mut self, output: Output) -> Result<Option<End>, DeviceError> {
        match output {
            Output::Discover => {
                let known = self.world.announcements.seek(self.world.config)?;
                self.due.extend((!known.is_empty()).then_some(Input::Offers(known)));
            }
            Output::Connect { connection, offer, identity, .. } => self.connect(connection, &offer, &identity)?,
            Output::Send { connection, request } => {
                self.world.evidence.request(&request);
                if let Some(line) = self.lines.get_mut(&connection) {
                    line.path.clone_from(&request.path);
                    // If its task has ended, it has said so.
                    let _ = line.requests.send(request).await;
                }
            }
            Output::Disconnect { connection } => drop(self.lines.remove(&connection)),
            Output::MakeKey { algorithm } => self.due.push_back(self.make_key(algorithm).await),
            Output::Attest { nonce, binding } => self.due.push_back(self.attest(nonce, binding).await),
            Output::Sign { key, bytes } => self.due.push_back(self.sign(key, bytes).await),
            Output::Persist(credential) => self.due.push_back(self.persist(*credential)),
            Output::DiscardKey(key) => discard(&**self.world.element, &key),
            Output::Progress(progress) => {
                tracing::debug!(process = "network", role = "device", "{progress}");
                self.follow(&progress);
                (self.world.watch)(&progress);
            }
            Output::Done(summary) => return Ok(Some(End::Done(summary))),
            Output::GaveUp(refusal) => return Ok(Some(End::GaveUp(refusal))),
        }
        Ok(None)
    }

    fn follow(&mut self, progress: &Progress) {
        match progress {
            Progress::Connecting { offer, .. } => {
                self.talk = Some(Waiting { registrar: String::new(), offer: offer.clone() });
            }
            Progress::Connected { registrar, .. } => {
                if let Some(talk) = &mut self.talk {
                    talk.registrar.clone_from(registrar);
                }
            }
            Progress::Pending { .. } => self.waiting.clone_from(&self.talk),
            Progress::VoucherAccepted { .. } | Progress::CertificateIssued { .. } => self.waiting = None,
            Progress::Failed { offer, .. } => self.waiting = self.waiting.take().filter(|other| other.offer != *offer),
            _ => {}
        }
    }

    /// The TLS stack verifies that the registrar holds its key and keeps the chain; the machine judges the chain,
    /// provisionally trusted or not, since only it knows which registrar and which domain to expect.
    fn connect(&mut self, connection: ConnectionId, offer: &Offer, identity: &Identity) -> Result<(), DeviceError> {
        let World { birth, element, .. } = &self.world;
        let identity = match identity {
            Identity::Idevid => TlsIdentity { chain: birth.presented(), signer: element.signer(&birth.key)? },
            Identity::Ldevid { key, chain } => TlsIdentity { chain: chain.clone(), signer: element.signer(key)? },
        };
        let tls = ClientTls::provisional(Some(&identity))?;
        let (requests, waiting) = mpsc::channel(1);
        let task = tokio::spawn(line(connection, Endpoint::from(offer), tls, waiting, self.events.clone()));
        self.lines.insert(connection, Line { requests, task, path: String::new() });
        Ok(())
    }

    async fn make_key(&self, algorithm: Algorithm) -> Input {
        let by = self.world.birth.attestation.clone();
        self.in_element(move |element| {
            let key = element.generate(&new_label()?, algorithm)?;
            let public_key = element.signer(&key)?.public_key().clone();
            let attestation = match element.attestation() {
                Some(element) if !by.is_empty() => Some(Box::new(element.attest_request(&key, &by)?)),
                _ => None,
            };
            Ok(Input::KeyMade { key, public_key, attestation })
        })
        .await
    }

    async fn attest(&self, nonce: Vec<u8>, binding: ChannelBinding) -> Input {
        let (config, birth, element) =
            (self.world.config.clone(), self.world.birth.clone(), Arc::clone(self.world.element));
        let shown =
            tokio::task::spawn_blocking(move || posture::evidence(&config, &*element, &birth, &nonce, &binding));
        match shown.await {
            Ok(Ok(evidence)) => {
                self.world.evidence.attested(&evidence);
                Input::Attested(evidence.to_cmw())
            }
            Ok(Err(error)) => Input::Failed(error.to_string()),
            Err(error) => Input::Failed(error.to_string()),
        }
    }

    async fn sign(&self, key: SigningKey, bytes: Vec<u8>) -> Input {
        let key = match key {
            SigningKey::Idevid => self.world.birth.key.clone(),
            SigningKey::Ldevid(key) => key,
        };
        self.in_element(move |element| {
            let signer = element.signer(&key)?;
            signer.sign(&bytes).map(Input::Signed).map_err(|e| ElementError::Pki(e.into()))
        })
        .await
    }

    /// A chip may take its time; such a one is not waited for on the task that serves connections.
    async fn in_element(
        &self,
        work: impl FnOnce(&dyn SecureElement) -> Result<Input, ElementError> + Send + 'static,
    ) -> Input {
        let element = Arc::clone(self.world.element);
        if !element.takes_time() {
            return work(&*element).unwrap_or_else(|error| Input::Failed(error.to_string()));
        }
        match tokio::task::spawn_blocking(move || work(&*element)).await {
            Ok(Ok(input)) => input,
            Ok(Err(error)) => Input::Failed(error.to_string()),
            Err(error) => Input::Failed(error.to_string()),
        }
    }

    fn persist(&self, credential: Credential) -> Input {
        self.world.evidence.credential(&credential, self.world.format);
        match self.world.state.write(&Held { credential, reported: self.world.reported }) {
            Ok(()) => Input::Persisted,
            Err(error) => Input::Failed(error.to_string()),
        }
    }
}

/// One connection: makes it, then carries one request after the other.
async fn line(
    connection: ConnectionId,
    endpoint: Endpoint,
    tls: ClientTls,
    mut requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<Input>,
) {
    let lost = |error: NetError| Input::ConnectionLost { connection, why: error.to_string() };
    let mut open = match Connection::open(&endpoint, Some(&tls), LIMITS).await {
        Ok(open) => open,
        Err(error) => return drop(events.send(lost(error)).await),
    };
    let Some(peer) = open.peer().cloned() else { return };
    let mut told = events.send(Input::Connected { connection, peer }).await;
    while told.is_ok() {
        let Some(request) = requests.recv().await else { return };
        told = match open.send(request).await {
            Ok(response) => events.send(Input::Response { connection, response }).await,
            Err(error) => return drop(events.send(lost(error)).await),
        };
    }
}

/// Destroys a key that is of no use any more. If that fails, the next start does it.
pub(crate) fn discard(element: &dyn SecureElement, key: &KeyUri) {
    match element.delete(key) {
        Ok(()) | Err(ElementError::Missing(_)) => {}
        Err(error) => tracing::warn!(%key, %error, "a key that is not needed any more was not destroyed"),
    }
}

/// What labels of LDevID keys begin with.
pub(crate) const LDEVID: &str = "ldevid-";

fn new_label() -> Result<String, ElementError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| ElementError::Crypto("name a key"))?;
    Ok(format!("{LDEVID}{}", hex::encode(random)))
}
