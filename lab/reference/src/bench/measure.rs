//! `landfall bench`: one kind of exchange at several degrees of parallelism, all parties in this process.

use super::{
    bare::{self, Bare, Needs},
    device::{Device, anchors, enrol, onboard, take_voucher},
    floor::{self, Counts, Prices},
    ground::Ground,
    load::{self, Load, Tally, resident_kib},
};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// How many devices are made at once, so that those that wait and those that are done take little memory.
const BATCH: u32 = 500;

/// What can be measured. Every exchange is of another device, over new TLS connections, with durable records at the
/// registrar, the MASA and, for a whole onboarding, on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Whole onboardings: provisional connection, voucher, its status, CA certificates, attributes, enrolment, new
    /// connection with the LDevID, enrolment status.
    Brski,
    /// Vouchers: provisional connection, voucher, its status.
    Voucher,
    /// Enrolments of devices that have their voucher: connection with the IDevID, CA certificates, attributes,
    /// enrolment.
    Est,
}

impl What {
    /// The public-key operations of one.
    pub const fn counts(self) -> Counts {
        match self {
            Self::Brski => floor::ONBOARDING,
            Self::Voucher => floor::VOUCHER_ALONE,
            Self::Est => floor::ENROLMENT_ALONE,
        }
    }

    /// What one needs of the network and of the disk.
    pub const fn needs(self) -> Needs {
        match self {
            Self::Brski => bare::ONBOARDING,
            Self::Voucher => bare::VOUCHER,
            Self::Est => bare::ENROLMENT,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was measured.
    pub what: What,
    /// How often each public-key operation happens in one.
    pub counts: Counts,
    /// What one needs of the network and of the disk.
    pub needs: Needs,
    /// What each costs here.
    pub prices: Prices,
    /// What the cryptography of one costs, in milliseconds of CPU.
    pub floor_ms: f64,
    /// Each load, with its cost.
    pub loads: Vec<Measurement>,
}

/// One load, and its cost in floors.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The load.
    #[serde(flatten)]
    pub load: Load,
    /// CPU time of one over the floor.
    pub ratio: f64,
    /// Milliseconds of CPU that bare TLS, HTTP and durable writes take, as many at once, with the rest of the floor's
    /// cryptography: what would be left without Landfall's own code.
    pub ground_ms: f64,
    /// Resident memory after each batch of devices, in MiB, with at most twenty of them.
    pub resident_mib: Vec<f64>,
}

/// Does `what` with `count` distinct devices at each degree of parallelism.
pub async fn measure(what: What, count: u32, parallel: &[usize], progress: impl Fn(&str)) -> Result<Measured> {
    progress("measuring the cryptography");
    let prices = Prices::measure(Duration::from_millis(300))?;
    let floor_ms = prices.floor(what.counts()).as_secs_f64() * 1000.0;
    let ground = Arc::new(Ground::lay().await?);
    let (bare, needs) = (Bare::start(ground.folder()).await?, what.needs());
    let judging_ms = floor_ms - prices.floor(needs.handshakes()).as_secs_f64() * 1000.0;
    let mut loads = Vec::new();
    for &parallel in parallel {
        let (mut tally, mut resident_mib) = (Tally::default(), Vec::new());
        let mut left = count;
        while left > 0 {
            progress(&format!("{parallel} at a time: {} of {count} done", count - left));
            let batch = left.min(BATCH);
            tally.add(one_batch(&ground, what, batch, parallel).await?);
            resident_mib.push(resident_kib() as f64 / 1024.0);
            left -= batch;
        }
        let load = tally.load(parallel);
        let ground_ms = judging_ms + bare.cpu_ms(needs, count.min(BATCH) as usize, parallel).await?;
        let resident_mib = thinned(resident_mib, 20);
        loads.push(Measurement { ratio: load.cpu_ms / floor_ms, ground_ms, load, resident_mib });
    }
    Ok(Measured { what, counts: what.counts(), needs, prices, floor_ms, loads })
}

/// Makes devices, and does `what` with each; only that is measured. Their files stay until the end, for a file system may
/// pay for a mass of deletions with every file that is made next (as ext4 without a journal does).
async fn one_batch(ground: &Arc<Ground>, what: What, count: u32, parallel: usize) -> Result<Tally> {
    let devices: Arc<[Device]> = ground.devices(count)?.into();
    let trusted = Arc::new(anchors(ground)?);
    let run = |step: What| {
        let (devices, ground, trusted) = (devices.clone(), ground.clone(), trusted.clone());
        load::run(count as usize, parallel, move |number| {
            let (devices, ground, trusted) = (devices.clone(), ground.clone(), trusted.clone());
            async move {
                let device = devices.get(number).with_context(|| format!("there is no device {number}"))?;
                match step {
                    What::Brski => onboard(&device.agent).await,
                    What::Voucher => take_voucher(&device.agent).await,
                    What::Est => enrol(device, &ground, &trusted).await.map(drop),
                }
            }
        })
    };
    if what == What::Est {
        let vouchers = run(What::Voucher).await.load(parallel);
        ensure!(vouchers.errors == 0, "a device got no voucher: {}", vouchers.first_error.unwrap_or_default());
    }
    Ok(run(what).await)
}

/// At most `most` of `values`, evenly taken, the last among them.
fn thinned(values: Vec<f64>, most: usize) -> Vec<f64> {
    let step = values.len().div_ceil(most).max(1);
    let last = values.len().saturating_sub(1) % step;
    values.into_iter().enumerate().filter(|(place, _)| place % step == last).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_last() {
        assert_eq!(thinned((0..5).map(f64::from).collect(), 20).len(), 5);
        let few = thinned((0..41).map(f64::from).collect(), 20);
        assert!(few.len() <= 20, "{few:?}");
        assert_eq!(few.last(), Some(&40.0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_that_is_measured_works() {
        for what in [What::Brski, What::Voucher, What::Est] {
            let measured = measure(what, 3, &[2], |_| ()).await.unwrap();
            let [one] = measured.loads.as_slice() else { panic!("{measured:?}") };
            assert_eq!((one.load.done, one.load.errors), (3, 0), "{what:?}: {:?}", one.load.first_error);
            assert!(one.ground_ms > 0.0);
        }
    }
}
