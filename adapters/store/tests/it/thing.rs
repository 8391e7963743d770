//! A record for tests, and the backends.

use landfall_store::Store;
use landfall_types::Record;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thing {
    pub(crate) id: String,
    pub(crate) colours: Vec<String>,
    pub(crate) number: u64,
}

impl Record for Thing {
    const COLLECTION: &'static str = "thing";

    fn key(&self) -> String {
        self.id.clone()
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        let colours = self.colours.iter().map(|colour| ("colour", colour.clone()));
        colours.chain([("number", format!("{:020}", self.number))]).collect()
    }
}

/// A record of another collection with the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Other(pub(crate) String);

impl Record for Other {
    const COLLECTION: &'static str = "other";

    fn key(&self) -> String {
        self.0.clone()
    }
}

pub(crate) fn thing(id: &str, colours: &[&str], number: u64) -> Thing {
    Thing { id: id.into(), colours: colours.iter().map(|colour| (*colour).into()).collect(), number }
}

/// Runs a test on a new store of every kind.
pub(crate) fn on_every_backend(test: impl AsyncFn(Store)) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test(Store::memory()));
    let directory = TempDir::new().unwrap();
    runtime.block_on(test(Store::sqlite(directory.path().join("store")).unwrap()));
}
