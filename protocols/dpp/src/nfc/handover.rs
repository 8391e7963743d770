//! Negotiated connection handover (DPP s5.4; NFC Forum Connection Handover 1.4): two devices that touch tell each other their
//! bootstrapping URIs, and agree on curve and channel. Whoever asks is the requester, the other one the selector.
//!
//! Each has the other's key then, so both sides are authenticated.

use super::{MEDIA, MEDIA_TYPE, Record, WELL_KNOWN, parse_payload, payload_of, write_message};
use crate::{
    Random,
    channel::Channel,
    uri::{Uri, UriError},
};

/// Major and minor number of the handover's version.
const VERSION: u8 = 0x14;
const MAJOR: u8 = 0xF0;
const REQUEST: &[u8] = b"Hr";
const SELECT: &[u8] = b"Hs";
const COLLISION: &[u8] = b"cr";
const ALTERNATIVE: &[u8] = b"ac";
/// By this id the alternative carrier is found.
const CARRIER: &[u8] = b"A";
/// The carrier's power state.
const ACTIVE: u8 = 1;
/// Records in a message.
const RECORDS: usize = 16;

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The requester's.
    Request {
        /// What decides who is the selector when both ask at the same time.
        random: u16,
    },
    /// The selector's.
    Select,
}

impl Kind {
    /// A requester's, with a number of its own.
    pub fn request(random: &mut dyn Random) -> Self {
        let mut number = [0; 2];
        random.fill(&mut number);
        Self::Request { random: u16::from_be_bytes(number) }
    }
}

/// Writes a Handover Request or Handover Select message with one carrier, which is DPP.
pub fn encode(uri: &Uri, kind: Kind) -> Vec<u8> {
    // Connection Handover s6.2.4: the power state, the carrier by its id, and no further data.
    let carrier = [&[ACTIVE, 1], CARRIER, &[0]].concat();
    let carrier = Record { format: WELL_KNOWN, kind: ALTERNATIVE, id: &[], payload: &carrier };
    let (name, inner) = match kind {
        Kind::Request { random } => {
            let random = random.to_be_bytes();
            let random = Record { format: WELL_KNOWN, kind: COLLISION, id: &[], payload: &random };
            (REQUEST, write_message(&[random, carrier]))
        }
        Kind::Select => (SELECT, write_message(&[carrier])),
    };
    let (head, payload) = ([&[VERSION], inner.as_slice()].concat(), payload_of(&uri.to_string()));
    write_message(&[
        Record { format: WELL_KNOWN, kind: name, id: &[], payload: &head },
        Record { format: MEDIA, kind: MEDIA_TYPE.as_bytes(), id: CARRIER, payload: &payload },
    ])
}

/// Reads either message. Carriers other than DPP, such as Bluetooth, are passed over.
///
/// # Errors
/// If it is neither, is malformed or of another major version, or none of its carriers is DPP with an acceptable URI.
pub fn decode(message: &[u8]) -> Result<(Uri, Kind), UriError> {
    let records = records(message)?;
    let (head, carriers) = records.split_first().ok_or_else(|| malformed("is empty"))?;
    let (version, inner) = head.payload.split_first().ok_or_else(|| malformed("has no version"))?;
    let offers_nothing = || malformed("offers no carrier that is DPP");
    if head.format != WELL_KNOWN || ![REQUEST, SELECT].contains(&head.kind) {
        return Err(malformed("is no Handover Request or Handover Select"));
    }
    // Connection Handover s6.1.1: a later minor version is read, another major version is not.
    if version & MAJOR != VERSION & MAJOR {
        return Err(malformed("is of another version of connection handover"));
    }
    let inner = self::records(inner)?;
    let kind = match head.kind == REQUEST {
        true => Kind::Request { random: random(&inner)? },
        false => Kind::Select,
    };
    let offered =
        inner.iter().filter(|record| record.kind == ALTERNATIVE).filter_map(|record| referred_to(record.payload));
    let is_dpp =
        |record: &&Record<'_>| record.format == MEDIA && record.kind.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes());
    let dpp = offered.into_iter().find_map(|id| carriers.iter().filter(is_dpp).find(|carrier| carrier.id == id));
    Ok((parse_payload(dpp.ok_or_else(offers_nothing)?.payload)?, kind))
}

/// The selector's URI: `own`, whose key has to be on the requester's curve, with the channels that both have (DPP s5.4). One that
/// names no channels has all.
///
/// # Errors
/// If the key is on another curve, or there is no such channel.
pub fn select(requester: &Uri, own: Uri) -> Result<Uri, UriError> {
    if requester.key.curve() != own.key.curve() {
        return Err(UriError::new("K", format!("is on {}, and ours on {}", requester.key.curve(), own.key.curve())));
    }
    let theirs = &requester.channels;
    let channels: Vec<Channel> = match (own.channels.is_empty(), theirs.is_empty()) {
        (true, _) => theirs.clone(),
        (false, true) => own.channels,
        (false, false) => own.channels.into_iter().filter(|channel| theirs.contains(channel)).collect(),
    };
    if channels.is_empty() && !theirs.is_empty() {
        return Err(UriError::new("C", "has no channel that is ours too"));
    }
    Ok(Uri { channels, ..own })
}

/// Whether what the selector chose is among what the requester, whose URI is `own`, has offered.
///
/// # Errors
/// If its key is on another curve, or a channel was not offered.
pub fn selected(own: &Uri, selector: &Uri) -> Result<(), UriError> {
    if selector.key.curve() != own.key.curve() {
        return Err(UriError::new("K", "is on another curve than the requester's key"));
    }
    match own.channels.is_empty() || selector.channels.iter().all(|channel| own.channels.contains(channel)) {
        true => Ok(()),
        false => Err(UriError::new("C", "has a channel that the requester did not offer")),
    }
}

fn malformed(why: &str) -> UriError {
    UriError::new("NDEF", why)
}

fn records(mut message: &[u8]) -> Result<Vec<Record<'_>>, UriError> {
    let mut records = Vec::new();
    while !message.is_empty() {
        records.push(Record::read(&mut message).ok_or_else(|| malformed("is not a message of whole records"))?);
        if records.len() > RECORDS {
            return Err(malformed("has too many records"));
        }
    }
    Ok(records)
}

/// Connection Handover s6.2.3: a request has exactly one.
fn random(inner: &[Record<'_>]) -> Result<u16, UriError> {
    let mut found = inner.iter().filter(|record| record.kind == COLLISION);
    match (found.next().map(|record| <[u8; 2]>::try_from(record.payload)), found.next()) {
        (Some(Ok(random)), None) => Ok(u16::from_be_bytes(random)),
        _ => Err(malformed("has not the one random number of a Handover Request")),
    }
}

/// The id of the carrier that an alternative carrier record refers to.
fn referred_to(alternative: &[u8]) -> Option<&[u8]> {
    let (_power, rest) = alternative.split_first()?;
    let (len, rest) = rest.split_first()?;
    rest.get(..usize::from(*len))
}
