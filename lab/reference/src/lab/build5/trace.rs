//! What went over a wire: tcpdump writes it down, and the times of the packets are read from there (pcap).

use crate::peers::{self, process::Process};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// A trace that is being written.
pub(super) struct Trace {
    file: PathBuf,
    _process: Process,
}

/// Of a file, and of a packet in it.
const HEAD: usize = 24;
const PACKET: usize = 16;
/// The magic number of a file in this machine's byte order, with microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;
const START: Duration = Duration::from_secs(20);

impl Trace {
    /// Begins to write what passes an interface and fits the filter.
    pub(super) async fn begin(interface: &str, filter: &str, file: PathBuf) -> Result<Self> {
        let program = peers::program("tcpdump").context("tcpdump is not installed")?;
        let log = file.with_extension("log");
        let mut command = Command::new(program);
        command.args(["-Z", "root", "-U", "--immediate-mode", "-n", "-i", interface, "-w"]).arg(&file).arg(filter);
        let process = Process::start(&mut command, &log)?;
        let begun = Instant::now();
        // It says that it listens.
        while !fs::read_to_string(&log).unwrap_or_default().contains("listening on") {
            ensure!(begun.elapsed() < START, "tcpdump did not start: {}", fs::read_to_string(&log)?);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { file, _process: process })
    }

    /// When packets passed until now, in microseconds since 1970.
    pub(super) fn packets(&self) -> Result<Vec<u64>> {
        times(&fs::read(&self.file)?)
    }
}

fn times(content: &[u8]) -> Result<Vec<u64>> {
    let number = |at: usize| {
        let octets = content.get(at..at + 4).and_then(|octets| octets.try_into().ok());
        octets.map(u32::from_ne_bytes)
    };
    if content.is_empty() {
        return Ok(Vec::new());
    }
    ensure!(number(0) == Some(MAGIC), "this is no trace");
    let (mut at, mut times) = (HEAD, Vec::new());
    while let (Some(seconds), Some(fraction), Some(length)) = (number(at), number(at + 4), number(at + 8)) {
        at = at.saturating_add(PACKET).saturating_add(usize::try_from(length)?);
        // The last one may not be there as a whole yet.
        if at <= content.len() {
            times.push(u64::from(seconds) * 1_000_000 + u64::from(fraction));
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_packets() {
        let mut file = MAGIC.to_ne_bytes().to_vec();
        file.resize(HEAD, 0);
        for (seconds, length) in [(1u32, 3u32), (2, 0)] {
            for number in [seconds, 5, length, length] {
                file.extend(number.to_ne_bytes());
            }
            file.extend(vec![0; usize::try_from(length).unwrap()]);
        }
        assert_eq!(times(&file).unwrap(), [1_000_005, 2_000_005]);
        assert!(times(&file[..file.len() - 1]).unwrap().len() == 1, "the last is not there yet");
        assert!(times(b"").unwrap().is_empty());
        times(b"no trace").unwrap_err();
    }
}
