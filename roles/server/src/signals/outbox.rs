//! What a receiver has still to be told. It is nothing but a place in the log of decisions, so that whatever is decided is there for
//! everyone, in order, as soon as it is durable, and costs nothing more; a receiver that is away holds nobody up.

use super::{SECTION, notice::Notice};
use crate::{World, authorizer::DECISION_LOG};
use landfall_store::ReadError;
use landfall_types::{Changes, Fault, Record, Refusal, Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// So much is read at a time.
const PART: usize = 100;
/// So many decisions wait for a receiver that is away; of those before them it is not told.
const MOST_WAITING: u64 = 100_000;

/// How far a receiver has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Delivery {
    /// Which: `webhook NAME` or `stream NAME`.
    pub receiver: String,
    /// It has been told of everything up to this number of the log of decisions.
    pub after: u64,
    /// Events behind that which it has taken already, by their ids.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taken: BTreeSet<String>,
    /// How many it has taken.
    pub told: u64,
    /// How many it has refused for good.
    pub refused: u64,
    /// How many decisions it was not told of, because it was away for too long.
    pub skipped: u64,
}

impl Record for Delivery {
    const COLLECTION: &'static str = "verification-delivery";

    fn key(&self) -> String {
        self.receiver.clone()
    }
}

/// How one receiver stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeliveryReport {
    /// How far it has been told.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// How many decisions have been made since then; not each is one of which it is told.
    pub behind: u64,
    /// What went wrong the last time, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Debug)]
pub(super) struct Outbox {
    world: World,
    keep: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    delivery: Delivery,
    trouble: Option<String>,
}

impl Outbox {
    /// Where the receiver of that name stands; a new one is told what is decided from now on.
    pub(super) async fn open(world: World, receiver: String, keep: Duration) -> Result<Self, Refusal> {
        let delivery = match world.store.find::<Delivery>(&receiver).map_err(|why| backend(&why))? {
            Some(found) => found.record,
            None => {
                let after = world.store.log_head(DECISION_LOG).map_err(|why| backend(&why))?.seq;
                let delivery = Delivery { receiver, after, ..Delivery::default() };
                write(&world, &delivery).await?;
                delivery
            }
        };
        Ok(Self { world, keep, state: Mutex::new(State { delivery, trouble: None }) })
    }

    pub(super) fn report(&self) -> Result<DeliveryReport, ReadError> {
        let head = self.world.store.log_head(DECISION_LOG)?.seq;
        let state = self.state();
        let behind = head.saturating_sub(state.delivery.after);
        Ok(DeliveryReport { delivery: state.delivery.clone(), behind, trouble: state.trouble.clone() })
    }

    /// What time it is.
    pub(super) fn now(&self) -> Time {
        self.world.clock.now()
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.state().delivery.clone()
    }

    /// The next notices that it wants, at most so many.
    pub(super) async fn waiting(&self, most: usize, wants: impl Fn(&Notice) -> bool) -> Result<Vec<Notice>, Refusal> {
        self.skip_too_many().await?;
        let before = self.delivery();
        let (mut at, mut over, mut skipped, mut found) = (before.after, before.after, 0, Vec::new());
        let oldest = self.world.clock.now().as_unix().saturating_sub_unsigned(self.keep.as_secs());
        while found.len() < most {
            let part = self.world.store.log(DECISION_LOG, at, PART).map_err(|why| backend(&why))?;
            if part.is_empty() {
                break;
            }
            for line in part {
                at = line.seq;
                match Notice::of(line) {
                    Ok(Some(notice)) if wants(&notice) => {
                        if notice.entry.at.as_unix() >= oldest {
                            found.push(notice);
                        } else if found.is_empty() {
                            skipped += 1;
                        }
                    }
                    Ok(_) => {}
                    Err(why) => {
                        let receiver = &before.receiver;
                        tracing::error!(role = "authorizer", receiver, number = at, %why, "a decision cannot be told");
                        skipped += u64::from(found.is_empty());
                    }
                }
                if found.is_empty() {
                    over = at;
                }
                if found.len() == most {
                    break;
                }
            }
        }
        if over > before.after {
            self.pass(over, skipped).await?;
        }
        Ok(found)
    }

    /// The receiver has been told of what has that number, and of everything before it; or has refused it for good.
    pub(super) async fn told(&self, number: u64, taken: u64, refused: u64) -> Result<(), Refusal> {
        self.change(|delivery| {
            delivery.after = delivery.after.max(number);
            delivery.told += taken;
            delivery.refused += refused;
        })
        .await
    }

    /// Notes what stands behind what it has been told, and was taken.
    pub(super) async fn change(&self, change: impl FnOnce(&mut Delivery)) -> Result<(), Refusal> {
        let mut after = self.delivery();
        change(&mut after);
        write(&self.world, &after).await?;
        self.state().delivery = after;
        Ok(())
    }

    /// What went wrong, or that nothing does any more.
    pub(super) fn trouble(&self, trouble: Option<String>) {
        let mut state = self.state();
        if state.trouble != trouble {
            let receiver = &state.delivery.receiver;
            match &trouble {
                Some(why) => tracing::warn!(role = "authorizer", receiver, why, "a receiver could not be told"),
                None => tracing::info!(role = "authorizer", receiver, "a receiver is told again"),
            }
        }
        state.trouble = trouble;
    }

    async fn skip_too_many(&self) -> Result<(), Refusal> {
        let head = self.world.store.log_head(DECISION_LOG).map_err(|why| backend(&why))?.seq;
        let oldest = head.saturating_sub(MOST_WAITING);
        let after = self.delivery().after;
        match oldest > after {
            true => self.pass(oldest, oldest - after).await,
            false => Ok(()),
        }
    }

    /// Goes on behind that number; somebody hears of it if the receiver was not told of what was there.
    async fn pass(&self, number: u64, skipped: u64) -> Result<(), Refusal> {
        if skipped > 0 {
            let receiver = self.delivery().receiver;
            tracing::error!(
                role = "authorizer",
                receiver,
                skipped,
                "a receiver was away for so long that it is not told of decisions"
            );
            metrics::counter!("landfall_signals_skipped_total", "receiver" => receiver).increment(skipped);
        }
        self.change(|delivery| {
            delivery.after = number;
            delivery.skipped += skipped;
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(world: &World, delivery: &Delivery) -> Result<(), Refusal> {
    let changes = Changes::new().put(delivery).map_err(|why| backend(&why))?;
    world.store.commit(changes).await.map(drop).map_err(|why| backend(&why))
}

pub(super) fn backend(why: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Backend, "signals-records", SECTION, why.to_string())
}
