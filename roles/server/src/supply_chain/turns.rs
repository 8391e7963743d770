//! How many requests each tenant has under way, and who waits for changes.

use landfall_types::OwnerId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Per tenant, a number of places and a bell. There are as many entries as tenants have ever asked.
#[derive(Debug)]
pub(super) struct Turns {
    at_once: usize,
    tenants: Mutex<HashMap<OwnerId, One>>,
}

#[derive(Debug)]
struct One {
    places: Arc<Semaphore>,
    /// Its value is of no meaning: that it was written is what is heard.
    bell: watch::Sender<()>,
    /// One at a time writes a tenant's feed, else they only hinder each other.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), tenants: Mutex::default() }
    }

    /// A place for a request of `tenant`, unless all of its places are taken.
    pub(super) fn take(&self, tenant: &OwnerId) -> Option<OwnedSemaphorePermit> {
        self.of(tenant, |one| one.places.clone()).try_acquire_owned().ok()
    }

    /// Hears every change in the book of `tenant` from now on.
    pub(super) fn listen(&self, tenant: &OwnerId) -> watch::Receiver<()> {
        self.of(tenant, |one| one.bell.subscribe())
    }

    pub(super) fn changed(&self, tenant: &OwnerId) {
        self.of(tenant, |one| one.bell.send_replace(()));
    }

    /// Waits for one's turn to write into the book of `tenant`.
    pub(super) async fn write(&self, tenant: &OwnerId) -> tokio::sync::OwnedMutexGuard<()> {
        self.of(tenant, |one| one.writing.clone()).lock_owned().await
    }

    fn of<T>(&self, tenant: &OwnerId, what: impl FnOnce(&One) -> T) -> T {
        let mut tenants: MutexGuard<'_, _> = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        what(tenants.entry(tenant.clone()).or_insert_with(|| One {
            places: Arc::new(Semaphore::new(self.at_once)),
            bell: watch::Sender::new(()),
            writing: Arc::default(),
        }))
    }
}
