//! What happens to devices that are inside, whoever writes it down: heard from the logs of the store.

use super::{Access, session::Session};
use landfall_lifecycle::network::{CERTIFICATE_LOG, CREDENTIAL_LOG, LOG};
use landfall_store::{ReadError, Store};
use landfall_types::DeviceId;
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;

/// How often the logs are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked whose time is over, in ticks.
const DUE: u32 = 5;
/// So much is read at a time.
const PART: usize = 500;

/// The logs in which everything stands that may change where a device is to be.
const LOGS: [&str; 3] = [LOG, CERTIFICATE_LOG, CREDENTIAL_LOG];

/// How far the logs were read.
#[derive(Debug, Default)]
struct Heard([u64; LOGS.len()]);

/// What counts of an entry.
#[derive(Deserialize)]
struct Entry {
    device: Option<DeviceId>,
    guest: Option<String>,
}

/// Those to whom something happened.
#[derive(Default)]
struct News {
    devices: BTreeSet<DeviceId>,
    guests: BTreeSet<String>,
}

impl Heard {
    fn now(store: &Store) -> Result<Self, ReadError> {
        let mut heard = Self::default();
        for (log, seen) in LOGS.into_iter().zip(&mut heard.0) {
            *seen = store.log_head(log)?.seq;
        }
        Ok(heard)
    }

    fn news(&mut self, store: &Store) -> Result<News, ReadError> {
        let mut news = News::default();
        for (log, seen) in LOGS.into_iter().zip(&mut self.0) {
            if store.log_head(log)?.seq == *seen {
                continue;
            }
            for entry in store.log(log, *seen, PART)? {
                *seen = entry.seq;
                if let Ok(Entry { device, guest }) = serde_json::from_value(entry.entry) {
                    news.devices.extend(device);
                    news.guests.extend(guest);
                }
            }
        }
        Ok(news)
    }
}

impl Access {
    /// Looks after who is inside, for as long as it is polled.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut heard = None;
        let mut ticks = 0;
        loop {
            if let Err(why) = self.look(&mut heard, ticks % DUE == 0).await {
                tracing::error!(role = "access", %why, "what happens to devices cannot be read");
            }
            ticks += 1;
            tokio::time::sleep(TICK).await;
        }
    }

    /// Places those anew of whom the authorizer says something else, for as long as it is polled.
    pub(super) async fn hear(self: Arc<Self>) {
        let mut moves = self.world.authorizer.moves();
        loop {
            match moves.recv().await {
                Ok(device) => self.place_anew(&device).await,
                // More happened at once than could be heard: whoever is inside is looked at.
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(role = "access", missed, "changes were missed, and all sessions are looked at");
                    if let Err(why) = self.review_all().await {
                        tracing::error!(role = "access", %why, "who is inside cannot be read");
                    }
                }
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    async fn look(self: &Arc<Self>, heard: &mut Option<Heard>, due: bool) -> Result<(), ReadError> {
        let store = &self.world.store;
        match heard {
            Some(heard) => {
                let news = heard.news(store)?;
                for device in &news.devices {
                    self.review(device).await;
                }
                for guest in &news.guests {
                    self.review_guest(guest).await;
                }
            }
            None => {
                // What happens while all are gone through is heard afterwards.
                let now = Heard::now(store)?;
                self.review_all().await?;
                *heard = Some(now);
            }
        }
        if due {
            for session in Session::due(store, self.world.clock.now(), PART)? {
                self.settle(session).await;
            }
        }
        Ok(())
    }

    /// After a start: much may have happened to those who were inside, and places may be others.
    async fn review_all(self: &Arc<Self>) -> Result<(), ReadError> {
        let mut after: Option<String> = None;
        loop {
            let found = self.world.store.scan::<Session>(after.as_deref(), PART)?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(landfall_types::Record::key(&last.record));
            for session in found {
                self.settle(session.record).await;
            }
        }
    }
}
