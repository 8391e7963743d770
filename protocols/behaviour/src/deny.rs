//! Deny lists: addresses and names with which no device should be in contact.

mod csv;
pub mod pattern;
mod plain;
pub mod stix;
pub mod taxii;

use crate::bounds;
use landfall_types::{Fault, Refusal, Time};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    str::FromStr,
};

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One address, prefix or name a line; remarks after `#` or `;`; the lines of a hosts file.
    Plain,
    /// Columns with a heading, as abuse.ch gives out Feodo Tracker's.
    Csv,
    /// A bundle of STIX 2.1.
    Stix,
    /// An answer of a TAXII 2.1 server.
    Taxii,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Csv, Self::Stix, Self::Taxii];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Csv => "csv",
            Self::Stix => "stix",
            Self::Taxii => "taxii",
        }
    }
}

impl FromStr for Format {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| Refusal::new(Fault::Misuse, "deny-list-format", "", format!("{text:.40} is no format")))
    }
}

/// What is on a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// All addresses whose first bits these are; one address has as many as it is long.
    Prefix(IpAddr, u8),
    /// A name, and all names below it.
    Name(String),
}

/// One list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    /// What is on it, and until when if it says so.
    pub entries: BTreeMap<Entry, Option<Time>>,
    /// What was left out, and why: the first of them.
    pub left_out: Vec<LeftOut>,
    /// How much was left out.
    pub left_out_count: usize,
}

/// Something that stands on a list and is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What stands there.
    pub text: String,
    /// Why it is not taken.
    pub why: &'static str,
}

impl DenyList {
    /// Reads a list.
    ///
    /// # Errors
    /// If it is too long or not of that format, or if nothing is on it: a list that was cut off must not take the place of one
    /// that was not.
    pub fn read(format: Format, bytes: &[u8], now: Time) -> Result<Self, Refusal> {
        if bytes.len() > bounds::LIST {
            return Err(malformed("deny-list-size", format!("it has {} bytes", bytes.len())));
        }
        let mut list = Self::default();
        match format {
            Format::Plain => plain::read(text(bytes)?, &mut list)?,
            Format::Csv => csv::read(text(bytes)?, &mut list)?,
            Format::Stix => stix::read(bytes, now, &mut list)?,
            Format::Taxii => taxii::Page::read(bytes)?.indicators.into_entries(now, &mut list)?,
        }
        if list.entries.is_empty() {
            return Err(malformed("deny-list-empty", "nothing on it can be used"));
        }
        Ok(list)
    }

    /// Adds one entry, or leaves it out: whoever could put everybody's own addresses on a list could take whole networks down.
    fn add(&mut self, entry: Entry, until: Option<Time>) -> Result<(), Refusal> {
        if let Err(why) = entry.is_reasonable() {
            self.leave_out(entry.to_string(), why);
            return Ok(());
        }
        if self.entries.len() >= bounds::ENTRIES {
            return Err(malformed("deny-list-entries", format!("it has more than {} entries", bounds::ENTRIES)));
        }
        let known = self.entries.entry(entry).or_insert(until);
        // One that stands twice holds as long as the longer.
        *known = known.zip(until).map(|(a, b)| a.max(b));
        Ok(())
    }

    fn leave_out(&mut self, text: impl Into<String>, why: &'static str) {
        self.left_out_count = self.left_out_count.saturating_add(1);
        if self.left_out.len() < bounds::LEFT_OUT {
            let text: String = text.into().chars().filter(|letter| !letter.is_control()).take(100).collect();
            self.left_out.push(LeftOut { text, why });
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|_| malformed("deny-list-text", "it is not UTF-8"))
}

fn malformed(check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, check, "", why)
}

impl Entry {
    /// The shortest prefixes of both versions of IP that are taken.
    const SHORTEST: (u8, u8) = (8, 19);

    fn is_reasonable(&self) -> Result<(), &'static str> {
        match self {
            Self::Prefix(address, bits) => {
                let shortest = if address.is_ipv4() { Self::SHORTEST.0 } else { Self::SHORTEST.1 };
                if *bits < shortest {
                    return Err("it is too large a part of the address space");
                }
                if is_local(*address) { Err("it is of no public network") } else { Ok(()) }
            }
            Self::Name(name) if !name.contains('.') => Err("it is a whole top-level domain"),
            Self::Name(_) => Ok(()),
        }
    }
}

/// Addresses that mean something else in every network: private, loopback, link-local, multicast, none.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || first == 0
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
    }
}

impl FromStr for Entry {
    type Err = &'static str;
    /// An address, a prefix or a name.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Ok(Self::Prefix(address, width(address)));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| "it is neither address, prefix nor name")?;
            let bits: u8 = bits.parse().map_err(|_| "its prefix has no length")?;
            if bits > width(address) {
                return Err("its prefix is longer than an address");
            }
            return Ok(Self::Prefix(masked(address, bits), bits));
        }
        name(text).map(Self::Name)
    }
}

/// A name of the DNS in small letters, without the dot at its end or an asterisk at its start.
fn name(text: &str) -> Result<String, &'static str> {
    let text = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // Numbers alone are an address that was miswritten.
    let numbers = || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if text.len() > 253 || !text.split('.').all(label) || numbers() {
        return Err("it is neither address, prefix nor name");
    }
    Ok(text)
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(address, bits) if *bits == width(*address) => write!(f, "{address}"),
            Self::Prefix(address, bits) => write!(f, "{address}/{bits}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// All lists together, made for looking things up.
#[derive(Clone, Debug, Default)]
pub struct DenyLists {
    entries: HashMap<Entry, Vec<(usize, Option<Time>)>>,
    names: Vec<String>,
    /// Which lengths of prefixes there are, of both versions of IP: as many look-ups are needed.
    lengths: (Vec<u8>, Vec<u8>),
}

/// That something is on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// On which.
    pub list: String,
    /// What stands there.
    pub entry: Entry,
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.entry, self.list)
    }
}

impl DenyLists {
    /// These lists, by name.
    pub fn of<'a>(lists: impl IntoIterator<Item = (&'a str, &'a DenyList)>) -> Self {
        let mut all = Self::default();
        for (name, list) in lists {
            let index = all.names.len();
            all.names.push(name.to_owned());
            for (entry, until) in &list.entries {
                if let Entry::Prefix(address, bits) = entry {
                    let lengths = if address.is_ipv4() { &mut all.lengths.0 } else { &mut all.lengths.1 };
                    if let Err(place) = lengths.binary_search(bits) {
                        lengths.insert(place, *bits);
                    }
                }
                all.entries.entry(entry.clone()).or_default().push((index, *until));
            }
        }
        all
    }

    /// How many different entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether that address is on a list at `now`; the longest prefix of it.
    pub fn address(&self, address: IpAddr, now: Time) -> Option<Contact> {
        let address = address.to_canonical();
        let lengths = if address.is_ipv4() { &self.lengths.0 } else { &self.lengths.1 };
        lengths.iter().rev().find_map(|bits| self.entry(Entry::Prefix(masked(address, *bits), *bits), now))
    }

    /// Whether that name, or one above it, is on a list at `now`.
    pub fn name(&self, text: &str, now: Time) -> Option<Contact> {
        let name = name(text).ok()?;
        let mut rest = Some(name.as_str());
        while let Some(name) = rest {
            if let Some(contact) = self.entry(Entry::Name(name.to_owned()), now) {
                return Some(contact);
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        None
    }

    fn entry(&self, entry: Entry, now: Time) -> Option<Contact> {
        let lists = self.entries.get(&entry)?;
        let (list, _) = lists.iter().find(|(_, until)| until.is_none_or(|until| now < until))?;
        Some(Contact { list: self.names.get(*list)?.clone(), entry })
    }
}
