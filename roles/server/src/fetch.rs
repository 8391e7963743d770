//! Fetching a file and its signature (RFC 8520 s5, s6, s13): by https alone, within bounds of size, time and redirects, and not
//! from inside the owner's networks unless the owner says so.

use crate::settings::Subnet;
use landfall_mud::{MudUrl, bounds};
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
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

const SECTION: &str = "RFC 8520 s6";
/// A file that has moved more often is not looked for any further.
const REDIRECTS: usize = 3;
/// For each of looking up, connecting and the handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// RFC 8520 s17.5 and RFC 8551 s3.1: of what kind the two are.
const FILE: &str = "application/mud+json";
const SIGNATURE: &str = "application/pkcs7-signature";

/// How files are fetched.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    /// How long a file and its signature may take together.
    pub(super) deadline: Duration,
    /// Addresses that nobody else has, from which files may come all the same.
    pub(super) private: Vec<Subnet>,
}

/// A file as it came.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) file: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// Where it was found in the end.
    pub(super) from: MudUrl,
    /// On which machine.
    pub(super) address: IpAddr,
}

impl Fetcher {
    /// A file and the signature that it names, or that stands beside it.
    ///
    /// # Errors
    /// By name: `mud-fetch` (nobody answers, or not with a file), `mud-fetch-time`, `mud-fetch-size`, `mud-fetch-redirect`,
    /// `mud-fetch-private`, `mud-fetch-tls`, and those of reading a file that is none.
    pub(super) async fn fetch(&self, url: &MudUrl, tls: &ClientTls) -> Result<Fetched, Refusal> {
        let late = || refuse(Fault::Peer, "mud-fetch-time", format!("it took longer than {:?}", self.deadline));
        timeout(self.deadline, self.both(url, tls)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn both(&self, url: &MudUrl, tls: &ClientTls) -> Result<Fetched, Refusal> {
        let (file, from, address) = self.get(url, tls, FILE, bounds::FILE).await?;
        let (described, _) = landfall_mud::read(&file)?;
        // RFC 8520 s3.3 and s13.1: the file says where; one that does not has it beside it.
        let at = match &described.signature {
            Some(reference) => from.join(reference),
            None => from.signature(),
        };
        let at = at.map_err(|why| refuse(Fault::Peer, "mud-signature-url", why.to_string()))?;
        let (signature, ..) = self.get(&at, tls, SIGNATURE, bounds::SIGNATURE).await?;
        Ok(Fetched { file, signature, from, address })
    }

    /// What is there, where redirects led, and which machine had it.
    async fn get(
        &self,
        url: &MudUrl,
        tls: &ClientTls,
        accept: &'static str,
        most: usize,
    ) -> Result<(Vec<u8>, MudUrl, IpAddr), Refusal> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS {
            let (response, address) = self.once(&at, tls, accept, most).await?;
            match response.status {
                200 => return Ok((response.body, at, address)),
                301 | 302 | 303 | 307 | 308 => {
                    let wrong = |why: String| refuse(Fault::Peer, "mud-fetch-redirect", format!("{at} leads {why}"));
                    let to = response.headers.first("location").filter(|to| !to.is_empty());
                    let to = to.ok_or_else(|| wrong("nowhere".into()))?;
                    at = at.join(to).map_err(|why| wrong(format!("to {}: {why}", shown(to))))?;
                }
                status => return Err(refuse(Fault::Peer, "mud-fetch", format!("{at} is answered with {status}"))),
            }
        }
        Err(refuse(Fault::Peer, "mud-fetch-redirect", format!("{url} leads on more than {REDIRECTS} times")))
    }

    async fn once(
        &self,
        url: &MudUrl,
        tls: &ClientTls,
        accept: &str,
        most: usize,
    ) -> Result<(Response, IpAddr), Refusal> {
        let endpoint: Endpoint =
            url.authority().parse().map_err(|why| refuse(Fault::Peer, "mud-fetch", format!("{url}: {why}")))?;
        let limits = ClientLimits { connect: CONNECT, exchange: self.deadline, body_bytes: most };
        let (stream, address) = self.connect(&endpoint).await?;
        let mut connection = Connection::over(stream, &endpoint, Some(tls), limits).await.map_err(failed)?;
        // RFC 8520 s5: which kind is wanted, and by whom.
        let mut request = Request::get(&url.path()).accept(accept);
        request.headers.add("user-agent", concat!("Landfall/", env!("CARGO_PKG_VERSION")));
        Ok((connection.send(request).await.map_err(failed)?, address))
    }

    /// To the first address that may be asked and answers.
    async fn connect(&self, endpoint: &Endpoint) -> Result<(TcpStream, IpAddr), Refusal> {
        let mut last = refuse(Fault::Backend, "mud-fetch", format!("{} has no address", endpoint.host));
        for address in endpoint.addresses(CONNECT).await.map_err(failed)? {
            if !self.may_ask(address.ip()) {
                // What the device or its manufacturer names must not make this machine speak with the owner's own.
                let why = format!("{} is at {}, which is not of the public network", endpoint.host, address.ip());
                last = refuse(Fault::Denied, "mud-fetch-private", why);
                continue;
            }
            match reach(address).await {
                Ok(stream) => return Ok((stream, address.ip())),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.private.iter().any(|subnet| subnet.contains(address))
    }
}

async fn reach(address: SocketAddr) -> Result<TcpStream, Refusal> {
    let failed = |why: String| refuse(Fault::Backend, "mud-fetch", format!("{address}: {why}"));
    let connected = timeout(CONNECT, TcpStream::connect(address)).await;
    connected.map_err(|_| failed("it does not answer".into()))?.map_err(|why| failed(why.to_string()))
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

fn failed(why: NetError) -> Refusal {
    let check = match &why {
        NetError::Timeout { .. } => "mud-fetch-time",
        NetError::TooLarge { .. } => "mud-fetch-size",
        NetError::Tls(_) | NetError::Refused(_) => "mud-fetch-tls",
        _ => "mud-fetch",
    };
    refuse(why.fault(), check, why.to_string())
}

fn refuse(fault: Fault, check: &'static str, why: String) -> Refusal {
    Refusal::new(fault, check, SECTION, why)
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
