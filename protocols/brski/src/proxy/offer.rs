//! Somewhere a registrar might be reached.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
    time::Duration,
};

/// A registrar, or a proxy to one, that someone announced. Nothing in it is authenticated (RFC 8995 s4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// What its announcer calls it, for people only.
    pub name: String,
    /// Where it is.
    pub address: Host,
    /// TCP port.
    pub port: u16,
    /// How it became known.
    pub source: Source,
    /// How long the announcement holds; `None` if it holds until it is withdrawn.
    pub ttl: Option<Duration>,
}

impl Offer {
    /// A registrar or proxy from the configuration.
    pub fn fixed(address: Host, port: u16) -> Self {
        Self { name: address.to_string(), address, port, source: Source::Configured, ttl: None }
    }

    /// Whether both lead to the same socket.
    pub fn same_place(&self, other: &Self) -> bool {
        self.address == other.address && self.port == other.port
    }
}

impl fmt::Display for Offer {
    /// As `host:port`, with an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Host::V6 { .. } => write!(f, "[{}]:{}", self.address, self.port),
            _ => write!(f, "{}:{}", self.address, self.port),
        }
    }
}

/// How an offer became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A GRASP flood (RFC 8995 s4.1.1).
    Grasp,
    /// DNS-SD over mDNS (RFC 8995 appendix B).
    Mdns,
    /// The configuration.
    Configured,
    /// A registrar redirected the pledge there (RFC 8995 s5.6).
    Redirect,
}

impl Source {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grasp => "grasp",
            Self::Mdns => "mdns",
            Self::Configured => "configured",
            Self::Redirect => "redirect",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where something is: an address, or a name that whoever connects must resolve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; a link-local one needs the interface that it was heard on.
    V6 {
        /// The address.
        address: Ipv6Addr,
        /// Interface index (RFC 4007 s6); zero if the address needs none.
        scope: u32,
    },
    /// A DNS name.
    Name(String),
}

impl Host {
    /// The socket address at `port`, unless this is a name.
    pub fn socket(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Self::V4(address) => Some(SocketAddr::from((*address, port))),
            Self::V6 { address, scope } => Some(SocketAddrV6::new(*address, port, 0, *scope).into()),
            Self::Name(_) => None,
        }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(*v4.ip()),
            SocketAddr::V6(v6) => Self::V6 { address: *v6.ip(), scope: v6.scope_id() },
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::from(SocketAddr::new(address, 0))
    }
}

impl fmt::Display for Host {
    /// An address as in a URI but without brackets, with `%` and the interface index where it has one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6 { address, scope: 0 } => write!(f, "{address}"),
            Self::V6 { address, scope } => write!(f, "{address}%{scope}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The text is neither an IP address nor a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an IP address nor a host name")]
pub struct InvalidHost(String);

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let (address, scope) = match bare.split_once('%') {
            Some((address, scope)) => (address, scope.parse().ok()),
            None => (bare, Some(0)),
        };
        match (address.parse::<IpAddr>(), scope) {
            (Ok(IpAddr::V6(address)), Some(scope)) => Ok(Self::V6 { address, scope }),
            (Ok(IpAddr::V4(address)), Some(0)) => Ok(Self::V4(address)),
            (Err(_), _) if is_name(text) => Ok(Self::Name(text.to_ascii_lowercase())),
            _ => Err(InvalidHost(text.chars().take(80).collect())),
        }
    }
}

/// RFC 1123 s2.1: labels of letters, digits and inner hyphens; the last one not all digits, or it would be an address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;
    fn try_from(text: String) -> Result<Self, InvalidHost> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_both_ways() {
        for text in ["192.0.2.1", "fe80::1%3", "2001:db8::1", "registrar.example", "localhost"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]".parse::<Host>().unwrap(), Host::V6 { address: Ipv6Addr::LOCALHOST, scope: 0 });
        for text in ["", "a b", "1.2.3.4.5", "192.0.2.1%1", "fe80::1%eth0", "-a.example", "a..b", "a/b", "a:1"] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_offer_reads_as_host_and_port() {
        let offer = |host: &str| Offer::fixed(host.parse().unwrap(), 443).to_string();
        assert_eq!(offer("fe80::1%3"), "[fe80::1%3]:443");
        assert_eq!(offer("192.0.2.1"), "192.0.2.1:443");
        assert_eq!(offer("r.example"), "r.example:443");
    }
}
