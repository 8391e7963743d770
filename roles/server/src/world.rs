//! What every role shares: the store, the keys, the clock, and the one place where the end of an exchange is told.

use crate::{authorizer::Gate, deny::Denied, observe::Recorder};
use landfall_element::SecureElement;
use landfall_store::Store;
use landfall_types::{DeviceId, Time};
use std::{fmt, sync::Arc};
use tokio::sync::{Notify, broadcast, watch};

/// What every role shares; clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    /// Durable records and logs.
    pub store: Store,
    /// Where private keys are.
    pub element: Arc<dyn SecureElement>,
    /// What time it is.
    pub clock: Clock,
    /// Where exchanges are told of when they end.
    pub recorder: Recorder,
    /// Who decides whether devices may join and stay, if anyone does.
    pub authorizer: Gate,
    /// What is on deny lists.
    pub denied: Denied,
    /// Written whenever something was decided; its value is of no meaning.
    pub(crate) decided: watch::Sender<()>,
    /// Told when certificates were revoked by another role than the one that publishes the list of them.
    pub(crate) revoked: Arc<Notify>,
    /// Tells of devices that joined.
    pub(crate) joins: broadcast::Sender<DeviceId>,
    /// Tells of devices whose key, type or firmware has become known.
    pub(crate) grounds: broadcast::Sender<DeviceId>,
}

/// So many devices may wait to be heard of; whoever is slower looks at them later.
const UNHEARD: usize = 256;

impl World {
    /// A world on the machine's clock that keeps its audit records in `store`.
    pub fn new(store: Store, element: Arc<dyn SecureElement>) -> Self {
        let recorder = Recorder::new(store.clone());
        Self {
            store,
            element,
            clock: Clock::system(),
            recorder,
            authorizer: Gate::default(),
            denied: Denied::default(),
            decided: watch::Sender::new(()),
            revoked: Arc::default(),
            joins: broadcast::channel(UNHEARD).0,
            grounds: broadcast::channel(UNHEARD).0,
        }
    }

    /// Tells whoever wants to know early that a device has just become part of the domain.
    pub fn joined(&self, device: &DeviceId) {
        // That nobody listens is no matter.
        let _ = self.joins.send(device.clone());
    }
}

/// Says what time it is; a test may set it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Time::now))
    }

    /// A clock that asks `now`.
    pub fn of(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
