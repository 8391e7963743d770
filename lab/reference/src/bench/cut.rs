//! From a cause to the last packet of a device that talks without end.

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;
use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What has not come by then does not.
const SILENCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cut {
    /// How often it was measured.
    pub rounds: usize,
    /// Half take no longer.
    pub p50_ms: f64,
    /// Ninety-nine of a hundred take no longer.
    pub p99_ms: f64,
    /// None takes longer.
    pub worst_ms: f64,
}

impl Cut {
    pub(super) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
        let millis = |took: Option<&Duration>| took.map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0);
        Self { rounds: took.len(), p50_ms: millis(at(50)), p99_ms: millis(at(99)), worst_ms: millis(took.last()) }
    }

    pub(super) fn text(&self, what: &str) -> String {
        let Self { rounds, p50_ms, p99_ms, worst_ms } = self;
        format!(
            "\n{what} to the last packet, {rounds} times: {p50_ms:.1} ms (median), {p99_ms:.1} ms (p99), {worst_ms:.1} ms (worst)"
        )
    }
}

/// Has `talker` talk and `listener` hear it, and then `cause` happen: from there to the last packet that came through.
pub(super) async fn until_silent(
    talker: &UdpSocket,
    listener: &UdpSocket,
    cause: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let (talker, listener) = (talker.try_clone()?, listener.try_clone()?);
    let stop = Arc::new(AtomicBool::new(false));
    let talking = stop.clone();
    let talk = std::thread::spawn(move || {
        while !talking.load(Ordering::Relaxed) {
            let _ = talker.send(b"words");
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    listener.set_read_timeout(Some(PATIENCE))?;
    listener.recv(&mut [0; 64]).context("the device is not heard")?;
    listener.set_read_timeout(Some(SILENCE))?;
    let hear = std::thread::spawn(move || {
        let mut last = None;
        let begun = Instant::now();
        // Until nothing has come for a while.
        while listener.recv(&mut [0; 64]).is_ok() && begun.elapsed() < PATIENCE {
            last = Some(Instant::now());
        }
        last
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let began = Instant::now();
    let happened = cause.await;
    let last = tokio::task::spawn_blocking(move || hear.join()).await?.map_err(|_| anyhow!("nobody listened"))?;
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || talk.join()).await?.map_err(|_| anyhow!("the device gave up"))?;
    happened?;
    let took = last.context("nothing came through")?.saturating_duration_since(began);
    ensure!(took < PATIENCE / 2, "it was never cut off");
    Ok(took)
}
