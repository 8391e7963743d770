//! What letting a device in costs: EAP-TLS over RADIUS with a full, mutual handshake on P-256, beside what the same handshake
//! costs in memory and in bare datagrams, and beside what other servers take for it; and how long it is from the deletion of a
//! device to its last packet.

mod bare;
mod device;
mod handshake;
mod server;
mod wire;

use super::{
    cut::Cut,
    ground::Ground,
    load::{self, Load},
};
use anyhow::{Context, Result, ensure};
use bare::Bare;
use device::{Device, ELSEWHERE};
use serde::Serialize;
use server::Running;
use std::{fmt::Write, sync::Arc, time::Duration};

/// A server that lets devices in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// Landfall's: it looks certificate and device up in its records, and keeps in the audit that it let the device in.
    Landfall,
    /// The installed FreeRADIUS, which checks the certificate alone.
    FreeRadius,
    /// The server in the installed hostapd, which checks the certificate alone.
    Hostapd,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// CPU time of the same handshake in memory, both ends together, in milliseconds: rustls, with its own judgement of
    /// the certificates.
    pub handshake_ms: f64,
    /// How often a device asks, and is answered, until it is in at our server.
    pub rounds: u8,
    /// Each server under each load.
    pub loads: Vec<Measurement>,
    /// From the deletion of a device's credentials to its last packet, where there can be one.
    pub deleted: Option<Cut>,
    /// Why there is none.
    pub not_deleted: Option<String>,
}

/// hostapd's server has forgotten a conversation so long after its end; it takes five seconds.
const FORGOTTEN: Duration = Duration::from_secs(6);
/// How many devices are deleted while they talk.
const DELETED: u32 = 200;

/// One server under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The server.
    pub server: Server,
    /// The load. CPU time is that of the devices and the server together, wherever it runs.
    #[serde(flatten)]
    pub load: Load,
    /// CPU time over that of the handshake.
    pub ratio: f64,
    /// Milliseconds of CPU, both ends together, that the same handshake takes in as many datagrams as our server needs, each with
    /// RADIUS's proofs, and with as many durable writes, as many at once: what would be left without Landfall's own code.
    pub ground_ms: f64,
}

/// Lets `count` distinct devices in at each degree of parallelism, by each of `servers`.
pub async fn measure(servers: &[Server], count: u32, parallel: &[usize], progress: impl Fn(&str)) -> Result<Measured> {
    ensure!(count > 0, "there is nothing to measure");
    progress("onboarding devices");
    let ground = Arc::new(Ground::lay().await?);
    let foreign = server::Foreign::new(&ground)?;
    let devices: Arc<[Device]> = device::onboarded(&ground, &foreign.root, count).await?.into();
    progress("measuring the handshake");
    let one = devices.first().context("there is no device")?;
    let handshake_ms = handshake::cpu_ms(one, &foreign, Duration::from_millis(500))?;
    progress("counting datagrams");
    let running = Running::start(Server::Landfall, &ground, &foreign).await?;
    let rounds = one.come_in(running.address, ELSEWHERE).await?;
    drop(running);
    let bare = Bare::start(&devices, &foreign, ground.folder(), rounds).await?;
    let mut loads = Vec::new();
    for &server in servers {
        let start = async || {
            progress(&format!("starting {server:?}"));
            let running = Running::start(server, &ground, &foreign).await?;
            // The first one waits until the server is there.
            one.come_in(running.address, ELSEWHERE).await.with_context(|| format!("{server:?} lets nobody in"))?;
            if server == Server::Hostapd {
                // With this one there would be one too many.
                tokio::time::sleep(FORGOTTEN).await;
            }
            anyhow::Ok(running)
        };
        let mut running = start().await?;
        for (load, &parallel) in parallel.iter().enumerate() {
            // It keeps a thousand conversations.
            if server == Server::Hostapd && load > 0 {
                running = start().await?;
            }
            progress(&format!("{server:?}, {parallel} at a time"));
            // The machine's speed changes: half of the ground is measured before, half after.
            let half = (count as usize).div_ceil(2);
            let ground_before = bare.cpu_ms(half, parallel).await?;
            let (devices, address, before) = (devices.clone(), running.address, running.cpu_time());
            let tally = load::run(count as usize, parallel, move |number| {
                let devices = devices.clone();
                async move {
                    let device = devices.get(number).with_context(|| format!("there is no device {number}"))?;
                    device.come_in(address, ELSEWHERE).await.map(drop)
                }
            });
            let mut load = tally.await.load(parallel);
            let theirs = running.cpu_time().saturating_sub(before).as_secs_f64() * 1000.0;
            load.cpu_ms += theirs / (load.done.max(1) as f64);
            let ground_ms = f64::midpoint(ground_before, bare.cpu_ms(half, parallel).await?);
            loads.push(Measurement { server, ratio: load.cpu_ms / handshake_ms, ground_ms, load });
        }
    }
    progress("deleting devices");
    let gone = devices.get(..DELETED.min(count) as usize).unwrap_or_default();
    let (deleted, not_deleted) = match wire::measure(&ground, gone).await {
        Ok(cut) => (Some(cut), None),
        Err(why) => (None, Some(format!("{why:#}"))),
    };
    Ok(Measured { handshake_ms, rounds, loads, deleted, not_deleted })
}

/// A table, with the handshake beneath it.
pub fn text(measured: &Measured) -> String {
    let mut text = format!(
        "Devices come in by EAP-TLS over RADIUS\n\n{:>10} {:>8} {:>7} {:>7} {:>9} {:>9} {:>9} {:>8} {:>10} {:>9} {:>7}\n",
        "server",
        "parallel",
        "done",
        "errors",
        "per s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "handshakes",
        "ground ms",
        "grounds"
    );
    for Measurement { server, load, ratio, ground_ms } in &measured.loads {
        let _ = writeln!(
            text,
            "{:>10} {:>8} {:>7} {:>7} {:>9.1} {:>9.2} {:>9.2} {:>8.3} {:>10.2} {:>9.3} {:>7.2}",
            format!("{server:?}"),
            load.parallel,
            load.done,
            load.errors,
            load.rate,
            load.p50_ms,
            load.p99_ms,
            load.cpu_ms,
            ratio,
            ground_ms,
            load.cpu_ms / ground_ms,
        );
        if let Some(error) = &load.first_error {
            let _ = writeln!(text, "         first error: {error}");
        }
    }
    let Measured { handshake_ms, rounds, .. } = measured;
    let _ = writeln!(
        text,
        "\nThe handshake alone, in memory and both ends, is {handshake_ms:.3} ms of CPU. The ground is the same handshake in {rounds} \
         datagrams\nthere and back, with RADIUS's proofs, and with what is durable before a device is in."
    );
    match (&measured.deleted, &measured.not_deleted) {
        (Some(cut), _) => text.push_str(&cut.text("credentials deleted")),
        (None, why) => {
            let why = why.as_deref().unwrap_or_default();
            let _ = write!(text, "\nfrom the deletion of a device to its last packet: not run: {why}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::program;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_device_comes_in_at_every_server() {
        let mut servers = vec![Server::Landfall];
        for (server, name) in [(Server::FreeRadius, "freeradius"), (Server::Hostapd, "hostapd")] {
            match program(name) {
                Some(_) => servers.push(server),
                None => println!("SKIPPED: {name} is not installed"),
            }
        }
        let measured = measure(&servers, 3, &[2], |_| ()).await.unwrap();
        assert_eq!(measured.loads.len(), servers.len());
        for Measurement { server, load, ratio, ground_ms } in &measured.loads {
            assert_eq!((load.done, load.errors), (3, 0), "{server:?} {:?}", load.first_error);
            assert!(*ratio > 0.0 && *ground_ms > 0.0);
        }
        let text = text(&measured);
        assert!(text.contains("Landfall"), "{text}");
        match &measured.deleted {
            Some(cut) => assert_eq!(cut.rounds, 3),
            None => println!("SKIPPED: {}", measured.not_deleted.unwrap_or_default()),
        }
    }
}
