//! The bootstrapping URI, which a QR code, an NFC record or a file carries (DPP s5.2.1).

use crate::{
    bounds,
    channel::{self, Channel},
    curve::{Curve, PublicKey},
    tcp,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_types::{Fault, Refusal};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// What a device says of itself so that it can be onboarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// `C`: where it listens, by preference; empty if it does not say.
    pub channels: Vec<Channel>,
    /// `M`: the address of its radio.
    pub mac: Option<[u8; 6]>,
    /// `I`: words for people or programs, such as a serial number.
    pub information: Option<String>,
    /// `V`: the highest release that it speaks; release 1 does not write it.
    pub version: Option<u8>,
    /// `B`: the curves that it speaks, if it says.
    pub curves: Option<Vec<Curve>>,
    /// `H`: where it listens on TCP.
    pub host: Option<Host>,
    /// `K`: its bootstrapping key.
    pub key: PublicKey,
}

/// Where a party listens on TCP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// An IP address, or a name. IPv6 addresses stand here without brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

/// Why text is not a bootstrapping URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct UriError {
    /// The field, by its letter, or `URI`.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl UriError {
    /// Where all of it is specified.
    pub const SECTION: &'static str = "DPP s5.2.1";

    pub(crate) fn new(field: &'static str, why: impl Into<String>) -> Self {
        Self { field, why: why.into() }
    }

    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(Fault::Malformed, "dpp-uri", Self::SECTION, self.to_string()).field(self.field)
    }
}

impl From<UriError> for Refusal {
    fn from(error: UriError) -> Self {
        error.refusal()
    }
}

impl Uri {
    /// What every one begins with.
    pub const SCHEME: &'static str = "DPP:";

    /// A URI that holds a key alone.
    pub const fn of(key: PublicKey) -> Self {
        Self { channels: Vec::new(), mac: None, information: None, version: None, curves: None, host: None, key }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > bounds::URI {
            return Err(UriError::new("URI", format!("has more than {} octets", bounds::URI)));
        }
        let rest = text.strip_prefix(Self::SCHEME).ok_or(UriError::new("URI", "does not begin with DPP:"))?;
        let fields = rest.strip_suffix(";;").ok_or(UriError::new("URI", "does not end with ;;"))?;
        let mut found = Fields::default();
        for field in fields.split(';') {
            let (name, value) = field.split_once(':').ok_or_else(|| {
                let shown: String = field.chars().take(20).collect();
                UriError::new("URI", format!("has {shown:?} where a field is due"))
            })?;
            found.take(name, value)?;
        }
        let Fields { channels, mac, information, version, curves, host, key } = found;
        let key = key.ok_or(UriError::new("K", "is missing: there is no key"))?;
        Ok(Self { channels: channels.unwrap_or_default(), mac, information, version, curves, host, key })
    }
}

/// In the order C, M, I, V, B, H, K.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SCHEME)?;
        if !self.channels.is_empty() {
            write!(f, "C:{};", channel::write_list(&self.channels))?;
        }
        if let Some(mac) = self.mac {
            write!(f, "M:{};", hex::encode(mac))?;
        }
        if let Some(information) = &self.information {
            write!(f, "I:{information};")?;
        }
        if let Some(version) = self.version {
            write!(f, "V:{version};")?;
        }
        if let Some(curves) = &self.curves {
            write!(f, "B:{};", write_curves(curves))?;
        }
        if let Some(host) = &self.host {
            write!(f, "H:{host};")?;
        }
        write!(f, "K:{};;", STANDARD.encode(self.key.spki()))
    }
}

#[derive(Default)]
struct Fields {
    channels: Option<Vec<Channel>>,
    mac: Option<[u8; 6]>,
    information: Option<String>,
    version: Option<u8>,
    curves: Option<Vec<Curve>>,
    host: Option<Host>,
    key: Option<PublicKey>,
}

impl Fields {
    /// Fields come in any order; those of later releases are passed over.
    fn take(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        match name {
            "C" => once("C", &mut self.channels, channel::parse_list(value)),
            "M" => once("M", &mut self.mac, parse_mac(value)),
            "I" => once("I", &mut self.information, parse_information(value)),
            "V" => once("V", &mut self.version, parse_version(value)),
            "B" => once("B", &mut self.curves, parse_curves(value)),
            "H" => once("H", &mut self.host, value.parse()),
            "K" => {
                let der = STANDARD.decode(value).map_err(|_| UriError::new("K", "is not base64"))?;
                let key = PublicKey::from_spki(&der).map_err(|error| UriError::new("K", format!("is no key: {error}")));
                once("K", &mut self.key, key)
            }
            _ => Ok(()),
        }
    }
}

fn once<T>(field: &'static str, slot: &mut Option<T>, value: Result<T, impl Into<FieldError>>) -> Result<(), UriError> {
    let value = value.map_err(|error| error.into().of(field))?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UriError::new(field, "stands twice")),
    }
}

/// What is wrong with a field, with or without its name.
enum FieldError {
    Why(&'static str),
    Whole(UriError),
}

impl FieldError {
    fn of(self, field: &'static str) -> UriError {
        match self {
            Self::Why(why) => UriError::new(field, why),
            Self::Whole(error) => error,
        }
    }
}

impl From<&'static str> for FieldError {
    fn from(why: &'static str) -> Self {
        Self::Why(why)
    }
}

impl From<UriError> for FieldError {
    fn from(error: UriError) -> Self {
        Self::Whole(error)
    }
}

/// Twelve hexadecimal digits; with colons they are taken too, as hostapd does.
fn parse_mac(value: &str) -> Result<[u8; 6], &'static str> {
    const WHY: &str = "is not twelve hexadecimal digits";
    let mut mac = [0; 6];
    let digits = match value.len() {
        17 if value.split(':').all(|octet| octet.len() == 2) => value.replace(':', ""),
        _ => value.to_owned(),
    };
    hex::decode_to_slice(digits, &mut mac).map_err(|_| WHY)?;
    Ok(mac)
}

fn parse_information(value: &str) -> Result<String, &'static str> {
    match value.bytes().all(|octet| matches!(octet, 0x20..=0x7E)) {
        true => Ok(value.to_owned()),
        false => Err("has a character that is not printable ASCII"),
    }
}

fn parse_version(value: &str) -> Result<u8, &'static str> {
    match value.bytes().all(|octet| octet.is_ascii_digit()) {
        true => value.parse().map_err(|_| "is not the number of a release"),
        false => Err("is not the number of a release"),
    }
}

/// Hexadecimal digits, the lowest first; bit by bit the curves in their order. Bits of later curves are passed over.
fn parse_curves(value: &str) -> Result<Vec<Curve>, &'static str> {
    if value.is_empty() || value.len() > 16 {
        return Err("does not have one to sixteen digits");
    }
    let mut bits = 0_u64;
    for (at, digit) in value.chars().enumerate() {
        bits |= u64::from(digit.to_digit(16).ok_or("is not hexadecimal")?) << (4 * at);
    }
    Ok(Curve::ALL.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, curve)| curve).collect())
}

fn write_curves(curves: &[Curve]) -> String {
    let nibble = |at: usize| {
        let four = Curve::ALL.iter().skip(4 * at).take(4).enumerate();
        four.filter(|(_, curve)| curves.contains(curve)).map(|(bit, _)| 1_u8 << bit).sum::<u8>()
    };
    match (nibble(0), nibble(1)) {
        (low, 0) => format!("{low:x}"),
        (low, high) => format!("{low:x}{high:x}"),
    }
}

impl Host {
    /// The address, unless it is a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

impl FromStr for Host {
    type Err = UriError;

    /// An address or name, with a port or without; an IPv6 address with a port stands in brackets.
    fn from_str(text: &str) -> Result<Self, UriError> {
        let error = |why| UriError::new("H", why);
        let port = |digits: &str| match digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse().ok().filter(|port| *port != 0).ok_or(error("has no port after its colon")),
            false => Err(error("has no port after its colon")),
        };
        if let Some(rest) = text.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or(error("has a bracket that does not close"))?;
            name.parse::<Ipv6Addr>().map_err(|_| error("has no IPv6 address in its brackets"))?;
            let port = match rest.strip_prefix(':') {
                Some(digits) => port(digits)?,
                None if rest.is_empty() => tcp::PORT,
                None => return Err(error("has characters after its bracket")),
            };
            return Ok(Self { name: name.to_owned(), port });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { name: text.to_owned(), port: tcp::PORT });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, digits)) => (name, port(digits)?),
            None => (text, tcp::PORT),
        };
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
        match (1..=253).contains(&name.len()) && name.bytes().all(plain) {
            true => Ok(Self { name: name.to_owned(), port }),
            false => Err(error("is neither an address nor a name")),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.name.contains(':')) {
            (tcp::PORT, _) => f.write_str(&self.name),
            (port, true) => write!(f, "[{}]:{port}", self.name),
            (port, false) => write!(f, "{}:{port}", self.name),
        }
    }
}
