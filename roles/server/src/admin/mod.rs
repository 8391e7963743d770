//! The operator's door to a running server: HTTP and JSON, over a Unix socket on the machine and mutual TLS from
//! elsewhere. docs/openapi.json describes it.

mod assets;
mod book;
mod client;
mod configurator;
mod deny;
mod error;
mod factory;
mod guest;
mod network;
mod page;
mod posture;
mod segments;
mod serve;
mod server;
mod signals;
mod transfer;
mod verification;
pub mod view;

pub use client::{Address, Client, ClientError, escape};
pub use error::{ApiError, Problem};
pub use serve::{LocalDoor, RemoteDoor};

use crate::{
    RoleName, World, access::Access, assets::Assets, authorizer::Authorizer, configurator::Configurator, deny::Lists,
    enforcer::Enforcer, health::Readiness, masa::Masa, registrar::Registrar, signals::Told, supply_chain::SupplyChain,
};
use axum::{Router, middleware};
use landfall_types::Time;
use std::{net::SocketAddr, sync::Arc};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the admin API has to do with: the roles of this process.
#[derive(Debug)]
pub struct Console {
    pub(crate) world: World,
    pub(crate) since: Time,
    pub(crate) readiness: Readiness,
    pub(crate) roles: Vec<(RoleName, Option<SocketAddr>)>,
    pub(crate) registrar: Option<Arc<Registrar>>,
    pub(crate) masa: Option<Arc<Masa>>,
    pub(crate) supply_chain: Option<Arc<SupplyChain>>,
    pub(crate) configurator: Option<Arc<Configurator>>,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) enforcer: Option<Arc<Enforcer>>,
    pub(crate) deny_lists: Option<Arc<Lists>>,
    pub(crate) signals: Option<Told>,
    pub(crate) assets: Option<Arc<Assets>>,
}

impl Console {
    /// A console of a server without roles.
    pub fn new(world: World, readiness: Readiness) -> Self {
        let since = world.clock.now();
        Self {
            world,
            since,
            readiness,
            roles: Vec::new(),
            registrar: None,
            masa: None,
            supply_chain: None,
            configurator: None,
            access: None,
            enforcer: None,
            deny_lists: None,
            signals: None,
            assets: None,
        }
    }

    /// The same of a server that lets devices in at ports of its own.
    #[must_use]
    pub fn at_the_door(self, access: Arc<Access>, enforcer: Arc<Enforcer>) -> Self {
        Self { access: Some(access), enforcer: Some(enforcer), ..self }
    }

    /// The same of a server that onboards devices by BRSKI.
    #[must_use]
    pub fn onboarding(self, registrar: Arc<Registrar>) -> Self {
        Self { registrar: Some(registrar), ..self }
    }

    fn registrar(&self) -> Result<&Arc<Registrar>, ApiError> {
        self.registrar.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Registrar))
    }

    fn configurator(&self) -> Result<&Arc<Configurator>, ApiError> {
        self.configurator.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Configurator))
    }

    /// An error if no role here lets devices join.
    fn network(&self) -> Result<(), ApiError> {
        self.registrar().map(drop).or_else(|missing| self.configurator().map(drop).map_err(|_| missing))
    }

    fn access(&self) -> Result<&Arc<Access>, ApiError> {
        self.access.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Access))
    }

    fn enforcer(&self) -> Result<&Arc<Enforcer>, ApiError> {
        self.enforcer.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Enforcer))
    }

    fn authorizer(&self) -> Result<Arc<Authorizer>, ApiError> {
        self.world.authorizer.authorizer().ok_or_else(|| ApiError::no_role(RoleName::Authorizer))
    }

    fn deny_lists(&self) -> Result<&Arc<Lists>, ApiError> {
        self.deny_lists.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Authorizer))
    }

    fn masa(&self) -> Result<&Arc<Masa>, ApiError> {
        self.masa.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Masa))
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Landfall admin API",
    description = "What an operator asks of a running server, over its Unix socket or mutual TLS. The tags are the \
                   processes of NIST SP 1800-36.",
    license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
))]
struct Document;

fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(server::status))
        .routes(routes!(server::audit))
        .routes(routes!(server::verify_log))
        .routes(routes!(factory::devices))
        .routes(routes!(factory::import))
        .routes(routes!(transfer::customers, transfer::put_customer))
        .routes(routes!(transfer::sales, transfer::sell))
        .routes(routes!(transfer::resell))
        .routes(routes!(transfer::issued))
        .routes(routes!(book::tenants, book::put_tenant))
        .routes(routes!(book::devices, book::add))
        .routes(routes!(book::release))
        .routes(routes!(book::read_codes))
        .routes(routes!(network::devices))
        .routes(routes!(network::device))
        .routes(routes!(network::approve))
        .routes(routes!(network::deny))
        .routes(routes!(network::revoke))
        .routes(routes!(network::reinstate))
        .routes(routes!(network::forget))
        .routes(routes!(network::delete_credentials))
        .routes(routes!(segments::show))
        .routes(routes!(segments::violations))
        .routes(routes!(segments::usage))
        .routes(routes!(segments::flows))
        .routes(routes!(segments::quarantine))
        .routes(routes!(segments::release))
        .routes(routes!(guest::guests, guest::permit))
        .routes(routes!(guest::end))
        .routes(routes!(configurator::show))
        .routes(routes!(configurator::refused))
        .routes(routes!(configurator::reach))
        .routes(routes!(configurator::hand_over))
        .routes(routes!(configurator::rotate))
        .routes(routes!(configurator::access_point))
        .routes(routes!(configurator::backup))
        .routes(routes!(configurator::restore))
        .routes(routes!(configurator::codes, configurator::add_code))
        .routes(routes!(configurator::remove_code))
        .routes(routes!(configurator::push_button))
        .routes(routes!(network::vouchers))
        .routes(routes!(network::prefetch))
        .routes(routes!(network::certificates))
        .routes(routes!(network::crl))
        .routes(routes!(network::policy, network::set_policy))
        .routes(routes!(verification::tell))
        .routes(routes!(verification::devices))
        .routes(routes!(verification::device))
        .routes(routes!(verification::state))
        .routes(routes!(verification::operate))
        .routes(routes!(verification::join))
        .routes(routes!(verification::decisions))
        .routes(routes!(verification::policy, verification::put_policy))
        .routes(routes!(verification::test_policy))
        .routes(routes!(verification::replay_policy))
        .routes(routes!(verification::roll_back))
        .routes(routes!(verification::brake, verification::judge_source))
        .routes(routes!(signals::show))
        .routes(routes!(assets::show))
        .routes(routes!(assets::synchronize))
        .routes(routes!(deny::lists, deny::add))
        .routes(routes!(deny::list))
        .routes(routes!(deny::remove))
        .routes(routes!(deny::forgive))
        .routes(routes!(posture::sboms, posture::add_sbom))
        .routes(routes!(posture::remove_sbom))
        .routes(routes!(posture::published))
        .routes(routes!(posture::sbom))
        .routes(routes!(posture::vex, posture::add_vex))
        .routes(routes!(posture::remove_vex))
        .routes(routes!(posture::feeds, posture::import_feeds))
        .routes(routes!(posture::credentials, posture::add_credential))
        .routes(routes!(posture::revoke_credential))
}

/// The API, ready to be served.
pub fn router(console: Arc<Console>) -> Router {
    let api = routes().split_for_parts().0.merge(page::routes());
    api.layer(middleware::from_fn(page::refuse_other_sites)).with_state(console)
}

/// What other authorizers may ask.
pub fn questions(console: Arc<Console>) -> Router {
    OpenApiRouter::new().routes(routes!(verification::join)).split_for_parts().0.with_state(console)
}

/// The API's OpenAPI document, as docs/openapi.json has it.
pub fn openapi() -> serde_json::Value {
    serde_json::to_value(routes().split_for_parts().1).unwrap_or_default()
}
