//! The bootstrapping URI in NFC records (DPP s5.4): an NDEF URI record, as on a tag, or one of DPP's own media type, as in a
//! negotiated [`handover`].

pub mod handover;

use crate::{
    bounds,
    uri::{Uri, UriError},
};

/// The media type of records in negotiated handover, whose payload is that of a URI record.
pub const MEDIA_TYPE: &str = "application/vnd.wfa.dpp";

const BEGIN: u8 = 0x80;
const END: u8 = 0x40;
const CHUNKED: u8 = 0x20;
const SHORT: u8 = 0x10;
const WITH_ID: u8 = 0x08;
const FORMAT: u8 = 0x07;
const WELL_KNOWN: u8 = 1;
const MEDIA: u8 = 2;
const URI_TYPE: &[u8] = b"U";
/// The identifier code of a URI that is written in full (NFC Forum URI RTD s3.2.2).
const IN_FULL: u8 = 0x00;

/// Which form a record takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A URI record, as on a tag.
    Uri,
    /// A record of DPP's media type, as in a negotiated handover.
    Handover,
}

/// Writes an NDEF message with the one record.
pub fn encode(uri: &Uri, form: Form) -> Vec<u8> {
    let text = uri.to_string();
    let (format, kind) = match form {
        Form::Uri => (WELL_KNOWN, URI_TYPE),
        Form::Handover => (MEDIA, MEDIA_TYPE.as_bytes()),
    };
    write_message(&[Record { format, kind, id: &[], payload: &payload_of(&text) }])
}

/// The payload of either record.
fn payload_of(uri: &str) -> Vec<u8> {
    [&[IN_FULL], uri.as_bytes()].concat()
}

/// Finds the first record of either form in an NDEF message.
///
/// # Errors
/// If the message is malformed, has no such record, or the record no acceptable URI.
pub fn decode(message: &[u8]) -> Result<(Uri, Form), UriError> {
    let mut rest = message;
    while !rest.is_empty() {
        let record = Record::read(&mut rest).ok_or(UriError::new("NDEF", "is not a message of whole records"))?;
        let form = match (record.format, record.kind) {
            (WELL_KNOWN, URI_TYPE) => Form::Uri,
            (MEDIA, kind) if kind.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) => Form::Handover,
            _ => continue,
        };
        return Ok((parse_payload(record.payload)?, form));
    }
    Err(UriError::new("NDEF", "has no record with a DPP URI"))
}

/// What is in the payload of either record.
fn parse_payload(payload: &[u8]) -> Result<Uri, UriError> {
    // NFC Forum URI RTD s3.2.2: none of the abbreviations stands for DPP, so the URI is written in full.
    let text = payload.strip_prefix(&[IN_FULL]).ok_or(UriError::new("NDEF", "abbreviates its URI"))?;
    std::str::from_utf8(text).map_err(|_| UriError::new("NDEF", "has a URI that is not text"))?.parse()
}

/// Writes records, one after the other, as a message.
fn write_message(records: &[Record<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, record) in (1..).zip(records) {
        let begin = if number == 1 { BEGIN } else { 0 };
        let end = if number == records.len() { END } else { 0 };
        record.write(begin | end, &mut message);
    }
    message
}

/// A record of an NDEF message (NFC Forum NDEF s3.2). Its type and id are at most 255 octets long.
struct Record<'a> {
    format: u8,
    kind: &'a [u8],
    id: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    fn write(&self, flags: u8, out: &mut Vec<u8>) {
        let Self { format, kind, id, payload } = self;
        let with_id = if id.is_empty() { 0 } else { WITH_ID };
        let short = u8::try_from(payload.len()).ok();
        out.push(flags | with_id | format | if short.is_some() { SHORT } else { 0 });
        out.push(u8::try_from(kind.len()).unwrap_or_default());
        match short {
            Some(len) => out.push(len),
            None => out.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes()),
        }
        if !id.is_empty() {
            out.push(u8::try_from(id.len()).unwrap_or_default());
        }
        out.extend([kind, id, payload].into_iter().copied().flatten());
    }

    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let flags = octet(rest)?;
        let type_len = octet(rest)?;
        let len = match flags & SHORT != 0 {
            true => usize::from(octet(rest)?),
            false => {
                let (len, tail) = rest.split_first_chunk()?;
                *rest = tail;
                usize::try_from(u32::from_be_bytes(*len)).ok()?
            }
        };
        let id_len = if flags & WITH_ID != 0 { octet(rest)? } else { 0 };
        // A URI needs no chunks, and no record near it is larger.
        if flags & CHUNKED != 0 || len > 2 * bounds::URI {
            return None;
        }
        let kind = take(rest, type_len.into())?;
        let id = take(rest, id_len.into())?;
        Some(Self { format: flags & FORMAT, kind, id, payload: take(rest, len)? })
    }
}

fn octet(rest: &mut &[u8]) -> Option<u8> {
    let (octet, tail) = rest.split_first()?;
    *rest = tail;
    Some(*octet)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (octets, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(octets)
}
