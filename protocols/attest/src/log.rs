//! Event logs: what was measured into PCRs, in order (TCG PC Client Platform Firmware Profile s10.2).
//!
//! Crypto-agile logs only: a first event in the old form that names the digests, then TCG_PCR_EVENT2 records. Replayed from
//! the state after a reset, they say what the PCRs must hold.

use crate::tpm::Pcrs;
use aws_lc_rs::digest;
use landfall_types::octets::{Malformed, Reader};
use std::collections::BTreeMap;

/// How long a log may be. Those of PCs have some 30 to 100 KiB.
pub const LONGEST: usize = 256 * 1024;
/// How many events.
const MOST: usize = 4096;
/// How long the data of one event may be.
const LONGEST_DATA: usize = 64 * 1024;
/// The type of events that measure nothing.
const NO_ACTION: u32 = 3;
/// An event of whoever writes one outside the firmware (EV_IPL is what boot loaders use).
pub const IPL: u32 = 0x0d;
const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";
const SHA1: u16 = 4;
const SHA256: u16 = 0x000b;
const ALGORITHMS: [(u16, u16); 5] = [(SHA1, 20), (SHA256, 32), (0x000c, 48), (0x000d, 64), (0x0012, 32)];
const WHAT: &str = "an event log";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The PCR that it was measured into.
    pub pcr: u8,
    /// Its type.
    pub kind: u32,
    /// Its digest in the SHA-256 bank.
    pub digest: [u8; 32],
    /// What is told of it. Only the digest is measured.
    pub data: Vec<u8>,
}

/// A log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// The events that were measured, in order.
    pub events: Vec<Event>,
    /// The locality at which the TPM was started.
    pub locality: u8,
}

impl EventLog {
    /// Reads a log.
    ///
    /// # Errors
    /// If it is cut short, too long, in the old form only, without SHA-256, or otherwise not of its form.
    pub fn read(octets: &[u8]) -> Result<Self, Malformed> {
        if octets.len() > LONGEST {
            return Err(Malformed("an event log of more than 256 KiB"));
        }
        let mut reader = Reader::new(WHAT, octets);
        let sizes = header(&mut reader)?;
        let mut log = Self::default();
        while !reader.is_empty() {
            if log.events.len() == MOST {
                return Err(Malformed("an event log of more than 4096 events"));
            }
            log.event(&mut reader, &sizes)?;
        }
        Ok(log)
    }

    fn event(&mut self, reader: &mut Reader<'_>, sizes: &BTreeMap<u16, usize>) -> Result<(), Malformed> {
        let (pcr, kind, count) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
        // Each digest that the header names, each once.
        if usize::try_from(count) != Ok(sizes.len()) {
            return Err(reader.bad());
        }
        let mut seen = BTreeMap::new();
        for _ in 0..count {
            let algorithm = reader.u16_le()?;
            let size = sizes.get(&algorithm).ok_or(reader.bad())?;
            if seen.insert(algorithm, reader.take(*size)?).is_some() {
                return Err(reader.bad());
            }
        }
        let data = data(reader)?;
        if kind == NO_ACTION {
            if let Some([locality]) = data.strip_prefix(STARTUP_LOCALITY) {
                self.locality = *locality;
            }
            return Ok(());
        }
        let pcr = u8::try_from(pcr).ok().filter(|pcr| *pcr < 24).ok_or(reader.bad())?;
        let digest = seen.get(&SHA256).and_then(|digest| (*digest).try_into().ok()).ok_or(reader.bad())?;
        self.events.push(Event { pcr, kind, digest, data: data.to_vec() });
        Ok(())
    }

    /// What each of `pcrs` holds after these events.
    pub fn replay(&self, pcrs: impl IntoIterator<Item = u8>) -> Pcrs {
        pcrs.into_iter().map(|pcr| (pcr, self.replayed(pcr))).collect()
    }

    fn replayed(&self, pcr: u8) -> [u8; 32] {
        let mut value = match pcr {
            // PC Client Platform TPM Profile s4.6: those of the dynamic root of trust begin with ones.
            17..=22 => [0xff; 32],
            _ => [0; 32],
        };
        if let (0, [.., last]) = (pcr, &mut value) {
            *last = self.locality;
        }
        for event in self.events.iter().filter(|event| event.pcr == pcr) {
            value = extended(&value, &event.digest);
        }
        value
    }

    /// The log in its own form, with SHA-256 digests.
    pub fn write(&self) -> Vec<u8> {
        let mut out = log_header();
        for event in &self.events {
            out.extend_from_slice(&record(event));
        }
        out
    }
}

/// What a PCR holds once `digest` was measured into it (TPM 2.0 Library part 1, s11.4.7).
pub fn extended(value: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    sha256(&[&value[..], digest].concat())
}

/// An event about `content`, of which `told` is told.
pub fn event(pcr: u8, kind: u32, content: &[u8], told: &str) -> Event {
    Event { pcr, kind, digest: sha256(content), data: told.as_bytes().to_vec() }
}

fn sha256(content: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, content).as_ref().try_into().unwrap_or_default()
}

/// What a log with SHA-256 digests begins with (s10.4.5.1).
pub fn log_header() -> Vec<u8> {
    let mut about = SPEC_ID.to_vec();
    // Platform class: client; version 2.0; native words of 64 bits; one digest.
    about.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0]);
    about.extend_from_slice(&SHA256.to_le_bytes());
    about.extend_from_slice(&32u16.to_le_bytes());
    about.push(0);
    let length = u32::try_from(about.len()).unwrap_or(u32::MAX);
    [&0u32.to_le_bytes()[..], &NO_ACTION.to_le_bytes(), &[0; 20], &length.to_le_bytes(), &about].concat()
}

/// One event as a TCG_PCR_EVENT2.
pub fn record(event: &Event) -> Vec<u8> {
    let length = u32::try_from(event.data.len()).unwrap_or(u32::MAX).to_le_bytes();
    let head = [u32::from(event.pcr), event.kind, 1].map(u32::to_le_bytes).concat();
    [&head[..], &SHA256.to_le_bytes(), &event.digest, &length, &event.data].concat()
}

/// TCG_PCClientPCREvent with a TCG_EfiSpecIDEvent: which digests there are, and how long each is.
fn header(reader: &mut Reader<'_>) -> Result<BTreeMap<u16, usize>, Malformed> {
    let (pcr, kind, digest) = (reader.u32_le()?, reader.u32_le()?, reader.array::<20>()?);
    let mut about = Reader::new(WHAT, data(reader)?);
    if pcr != 0 || kind != NO_ACTION || digest != [0; 20] || about.take(16)? != SPEC_ID {
        return Err(Malformed("an event log that is not crypto-agile"));
    }
    let _class_and_version = about.take(8)?;
    let count = about.u32_le()?;
    let mut sizes = BTreeMap::new();
    for _ in 0..count.min(16) {
        let (algorithm, size) = (about.u16_le()?, about.u16_le()?);
        if !ALGORITHMS.contains(&(algorithm, size)) || sizes.insert(algorithm, size.into()).is_some() {
            return Err(about.bad());
        }
    }
    let vendor = about.u8()?;
    about.take(vendor.into())?;
    about.finish()?;
    match sizes.contains_key(&SHA256) {
        true => Ok(sizes),
        false => Err(Malformed("an event log without SHA-256")),
    }
}

fn data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(reader.u32_le()?).ok().filter(|length| *length <= LONGEST_DATA);
    reader.take(length.ok_or(reader.bad())?)
}
