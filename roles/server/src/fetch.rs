//! Fetching what manufacturers name: by https alone, within bounds of size, time and redirects, and not from inside the owner's
//! networks unless the owner says so.

use crate::settings::Subnet;
use landfall_mud::MudUrl;
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection, Endpoint},
    tls::ClientTls,
};
use landfall_types::{
    Fault, Refusal,
    http::{Request, Response},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// What has moved more often is not looked for any further.
const REDIRECTS: usize = 3;
/// For each of looking up, connecting and the handshake.
const CONNECT: Duration = Duration::from_secs(5);

/// How something is fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    /// How long it may take.
    pub(crate) deadline: Duration,
    /// Addresses that nobody else has, from which it may come all the same.
    pub(crate) private: Vec<Subnet>,
}

/// What is fetched, and what its refusals are called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The kinds of documents that it may be.
    pub(crate) accept: &'static str,
    /// The most octets that it has.
    pub(crate) most: usize,
    pub(crate) checks: &'static Checks,
}

/// The names of refusals, and where it is said what is refused.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) section: &'static str,
    /// Nobody answers, or not with a document.
    pub(crate) fetch: &'static str,
    pub(crate) time: &'static str,
    pub(crate) size: &'static str,
    pub(crate) redirect: &'static str,
    pub(crate) private: &'static str,
    pub(crate) tls: &'static str,
}

/// A document as it came.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) body: Vec<u8>,
    /// Where it was found in the end.
    pub(crate) from: MudUrl,
    /// On which machine.
    pub(crate) address: IpAddr,
}

impl Fetcher {
    /// What `fetching` brings, if it does so in time.
    ///
    /// # Errors
    /// If it does not, or as `fetching` has it.
    pub(crate) async fn in_time<T>(
        &self,
        checks: &Checks,
        fetching: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let late = || checks.refuse(Fault::Peer, checks.time, format!("it took longer than {:?}", self.deadline));
        timeout(self.deadline, fetching).await.unwrap_or_else(|_| Err(late()))
    }

    /// What is there, wherever redirects lead.
    ///
    /// # Errors
    /// As the checks of `wanted` name it.
    pub(crate) async fn get(&self, url: &MudUrl, tls: &ClientTls, wanted: Wanted) -> Result<Found, Refusal> {
        let (mut at, checks) = (url.clone(), wanted.checks);
        for _ in 0..=REDIRECTS {
            let (response, address) = self.once(&at, tls, wanted).await?;
            match response.status {
                200 => return Ok(Found { body: response.body, from: at, address }),
                301 | 302 | 303 | 307 | 308 => {
                    let wrong = |why: String| checks.refuse(Fault::Peer, checks.redirect, format!("{at} leads {why}"));
                    let to = response.headers.first("location").filter(|to| !to.is_empty());
                    let to = to.ok_or_else(|| wrong("nowhere".into()))?;
                    at = at.join(to).map_err(|why| wrong(format!("to {}: {why}", shown(to))))?;
                }
                status => {
                    return Err(checks.refuse(Fault::Peer, checks.fetch, format!("{at} is answered with {status}")));
                }
            }
        }
        Err(checks.refuse(Fault::Peer, checks.redirect, format!("{url} leads on more than {REDIRECTS} times")))
    }

    async fn once(&self, url: &MudUrl, tls: &ClientTls, wanted: Wanted) -> Result<(Response, IpAddr), Refusal> {
        let checks = wanted.checks;
        let endpoint: Endpoint =
            url.authority().parse().map_err(|why| checks.refuse(Fault::Peer, checks.fetch, format!("{url}: {why}")))?;
        let limits = ClientLimits { connect: CONNECT, exchange: self.deadline, body_bytes: wanted.most };
        let (stream, address) = self.connect(&endpoint, checks).await?;
        let failed = |why| checks.failed(&why);
        let mut connection = Connection::over(stream, &endpoint, Some(tls), limits).await.map_err(failed)?;
        // RFC 8520 s5: which kind is wanted, and by whom.
        let mut request = Request::get(&url.path()).accept(wanted.accept);
        request.headers.add("user-agent", concat!("Landfall/", env!("CARGO_PKG_VERSION")));
        Ok((connection.send(request).await.map_err(failed)?, address))
    }

    /// To the first address that may be asked and answers.
    async fn connect(&self, endpoint: &Endpoint, checks: &Checks) -> Result<(TcpStream, IpAddr), Refusal> {
        let mut last = checks.refuse(Fault::Backend, checks.fetch, format!("{} has no address", endpoint.host));
        for address in endpoint.addresses(CONNECT).await.map_err(|why| checks.failed(&why))? {
            if !self.may_ask(address.ip()) {
                // What the device or its manufacturer names must not make this machine speak with the owner's own.
                let why = format!("{} is at {}, which is not of the public network", endpoint.host, address.ip());
                last = checks.refuse(Fault::Denied, checks.private, why);
                continue;
            }
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, address.ip())),
                Ok(Err(why)) => last = checks.refuse(Fault::Backend, checks.fetch, format!("{address}: {why}")),
                Err(_) => {
                    last = checks.refuse(Fault::Backend, checks.fetch, format!("{address}: it does not answer"));
                }
            }
        }
        Err(last)
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.private.iter().any(|subnet| subnet.contains(address))
    }
}

impl Checks {
    pub(crate) fn refuse(&self, fault: Fault, check: &'static str, why: String) -> Refusal {
        Refusal::new(fault, check, self.section, why)
    }

    pub(crate) fn failed(&self, why: &NetError) -> Refusal {
        let check = match why {
            NetError::Timeout { .. } => self.time,
            NetError::TooLarge { .. } => self.size,
            NetError::Tls(_) | NetError::Refused(_) => self.tls,
            _ => self.fetch,
        };
        self.refuse(why.fault(), check, why.to_string())
    }
}

/// Whether an address is one of the public network (RFC 6890 and its registries).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => {
            let [first, second, third, fourth, .., high, low] = address.segments();
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            match (first, second) {
                // RFC 6052 s2.1: an address of version 4 in one of version 6.
                (0x64, 0xff9b) => third == 0 && fourth == 0 && is_public_4(Ipv4Addr::new(a, b, c, d)),
                // RFC 3056, RFC 4380: the same in tunnels that nobody should use, and documentation (RFC 3849, RFC 9637).
                (0x2002, _) | (0x2001, 0 | 0xdb8) | (0x3fff, 0..0x1000) => false,
                _ => is_global_unicast(address),
            }
        }
    }
}

/// RFC 4291 s2.4: what has been given out so far.
fn is_global_unicast(address: Ipv6Addr) -> bool {
    let [first, ..] = address.octets();
    first & 0xe0 == 0x20
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..128, _)
            | (169, 254, _)
            | (172, 16..32, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// As much of a peer's text as is told.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_are_public() {
        for public in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "198.52.0.1", "2606:4700::1", "64:ff9b::8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:a00:1::1",
            "2001::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }
}
