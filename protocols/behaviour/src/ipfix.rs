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
    templates: BTreeMap<(u32, u16), Vec<Field>>,
    /// Records that could not be read, as no template for them has come.
    pub unknown: u64,
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

impl Exporter {
    /// Reads one message. Flows of records whose template is not known are counted, and not lost in silence.
    ///
    /// # Errors
    /// If it is no message, or has more templates or fields than [`bounds`] permit.
    pub fn message(&mut self, bytes: &[u8]) -> Result<Vec<Flow>, Refusal> {
        let mut reader = Reader(bytes);
        let (version, length) = (reader.u16()?, reader.u16()?);
        if version != 10 {
            return Err(malformed(format!("its version is {version}, not 10")));
        }
        if usize::from(length) != bytes.len() {
            return Err(malformed("its length is another than it says"));
        }
        let exported = Time::from_unix(i64::from(reader.u32()?));
        let (_sequence, domain) = (reader.u32()?, reader.u32()?);
        let mut flows = Vec::new();
        while !reader.0.is_empty() {
            let (set, length) = (reader.u16()?, reader.u16()?);
            let mut body = Reader(
                reader.take(usize::from(length).checked_sub(4).ok_or_else(|| malformed("a set is too short"))?)?,
            );
            match set {
                TEMPLATES => self.templates(domain, &mut body)?,
                // What exporters say of themselves.
                OPTIONS => {}
                256.. => self.records(domain, set, &mut body, exported, &mut flows)?,
                _ => return Err(malformed("a set has a number that is reserved")),
            }
        }
        Ok(flows)
    }

    fn templates(&mut self, domain: u32, body: &mut Reader<'_>) -> Result<(), Refusal> {
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
            self.templates.insert((domain, id), fields);
        }
        Ok(())
    }

    fn records(
        &mut self,
        domain: u32,
        set: u16,
        body: &mut Reader<'_>,
        exported: Time,
        flows: &mut Vec<Flow>,
    ) -> Result<(), Refusal> {
        let Some(fields) = self.templates.get(&(domain, set)) else {
            self.unknown = self.unknown.saturating_add(1);
            return Ok(());
        };
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
            flows.extend(record.flow(exported));
        }
        Ok(())
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
            (Space::Standard, 136) => self.end_reason = number().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            (Space::Standard, 150) => {
                self.start = number().and_then(|n| i64::try_from(n).ok()).map(Time::from_unix);
            }
            (Space::Standard, 152) => self.start = number().map(|n| Time::EPOCH + Duration::from_millis(n)),
            _ => {}
        }
    }

    fn flow(self, exported: Time) -> Option<Flow> {
        Some(Flow {
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
        })
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
