//! Runs one kind of work many times, some of it at once, and says what it cost.

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// What a load took.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// How many ran at once.
    pub parallel: usize,
    /// How many were done.
    pub done: usize,
    /// How many failed.
    pub errors: usize,
    /// Done per second.
    pub rate: f64,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// CPU time of this process per piece of work, all parties together, in milliseconds.
    pub cpu_ms: f64,
    /// The first error, in words.
    pub first_error: Option<String>,
}

/// Does `work(0..count)`, `parallel` of them at once.
pub async fn run<F, W>(count: usize, parallel: usize, work: W) -> Tally
where
    F: Future<Output = Result<()>> + Send,
    W: Fn(usize) -> F + Send + Sync + 'static,
{
    let (work, next) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut workers = JoinSet::new();
    for _ in 0..parallel {
        let (work, next) = (Arc::clone(&work), Arc::clone(&next));
        workers.spawn(async move {
            let (mut times, mut errors) = (Vec::new(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return (times, errors);
                }
                let begun = Instant::now();
                match work(number).await {
                    Ok(()) => times.push(begun.elapsed()),
                    Err(error) => errors.push(format!("{error:#}")),
                }
            }
        });
    }
    let (mut times, mut errors) = (Vec::new(), Vec::new());
    while let Some(worker) = workers.join_next().await {
        match worker {
            Ok((t, e)) => {
                times.extend(t);
                errors.extend(e);
            }
            Err(panic) => errors.push(panic.to_string()),
        }
    }
    Tally { times, errors, wall: start.elapsed(), cpu: cpu_time().saturating_sub(cpu) }
}

/// What was counted while work was done.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    times: Vec<Duration>,
    errors: Vec<String>,
    wall: Duration,
    cpu: Duration,
}

impl Tally {
    /// Adds what was counted later.
    pub fn add(&mut self, later: Self) {
        self.times.extend(later.times);
        self.errors.extend(later.errors);
        self.wall += later.wall;
        self.cpu += later.cpu;
    }

    /// The sum, of work that was done `parallel` at once.
    pub fn load(mut self, parallel: usize) -> Load {
        self.times.sort();
        Load {
            parallel,
            done: self.times.len(),
            errors: self.errors.len(),
            rate: self.times.len() as f64 / self.wall.as_secs_f64(),
            p50_ms: percentile(&self.times, 50),
            p99_ms: percentile(&self.times, 99),
            cpu_ms: milliseconds(self.cpu) / (self.times.len().max(1) as f64),
            first_error: self.errors.into_iter().next(),
        }
    }
}

/// The value below which `percent` of the sorted `times` lie, in milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied().map_or(0.0, milliseconds)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The CPU time that this process has used, in user and kernel mode.
pub fn cpu_time() -> Duration {
    elapsed(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// What the kernel tells user space in (USER_HZ), on every machine that Linux still runs on.
const TICKS_A_SECOND: u64 = 100;

/// The CPU time that another process has used, in user and kernel mode; none where there is no /proc.
pub fn cpu_time_of(process: u32) -> Duration {
    // What follows the name, which may have spaces in it: utime and stime are the 14th and 15th in all (proc(5)).
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// The CPU time that this thread has used. Other than the time of day it does not run on while others have the CPU.
pub fn thread_time() -> Duration {
    elapsed(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn elapsed(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Resident memory of this process in kibibytes; zero where there is no /proc.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 99)), (50.0, 99.0));
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn the_time_of_a_process_is_that_of_this_one() {
        let before = cpu_time();
        while cpu_time() < before + Duration::from_millis(50) {}
        let (seen, now) = (cpu_time_of(std::process::id()), cpu_time());
        // It is told in ticks of a hundredth of a second, for each of the two.
        assert!(
            seen <= now && seen + Duration::from_millis(25) >= before + Duration::from_millis(50),
            "{seen:?} {now:?}"
        );
    }

    #[tokio::test]
    async fn every_piece_is_done_once_and_errors_are_counted() {
        let load = run(10, 3, |n| async move {
            anyhow::ensure!(n != 4, "four");
            Ok(())
        })
        .await
        .load(3);
        assert_eq!((load.done, load.errors), (9, 1));
        assert_eq!(load.first_error.as_deref(), Some("four"));
    }
}
