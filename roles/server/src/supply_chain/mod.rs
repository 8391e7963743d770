//! The supply chain service (SP 1800-36B 4.2): manufacturers register bootstrapping keys, tenants sell devices to each
//! other, and owners hear what they have got.
//!
//! | path | what |
//! |---|---|
//! | `POST /dpp/bskey` | registers one device, by the interface that other makers' tools speak |
//! | `POST /dpp/bskeys` | registers many: a line each, and a line of the answer for each |
//! | `POST /dpp/devices` | the caller's own devices, part by part |
//! | `POST /dpp/sales` | sells devices to another tenant |
//! | `POST /dpp/withdrawals` | takes devices back that were struck off: nobody sells or registers them any more |
//! | `POST /dpp/feed` | what changed in the caller's book; waits for something, if asked to |
//!
//! Who asks is known by its client certificate or its token, and sees its own book only. Nothing is answered before it
//! is durable.

mod answers;
mod intake;
mod register;
mod turns;
mod who;

pub use intake::{Intake, ServiceClient, ServiceError};
pub use register::{LineResult, Withdrawal};
pub use who::{bearer, fresh_token, token_hash};

use crate::{
    Identity, RoleError, World,
    proxy::announce_dpp,
    role::{RoleName, Shutdown, Task},
    settings::{Settings, SupplyChainSettings},
};
use landfall_brski::TlsPeer;
use landfall_net::{
    discovery::{Interface, Service},
    http::{Limits, Server},
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::oid;
use landfall_types::{
    Event, Outcome, OwnerId, Process, Refusal,
    http::{Method, Request, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Instant};
use tokio::net::TcpListener;
use turns::Turns;

/// Where devices are registered one by one.
pub const BSKEY: &str = "/dpp/bskey";
/// Where many are registered at once.
pub const BSKEYS: &str = "/dpp/bskeys";
/// Where a tenant reads its book.
pub const DEVICES: &str = "/dpp/devices";
/// Where a tenant sells.
pub const SALES: &str = "/dpp/sales";
/// Where a tenant takes back what was struck off.
pub const WITHDRAWALS: &str = "/dpp/withdrawals";
/// Where a tenant hears of changes.
pub const FEED: &str = "/dpp/feed";

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where tenants reach it.
    pub listen: SocketAddr,
    /// The TLS server's certificate.
    pub tls: Identity,
    /// The interfaces on which it announces itself, if it does.
    pub announce: Option<Vec<Interface>>,
    /// How many requests of one tenant are served at a time.
    pub at_once: usize,
    /// What the listener bears.
    pub limits: Limits,
}

impl Config {
    /// What `service` means in `settings`, with every file that it names opened.
    pub fn from_settings(service: &SupplyChainSettings, settings: &Settings, world: &World) -> Result<Self, RoleError> {
        let resolve = |path: &std::path::Path| settings.resolve(path);
        let interfaces = || {
            Interface::select(&service.interfaces)
                .map_err(RoleError::while_("the interfaces (supply-chain.interfaces)"))
        };
        Ok(Self {
            announce: service.announce.then(interfaces).transpose()?,
            listen: service.listen,
            tls: Identity::load(&service.identity, resolve, world.element.as_ref())?,
            at_once: service.at_once,
            limits: (&service.limits).into(),
        })
    }

    /// Binds the listener.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<SupplyChain>), RoleError> {
        let what = format!("listening on {} (supply-chain.listen)", self.listen);
        let listener = TcpListener::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = listener.local_addr().map_err(RoleError::while_(&*what))?;
        // Whose service it is stands in its certificate.
        let organization = self.tls.certificate()?.subject_name().attribute(oid::ORGANIZATION).unwrap_or_default();
        let announced = self.announce;
        let tls = ServerTls::new(&self.tls.into(), ClientAuth::Optional)
            .map_err(RoleError::while_("the service's certificate (supply-chain.identity)"))?;
        let limits = self.limits;
        let service = Arc::new(SupplyChain { world, turns: Turns::new(self.at_once), shutdown: shutdown.clone() });
        let served = service.clone();
        let work = async move {
            let _announcer = match &announced {
                Some(interfaces) => {
                    Some(announce_dpp(Service::Bootstrapping, address.port(), &organization, None, interfaces)?)
                }
                None => None,
            };
            let server = Server::new(listener).tls(tls).limits(limits);
            server
                .run(
                    move |request, from| {
                        let service = served.clone();
                        // In a task of its own: what was begun is finished even if the client goes away.
                        let answer = tokio::spawn(async move { service.answer(request, from.tls.as_ref()).await });
                        async move { answer.await.unwrap_or_else(|_| Response::new(500)) }
                    },
                    shutdown.watch(),
                )
                .await;
            Ok(())
        };
        Ok((Task::new(RoleName::SupplyChain, address, work), service))
    }
}

/// A supply chain service that runs.
#[derive(Debug)]
pub struct SupplyChain {
    world: World,
    turns: Turns,
    shutdown: Shutdown,
}

/// What came of a request: the answer, whom or what it was about, and why not if it was refused.
struct Answer {
    response: Response,
    about: String,
    refusal: Option<Refusal>,
}

impl SupplyChain {
    /// Answers one request of a tenant.
    pub async fn answer(&self, request: Request, client: Option<&TlsPeer>) -> Response {
        let action = match request.path.as_str() {
            BSKEY => "bskey-registered",
            BSKEYS => "bskeys-registered",
            DEVICES => "devices-listed",
            SALES => "devices-sold",
            WITHDRAWALS => "devices-withdrawn",
            FEED => "feed-read",
            _ => return Response::text(404, "There is nothing here."),
        };
        if request.method != Method::Post {
            return Response::text(405, "Use POST.").header("allow", "POST");
        }
        let begun = Instant::now();
        let Answer { response, about, refusal } = self.admit(&request, client).await;
        // Reading changes nothing, and a feed is read all day.
        if refusal.is_some() || !matches!(request.path.as_str(), FEED | DEVICES) {
            let outcome = refusal.map_or(Outcome::Done, Outcome::Refused);
            let (at, process, role) = (self.world.clock.now(), Process::Transfer, "supply-chain");
            let duration = begun.elapsed();
            self.world.recorder.close(Event { at, process, role, action, device: about, outcome, duration }).await;
        }
        response
    }

    async fn admit(&self, request: &Request, client: Option<&TlsPeer>) -> Answer {
        let tenant = match who::tenant(&self.world, request, client) {
            Ok(Ok(tenant)) => tenant,
            Ok(Err(refusal)) => {
                let response = Response::text(401, "Show a certificate or a token that is known here.");
                let response = response.header("www-authenticate", "Basic realm=\"landfall\", charset=\"UTF-8\"");
                let response = response.header("www-authenticate", "Bearer realm=\"landfall\"");
                return Answer { response, about: String::new(), refusal: Some(refusal) };
            }
            Err(why) => return answers::unavailable(&why),
        };
        let Some(_turn) = self.turns.take(&tenant) else { return answers::too_many(&tenant) };
        if request.headers.first("content-length").is_none() {
            return answers::no_length(&tenant);
        }
        match request.path.as_str() {
            BSKEY => self.register_one(&tenant, request).await,
            BSKEYS => self.register_many(&tenant, request).await,
            DEVICES => self.list(&tenant, request),
            SALES => self.sell(&tenant, request).await,
            WITHDRAWALS => self.withdraw(&tenant, request).await,
            _ => self.feed(&tenant, request).await,
        }
    }

    /// Says that something changed in the books of these tenants.
    pub fn changed(&self, tenants: &[&OwnerId]) {
        tenants.iter().for_each(|tenant| self.turns.changed(tenant));
    }
}
