//! The other end of the service: a client, and the owner's side that takes in what it has got.

use super::{
    BSKEYS, FEED, SALES, WITHDRAWALS, bearer,
    register::{FeedAnswer, FeedRequest, LineResult, SaleRequest, Withdrawal, WithdrawalRequest},
};
use crate::{
    RoleError, World,
    book::{Book, BookError, Entry, News, Registered, Registration},
    identity::{Identity, anchors},
    role::Shutdown,
    settings::{IntakeSettings, Settings},
};
use landfall_lifecycle::transfer::{self, Awaited, Ownership, Via};
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection, Endpoint},
    tls::ClientTls,
};
use landfall_pki::Anchors;
use landfall_store::Versioned;
use landfall_types::{
    Changes, Fingerprint, OwnerId, Record, Redacted, Refusal,
    http::{Request, Response},
};
use std::time::Duration;

/// Waits between attempts after something went wrong.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the service may wait before it says that there is nothing, in seconds.
const WAIT: u64 = 25;
/// How many things are taken in at once.
const AT_ONCE: usize = 250;

/// Speaks to a supply chain service as one tenant.
#[derive(Debug)]
pub struct ServiceClient {
    endpoint: Endpoint,
    tls: ClientTls,
    authorization: Option<Redacted<String>>,
    connection: Option<Connection>,
}

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It does not answer as it should.
    #[error("the supply chain service: {0}")]
    Net(#[from] NetError),
    /// It says no.
    #[error("the supply chain service says {status}: {text}")]
    Refused {
        /// The status.
        status: u16,
        /// What it says.
        text: String,
    },
    /// Its answer is not understood.
    #[error("the supply chain service's answer is not understood: {0}")]
    Garbled(String),
}

impl ServiceClient {
    /// A client of the service at `endpoint`, with a token if `tls` has no certificate of the tenant's.
    pub fn new(endpoint: Endpoint, tls: ClientTls, token: Option<&Redacted<String>>) -> Self {
        let authorization = token.map(|token| Redacted::new(bearer(token)));
        Self { endpoint, tls, authorization, connection: None }
    }

    /// Registers the devices in `lines`; what became of each line.
    pub async fn upload(&mut self, lines: Vec<u8>) -> Result<Vec<LineResult>, ServiceError> {
        let response = self.post(BSKEYS, "application/x-ndjson", lines).await?;
        let text = String::from_utf8(response.body).map_err(|why| ServiceError::Garbled(why.to_string()))?;
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(garbled)
    }

    /// Sells devices to another tenant; what became of each.
    pub async fn sell(
        &mut self,
        to: &OwnerId,
        order: &str,
        devices: &[String],
    ) -> Result<Vec<LineResult>, ServiceError> {
        let sale = SaleRequest { to: to.clone(), order: order.into(), devices: devices.into() };
        let response = self.post(SALES, "application/json", serde_json::to_vec(&sale).map_err(garbled)?).await?;
        results(&response)
    }

    /// Takes back devices that were struck off; what became of each.
    pub async fn withdraw(&mut self, devices: &[Withdrawal]) -> Result<Vec<LineResult>, ServiceError> {
        let asked = WithdrawalRequest { devices: devices.into() };
        let body = serde_json::to_vec(&asked).map_err(garbled)?;
        results(&self.post(WITHDRAWALS, "application/json", body).await?)
    }

    /// What changed in the tenant's book after the number `after`; waits up to `wait` seconds for something.
    pub async fn feed(&mut self, after: u64, limit: usize, wait: u64) -> Result<Vec<News>, ServiceError> {
        let asked = FeedRequest { after, limit: Some(limit), wait };
        let response = self.post(FEED, "application/json", serde_json::to_vec(&asked).map_err(garbled)?).await?;
        let answer: FeedAnswer = serde_json::from_slice(&response.body).map_err(garbled)?;
        Ok(answer.news)
    }

    async fn post(&mut self, path: &str, media_type: &str, body: Vec<u8>) -> Result<Response, ServiceError> {
        let mut request = Request::post(path, media_type, body);
        if let Some(authorization) = &self.authorization {
            request.headers.add("authorization", authorization.expose().as_str());
        }
        let mut connection = match self.connection.take().filter(Connection::is_open) {
            Some(connection) => connection,
            None => {
                let limits = ClientLimits {
                    exchange: Duration::from_secs(120),
                    body_bytes: 64 * 1024 * 1024,
                    ..ClientLimits::default()
                };
                Connection::open(&self.endpoint, Some(&self.tls), limits).await?
            }
        };
        let response = connection.send(request).await?;
        self.connection = Some(connection);
        match response.status {
            200 => Ok(response),
            status => {
                let text = String::from_utf8_lossy(&response.body).chars().take(500).collect();
                Err(ServiceError::Refused { status, text })
            }
        }
    }
}

/// What became of each device in a list.
fn results(response: &Response) -> Result<Vec<LineResult>, ServiceError> {
    #[derive(serde::Deserialize)]
    struct Results {
        results: Vec<LineResult>,
    }
    let answer: Results = serde_json::from_slice(&response.body).map_err(garbled)?;
    Ok(answer.results)
}

fn garbled(why: impl ToString) -> ServiceError {
    ServiceError::Garbled(why.to_string())
}

/// Takes in, as long as the server runs, what a service has for this owner.
#[derive(Debug)]
pub struct Intake {
    client: ServiceClient,
    service: String,
    tenant: OwnerId,
    world: World,
}

impl Intake {
    /// What `intake` means in `settings`, with every file that it names opened.
    pub fn from_settings(intake: &IntakeSettings, settings: &Settings, world: &World) -> Result<Self, RoleError> {
        let resolve = |path: &std::path::Path| settings.resolve(path);
        let identity = intake.identity.as_ref().map(|of| Identity::load(of, resolve, world.element.as_ref()));
        let anchors: Anchors = anchors(&intake.anchors, resolve)?;
        let tls = ClientTls::named(anchors, identity.transpose()?.map(Into::into).as_ref())
            .map_err(RoleError::while_("intake.anchors"))?;
        let endpoint = intake.service.parse().map_err(RoleError::while_("intake.service"))?;
        let token = match &intake.token_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(resolve(path))
                    .map_err(RoleError::while_(format!("intake.token-file {}", path.display())))?;
                Some(Redacted::new(text.trim().to_owned()))
            }
        };
        Ok(Self {
            client: ServiceClient::new(endpoint, tls, token.as_ref()),
            service: intake.service.clone(),
            tenant: intake.tenant.parse().map_err(RoleError::while_("intake.tenant"))?,
            world: world.clone(),
        })
    }

    /// Runs until the shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut pause = FIRST_PAUSE;
        loop {
            let step = tokio::select! {
                () = shutdown.clone().begun() => return,
                step = self.step(WAIT) => step,
            };
            match step {
                Ok(_) => pause = FIRST_PAUSE,
                Err(why) => {
                    tracing::warn!(service = %self.service, why, "devices could not be taken in");
                    tokio::select! {
                        () = shutdown.clone().begun() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Asks once, waiting up to `wait` seconds, and takes in what comes; how much that was. How far it got is written
    /// together with what was taken in, so that nothing is left out or taken twice however it ends.
    ///
    /// A device that another tenant of this server holds is not taken from it: whoever holds a device may be operating it,
    /// and a service that one tenant trusts is not thereby trusted by another. It is kept as awaited, the operator is told
    /// once, and it is taken in at the first step after the other released it: by its own intake, if both deal with the same
    /// service, or by hand.
    pub async fn step(&mut self, wait: u64) -> Result<usize, String> {
        let awaited = self.take_awaited().await.map_err(|why| why.to_string())?;
        let key = transfer::Intake::key_of(&self.service, &self.tenant);
        let known = self.world.store.find::<transfer::Intake>(&key).map_err(|why| why.to_string())?;
        let after = known.as_ref().map_or(0, |known| known.last);
        let news = self.client.feed(after, AT_ONCE, wait).await.map_err(|why| why.to_string())?;
        let Some(last) = news.iter().map(|one| one.number).max().filter(|last| *last > after) else {
            return Ok(awaited);
        };
        let taken = self.take(&news, last, known).await.map_err(|why| why.to_string())?;
        tracing::info!(service = %self.service, tenant = %self.tenant, taken, "devices taken in");
        Ok(awaited + taken)
    }

    /// Takes in what is told, as far as number `last`; how much that was.
    async fn take(
        &self,
        news: &[News],
        last: u64,
        known: Option<Versioned<transfer::Intake>>,
    ) -> Result<usize, BookError> {
        let entries: Vec<Entry> = news.iter().filter(|one| one.held).map(|one| one.entry.clone()).collect();
        let released: Vec<Fingerprint> = news.iter().filter(|one| !one.held).map(|one| one.bootstrap_hash).collect();
        let all = self.registration(&entries, &released);
        let reached = transfer::Intake { service: self.service.clone(), tenant: self.tenant.clone(), last };
        let outcomes = Book::of(&self.world.store)
            .register_and(&all, |outcomes| {
                let mut changes = match &known {
                    Some(known) => Changes::new().put_if(&reached, known.version)?,
                    None => Changes::new().insert(&reached)?,
                };
                // What was sold on is awaited no more.
                for hash in &released {
                    changes = changes.delete::<Awaited>(self.awaited_key(hash));
                }
                for (entry, outcome) in entries.iter().zip(outcomes) {
                    changes = match (outcome, entry.bootstrapping(&self.tenant, all.via, all.at)) {
                        (Ok(device), _) => changes.delete::<Awaited>(self.awaited_key(&device.bootstrap_hash)),
                        (Err(refusal), Ok(device)) if is_held_elsewhere(refusal) => {
                            changes.put(&Awaited { service: self.service.clone(), device })?
                        }
                        (Err(_), _) => changes,
                    };
                }
                Ok(changes)
            })
            .await?;
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).for_each(|refusal| self.tell(refusal));
        Ok(released.len() + outcomes.iter().filter(|outcome| outcome.is_ok()).count())
    }

    /// Takes in what was awaited and is nobody's now; how much that was.
    async fn take_awaited(&self) -> Result<usize, BookError> {
        let (mut taken, mut after) = (0, Awaited::keys_of(&self.service, &self.tenant));
        loop {
            let mut page = self.world.store.scan::<Awaited>(Some(&after), AT_ONCE)?;
            // Behind what this one awaits stands what others do.
            page.retain(|found| found.service == self.service && found.device.tenant == self.tenant);
            let Some(last) = page.last() else { return Ok(taken) };
            after = last.key();
            let entries: Vec<Entry> = page.iter().map(|found| Entry::from(&found.device)).collect();
            let outcomes = Book::of(&self.world.store)
                .register_and(&self.registration(&entries, &[]), |outcomes| {
                    let is_over = |outcome: &Registered| !outcome.as_ref().is_err_and(is_held_elsewhere);
                    let over = page.iter().zip(outcomes).filter(|(_, outcome)| is_over(outcome));
                    Ok(over.fold(Changes::new(), |changes, (found, _)| changes.delete::<Awaited>(found.key())))
                })
                .await?;
            let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
            refused.filter(|refusal| !is_held_elsewhere(refusal)).for_each(|refusal| self.tell(refusal));
            taken += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        }
    }

    fn registration<'a>(&'a self, entries: &'a [Entry], released: &'a [Fingerprint]) -> Registration<'a> {
        Registration { tenant: &self.tenant, entries, released, via: Via::Sale, at: self.world.clock.now() }
    }

    fn awaited_key(&self, bootstrap_hash: &Fingerprint) -> String {
        Awaited::key_of(&self.service, &self.tenant, bootstrap_hash)
    }

    fn tell(&self, refusal: &Refusal) {
        let (service, tenant, check) = (&self.service, &self.tenant, &refusal.check);
        match is_held_elsewhere(refusal) {
            true => tracing::warn!(%service, %tenant, %check, reason = %refusal.detail, "a device is awaited"),
            false => tracing::warn!(%service, %tenant, %check, reason = %refusal.detail, "a device was not taken in"),
        }
    }
}

/// Whether a device is not taken in only because another tenant holds it.
fn is_held_elsewhere(refusal: &Refusal) -> bool {
    refusal.check == Ownership::UNCLAIMED
}
