//! What the radio sees: networks, and how one comes into them.

use super::Door;
use crate::DeviceError;
use landfall_net::wpa::Control;
use std::time::Duration;
use tokio::time::Instant;

/// A scan of all channels takes seconds; so long is waited for one.
const SCAN: Duration = Duration::from_secs(30);
/// So many networks are tried; a list is the air's, and anybody can make it long.
const MOST: usize = 8;

/// A network in the air. Whoever sends may call it as he likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its name, whose octets need not be text.
    pub(super) ssid: Vec<u8>,
    /// How devices come in.
    pub(super) access: Access,
    /// How strong it is, in dBm.
    signal: i32,
}

/// How devices come into a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// By nothing.
    Open,
    /// By 802.1X.
    Enterprise,
    /// By something that is of no use here.
    Other,
}

impl Seen {
    /// A line of SCAN_RESULTS: address, frequency, signal, flags and name, with tabulators in between.
    fn read(line: &str) -> Option<Self> {
        let mut columns = line.splitn(5, '\t');
        let (_, _, signal, flags) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let ssid = super::name_of(columns.next()?).filter(|ssid| !ssid.is_empty())?;
        let access = match flags {
            _ if flags.contains("-EAP") => Access::Enterprise,
            _ if ["WPA", "RSN", "WEP", "OWE"].iter().any(|word| flags.contains(word)) => Access::Other,
            _ => Access::Open,
        };
        Some(Self { ssid, access, signal: signal.parse().ok()? })
    }
}

impl Door<'_> {
    /// Networks that fit, the strongest first, each once.
    pub(super) async fn look(
        &self,
        control: &mut Control,
        fits: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, DeviceError> {
        control.forget();
        // Refused if one is under way, whose results will do as well.
        let _ = control.request("SCAN").await;
        let until = Instant::now() + SCAN;
        while let Some(event) = control.event(until).await? {
            if ["CTRL-EVENT-SCAN-RESULTS", "CTRL-EVENT-SCAN-FAILED"].contains(&event.name.as_str()) {
                break;
            }
        }
        let results = control.request("SCAN_RESULTS").await?;
        Ok(strongest(results.expose().lines().filter_map(Seen::read).filter(fits)))
    }
}

fn strongest(seen: impl Iterator<Item = Seen>) -> Vec<Seen> {
    let mut seen: Vec<Seen> = seen.collect();
    seen.sort_by_key(|one| std::cmp::Reverse(one.signal));
    let mut best: Vec<Seen> = Vec::new();
    for one in seen {
        if best.len() < MOST && !best.iter().any(|other| other.ssid == one.ssid && other.access == one.access) {
            best.push(one);
        }
    }
    best
}

/// Whether a network's name is one of those; `*` at the end of a pattern stands for any rest.
pub(super) fn is_named(ssid: &[u8], patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => ssid.starts_with(beginning.as_bytes()),
        None => ssid == pattern.as_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_of_each_network_is_seen_once() {
        let results = "bssid / frequency / signal level / flags / ssid\n\
            02:00:00:00:00:00\t2437\t-70\t[ESS]\tBRSKI new\n\
            02:00:00:00:01:00\t2437\t-30\t[WPA2-EAP-CCMP][ESS]\tOrchard\n\
            02:00:00:00:02:00\t2437\t-20\t[WPA2-PSK-CCMP][ESS]\tHome\n\
            02:00:00:00:03:00\t2437\t-40\t[ESS]\tBRSKI new\n\
            02:00:00:00:04:00\t2437\t-10\t[ESS]\t\n\
            02:00:00:00:05:00\t2437\tloud\t[ESS]\tbroken\n\
            half a line\n";
        let seen = strongest(results.lines().filter_map(Seen::read));
        let seen: Vec<_> = seen.iter().map(|one| (one.ssid.as_slice(), one.access, one.signal)).collect();
        assert_eq!(
            seen,
            [
                (b"Home".as_slice(), Access::Other, -20),
                (b"Orchard", Access::Enterprise, -30),
                (b"BRSKI new", Access::Open, -40)
            ]
        );
        let many = (0..100u8).map(|n| Seen { ssid: vec![n], access: Access::Open, signal: 0 });
        assert_eq!(strongest(many).len(), MOST);
    }

    #[test]
    fn names_and_beginnings_of_names() {
        let patterns = ["BRSKI*".to_owned(), "new devices".to_owned()];
        assert!(
            is_named(b"BRSKI", &patterns) && is_named(b"BRSKI-7", &patterns) && is_named(b"new devices", &patterns)
        );
        assert!(!is_named(b"brski", &patterns) && !is_named(b"new devices 2", &patterns) && !is_named(b"", &patterns));
        assert!(!is_named(b"BRSKI", &[]));
    }
}
