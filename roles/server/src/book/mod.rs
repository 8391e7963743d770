//! The device book in a store: who may act for which device by Wi-Fi Easy Connect (SP 1800-36B 4.2).
//!
//! Every look-up is within one tenant, by key or by index, and so costs the same whether the store has a thousand
//! devices or ten million.

mod entry;
mod register;
mod sell;

pub use entry::{Entry, Lines, Told, csv, csv_head};
pub use register::{AT_ONCE, Registered, Registration};
pub use sell::{News, Selling};

use landfall_lifecycle::transfer::Bootstrapping;
use landfall_store::{CommitError, ReadError, Store, Versioned};
use landfall_types::{Fingerprint, OwnerId, SerialNumber, record::Unwritable};

/// The tenant of a server that has one owner: whose book devices come into if nobody else is named.
pub const HOME: &str = "home";

/// The devices of all tenants in a store.
#[derive(Clone, Copy, Debug)]
pub struct Book<'a>(&'a Store);

/// Why a book could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// Others wrote the same records again and again.
    #[error("too many write the same records at once; try again")]
    Busy,
    /// A record cannot be made.
    #[error("{0}")]
    Invalid(String),
}

impl BookError {
    fn invalid(why: impl ToString) -> Self {
        Self::Invalid(why.to_string())
    }
}

impl<'a> Book<'a> {
    /// The book in `store`.
    pub const fn of(store: &'a Store) -> Self {
        Self(store)
    }

    const fn store(&self) -> &'a Store {
        self.0
    }

    /// The device of `tenant` that announces its presence with `chirp_hash`, whether the tenant holds it still or not.
    pub fn by_chirp(
        &self,
        tenant: &OwnerId,
        chirp_hash: &Fingerprint,
    ) -> Result<Option<Versioned<Bootstrapping>>, ReadError> {
        let value = Bootstrapping::chirp_value(tenant, chirp_hash);
        Ok(self.0.find_by(Bootstrapping::BY_CHIRP, &value, 1)?.pop())
    }

    /// The device of `tenant` whose bootstrapping key has the hash `bootstrap_hash`.
    pub fn by_bootstrap(
        &self,
        tenant: &OwnerId,
        bootstrap_hash: &Fingerprint,
    ) -> Result<Option<Versioned<Bootstrapping>>, ReadError> {
        self.0.find(&Bootstrapping::key_of(tenant, bootstrap_hash))
    }

    /// The devices of `tenant` with that serial number, at most `limit`: two manufacturers may use one number.
    pub fn by_serial(
        &self,
        tenant: &OwnerId,
        serial: &SerialNumber,
        limit: usize,
    ) -> Result<Vec<Versioned<Bootstrapping>>, ReadError> {
        self.0.find_by(Bootstrapping::BY_SERIAL, &Bootstrapping::serial_value(tenant, serial), limit)
    }

    /// Up to `limit` devices of `tenant`, in the order of their bootstrapping hashes, after `after`.
    pub fn page(
        &self,
        tenant: &OwnerId,
        after: Option<&Fingerprint>,
        limit: usize,
    ) -> Result<Vec<Versioned<Bootstrapping>>, ReadError> {
        let after = after.map_or_else(|| Bootstrapping::keys_of(tenant), |after| Bootstrapping::key_of(tenant, after));
        let mut found = self.0.scan::<Bootstrapping>(Some(&after), limit)?;
        // Behind the tenant's last device stand those of the next.
        found.retain(|found| found.tenant == *tenant);
        Ok(found)
    }
}
