//! Connections by which nothing was answered yet: so many, and no more. Whoever comes finds a place, and the one that has
//! waited longest makes room for it. A device that may come says at once who it is, and is answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Who waits. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    places: usize,
    seats: Arc<Mutex<Seats>>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    /// The first has waited longest.
    taken: BTreeMap<u64, Arc<Notify>>,
}

/// A place, which a connection has until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    wanted: Arc<Notify>,
    waiting: Waiting,
}

impl Waiting {
    /// Room for a part of so many connections, so that there are always some left for those that are being answered.
    pub(super) fn among(connections: usize) -> Self {
        Self { places: connections.saturating_sub((connections / 8).max(1)).max(1), seats: Arc::default() }
    }

    /// A place.
    pub(super) fn enter(&self) -> Seat {
        let wanted = Arc::new(Notify::new());
        let mut seats = self.lock();
        let number = seats.next;
        seats.next += 1;
        if seats.taken.len() >= self.places
            && let Some((_, longest)) = seats.taken.pop_first()
        {
            metrics::counter!("landfall_configurator_displaced_total").increment(1);
            longest.notify_one();
        }
        seats.taken.insert(number, wanted.clone());
        Seat { number, wanted, waiting: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Resolves when somebody else needs the place.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.waiting.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn is_wanted(seat: &Seat) -> bool {
        pin!(seat.wanted()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let waiting = Waiting::among(4);
        let mut seats: Vec<_> = (0..4).map(|_| waiting.enter()).collect();
        assert!(is_wanted(&seats[0]), "three places, and one for those that are answered");
        assert!(!is_wanted(&seats[1]));
        // Whoever is answered needs no place any more.
        seats.remove(2);
        let next = waiting.enter();
        assert!(!is_wanted(&seats[1]) && !is_wanted(&next));
        let _last = waiting.enter();
        assert!(is_wanted(&seats[1]));
    }
}
