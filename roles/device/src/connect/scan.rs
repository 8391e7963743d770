//! What the radio sees: networks, and how one comes into them.

use super::Door;
use crate::DeviceError;
use landfall_eap::anqp;
use landfall_net::wpa::Control;
use std::time::Duration;
use tokio::time::Instant;

/// A scan of all channels takes seconds; so long is waited for one.
const SCAN: Duration = Duration::from_secs(30);
/// An access point answers at once, or not at all.
const QUERY: Duration = Duration::from_secs(5);
/// So many networks are tried; a list is the air's, and anybody can make it long.
const MOST: usize = 8;

/// A network in the air. Whoever sends may call it as he likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its name, whose octets need not be text.
    pub(super) ssid: Vec<u8>,
    /// How devices come in.
    pub(super) access: Access,
    /// The radio that sends it.
    bssid: String,
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
        let (bssid, _, signal, flags) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let bssid = bssid.to_owned();
        let ssid = super::name_of(columns.next()?).filter(|ssid| !ssid.is_empty())?;
        let access = match flags {
            _ if flags.contains("-EAP") => Access::Enterprise,
            _ if ["WPA", "RSN", "WEP", "OWE"].iter().any(|word| flags.contains(word)) => Access::Other,
            _ => Access::Open,
        };
        Some(Self { ssid, access, bssid, signal: signal.parse().ok()? })
    }
}

impl Door<'_> {
    /// What is in the air.
    pub(super) async fn look(&self, control: &mut Control) -> Result<Vec<Seen>, DeviceError> {
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
        Ok(results.expose().lines().filter_map(Seen::read).collect())
    }

    /// Whether an access point tells of one of our realms. Whoever sends may tell of any, as he may call his network what he likes.
    pub(super) async fn lets_in(&self, control: &mut Control, seen: &Seen) -> Result<bool, DeviceError> {
        let about = format!("BSS {}", seen.bssid);
        control.forget();
        if control.order(&format!("ANQP_GET {} {}", seen.bssid, anqp::NAI_REALM)).await.is_err() {
            // It is gone by now, or this wpa_supplicant asks nobody.
            return Ok(false);
        }
        let until = Instant::now() + QUERY;
        while let Some(event) = control.event(until).await? {
            if event.name == "ANQP-QUERY-DONE" && event.field("addr") == Some(&seen.bssid) {
                break;
            }
        }
        let about = control.request(&about).await?;
        Ok(realms(about.expose())
            .iter()
            .any(|told| self.config.realms.iter().any(|ours| told.eq_ignore_ascii_case(ours))))
    }
}

/// The realms that wpa_supplicant has heard of an access point; what is no list of them says nothing.
fn realms(about: &str) -> Vec<String> {
    let told = about.lines().find_map(|line| line.strip_prefix("anqp_nai_realm="));
    let told = told.and_then(|told| hex::decode(told).ok());
    told.and_then(|told| anqp::realms(&told).ok()).unwrap_or_default()
}

/// The strongest first, each network once.
pub(super) fn strongest(seen: impl Iterator<Item = Seen>) -> Vec<Seen> {
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
        let seen = |n| Seen { ssid: vec![n], access: Access::Open, bssid: String::new(), signal: 0 };
        let many = (0..100u8).map(seen);
        assert_eq!(strongest(many).len(), MOST);
    }

    #[test]
    fn realms_are_those_that_were_heard() {
        let heard = "bssid=02:00:00:00:00:00\nssid=new\nanqp_nai_realm=01000e00000b6e65772e6578616d706c6500\n";
        assert_eq!(realms(heard), ["new.example"]);
        for nothing in ["", "anqp_nai_realm=\n", "anqp_nai_realm=zz\n", "anqp_nai_realm=0100\n"] {
            assert!(realms(nothing).is_empty(), "{nothing}");
        }
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
