//! The registrar: BRSKI and EST on one TLS listener (RFC 8995 s5, RFC 7030).

mod attest;
mod config;
mod crl;
pub(crate) mod device;
mod enrol;
mod hardware;
mod join;
mod masas;
mod prefetch;
mod record;
mod status;

pub use attest::ATTESTATION_PATH;
pub use config::{Config, EstConfig, MasaClient, VendorConfig};
pub use crl::CrlUrl;
pub use masas::{MasaState, Masas};
pub use record::{CertificateRecord, CrlRecord, PolicyRecord};

use crate::{
    Identity, RoleError, World,
    attestation::{Own, Verifier},
    proxy::announce,
    role::{RoleName, Shutdown, Task},
};
use landfall_brski::{
    TlsPeer, est,
    est::{Operation, body::LIMIT_WITH_EVIDENCE, route},
    paths,
    registrar::{self, About, Vendors},
};
use landfall_net::{
    discovery::Service,
    http::{Limits, Server},
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::Authority;
use landfall_policy::Policy;
use landfall_types::http::{Method, Request, Response};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};

/// Where the revocation list is (RFC 5280 s5), beside BRSKI and EST.
pub const CRL_PATH: &str = "/.well-known/landfall/crl";

/// A registrar that runs.
#[derive(Debug)]
pub struct Registrar {
    pub(crate) world: World,
    core: Arc<registrar::Config>,
    vendors: Arc<Vendors>,
    pub(crate) masas: Masas,
    identity: Identity,
    authority: Identity,
    issuer: Authority,
    /// How EST is answered, by label; without a label by the empty one.
    est: HashMap<String, Arc<est::server::Config>>,
    policy: RwLock<Arc<Policy>>,
    /// Who judges evidence, if it is asked for.
    pub(crate) verifier: Option<Arc<Verifier>>,
    /// By which TPM it shows devices what it runs itself.
    own: Option<Arc<Own>>,
    crl: RwLock<Option<Arc<[u8]>>>,
    crl_every: Duration,
}

impl Config {
    /// Binds the listener, and makes the revocation list if there is none.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Registrar>), RoleError> {
        let what = format!("listening on {} (registrar.listen)", self.listen);
        let listener = TcpListener::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = listener.local_addr().map_err(RoleError::while_(&*what))?;
        let tls = ServerTls::new(&self.identity.clone().into(), ClientAuth::Optional)
            .map_err(RoleError::while_("the registrar's certificate (registrar.identity)"))?;
        let (limits, interfaces) = (self.limits, self.announce.clone());
        let lists = match self.crl_listen {
            Some(address) => Some(crl::Door::bind(address, self.crl_url.as_ref(), limits).await?),
            None => None,
        };
        let crls: Vec<_> = self.vendors.iter().map(|vendor| vendor.crls.clone()).collect();
        let registrar = Arc::new(self.registrar(world)?);
        registrar.load_policy()?;
        registrar.renew_crl(false).await?;
        let served = registrar.clone();
        let work = async move {
            let _announcer = match &interfaces {
                Some(interfaces) => Some(announce(Service::Registrar, address.port(), interfaces)?),
                None => None,
            };
            let mut upkeep = JoinSet::new();
            upkeep.spawn(served.clone().upkeep(shutdown.clone()));
            if let Some(lists) = lists {
                upkeep.spawn(lists.serve(served.clone(), shutdown.clone()));
            }
            for crls in crls {
                upkeep.spawn(crls.watch(served.world.clock.clone(), shutdown.clone()));
            }
            // Event logs are long; whoever asks for none is sent none.
            let body_bytes = match served.verifier.is_some() {
                true => limits.body_bytes.max(LIMIT_WITH_EVIDENCE),
                false => limits.body_bytes,
            };
            let server = Server::new(listener).tls(tls).limits(Limits { body_bytes, ..limits });
            server
                .run(
                    move |request, from| {
                        let registrar = served.clone();
                        // In a task of its own: what was begun is finished even if the pledge goes away.
                        let answer = tokio::spawn(async move { registrar.answer(request, from.tls.clone()).await });
                        async move { answer.await.unwrap_or_else(|_| Response::new(500)) }
                    },
                    shutdown.watch(),
                )
                .await;
            Ok(())
        };
        Ok((Task::new(RoleName::Registrar, address, work), registrar))
    }
}

impl Registrar {
    /// Answers one request of a pledge or an EST client.
    pub async fn answer(&self, request: Request, client: Option<TlsPeer>) -> Response {
        match request.path.as_str() {
            paths::REQUEST_VOUCHER => return join::answer(self, request, client).await,
            paths::VOUCHER_STATUS => return status::answer(self, About::Voucher, request, client).await,
            paths::ENROLL_STATUS => return status::answer(self, About::Enrolment, request, client).await,
            ATTESTATION_PATH => return attest::answer(self, request, client).await,
            attest::SERVICE_PATH => return attest::own(self, request, client).await,
            paths::NONCE => return attest::nonce(self, &request, client.as_ref()),
            CRL_PATH if request.method == Method::Get => return self.crl_response(),
            _ => {}
        }
        let Some((label, operation)) = route(&request.path) else { return nothing_here() };
        let (label, operation): (Option<String>, Operation) = (label.map(str::to_owned), operation);
        match self.est.get(label.as_deref().unwrap_or_default()) {
            Some(config) => enrol::answer(self, config.clone(), operation, label, request, client).await,
            None => nothing_here(),
        }
    }

    /// The policy that decides who may join.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of the vendors whose devices may come.
    pub fn vendors(&self) -> &Vendors {
        &self.vendors
    }

    /// Replaces the policy, now and after a restart.
    pub async fn set_policy(&self, policy: Policy) -> Result<(), RoleError> {
        let what = "keeping the policy";
        let record = PolicyRecord { policy: policy.clone(), since: self.world.clock.now() };
        let changes = landfall_types::Changes::new().put(&record).map_err(RoleError::while_(what))?;
        self.world.store.commit(changes).await.map_err(RoleError::while_(what))?;
        self.use_policy(policy);
        Ok(())
    }

    fn use_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// A policy that an operator set counts more than the one in the settings.
    fn load_policy(&self) -> Result<(), RoleError> {
        let kept = self.world.store.find::<PolicyRecord>(PolicyRecord::KEY);
        if let Some(kept) = kept.map_err(RoleError::while_("reading the policy"))? {
            tracing::info!(since = %kept.since, "the policy that an operator set is in force, not the settings'");
            self.use_policy(kept.record.policy);
        }
        Ok(())
    }

    async fn upkeep(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.clone().begun() => return,
                () = tokio::time::sleep(self.crl_every) => {}
                () = self.world.revoked.notified() => {}
            }
            if let Err(why) = self.renew_crl(true).await {
                tracing::error!(%why, "the revocation list could not be renewed");
            }
        }
    }
}

fn nothing_here() -> Response {
    Response::text(404, "There is nothing here.")
}
