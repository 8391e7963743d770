//! What continuous verification costs: how long from a cause to the decision, with many devices and many facts that change.

mod wire;

pub use wire::Cuts;

use anyhow::{Context, ensure};
use landfall_assurance::{Fact, Grace, Kind, Policies};
use landfall_element::MemoryElement;
use landfall_lifecycle::verification::{BrakeManners, Manners};
use landfall_policy::Value;
use landfall_server::{
    World,
    authorizer::{Authorizer, Believed, Config},
    shutdown,
};
use landfall_store::Store;
use landfall_types::{DeviceId, Time};
use serde::Serialize;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How many facts are told at once while devices are brought in.
const AT_ONCE: usize = 980;
/// How often a device is cut off for each cause.
const ROUNDS: usize = 200;
/// What is known of each device.
const FACTS: usize = 7;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// How many devices there are.
    pub devices: usize,
    /// How long it took to tell all that is known of them, with a decision of each, in seconds.
    pub load_s: f64,
    /// Decisions in a second meanwhile, as quickly as possible.
    pub decisions_per_second: f64,
    /// What policy alone takes for a decision, in microseconds, on one core.
    pub policy_us: f64,
    /// Memory of a device, in octets.
    pub octets_per_device: u64,
    /// How many facts changed in a second after that.
    pub facts_per_second: u32,
    /// How long from the telling of one until its decision was durable and in effect, in milliseconds: half take no longer.
    pub p50_ms: f64,
    /// Ninety-nine of a hundred take no longer.
    pub p99_ms: f64,
    /// None takes longer.
    pub worst_ms: f64,
    /// How many could not be told.
    pub errors: usize,
    /// From causes to the last packet of a real device, where there can be one.
    pub cuts: Option<Cuts>,
    /// Why there is none.
    pub no_cuts: Option<String>,
}

/// Brings `devices` into a store in `folder`, and has `rate` facts a second change for so many seconds.
///
/// # Errors
/// If the store cannot be made, or there is nothing to measure.
pub async fn measure(
    folder: &Path,
    devices: usize,
    rate: u32,
    seconds: u32,
    progress: impl Fn(u64),
) -> anyhow::Result<Measured> {
    ensure!(devices > 0 && rate > 0 && seconds > 0, "there is nothing to measure");
    let store = Store::sqlite(folder.join("verification.db")).context("making the store")?;
    let world = World::new(store, Arc::new(MemoryElement::new()));
    // Whether the brake holds is not what is measured.
    let brake = BrakeManners { share: 100, ..BrakeManners::default() };
    let manners = Manners { brake, recover: Duration::ZERO, dwell: Duration::ZERO, ..Manners::default() };
    let config = Config {
        manners,
        grace: Grace::default(),
        policies: Policies::default(),
        signers: None,
        believed: Believed::default(),
        network_layer: None,
    };
    let (_trigger, shutdown) = shutdown();
    let (task, authorizer) = config.build(world, shutdown).await?;
    tokio::spawn(task.run());

    let (before, begun) = (resident()?, Instant::now());
    let ids: Vec<DeviceId> = (0..devices).map(id).collect::<Result<_, _>>()?;
    for (number, part) in ids.chunks(AT_ONCE / FACTS).enumerate() {
        authorizer.assert(part.iter().flat_map(known).collect()).await?;
        progress((number * AT_ONCE / FACTS) as u64);
    }
    let load = begun.elapsed();
    let octets = resident()?.saturating_sub(before) / devices as u64;
    let policy_us = policy(&authorizer, &ids)?;
    let mut took = changes(&authorizer, &ids, rate, seconds).await;
    let errors = took.iter().filter(|took| took.is_none()).count();
    let mut took: Vec<Duration> = took.drain(..).flatten().collect();
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
    let (cuts, no_cuts) = match wire::measure(folder, ROUNDS).await {
        Ok(cuts) => (Some(cuts), None),
        Err(why) => (None, Some(format!("{why:#}"))),
    };
    let millis = |took: Option<&Duration>| took.map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0);
    Ok(Measured {
        devices,
        load_s: load.as_secs_f64(),
        decisions_per_second: devices as f64 / load.as_secs_f64(),
        policy_us,
        octets_per_device: octets,
        facts_per_second: rate,
        p50_ms: millis(at(50)),
        p99_ms: millis(at(99)),
        worst_ms: millis(took.last()),
        errors,
        cuts,
        no_cuts,
    })
}

/// What was measured, for a terminal.
pub fn text(measured: &Measured) -> String {
    let Measured { devices, load_s, decisions_per_second, policy_us, octets_per_device, .. } = measured;
    let Measured { facts_per_second, p50_ms, p99_ms, worst_ms, errors, .. } = measured;
    let cuts = match (&measured.cuts, &measured.no_cuts) {
        (Some(cuts), _) => cuts.contact.text("contact with a deny list") + &cuts.revoked.text("trust withdrawn"),
        (None, why) => format!("\nfrom cause to the last packet: not run: {}", why.as_deref().unwrap_or_default()),
    };
    format!(
        "{devices} devices told of and decided in {load_s:.1} s: {decisions_per_second:.0} decisions a second, durable\n\
         policy alone: {policy_us:.0} µs a decision on one core\n\
         memory of a device: {octets_per_device} octets\n\
         {facts_per_second} facts changing a second: cause to durable decision {p50_ms:.1} ms (median), {p99_ms:.1} ms (p99), \
         {worst_ms:.1} ms (worst), {errors} errors{cuts}"
    )
}

/// Each of them at its time, whatever becomes of the others.
async fn changes(authorizer: &Arc<Authorizer>, ids: &[DeviceId], rate: u32, seconds: u32) -> Vec<Option<Duration>> {
    let (mut running, begun) = (JoinSet::new(), tokio::time::Instant::now());
    for number in 0..rate.saturating_mul(seconds) {
        tokio::time::sleep_until(begun + Duration::from_secs(1) * number / rate).await;
        // A prime number of steps, so that none of them is near the one before.
        let Some(device) = ids.get((number as usize).wrapping_mul(7919) % ids.len()) else { continue };
        let contact = if number % 2 == 0 { vec![format!("192.0.2.{}", number % 250)] } else { Vec::new() };
        let fact = fact(device, Kind::DenyListContact, contact.into());
        let authorizer = authorizer.clone();
        running.spawn(async move {
            let begun = Instant::now();
            authorizer.assert(vec![fact]).await.ok().map(|_| begun.elapsed())
        });
    }
    running.join_all().await
}

/// What policy takes without anything around it.
fn policy(authorizer: &Authorizer, ids: &[DeviceId]) -> anyhow::Result<f64> {
    let sample: Vec<&DeviceId> = ids.iter().step_by((ids.len() / 2000).max(1)).collect();
    let begun = Instant::now();
    for device in &sample {
        let (ruling, _) = authorizer.rule(device, landfall_assurance::Question::Stay);
        ensure!(ruling.reasons.is_empty(), "a good device is not inside: {}", ruling.why());
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / sample.len() as f64)
}

fn id(number: usize) -> anyhow::Result<DeviceId> {
    Ok(format!("0123456789abcdef0123456789abcdef01234567.B{number:09}").parse()?)
}

fn known(device: &DeviceId) -> [Fact; FACTS] {
    [
        fact(device, Kind::ManufacturerTrusted, true.into()),
        fact(device, Kind::DeviceTrusted, true.into()),
        fact(device, Kind::DeviceType, "bench/device".into()),
        fact(device, Kind::TypeBound, true.into()),
        fact(device, Kind::SbomKnown, true.into()),
        fact(device, Kind::VulnerabilityScore, 10.into()),
        fact(device, Kind::DenyListContact, Vec::new().into()),
    ]
}

fn fact(device: &DeviceId, kind: Kind, value: Value) -> Fact {
    let (subject, source, verifier) = (device.clone(), "bench".to_owned(), "bench".to_owned());
    Fact { subject, kind, value, source, issuer: None, at: Time::now(), expires: None, verifier }
}

/// The memory of this process, in octets.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
