//! What letting a device in costs: EAP-TLS over RADIUS with a full, mutual handshake on P-256, beside what the same
//! handshake costs in memory, and beside what other servers take for it.

mod device;
mod handshake;
mod server;

use super::{
    ground::Ground,
    load::{self, Load},
};
use anyhow::{Context, Result, ensure};
use device::Device;
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
    /// Each server under each load.
    pub loads: Vec<Measurement>,
}

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
    let mut loads = Vec::new();
    for &server in servers {
        progress(&format!("starting {server:?}"));
        let running = Running::start(server, &ground, &foreign).await?;
        // The first one waits until the server is there.
        one.come_in(running.address).await.with_context(|| format!("{server:?} lets nobody in"))?;
        for &parallel in parallel {
            progress(&format!("{server:?}, {parallel} at a time"));
            let (devices, address, before) = (devices.clone(), running.address, running.cpu_time());
            let tally = load::run(count as usize, parallel, move |number| {
                let devices = devices.clone();
                async move {
                    let device = devices.get(number).with_context(|| format!("there is no device {number}"))?;
                    device.come_in(address).await
                }
            });
            let mut load = tally.await.load(parallel);
            let theirs = running.cpu_time().saturating_sub(before).as_secs_f64() * 1000.0;
            load.cpu_ms += theirs / (load.done.max(1) as f64);
            loads.push(Measurement { server, ratio: load.cpu_ms / handshake_ms, load });
        }
    }
    Ok(Measured { handshake_ms, loads })
}

/// A table, with the handshake beneath it.
pub fn text(measured: &Measured) -> String {
    let mut text = format!(
        "Devices come in by EAP-TLS over RADIUS\n\n{:>10} {:>8} {:>7} {:>7} {:>9} {:>9} {:>9} {:>8} {:>10}\n",
        "server", "parallel", "done", "errors", "per s", "p50 ms", "p99 ms", "CPU ms", "handshakes"
    );
    for Measurement { server, load, ratio } in &measured.loads {
        let _ = writeln!(
            text,
            "{:>10} {:>8} {:>7} {:>7} {:>9.1} {:>9.2} {:>9.2} {:>8.3} {:>10.2}",
            format!("{server:?}"),
            load.parallel,
            load.done,
            load.errors,
            load.rate,
            load.p50_ms,
            load.p99_ms,
            load.cpu_ms,
            ratio,
        );
        if let Some(error) = &load.first_error {
            let _ = writeln!(text, "         first error: {error}");
        }
    }
    let _ =
        writeln!(text, "\nThe handshake alone, in memory and both ends, is {:.3} ms of CPU.", measured.handshake_ms);
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
        for Measurement { server, load, ratio } in &measured.loads {
            assert_eq!((load.done, load.errors), (3, 0), "{server:?} {:?}", load.first_error);
            assert!(*ratio > 0.0);
        }
        assert!(text(&measured).contains("Landfall"));
    }
}
