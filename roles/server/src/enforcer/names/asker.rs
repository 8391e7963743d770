//! Who asks, and how often they may.

use super::super::picture::Mac;
use landfall_nft::Kernel;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So many questions an address may ask in a second, for long.
const RATE: f64 = 50.0;
/// And so many at once.
const BURST: f64 = 200.0;
/// For how long it is remembered whose address it is.
const FRESH: Duration = Duration::from_secs(5);
/// More addresses are not remembered.
const MOST: usize = 16_384;

/// Those who asked lately.
#[derive(Debug, Default)]
pub(super) struct Askers(Mutex<HashMap<IpAddr, Asker>>);

#[derive(Clone, Copy, Debug)]
struct Asker {
    /// What is left to it, and when that was.
    left: f64,
    at: Instant,
    interface: Option<(Mac, Instant)>,
}

impl Askers {
    /// Whether that address may ask once more now.
    pub(super) fn admit(&self, address: IpAddr) -> bool {
        let now = Instant::now();
        let mut askers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if askers.len() >= MOST && !askers.contains_key(&address) {
            askers.retain(|_, asker| now - asker.at < FRESH);
            if askers.len() >= MOST {
                return false;
            }
        }
        let asker = askers.entry(address).or_insert(Asker { left: BURST, at: now, interface: None });
        asker.left = (asker.left + (now - asker.at).as_secs_f64() * RATE).min(BURST);
        asker.at = now;
        let may = asker.left >= 1.0;
        if may {
            asker.left -= 1.0;
        }
        may
    }

    /// The interface that has that address, if it is known to be one.
    pub(super) async fn interface(&self, kernel: &Kernel, address: IpAddr) -> Option<Mac> {
        let now = Instant::now();
        let known = |askers: &HashMap<IpAddr, Asker>| askers.get(&address).and_then(|asker| asker.interface);
        let known = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((mac, _)) = known.filter(|(_, at)| now - *at < FRESH) {
            return Some(mac);
        }
        let found = kernel.neighbours(address).await.ok()?;
        let mut macs = found.into_iter().filter_map(Mac::new);
        // Of two on different links it could be either.
        let (mac, None) = (macs.next()?, macs.next()) else { return None };
        if let Some(asker) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&address) {
            asker.interface = Some((mac, now));
        }
        Some(mac)
    }
}
