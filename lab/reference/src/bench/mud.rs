//! What it costs to hold devices to what their manufacturers say of them (SP 1800-36B 7.2): loading the rules of 28 kinds of devices,
//! packets through a bridge with few devices and with many, beside the same bridge without rules, and what gets through before them.

pub(crate) mod files;
mod leak;

use crate::wires::{BRIDGE, DEVICE, PEER, Wires};
use anyhow::{Result, ensure};
use landfall_mud::{Class, Members, Policy, packet::Prefix};
use landfall_nft::Interface;
use landfall_server::{
    enforcer::{
        picture::{Mac, Occupant, Picture, Segment},
        plan,
    },
    settings::SegmentKind,
};
use serde::Serialize;
use std::{
    fmt::Write,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

pub use leak::Leak;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Where the files are from.
    pub files: String,
    /// How many there are.
    pub kinds: usize,
    /// How many entries they have together.
    pub entries: usize,
    /// Reading, compiling and loading them all, in one transaction.
    pub load: Load,
    /// Packets through the bridge.
    pub rates: Vec<Rate>,
    /// What got through that should not.
    pub leak: Leak,
}

/// Loading the rules, in milliseconds: the median of all runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// How often.
    pub runs: usize,
    /// From octets to policies.
    pub read_ms: f64,
    /// From policies to commands.
    pub compile_ms: f64,
    /// Until the kernel has taken them: `nft`, started anew.
    pub apply_ms: f64,
    /// All of it.
    pub total_ms: f64,
    /// The slowest of all runs.
    pub worst_ms: f64,
}

/// Packets of one device through the bridge.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// What rules there are.
    pub rules: Rules,
    /// Packets a second, the median of all rounds.
    pub per_second: f64,
    /// How much that is of what goes through without rules, in the same rounds.
    pub of_bare: f64,
}

/// What rules there are while packets are counted.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Rules {
    /// None.
    None,
    /// One chain at each place where frames can be judged, and nothing in it.
    Empty,
    /// Those of so many devices.
    Devices {
        /// How many.
        devices: usize,
        /// How many entries stand before the one that the packets meet.
        before: usize,
    },
}

const RUNS: usize = 15;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);
/// So many entries stand before theirs.
const BEFORE: [usize; 2] = [0, 100];
/// Where the packets go that are counted.
const PORT: u16 = 5683;

/// Measures all of it with the MUD files in `folder`, or with made-up ones of the same size as those of 28 real devices; nothing, with
/// the reason, if this machine or its user cannot.
pub async fn measure(
    folder: Option<&Path>,
    devices: &[usize],
    progress: impl Fn(&str),
) -> Result<Result<Measured, String>> {
    let wires = match Wires::lay("bench").await {
        Ok(wires) => wires,
        Err(why) => return Ok(Err(format!("{why:#}"))),
    };
    let (origin, files) = match folder {
        Some(folder) => (folder.display().to_string(), files::read(folder)?),
        None => ("made up, in the sizes of 28 real devices".into(), files::made_up()),
    };
    ensure!(!files.is_empty(), "there are no MUD files");
    progress("loading the rules");
    let (load, policies) = load(&wires, &files).await?;
    let entries = policies.iter().map(entries).sum();
    let rates = rate(&wires, devices, &progress).await?;
    progress("looking for leaks");
    let leak = leak::look(&wires).await?;
    Ok(Ok(Measured { files: origin, kinds: policies.len(), entries, load, rates, leak }))
}

/// For people.
pub fn text(measured: &Measured) -> String {
    let Measured { files, kinds, entries, load, rates, leak } = measured;
    let mut text = format!("{kinds} kinds of devices, {entries} entries ({files})\n");
    let Load { runs, read_ms, compile_ms, apply_ms, total_ms, worst_ms } = load;
    let _ = writeln!(
        text,
        "loaded in one transaction: {total_ms:.0} ms (read {read_ms:.1}, compiled {compile_ms:.1}, kernel {apply_ms:.1}); \
         worst of {runs}: {worst_ms:.0} ms"
    );
    for Rate { rules, per_second, of_bare } in rates {
        let rules = match rules {
            Rules::None => "no rules".into(),
            Rules::Empty => "chains without rules".into(),
            Rules::Devices { devices, before } => format!("{devices} devices, {before} entries before"),
        };
        let _ = writeln!(text, "{rules:<34} {per_second:>9.0} packets/s  {:>5.1} %", of_bare * 100.0);
    }
    let Leak { sent, seconds, leaked_bytes, arrived, captured } = leak;
    let _ = write!(
        text,
        "a device that sends from before the start, {sent} datagrams in {seconds:.1} s: {leaked_bytes} bytes leaked, {arrived} permitted ones arrived"
    );
    let _ = match captured {
        Some(frames) => write!(text, "; tcpdump saw {frames} frames of it on the far side"),
        None => write!(text, "; counted at the sockets alone, without tcpdump"),
    };
    text
}

fn entries(policy: &Policy) -> usize {
    let rules = policy.from_device.iter().chain(&policy.to_device);
    rules.filter(|rule| !rule.name.starts_with("default/")).count() + policy.left_out.len()
}

async fn load(wires: &Wires, files: &[Vec<u8>]) -> Result<(Load, Vec<Policy>)> {
    let mut runs = Vec::new();
    let mut kept = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut policies = Vec::new();
        for bytes in files {
            let (file, _) = landfall_mud::read(bytes).map_err(|why| anyhow::anyhow!("a MUD file: {why}"))?;
            policies.push(Policy::of(&file));
        }
        let read = began.elapsed();
        kept.clone_from(&policies);
        let kinds = policies.len();
        let commands = plan::whole(&picture(policies, kinds)?, 1);
        let compiled = began.elapsed();
        wires.kernel.apply(&commands).await?;
        runs.push([read, compiled - read, began.elapsed() - compiled, began.elapsed()].map(milliseconds));
    }
    let of = |which: usize| runs.iter().filter_map(|run| run.get(which).copied()).collect::<Vec<f64>>();
    let load = Load {
        runs: RUNS,
        read_ms: median(of(0)),
        compile_ms: median(of(1)),
        apply_ms: median(of(2)),
        total_ms: median(of(3)),
        worst_ms: of(3).into_iter().fold(0.0, f64::max),
    };
    Ok((load, kept))
}

/// Packets a second with all kinds of rules, one after the other in every round: what else the machine does meets them all.
async fn rate(wires: &Wires, devices: &[usize], progress: impl Fn(&str)) -> Result<Vec<Rate>> {
    let mut all = vec![(Rules::None, None), (Rules::Empty, None)];
    for before in BEFORE {
        let (file, _) = landfall_mud::read(&files::deep(before, PEER, PORT)).map_err(|why| anyhow::anyhow!("{why}"))?;
        let policy = Policy::of(&file);
        for &devices in devices {
            let commands = plan::whole(&picture(vec![policy.clone()], devices)?, 1);
            all.push((Rules::Devices { devices, before }, Some(commands)));
        }
    }
    let mut counted = vec![Vec::new(); all.len()];
    for round in 1..=ROUNDS {
        progress(&format!("packets, round {round} of {ROUNDS}"));
        for ((rules, commands), counts) in all.iter().zip(&mut counted) {
            match (rules, commands) {
                (_, Some(commands)) => wires.kernel.apply(commands).await?,
                (Rules::Empty, _) => wires.open().await?,
                _ => wires.clear().await?,
            }
            counts.push(wires.packets(PORT, ROUND).await?);
        }
    }
    wires.clear().await?;
    let bare = median(counted.first().cloned().unwrap_or_default());
    let rate = |((rules, _), counts): ((Rules, _), _)| {
        let per_second = median(counts);
        Rate { rules, per_second, of_bare: per_second / bare }
    };
    Ok(all.into_iter().zip(counted).map(rate).collect())
}

/// A segment with so many devices, the first of which is the one at the wire; each has its own addresses for every name.
fn picture(policies: Vec<Policy>, devices: usize) -> Result<Picture> {
    let (name, bridge) = ("things".to_owned(), BRIDGE.parse()?);
    let segment = Segment {
        name,
        kind: SegmentKind::Production,
        bridge,
        vid: None,
        vlan: Some("30".into()),
        lateral: false,
        reach: Vec::new(),
    };
    let mut picture = Picture { segments: vec![segment], ..Picture::default() };
    let local: Prefix = "10.77.0.0/16".parse().map_err(|_| anyhow::anyhow!("a prefix"))?;
    picture.known.add(Class::LocalNetworks, Members::of([local]));
    for number in 0..devices {
        let port: Interface = format!("lan{number}").parse()?;
        let [_, _, high, low] = u32::try_from(number)?.to_be_bytes();
        let mac: Mac = match number {
            0 => DEVICE.parse()?,
            _ => format!("02:00:00:01:{high:02x}:{low:02x}").parse()?,
        };
        let intent = number % policies.len().max(1);
        for (index, class) in policies.get(intent).into_iter().flat_map(Policy::classes).enumerate() {
            if let Class::Name(name) = class {
                let address: IpAddr = [198, 18 + (high & 1), low, u8::try_from(index % 256)?].into();
                picture.names.insert((port.clone(), name.clone()), [address].into());
            }
        }
        picture.occupants.insert(port.clone(), Occupant { mac, segment: 0, intent: Some(intent) });
        picture.ports.insert(port);
    }
    picture.intents = policies.into_iter().map(Arc::new).collect();
    Ok(picture)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
