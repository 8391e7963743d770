//! GRASP flood messages (RFC 8990 s2.8.11) with the two objectives by which BRSKI is found: `AN_Proxy`, which a proxy
//! sends to pledges on its link, and `AN_join_registrar`, which a registrar sends to proxies (RFC 8995 s4.1.1, s4.3).

use crate::proxy::{Host, Offer, Source};
use ciborium::Value;
use std::{net::Ipv6Addr, time::Duration};

/// UDP port on which floods are heard (RFC 8990 s2.6).
pub const PORT: u16 = 7017;
/// Link-local multicast group ALL_GRASP_NEIGHBORS (RFC 8990 s2.6).
pub const NEIGHBORS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x13);
/// Longest message that is sent or taken, in bytes: GRASP_DEF_MAX_SIZE (RFC 8990 s2.6).
pub const MAX_SIZE: usize = 2048;
/// How long a BRSKI announcement holds (RFC 8995 s4.1.1, s4.3).
pub const TTL: Duration = Duration::from_millis(180_000);
/// How often announcements are repeated unless configured otherwise; not more often than this (RFC 8995 s4.3).
pub const PERIOD: Duration = Duration::from_secs(60);

const M_FLOOD: u64 = 9;
const O_IPV6_LOCATOR: u64 = 103;
const O_IPV4_LOCATOR: u64 = 104;
const O_FQDN_LOCATOR: u64 = 105;
const IPPROTO_TCP: u64 = 6;
/// The objective takes part in synchronisation only: bit 2 (RFC 8990 s2.10.2).
const SYNC_ONLY: u64 = 4;
/// Most objectives taken from one message.
const MAX_OBJECTIVES: usize = 32;
/// Deepest nesting taken: message, pair, objective, value, and some room in the value.
const MAX_DEPTH: usize = 12;

/// A flood message.
#[derive(Clone, Debug, PartialEq)]
pub struct Flood {
    /// Tells sessions of one initiator apart; random, 32 bits.
    pub session: u32,
    /// Address of the initiator.
    pub initiator: Ipv6Addr,
    /// How long the contents hold; zero is for ever.
    pub ttl: Duration,
    /// What is announced.
    pub announcements: Vec<Announcement>,
}

/// One objective with where it is to be had.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// What.
    pub objective: Objective,
    /// Where, unless the sender gave no locator or one that is not for TCP.
    pub locator: Option<Locator>,
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objective {
    /// A join proxy, for pledges on this link.
    Proxy,
    /// A registrar, for proxies.
    Registrar {
        /// Whether it names `EST-TLS`, the only way in that RFC 8995 defines.
        est_tls: bool,
    },
    /// Something that is none of BRSKI's business.
    Other,
}

/// Where to connect with TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locator {
    /// Where.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

/// A datagram is not a flood message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GRASP flood: {0}")]
pub struct GraspError(&'static str);

impl Flood {
    /// The announcement of a proxy at `address` and `port`, with a random `session` (RFC 8995 figure 11).
    pub fn proxy(session: u32, address: Ipv6Addr, port: u16) -> Self {
        Self::brski(session, address, port, Objective::Proxy)
    }

    /// The announcement of a registrar at `address` and `port`, with a random `session` (RFC 8995 figure 12).
    pub fn registrar(session: u32, address: Ipv6Addr, port: u16) -> Self {
        Self::brski(session, address, port, Objective::Registrar { est_tls: true })
    }

    fn brski(session: u32, address: Ipv6Addr, port: u16, objective: Objective) -> Self {
        let locator = Some(Locator { host: Host::V6 { address, scope: 0 }, port });
        Self { session, initiator: address, ttl: TTL, announcements: vec![Announcement { objective, locator }] }
    }

    /// Writes it; objectives of other protocols are left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![
            M_FLOOD.into(),
            self.session.into(),
            Value::Bytes(self.initiator.octets().to_vec()),
            u32::try_from(self.ttl.as_millis()).unwrap_or(u32::MAX).into(),
        ];
        for announcement in &self.announcements {
            if let Some(objective) = announcement.objective.encode() {
                let locator = announcement.locator.as_ref().map_or_else(Vec::new, Locator::encode);
                message.push(Value::Array(vec![objective, Value::Array(locator)]));
            }
        }
        let mut bytes = Vec::new();
        // Writing to a vector cannot fail.
        let _ = ciborium::into_writer(&Value::Array(message), &mut bytes);
        bytes
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// If it is longer than [`MAX_SIZE`], nested too deeply, not exactly one CBOR item, or not a flood message.
    pub fn decode(datagram: &[u8]) -> Result<Self, GraspError> {
        if datagram.len() > MAX_SIZE {
            return Err(GraspError("it is too long"));
        }
        let mut rest = datagram;
        let value: Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
            .map_err(|_| GraspError("it is not CBOR, or is nested too deeply"))?;
        if !rest.is_empty() {
            return Err(GraspError("bytes follow the message"));
        }
        let message = value.into_array().map_err(|_| GraspError("it is not an array"))?;
        let [kind, session, initiator, ttl, pairs @ ..] = message.as_slice() else {
            return Err(GraspError("it is too short"));
        };
        if uint(kind) != Some(M_FLOOD) {
            return Err(GraspError("it is another kind of message"));
        }
        if pairs.is_empty() || pairs.len() > MAX_OBJECTIVES {
            return Err(GraspError("it holds no objective, or too many"));
        }
        Ok(Self {
            session: small(session).ok_or(GraspError("its session id is not a 32-bit number"))?,
            initiator: address(initiator).ok_or(GraspError("its initiator is not an address"))?,
            ttl: small(ttl)
                .map(|ttl: u32| Duration::from_millis(ttl.into()))
                .ok_or(GraspError("its ttl is not one"))?,
            announcements: pairs.iter().map(Announcement::decode).collect::<Result<_, _>>()?,
        })
    }

    /// The proxies in it, as a pledge wants them; `scope` is the interface on which it was heard.
    pub fn proxies(&self, scope: u32) -> Vec<Offer> {
        self.offers(scope, |objective| *objective == Objective::Proxy)
    }

    /// The registrars in it that speak EST over TLS, as a proxy wants them.
    pub fn registrars(&self, scope: u32) -> Vec<Offer> {
        self.offers(scope, |objective| *objective == Objective::Registrar { est_tls: true })
    }

    fn offers(&self, scope: u32, wanted: impl Fn(&Objective) -> bool) -> Vec<Offer> {
        let wanted = self.announcements.iter().filter(|announcement| wanted(&announcement.objective));
        wanted.filter_map(|announcement| announcement.locator.clone()).map(|at| self.offer(at, scope)).collect()
    }

    fn offer(&self, at: Locator, scope: u32) -> Offer {
        let address = match at.host {
            Host::V6 { address, .. } if address.is_unicast_link_local() => Host::V6 { address, scope },
            other => other,
        };
        // RFC 8990 s2.8.11: a ttl of zero is an indefinite lifetime.
        let ttl = (!self.ttl.is_zero()).then_some(self.ttl);
        Offer { name: address.to_string(), address, port: at.port, source: Source::Grasp, ttl }
    }
}

impl Announcement {
    fn decode(pair: &Value) -> Result<Self, GraspError> {
        match pair.as_array().map(Vec::as_slice) {
            Some([objective, locator]) => {
                Ok(Self { objective: Objective::decode(objective)?, locator: Locator::decode(locator)? })
            }
            _ => Err(GraspError("an objective comes without its locator")),
        }
    }
}

impl Objective {
    /// Name, flags, loop count and value (RFC 8995 s4.1.1, s4.3).
    fn encode(&self) -> Option<Value> {
        let (name, loops, value) = match self {
            Self::Proxy => ("AN_Proxy", 1, ""),
            Self::Registrar { est_tls } => ("AN_join_registrar", 255, if *est_tls { "EST-TLS" } else { "" }),
            Self::Other => return None,
        };
        Some(Value::Array(vec![name.into(), SYNC_ONLY.into(), loops.into(), value.into()]))
    }

    fn decode(value: &Value) -> Result<Self, GraspError> {
        let malformed = GraspError("an objective is malformed");
        let (name, flags, loops, value) = match value.as_array().map(Vec::as_slice) {
            Some([name, flags, loops]) => (name, flags, loops, None),
            Some([name, flags, loops, value]) => (name, flags, loops, Some(value)),
            _ => return Err(malformed),
        };
        let (Some(name), Some(flags), Some(0..=255)) = (name.as_text(), uint(flags), uint(loops)) else {
            return Err(malformed);
        };
        let synchronised = flags & SYNC_ONLY != 0;
        Ok(match name {
            "AN_Proxy" if synchronised => Self::Proxy,
            "AN_join_registrar" if synchronised => Self::Registrar { est_tls: value.is_some_and(names_est_tls) },
            _ => Self::Other,
        })
    }
}

/// RFC 8995 s4.3: the value names the protocol, or is a list of names.
fn names_est_tls(value: &Value) -> bool {
    let is_it = |value: &Value| value.as_text() == Some("EST-TLS");
    is_it(value) || value.as_array().is_some_and(|names| names.iter().any(is_it))
}

impl Locator {
    fn encode(&self) -> Vec<Value> {
        let (kind, host) = match &self.host {
            Host::V6 { address, .. } => (O_IPV6_LOCATOR, Value::Bytes(address.octets().to_vec())),
            Host::V4(address) => (O_IPV4_LOCATOR, Value::Bytes(address.octets().to_vec())),
            Host::Name(name) => (O_FQDN_LOCATOR, name.as_str().into()),
        };
        vec![kind.into(), host, IPPROTO_TCP.into(), self.port.into()]
    }

    /// `None` for a null locator, another transport, or a kind of locator that leads nowhere here.
    fn decode(value: &Value) -> Result<Option<Self>, GraspError> {
        let malformed = GraspError("a locator is malformed");
        let Some(parts) = value.as_array() else { return Err(malformed) };
        let (kind, host, transport, port) = match parts.as_slice() {
            [] => return Ok(None),
            [kind, host, transport, port] => (uint(kind).ok_or(malformed.clone())?, host, transport, port),
            _ => return Err(malformed),
        };
        if uint(transport) != Some(IPPROTO_TCP) {
            return Ok(None);
        }
        let host = match kind {
            O_IPV6_LOCATOR => address(host).map(|address| Host::V6 { address, scope: 0 }),
            O_IPV4_LOCATOR => {
                host.as_bytes().and_then(|b| <[u8; 4]>::try_from(b.as_slice()).ok()).map(|b| Host::V4(b.into()))
            }
            O_FQDN_LOCATOR => host.as_text().and_then(|name| name.parse().ok()),
            _ => return Ok(None),
        };
        match (host, small::<u16>(port)) {
            (Some(host), Some(port)) if port != 0 => Ok(Some(Self { host, port })),
            _ => Err(malformed),
        }
    }
}

fn uint(value: &Value) -> Option<u64> {
    value.as_integer().and_then(|integer| u64::try_from(integer).ok())
}

fn small<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    uint(value).and_then(|value| T::try_from(value).ok())
}

fn address(value: &Value) -> Option<Ipv6Addr> {
    value.as_bytes().and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok()).map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROXY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    // The values of RFC 8995 figure 11, encoded by the rules of RFC 8949.
    const FIGURE_11: &str = "85091a00bc4e4f50fe8000000000000000000000000000011a0002bf208284\
                             68414e5f50726f7879040160841867\
                             50fe80000000000000000000000000000106\
                             19115b";

    fn figure_11() -> Vec<u8> {
        hex::decode(FIGURE_11).unwrap()
    }

    #[test]
    fn the_published_proxy_announcement() {
        let flood = Flood::proxy(12_340_815, PROXY, 4443);
        assert_eq!(hex::encode(flood.encode()), FIGURE_11);
        assert_eq!(Flood::decode(&figure_11()).unwrap(), flood);
        let [offer] = flood.proxies(7).try_into().unwrap();
        assert_eq!(offer.to_string(), "[fe80::1%7]:4443");
        assert_eq!((offer.source, offer.ttl), (Source::Grasp, Some(TTL)));
        assert!(flood.registrars(7).is_empty());
    }

    #[test]
    fn a_registrar_announcement_is_for_proxies() {
        let address: Ipv6Addr = "fda3:79a6:f6ee:0:200:0:6400:1".parse().unwrap();
        let flood = Flood::decode(&Flood::registrar(51_804_321, address, 8443).encode()).unwrap();
        assert_eq!(flood.registrars(7)[0].to_string(), "[fda3:79a6:f6ee:0:200:0:6400:1]:8443");
        assert!(flood.proxies(7).is_empty());
    }

    #[test]
    fn another_protocols_flood_is_understood_and_offers_nothing() {
        // RFC 8990 appendix A.2.
        let example = "85091a00357b4e5020010db8f000baaa28ccdc4c97036781192710\
                       828463455831050282704578616d706c6520312076616c75653d186480";
        let flood = Flood::decode(&hex::decode(example).unwrap()).unwrap();
        assert_eq!(flood.announcements, [Announcement { objective: Objective::Other, locator: None }]);
        assert!(flood.proxies(1).is_empty() && flood.registrars(1).is_empty());
    }

    #[test]
    fn a_locator_for_udp_offers_nothing() {
        let mut message = figure_11();
        let transport = message.len() - 4;
        assert_eq!(message[transport], 6);
        message[transport] = 17;
        assert!(Flood::decode(&message).unwrap().proxies(1).is_empty());
    }

    #[test]
    fn malformed_messages_are_refused() {
        let good = figure_11();
        let refused = |bytes: &[u8]| Flood::decode(bytes).unwrap_err().0;
        assert_eq!(refused(&[&good[..], &[0]].concat()), "bytes follow the message");
        assert_eq!(refused(&good[..good.len() - 1]), "it is not CBOR, or is nested too deeply");
        assert_eq!(refused(&[0x81; 1000]), "it is not CBOR, or is nested too deeply");
        assert_eq!(refused(&vec![0; MAX_SIZE + 1]), "it is too long");
        assert_eq!(refused(&[0x81, 0x00]), "it is too short");
        let mut discovery = good.clone();
        discovery[1] = 1;
        assert_eq!(refused(&discovery), "it is another kind of message");
        let mut port = good.clone();
        let at = port.len() - 2;
        port[at..].fill(0);
        assert_eq!(refused(&port), "a locator is malformed");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Flood::decode(&bytes);
        }

        #[test]
        fn one_flipped_bit_is_read_without_panic(at in 0usize..80, bit in 0u8..8) {
            let mut message = figure_11();
            let at = at % message.len();
            message[at] ^= 1 << bit;
            let _ = Flood::decode(&message);
        }

        #[test]
        fn announcements_come_back_as_sent(session: u32, address: [u8; 16], port in 1u16.., proxy: bool) {
            let make = if proxy { Flood::proxy } else { Flood::registrar };
            let flood = make(session, address.into(), port);
            prop_assert_eq!(Flood::decode(&flood.encode()).unwrap(), flood);
        }
    }
}
