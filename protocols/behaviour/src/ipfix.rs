//! Records of flows from routers: IPFIX messages (RFC 7011), with the templates that give them their meaning.

use crate::{bounds, flow::Flow};
use landfall_types::{Fault, Refusal, Time};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// What one exporter sends: it must be told from others by the connection or the address that it comes from, since a template
/// holds only within it (RFC 7011 s8).
#[derive(Clone, Debug, Default)]
pub struct Exporter {
    templates: BTreeMap<(u32, u16), Template>,
    /// The number of the next record of each observation domain.
    next: BTreeMap<u32, u32>,
    /// For how long templates hold that are not told again.
    lifetime: Option<Duration>,
    /// Records that could not be read, as no template for them has come.
    pub unknown: u64,
    /// Records that were sent and have not come.
    pub missed: u64,
}

/// A record: a flow as the exporter saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The flow. Which end began it the exporter need not know.
    pub flow: Flow,
    /// The address of the interface that its source sent it from, on the link where it was seen.
    pub source_mac: Option<[u8; 6]>,
    /// The address of the interface that it was sent to.
    pub destination_mac: Option<[u8; 6]>,
}

#[derive(Clone, Debug)]
struct Template {
    fields: Vec<Field>,
    /// Whether its records are of the exporter itself (s3.4.2.2).
    is_options: bool,
    at: Time,
}

/// RFC 7011 s3.2.
#[derive(Clone, Copy, Debug)]
struct Field {
    element: u16,
    /// 65,535 if each record says it (s7).
    length: u16,
    /// Whether it is of the standard, or says of the other direction what the standard says of this one (RFC 5103 s6.1).
    space: Space,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Standard,
    Reverse,
    Other,
}

const TEMPLATES: u16 = 2;
const OPTIONS: u16 = 3;
const REVERSE: u32 = 29305;
const VARIABLE: u16 = 65535;
/// What is no further behind is late, and what is further begins anew.
const LATE: u32 = 4096;

impl Exporter {
    /// One that sends by UDP, by which nobody hears of the end of what it sends: its templates hold for `lifetime` when they are not
    /// told again (s8.4).
    pub fn by_udp(lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..Self::default() }
    }

    /// Reads one message, at `now`. Flows of records whose template is not known are counted, and not lost in silence.
    ///
    /// # Errors
    /// If it is no message, or has more templates or fields than [`bounds`] permit.
    pub fn message(&mut self, bytes: &[u8], now: Time) -> Result<Vec<Told>, Refusal> {
        let mut reader = Reader(bytes);
        let (version, length) = (reader.u16()?, reader.u16()?);
        if version != 10 {
            return Err(malformed(format!("its version is {version}, not 10")));
        }
        if usize::from(length) != bytes.len() {
            return Err(malformed("its length is another than it says"));
        }
        let exported = Time::from_unix(i64::from(reader.u32()?));
        let (sequence, domain) = (reader.u32()?, reader.u32()?);
        if let Some(lifetime) = self.lifetime {
            self.templates.retain(|_, template| now.since(template.at) < lifetime);
        }
        // None if one of its records could not be counted.
        let mut count = Some(0_u32);
        let mut flows = Vec::new();
        while !reader.0.is_empty() {
            let (set, length) = (reader.u16()?, reader.u16()?);
            let mut body = Reader(
                reader.take(usize::from(length).checked_sub(4).ok_or_else(|| malformed("a set is too short"))?)?,
            );
            match set {
                TEMPLATES => self.templates(domain, &mut body, false, now)?,
                OPTIONS => self.templates(domain, &mut body, true, now)?,
                256.. => {
                    let records = self.records(domain, set, &mut body, exported, &mut flows)?;
                    count = count.zip(records).map(|(count, records)| count.wrapping_add(records));
                }
                _ => return Err(malformed("a set has a number that is reserved")),
            }
        }
        self.count(domain, sequence, count);
        Ok(flows)
    }

    /// s3.1: a message has the number of its first record. What is missing before it was lost, or is late.
    fn count(&mut self, domain: u32, sequence: u32, count: Option<u32>) {
        let ahead = self.next.get(&domain).map(|next| sequence.wrapping_sub(*next));
        let is_late = ahead.is_some_and(|ahead| ahead > u32::MAX - LATE);
        match ahead {
            Some(ahead) if ahead < u32::MAX / 2 => self.missed = self.missed.saturating_add(ahead.into()),
            Some(_) if is_late => self.missed = self.missed.saturating_sub(count.unwrap_or_default().into()),
            // It begins anew, or is the first that comes.
            _ => {}
        }
        match count {
            _ if is_late => {}
            Some(count) if ahead.is_some() || self.next.len() < bounds::DOMAINS => {
                self.next.insert(domain, sequence.wrapping_add(count));
            }
            _ => drop(self.next.remove(&domain)),
        }
    }

    fn templates(&mut self, domain: u32, body: &mut Reader<'_>, is_options: bool, now: Time) -> Result<(), Refusal> {
        // s3.3.1: less than a header is padding.
        while body.0.len() >= 4 {
            let (id, count) = (body.u16()?, usize::from(body.u16()?));
            // s8.1: no fields withdraw a template.
            if count == 0 {
                self.templates.remove(&(domain, id));
                continue;
            }
            if id < 256 || count > bounds::FIELDS {
                return Err(malformed("a template has a reserved number or too many fields"));
            }
            // s3.4.2.2: how many of them say what a record is about.
            if is_options && !(1..=count).contains(&usize::from(body.u16()?)) {
                return Err(malformed("an options template is about nothing, or about more than it has"));
            }
            let mut fields = Vec::with_capacity(count);
            for _ in 0..count {
                let (element, length) = (body.u16()?, body.u16()?);
                let space = match element & 0x8000 {
                    0 => Space::Standard,
                    _ if body.u32()? == REVERSE => Space::Reverse,
                    _ => Space::Other,
                };
                fields.push(Field { element: element & 0x7fff, length, space });
            }
            if fields.iter().all(|field| field.length == 0) {
                return Err(malformed("a template has records without length"));
            }
            if self.templates.len() >= bounds::TEMPLATES && !self.templates.contains_key(&(domain, id)) {
                return Err(malformed("there are too many templates"));
            }
            self.templates.insert((domain, id), Template { fields, is_options, at: now });
        }
        Ok(())
    }

    fn records(
        &mut self,
        domain: u32,
        set: u16,
        body: &mut Reader<'_>,
        exported: Time,
        flows: &mut Vec<Told>,
    ) -> Result<Option<u32>, Refusal> {
        let Some(Template { fields, is_options, .. }) = self.templates.get(&(domain, set)) else {
            self.unknown = self.unknown.saturating_add(1);
            return Ok(None);
        };
        let mut count = 0_u32;
        // RFC 7011 s3.3.1: what is shorter than any record can be is padding.
        let shortest =
            fields.iter().map(|field| if field.length == VARIABLE { 1 } else { usize::from(field.length) }).sum();
        while body.0.len() >= shortest {
            let mut record = Record::default();
            for field in fields {
                let length = match field.length {
                    // s7: one octet, or three if that is 255.
                    VARIABLE => match body.u8()? {
                        255 => usize::from(body.u16()?),
                        length => usize::from(length),
                    },
                    length => usize::from(length),
                };
                record.set(field, body.take(length)?);
            }
            count = count.wrapping_add(1);
            if !is_options {
                flows.extend(record.told(exported));
            }
        }
        Ok(Some(count))
    }
}

#[derive(Default)]
struct Record {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: u8,
    source_port: u16,
    port: u16,
    start: Option<Time>,
    sent: u64,
    received: Option<u64>,
    end_reason: u8,
    source_mac: Option<[u8; 6]>,
    destination_mac: Option<[u8; 6]>,
}

impl Record {
    /// By the numbers of IANA's registry of IPFIX information elements.
    fn set(&mut self, field: &Field, value: &[u8]) {
        let number = || unsigned(value);
        match (field.space, field.element) {
            (Space::Standard, 1 | 85) => self.sent = number().unwrap_or_default(),
            (Space::Reverse, 1 | 85) => self.received = number(),
            (Space::Standard, 4) => self.protocol = number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            (Space::Standard, 7) => self.source_port = number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            (Space::Standard, 11) => self.port = number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            (Space::Standard, 8) => self.source = v4(value),
            (Space::Standard, 12) => self.destination = v4(value),
            (Space::Standard, 27) => self.source = v6(value),
            (Space::Standard, 28) => self.destination = v6(value),
            (Space::Standard, 56) => self.source_mac = value.try_into().ok(),
            // As it came, or as it went on.
            (Space::Standard, 80) => self.destination_mac = value.try_into().ok(),
            (Space::Standard, 57) => self.destination_mac = self.destination_mac.or(value.try_into().ok()),
            (Space::Standard, 136) => self.end_reason = number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            (Space::Standard, 150) => {
                self.start = number().and_then(|n| i64::try_from(n).ok()).map(Time::from_unix);
            }
            (Space::Standard, 152) => self.start = number().map(|n| Time::EPOCH + Duration::from_millis(n)),
            _ => {}
        }
    }

    fn told(self, exported: Time) -> Option<Told> {
        let (source_mac, destination_mac) = (self.source_mac, self.destination_mac);
        let flow = Flow {
            source: self.source?,
            destination: self.destination?,
            protocol: self.protocol,
            source_port: self.source_port,
            port: self.port,
            // A time that no clock can show is of no use.
            start: self.start.filter(|start| *start <= Time::FOREVER).unwrap_or(exported),
            sent: self.sent,
            received: self.received.unwrap_or_default(),
            answered: self.received.map(|octets| octets > 0),
            // flowEndReason: 2 is that it is still going on.
            ended: self.end_reason != 2,
        };
        Some(Told { flow, source_mac, destination_mac })
    }
}

/// s6.1.1, s6.2: unsigned numbers may be shorter than their type.
fn unsigned(value: &[u8]) -> Option<u64> {
    (value.len() <= 8).then(|| value.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn v4(value: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(value).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

fn v6(value: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(value).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        self.take(N)?.try_into().map_err(|_| malformed("it ends too early"))
    }

    fn u8(&mut self) -> Result<u8, Refusal> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Refusal> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Refusal> {
        Ok(u32::from_be_bytes(self.array()?))
    }
}

fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, "ipfix", "RFC 7011 s3", why)
}
