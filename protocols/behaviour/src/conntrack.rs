//! Events of the kernel's connection tracking, as `conntrack -E` writes them (conntrack-tools 1.4).
//!
//! ```text
//! [1764028800.000001]     [NEW] tcp      6 120 SYN_SENT src=10.0.0.2 dst=192.0.2.7 sport=40000 dport=443 [UNREPLIED] src=192.0.2.7 …
//! [1764028809.500000] [DESTROY] tcp      6 src=10.0.0.2 dst=192.0.2.7 sport=40000 dport=443 packets=6 bytes=480 src=192.0.2.7 …
//! ```

use crate::{bounds, flow::Flow};
use landfall_types::Time;
use std::net::IpAddr;

/// What happened to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It began.
    New,
    /// Its state changed.
    Update,
    /// It is over.
    Destroy,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// To which flow.
    pub flow: Flow,
}

/// Reads one line. None if it is no event, or of something without addresses. `now` is its time if it has none of its own.
pub fn event(line: &str, now: Time) -> Option<Event> {
    if line.len() > bounds::LINE {
        return None;
    }
    let mut at = now;
    let mut what = None;
    let mut protocol: Option<u8> = None;
    let mut unreplied = false;
    let (mut first, mut second) = (Tuple::default(), Tuple::default());
    let mut is_second = false;
    for word in line.split_whitespace() {
        if let Some(mark) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            match mark {
                "NEW" => what = Some(What::New),
                "UPDATE" => what = Some(What::Update),
                "DESTROY" => what = Some(What::Destroy),
                "UNREPLIED" => unreplied = true,
                mark => at = timestamp(mark).unwrap_or(at),
            }
        } else if let Some((name, value)) = word.split_once('=') {
            is_second |= name == "src" && (first.source.is_some() || first.destination.is_some());
            let tuple = if is_second { &mut second } else { &mut first };
            tuple.set(name, value);
        } else if protocol.is_none() {
            protocol = named(word);
        }
    }
    let flow = Flow {
        source: first.source?,
        destination: first.destination?,
        protocol: protocol?,
        source_port: first.source_port,
        port: first.port,
        start: at,
        sent: first.octets,
        received: second.octets,
        answered: Some(!unreplied),
        ended: what == Some(What::Destroy),
    };
    Some(Event { what: what?, flow })
}

#[derive(Default)]
struct Tuple {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: u16,
    port: u16,
    octets: u64,
}

impl Tuple {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "src" => self.source = value.parse().ok(),
            "dst" => self.destination = value.parse().ok(),
            "sport" => self.source_port = value.parse().unwrap_or_default(),
            "dport" => self.port = value.parse().unwrap_or_default(),
            "bytes" => self.octets = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
}

fn timestamp(text: &str) -> Option<Time> {
    let (seconds, fraction) = text.split_once('.')?;
    let millis = std::time::Duration::from_millis(fraction.get(..3)?.parse().ok()?);
    let seconds: i64 = seconds.parse().ok().filter(|seconds| (0..=253_402_300_799).contains(seconds))?;
    Some(Time::from_unix(seconds) + millis)
}

fn named(word: &str) -> Option<u8> {
    Some(match word {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "gre" => 47,
        "icmpv6" => 58,
        "sctp" => 132,
        "udplite" => 136,
        _ => return None,
    })
}
