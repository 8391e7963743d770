//! `landfall bench brski`: whole onboardings, all parties on this machine.

use super::{
    floor::{self, Counts, Prices},
    ground::{Ground, onboard},
    load::{self, Load, resident_kib},
};
use anyhow::Result;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was measured: `brski`, `voucher`, `est`.
    pub what: &'static str,
    /// How often each public-key operation happens in one.
    pub counts: Counts,
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
    /// Resident memory before, in MiB.
    pub resident_before_mib: f64,
    /// Resident memory after, in MiB.
    pub resident_after_mib: f64,
}

/// Onboards `count` distinct devices at each degree of parallelism.
///
/// Every onboarding has new TLS connections, a fresh nonce, durable records at the registrar and the MASA, and a durable
/// credential on the device.
pub async fn measure(count: u32, parallel: &[usize], progress: impl Fn(&str)) -> Result<Measured> {
    progress("measuring the cryptography");
    let prices = Prices::measure(Duration::from_millis(300))?;
    let floor = prices.floor(floor::ONBOARDING);
    let ground = Arc::new(Ground::lay().await?);
    let mut loads = Vec::new();
    for &parallel in parallel {
        progress(&format!("making {count} devices"));
        let bundles = Arc::new(ground.devices(count)?);
        progress(&format!("onboarding them, {parallel} at a time"));
        let before = resident_kib();
        let shared = ground.clone();
        let load = load::run(count as usize, parallel, move |number| {
            let (ground, bundles) = (shared.clone(), bundles.clone());
            async move {
                let bundle = bundles.get(number).ok_or_else(|| anyhow::anyhow!("there is no device {number}"))?;
                onboard(&ground.agent(bundle)?).await?;
                ground.forget(bundle)
            }
        })
        .await;
        loads.push(Measurement {
            ratio: load.cpu_ms / (floor.as_secs_f64() * 1000.0),
            load,
            resident_before_mib: before as f64 / 1024.0,
            resident_after_mib: resident_kib() as f64 / 1024.0,
        });
    }
    Ok(Measured { what: "brski", counts: floor::ONBOARDING, prices, floor_ms: floor.as_secs_f64() * 1000.0, loads })
}
