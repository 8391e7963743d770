//! How long it takes to find a device in the book by what it announces, among few and among many.

use anyhow::{Context, ensure};
use landfall_lifecycle::transfer::{Bootstrapping, Held, Via};
use landfall_server::book::Book;
use landfall_store::Store;
use landfall_types::{Changes, Fingerprint, OwnerId, Time};
use serde::Serialize;
use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

/// How many devices go into one commit.
const AT_ONCE: u64 = 4096;
/// As long as the URI of a P-256 key with a serial number and channels.
const URI_LENGTH: usize = 150;

/// What was measured with one number of devices.
#[derive(Clone, Debug, Serialize)]
pub struct LookUps {
    /// How many devices the book had.
    pub devices: u64,
    /// How long it took to bring in those that were missing, in seconds.
    pub load_s: f64,
    /// The size of the store, in MiB.
    pub store_mib: f64,
    /// By the hash in a presence announcement, of devices that are in the book.
    pub chirp: Spread,
    /// By the hash in an authentication request.
    pub bootstrap: Spread,
    /// By a hash that no device in the book has.
    pub unknown: Spread,
}

/// How long one look-up takes, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// On average.
    pub mean_us: f64,
    /// Half take no longer.
    pub p50_us: f64,
    /// Ninety-nine of a hundred take no longer.
    pub p99_us: f64,
}

/// Fills a store in `folder` with up to `count` devices, and measures `look_ups` look-ups of each kind with a thousandth
/// of them and with all. Hashes are made up and spread evenly, as those of keys are.
pub fn measure(folder: &Path, count: u64, look_ups: u32, progress: impl Fn(u64)) -> anyhow::Result<Vec<LookUps>> {
    ensure!(count > 0 && look_ups > 0, "there is nothing to measure");
    let path = folder.join("book.db");
    let store = Store::sqlite(&path).context("making the store")?;
    let tenant: OwnerId = "bench".parse()?;
    let mut there = 0;
    let mut measured = Vec::new();
    for devices in [(count / 1000).max(1), count] {
        let begun = Instant::now();
        // Every step puts its devices between those that are there.
        let step = Step { tenant: tenant.clone(), round: measured.len() as u64, devices: devices - there };
        step.load(&store, |done| progress(there + done))?;
        there = devices;
        let load_s = begun.elapsed().as_secs_f64();
        let steps = Look { store: &store, step: &step, look_ups };
        measured.push(LookUps {
            devices,
            load_s,
            store_mib: size(&path) as f64 / 1_048_576.0,
            chirp: steps.spread(|book, known| Ok(book.by_chirp(&tenant, &step.chirp_hash(known))?.is_some()), true)?,
            bootstrap: steps
                .spread(|book, known| Ok(book.by_bootstrap(&tenant, &step.bootstrap_hash(known))?.is_some()), true)?,
            unknown: steps
                .spread(|book, known| Ok(book.by_chirp(&tenant, &step.bootstrap_hash(known))?.is_some()), false)?,
        });
    }
    Ok(measured)
}

/// What was measured, for a terminal.
pub fn text(measured: &[LookUps]) -> String {
    let mut text =
        String::from("Look-ups in the device book, µs, one after the other, with what the store has to read\n\n");
    let _ = writeln!(
        text,
        "{:>10} {:>9} {:>9}   {:>22}   {:>22}   {:>22}",
        "devices", "MiB", "load s", "chirp: mean p50 p99", "key: mean p50 p99", "unknown: mean p50 p99"
    );
    for one in measured {
        let spread = |spread: &Spread| format!("{:.1} {:.1} {:.1}", spread.mean_us, spread.p50_us, spread.p99_us);
        let _ = writeln!(
            text,
            "{:>10} {:>9.0} {:>9.1}   {:>22}   {:>22}   {:>22}",
            one.devices,
            one.store_mib,
            one.load_s,
            spread(&one.chirp),
            spread(&one.bootstrap),
            spread(&one.unknown)
        );
    }
    text
}

/// Devices with made-up hashes. They come in the order of the hashes, as a bulk load would sort them.
struct Step {
    tenant: OwnerId,
    round: u64,
    devices: u64,
}

impl Step {
    fn load(&self, store: &Store, progress: impl Fn(u64)) -> anyhow::Result<()> {
        let mut done = 0;
        while done < self.devices {
            let until = (done + AT_ONCE).min(self.devices);
            let mut changes = Changes::new();
            for number in done..until {
                changes = changes.insert(&self.device(number))?;
            }
            store.commit_blocking(changes)?;
            done = until;
            progress(done);
        }
        Ok(())
    }

    fn device(&self, number: u64) -> Bootstrapping {
        Bootstrapping {
            tenant: self.tenant.clone(),
            bootstrap_hash: self.bootstrap_hash(number),
            chirp_hash: self.chirp_hash(number),
            uri: format!("DPP:I:SN={:016x};K:{};;", mix(number ^ (self.round << 56)), "A".repeat(URI_LENGTH - 30)),
            serial_number: None,
            model: None,
            device: None,
            role: None,
            configurator: None,
            received: Time::from_unix(1_795_000_000),
            via: Via::File,
            state: Held::Held,
        }
    }

    fn bootstrap_hash(&self, number: u64) -> Fingerprint {
        self.hash(number, 1)
    }

    fn chirp_hash(&self, number: u64) -> Fingerprint {
        self.hash(number, 2)
    }

    /// Evenly spread in its first half, made up in its second.
    fn hash(&self, number: u64, kind: u64) -> Fingerprint {
        let spread = (u128::from(number) << 64) / u128::from(self.devices.max(1));
        let rest = u128::from(mix(number ^ (kind << 60) ^ (self.round << 50)));
        let mut hash = [0; 32];
        let (high, low) = hash.split_at_mut(16);
        high.copy_from_slice(&((spread << 64) | rest).to_be_bytes());
        low.copy_from_slice(&((rest << 64) | u128::from(mix(number.rotate_left(32) ^ kind))).to_be_bytes());
        Fingerprint(hash)
    }
}

/// Look-ups of devices of one step, in no order.
struct Look<'a> {
    store: &'a Store,
    step: &'a Step,
    look_ups: u32,
}

impl Look<'_> {
    fn spread(&self, find: impl Fn(&Book<'_>, u64) -> anyhow::Result<bool>, expected: bool) -> anyhow::Result<Spread> {
        let book = Book::of(self.store);
        let mut times = Vec::with_capacity(self.look_ups as usize);
        for turn in 0..u64::from(self.look_ups) {
            let number = mix(turn ^ 0x5EED) % self.step.devices.max(1);
            let begun = Instant::now();
            let found = find(&book, number)?;
            times.push(begun.elapsed());
            ensure!(found == expected, "a device was {}found", if found { "" } else { "not " });
        }
        times.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let mean_us = micros(times.iter().sum()) / times.len().max(1) as f64;
        Ok(Spread { mean_us, p50_us: micros(at(50)), p99_us: micros(at(99)) })
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Spreads a number over all bits (splitmix64).
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let measured = measure(folder.path(), 5000, 50, |_| {}).unwrap();
        assert_eq!(measured.iter().map(|one| one.devices).collect::<Vec<_>>(), [5, 5000]);
        assert!(text(&measured).contains("5000"));
        assert!(measure(folder.path(), 0, 1, |_| {}).is_err());
    }
}
