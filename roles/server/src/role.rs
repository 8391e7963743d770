//! What every role is: a configuration that is built into a task, and the task's life.
//!
//! Building opens what the role needs and binds its listeners, so a mistake is known before anything runs and a test
//! can ask for port 0. Running lasts until the role is told to drain: it then takes no new connection, lets the
//! exchanges under way finish, and returns.

use serde::{Deserialize, Serialize};
use std::{fmt, future::Future, net::SocketAddr, pin::Pin, str::FromStr};
use tokio::sync::watch;

/// A role that `landfall run` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Whether devices may join and stay, by all that is known of them.
    Authorizer,
    /// The manufacturer's authorised signing authority.
    Masa,
    /// The supply chain service: bootstrapping keys on their way from manufacturers to owners.
    SupplyChain,
    /// The network's registrar: BRSKI and EST.
    Registrar,
    /// The join proxy.
    Proxy,
    /// The configurator of Wi-Fi Easy Connect.
    Configurator,
    /// The parts of the network on this machine's bridges.
    Enforcer,
    /// What access points ask whether a device may be let in.
    Access,
}

impl RoleName {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 8] = [
        Self::Authorizer,
        Self::Masa,
        Self::SupplyChain,
        Self::Registrar,
        Self::Proxy,
        Self::Configurator,
        Self::Enforcer,
        Self::Access,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorizer => "authorizer",
            Self::Masa => "masa",
            Self::SupplyChain => "supply-chain",
            Self::Registrar => "registrar",
            Self::Proxy => "proxy",
            Self::Configurator => "configurator",
            Self::Enforcer => "enforcer",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no role of that name.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "there is no role {0:?}; roles are authorizer, masa, supply-chain, registrar, proxy, configurator, enforcer and access"
)]
pub struct UnknownRole(String);

impl FromStr for RoleName {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

/// Why a role could not be built, or had to stop.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct RoleError {
    /// What was attempted, with the file, address or key that it was about.
    pub what: String,
    /// What went wrong, and what to do about it where that is known.
    pub why: String,
}

impl RoleError {
    /// An error while attempting `what`.
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }

    /// The same as a function, for `map_err`.
    pub fn while_<E: fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |why| Self::new(what, why)
    }
}

/// Tells tasks to drain. Every clone hears it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end of [`Shutdown`]; dropping it tells them too.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// A shutdown, and what triggers it.
pub fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Begins the shutdown.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Resolves once the shutdown has begun.
    pub async fn begun(mut self) {
        let _ = self.0.wait_for(|begun| *begun).await;
    }

    /// The same for those who watch a value become true.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.clone()
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// A role that has been built: it listens, and does nothing until it is run.
pub struct Task {
    /// Which role.
    pub role: RoleName,
    /// Where it listens, after port 0 has been settled; nowhere if nobody calls on it.
    pub address: Option<SocketAddr>,
    work: Pin<Box<dyn Future<Output = Result<(), RoleError>> + Send>>,
}

impl Task {
    /// A task that does `work` until the shutdown that it was built with.
    pub fn new(
        role: RoleName,
        address: impl Into<Option<SocketAddr>>,
        work: impl Future<Output = Result<(), RoleError>> + Send + 'static,
    ) -> Self {
        Self { role, address: address.into(), work: Box::pin(work) }
    }

    /// The same task with more to do beside its work, for as long as that goes on.
    #[must_use]
    pub fn beside(self, more: impl Future<Output = ()> + Send + 'static) -> Self {
        let work = self.work;
        let both = async move {
            tokio::select! {
                ended = work => ended,
                () = async { more.await; std::future::pending().await } => Ok(()),
            }
        };
        Self { work: Box::pin(both), ..self }
    }

    /// Runs until shutdown, or until it cannot go on.
    pub async fn run(self) -> Result<(), RoleError> {
        match self.address {
            Some(address) => tracing::info!(role = %self.role, %address, "listening"),
            None => tracing::info!(role = %self.role, "at work"),
        }
        let result = self.work.await;
        tracing::info!(role = %self.role, "stopped");
        result
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("role", &self.role).field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_both_ways() {
        for role in RoleName::ALL {
            assert_eq!(role.to_string().parse::<RoleName>().unwrap(), role);
        }
        assert!("factory".parse::<RoleName>().is_err());
    }

    #[tokio::test]
    async fn every_clone_hears_the_shutdown() {
        let (trigger, shutdown) = shutdown();
        assert!(!shutdown.has_begun());
        trigger.pull();
        shutdown.clone().begun().await;
        assert!(shutdown.has_begun());
    }
}
