//! Where a device's MASA is (RFC 8995 s2.3.2, s2.8).

use landfall_types::{Fault, Refusal};
use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv6Addr, str::FromStr};

const WELL_KNOWN: &str = "/.well-known/brski";
const SECTION: &str = "RFC 8995 s2.3.2";

/// A MASA's address: always https.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MasaEndpoint {
    host: String,
    port: u16,
    base: String,
}

impl MasaEndpoint {
    /// The host name or address; the MASA's certificate has to name it (RFC 8995 s5.4). IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as in a Host header field; the port only where it is not 443.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }

    /// The path of an operation here, which is given as in [`crate::paths`].
    pub fn path(&self, operation: &str) -> String {
        format!("{}{}", self.base, operation.strip_prefix(WELL_KNOWN).unwrap_or(operation))
    }

    /// The path of `location` if it is on this very server, for an answer that stands elsewhere (RFC 8995 s5.8).
    pub fn path_here(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return plain(location).then(|| location.to_owned());
        }
        let (authority, path) = location.strip_prefix("https://")?.split_once('/')?;
        let (host, port) = host_and_port(authority).ok()?;
        let here = host.eq_ignore_ascii_case(&self.host) && port == self.port;
        (here && plain(path)).then(|| format!("/{path}"))
    }
}

/// Of printable ASCII without spaces.
fn plain(text: &str) -> bool {
    text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic())
}

impl FromStr for MasaEndpoint {
    type Err = Refusal;

    /// Reads a MASA URL as certificates carry it.
    ///
    /// RFC 8995 s2.3.2: without any slash it is only the authority; scheme https and the well-known path are then
    /// understood. Every other scheme is refused, since the connection has to be HTTPS.
    fn from_str(url: &str) -> Result<Self, Refusal> {
        let after_scheme = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return Err(refuse(url, "the scheme is not https")),
            None => url,
        };
        let (authority, path) = match after_scheme.find('/') {
            Some(slash) => after_scheme.split_at(slash),
            None => (after_scheme, ""),
        };
        let (host, port) = host_and_port(authority).map_err(|why| refuse(url, why))?;
        let path = path.trim_end_matches('/');
        if !plain(path) || path.contains(['?', '#', '%']) || path.contains("//") || path.split('/').any(|s| s == "..") {
            return Err(refuse(url, "the path is not plain"));
        }
        let base = if path.is_empty() { WELL_KNOWN } else { path };
        Ok(Self { host, port, base: base.to_owned() })
    }
}

fn refuse(url: &str, why: &str) -> Refusal {
    let shown: String = url.chars().filter(|c| !c.is_control()).take(100).collect();
    Refusal::new(Fault::Malformed, "masa-url", SECTION, format!("{shown:?}: {why}")).field("id-pe-masa-url")
}

fn host_and_port(authority: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the IPv6 address does not end")?;
            host.parse::<Ipv6Addr>().map_err(|_| "the host is not an IPv6 address")?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("443")).ok_or("the port is not a port")?)
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
            let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            if host.is_empty() || host.len() > 253 || !named {
                return Err("the host is not a name");
            }
            (host, port)
        }
    };
    let port = port.parse::<u16>().ok().filter(|port| *port != 0).ok_or("the port is not a port")?;
    Ok((host.to_ascii_lowercase(), port))
}

impl fmt::Display for MasaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.base)
    }
}

impl From<MasaEndpoint> for String {
    fn from(endpoint: MasaEndpoint) -> Self {
        endpoint.to_string()
    }
}

impl TryFrom<String> for MasaEndpoint {
    type Error = Refusal;
    fn try_from(url: String) -> Result<Self, Refusal> {
        url.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;
    use proptest::prelude::*;

    #[test]
    fn urls_as_certificates_carry_them() {
        for (url, whole) in [
            ("masa.example.com", "https://masa.example.com/.well-known/brski"),
            ("masa.example.com:9443", "https://masa.example.com:9443/.well-known/brski"),
            ("https://Masa.Example.com", "https://masa.example.com/.well-known/brski"),
            ("https://masa.example.com/", "https://masa.example.com/.well-known/brski"),
            ("https://masa.example.com/.well-known/brski", "https://masa.example.com/.well-known/brski"),
            ("masa.example.com/lab/brski", "https://masa.example.com/lab/brski"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/.well-known/brski"),
        ] {
            let endpoint: MasaEndpoint = url.parse().unwrap();
            assert_eq!(endpoint.to_string(), whole);
            assert_eq!(String::from(endpoint).parse::<MasaEndpoint>().unwrap().to_string(), whole);
        }
        let endpoint: MasaEndpoint = "masa.example.com/lab/brski".parse().unwrap();
        assert_eq!(endpoint.path(paths::REQUEST_VOUCHER), "/lab/brski/requestvoucher");
    }

    #[test]
    fn urls_that_lead_nowhere() {
        for url in [
            "",
            "http://masa.example.com",
            "ldap://masa",
            "masa.example.com:0",
            "masa.example.com:70000",
            "user@masa",
            "a b",
            "https:///x",
            "[::1",
            "[::1]x",
            "[x]",
            "masa/../x",
            "masa/a?b",
            "masa/a#b",
            "masa/a\r\nX: y",
            "masa\u{7f}",
        ] {
            assert_eq!(url.parse::<MasaEndpoint>().unwrap_err().check, "masa-url", "{url:?}");
        }
    }

    #[test]
    fn a_location_has_to_be_here() {
        let endpoint: MasaEndpoint = "masa.example.com:9443".parse().unwrap();
        for (location, path) in [
            ("https://masa.example.com:9443/logs/x", Some("/logs/x")),
            ("/logs/x", Some("/logs/x")),
            ("https://masa.example.com/logs/x", None),
            ("https://other.example.com:9443/logs/x", None),
            ("http://masa.example.com:9443/logs/x", None),
            ("//other.example.com/logs", None),
            ("/logs x", None),
            ("logs", None),
        ] {
            assert_eq!(endpoint.path_here(location).as_deref(), path, "{location}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(url: String) {
            if let Ok(endpoint) = url.parse::<MasaEndpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<MasaEndpoint>().unwrap(), endpoint);
            }
        }
    }
}
