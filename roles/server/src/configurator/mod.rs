//! The configurator: the DPP Controller that access points relay to, and that devices may come to by TCP (Wi-Fi Easy
//! Connect; SP 1800-36B 4.3, appendices C and D).
//!
//! `connection` carries frames; `listener` decides by the first one whose device it is and
//! whether it may come at all, before anything is answered. `onboarding` drives one exchange, `decide` asks the
//! policy, `grant` makes what a device gets, `hand_over` what another configurator gets, `certify` its certificate, and `keys` answers for the long-lived keys, which stay in the element.

mod ap;
mod authorize;
mod backup;
mod button;
mod certify;
mod code;
mod config;
mod connection;
pub(crate) mod credential;
mod decide;
mod grant;
mod hand_over;
mod keys;
mod onboarding;
mod pkex;
mod reconfigure;
mod record;
mod refused;
mod tenant;
mod underway;
mod waiting;

pub(crate) use ap::AccessPoint;
pub(crate) use button::Push;
pub(crate) use code::NewCode;
pub use code::PkexCode;
pub use config::{Config, TenantConfig};
pub use record::ConfiguratorKey;
pub use refused::Refused;
pub use tenant::{Network, Tenant};

use crate::{
    RoleError, World,
    proxy::announce_dpp,
    role::{RoleName, Shutdown, Task},
};
use button::Buttons;
use connection::Connection;
use hand_over::HandOvers;
use landfall_net::{
    discovery::{Announcer, Interface, Service},
    listen::{self, Bounds},
};
use landfall_types::OwnerId;
use refused::RefusedLately;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use underway::Underway;
use waiting::Waiting;

/// The longest name of a tenant, so that it fits into the ids of its devices.
pub const LONGEST_TENANT: usize = 96;

/// A configurator that runs.
#[derive(Debug)]
pub struct Configurator {
    pub(crate) world: World,
    tenants: BTreeMap<OwnerId, Arc<Tenant>>,
    /// The owner of the service.
    own: OwnerId,
    timing: landfall_dpp::exchange::Timing,
    /// How long a connection may stay without a whole frame.
    idle: Duration,
    /// How long it may stay without its first.
    first: Duration,
    underway: Underway,
    buttons: Buttons,
    hand_overs: HandOvers,
    refused: RefusedLately,
}

impl Config {
    /// Binds the listener, and makes the keys if there are none.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Configurator>), RoleError> {
        let what = format!("listening on {} (configurator.listen)", self.listen);
        let listener = TcpListener::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = listener.local_addr().map_err(RoleError::while_(&*what))?;
        let (bounds, announced) = (self.bounds, self.announce.clone());
        let organization = self.organization.clone();
        let configurator = Arc::new(self.configurator(world).await?);
        let served = configurator.clone();
        let work = async move {
            let _announcer = match &announced {
                Some(interfaces) => Some(served.announce(address.port(), &organization, interfaces)?),
                None => None,
            };
            served.serve(listener, bounds, shutdown).await;
            Ok(())
        };
        Ok((Task::new(RoleName::Configurator, address, work), configurator))
    }
}

impl Configurator {
    /// Answers everybody who comes, until the shutdown has been drained.
    async fn serve(self: Arc<Self>, listener: TcpListener, bounds: Bounds, shutdown: Shutdown) {
        let full = || metrics::counter!("landfall_configurator_full_total").increment(1);
        let waiting = Waiting::among(bounds.connections);
        listen::run(listener, bounds, shutdown.watch(), full, |stream, remote| {
            let (configurator, shutdown) = (self.clone(), shutdown.clone());
            let seat = waiting.enter();
            async move {
                let Some(remote) = remote else { return };
                let mut connection = Connection::accepted(stream, remote, seat, configurator.first);
                configurator.attend(&mut connection, shutdown).await;
            }
        })
        .await;
    }

    /// The tenants whose access points may be at `address`.
    fn tenants_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values().filter(move |tenant| tenant.is_relayed_from(address))
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// The tenant of that name.
    pub fn tenant(&self, id: &OwnerId) -> Option<&Arc<Tenant>> {
        self.tenants.get(id)
    }

    /// The owner of the service.
    pub const fn own(&self) -> &OwnerId {
        &self.own
    }

    /// What got no answer lately, and why; the latest first.
    pub fn refused(&self) -> Vec<Refused> {
        self.refused.list()
    }

    /// Its owner's key is told, and nobody else's.
    fn announce(&self, port: u16, organization: &str, interfaces: &[Interface]) -> Result<Announcer, RoleError> {
        let key = self.tenants.get(&self.own).and_then(|tenant| tenant.bootstrap_hashes().next());
        let key = key.ok_or_else(|| RoleError::new("announcing the service", "there is no key to announce"))?;
        announce_dpp(Service::Controller, port, organization, Some(&key), interfaces)
    }
}
