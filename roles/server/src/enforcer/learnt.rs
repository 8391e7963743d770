//! What kinds of devices have taught of their usual destinations, over restarts: each is written once, and counts when it is durable.

use super::Enforcer;
use landfall_behaviour::{Lesson, Watch, bounds};
use landfall_store::{ReadError, Store};
use landfall_types::{Changes, Record, Time};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// So many are read, or written, at a time.
const PART: usize = 500;

/// A destination that is usual for a kind of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Learnt {
    /// The kind.
    kind: String,
    /// Its address.
    address: IpAddr,
    /// The protocol above IP.
    protocol: u8,
    /// Its port.
    port: u16,
    /// Until when the kind was new, or is.
    learning_until: Time,
}

impl Record for Learnt {
    const COLLECTION: &'static str = "behaviour-destination";

    fn key(&self) -> String {
        let Self { kind, address, protocol, port, .. } = self;
        format!("{kind} {address} {protocol} {port}")
    }
}

impl From<Lesson> for Learnt {
    fn from(lesson: Lesson) -> Self {
        let Lesson { device_type: kind, destination: (address, protocol, port), learning_until } = lesson;
        Self { kind, address, protocol, port, learning_until }
    }
}

impl From<Learnt> for Lesson {
    fn from(learnt: Learnt) -> Self {
        let Learnt { kind: device_type, address, protocol, port, learning_until } = learnt;
        Self { device_type, destination: (address, protocol, port), learning_until }
    }
}

/// Has `watch` know what was learnt before a restart.
pub(super) fn recall(watch: &mut Watch, store: &Store) -> Result<(), ReadError> {
    let mut after: Option<String> = None;
    for _ in 0..=bounds::TYPES * bounds::DESTINATIONS / PART {
        let part = store.scan::<Learnt>(after.as_deref(), PART)?;
        let Some(last) = part.last() else { break };
        after = Some(last.record.key());
        watch.kept(part.into_iter().map(|found| found.record.into()));
    }
    Ok(())
}

impl Enforcer {
    /// Writes what was learnt lately. What cannot be written is written later, and does not count until then.
    pub(super) async fn keep_lessons(&self, watch: &mut Watch) {
        let lessons = watch.lessons(PART);
        if lessons.is_empty() {
            return;
        }
        let records = lessons.iter().cloned().map(Learnt::from);
        let changes = records.into_iter().try_fold(Changes::new(), |changes, learnt| changes.put(&learnt));
        let written = match changes {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        match written {
            Ok(()) => watch.kept(lessons),
            Err(why) => tracing::error!(
                role = "enforcer",
                why,
                "what devices have taught could not be written, and does not count yet"
            ),
        }
    }
}
