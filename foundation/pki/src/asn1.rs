//! DER as slices to read and as bytes to write, and BER made into DER.
//!
//! Certificates, and whatever else must be verified over its exact bytes, are read with this reader; what is left inside
//! them is decoded by x509-cert.

use crate::{error::PkiError, key::Algorithm, oid::Oid};
use der::{DateTime, Decode};
use landfall_types::Time;
use std::{borrow::Cow, ops::Range, time::Duration};

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The tag `[n]`, constructed: EXPLICIT, or IMPLICIT over a constructed type.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// The tag `[n]`, primitive: IMPLICIT over a primitive type.
pub(crate) const fn context_primitive(n: u8) -> u8 {
    0x80 | n
}

/// How deep BER may nest; certificates and signed messages stay below 20.
const MAX_DEPTH: usize = 40;

/// One element: its tag, its content, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// Reads elements in definite, minimal length (X.690 s10.1) one after another.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, naming `what` in errors.
    pub(crate) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// The content of the one element that `bytes` must be.
    pub(crate) fn inside(what: &'static str, tag: u8, bytes: &'a [u8]) -> Result<Self, PkiError> {
        let mut outer = Self::new(what, bytes);
        let element = outer.expect(tag)?;
        outer.finish()?;
        Ok(Self::new(what, element.value))
    }

    pub(crate) fn next(&mut self) -> Result<Tlv<'a>, PkiError> {
        let (header, length) = header(self.rest).ok_or_else(|| self.bad("a tag or length is not DER"))?;
        let length = length.ok_or_else(|| self.bad("an indefinite length is not DER"))?;
        let raw = self.rest.get(..header.saturating_add(length)).ok_or_else(|| self.bad("it is cut short"))?;
        let (Some(tag), Some(value)) = (raw.first().copied(), raw.get(header..)) else {
            return Err(self.bad("it is cut short"));
        };
        self.rest = self.rest.get(raw.len()..).unwrap_or_default();
        Ok(Tlv { tag, value, raw })
    }

    pub(crate) fn expect(&mut self, tag: u8) -> Result<Tlv<'a>, PkiError> {
        match self.rest.first() {
            Some(found) if *found == tag => self.next(),
            Some(found) => Err(self.bad(&format!("tag {found:#04x} stands where {tag:#04x} should"))),
            None => Err(self.bad(&format!("it ends where tag {tag:#04x} should stand"))),
        }
    }

    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, PkiError> {
        match self.rest.first() {
            Some(found) if *found == tag => self.next().map(Some),
            _ => Ok(None),
        }
    }

    /// Enters the next element, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, PkiError> {
        Ok(Self { what: self.what, rest: self.expect(tag)?.value })
    }

    pub(crate) fn oid(&mut self) -> Result<Oid, PkiError> {
        let value = self.expect(OID)?.value;
        Oid::from_bytes(value).map_err(|e| PkiError::malformed(self.what, e))
    }

    /// A BOOLEAN DEFAULT FALSE. That it is false may be written out: not DER, yet harmless and seen in the field.
    pub(crate) fn boolean(&mut self) -> Result<bool, PkiError> {
        match self.optional(BOOLEAN)?.map(|flag| flag.value) {
            None | Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(self.bad("a boolean is not DER")),
        }
    }

    /// A small non-negative INTEGER, such as a version.
    pub(crate) fn small_integer(&mut self) -> Result<u8, PkiError> {
        match self.expect(INTEGER)?.value {
            [small] if *small < 0x80 => Ok(*small),
            _ => Err(self.bad("an integer is out of range")),
        }
    }

    /// The next element's tag.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn finish(&self) -> Result<(), PkiError> {
        if self.is_empty() { Ok(()) } else { Err(self.bad("something stands after its end")) }
    }

    pub(crate) fn bad(&self, why: &str) -> PkiError {
        PkiError::malformed(self.what, why)
    }
}

/// The length of the header, and the length of the content (`None`: indefinite). No tag numbers above 30.
fn header(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    if tag & 0x1f == 0x1f {
        return None;
    }
    match first {
        0..=0x7f => Some((2, Some(usize::from(first)))),
        0x80 => Some((2, None)),
        _ => {
            let count = usize::from(first & 0x7f);
            let digits = bytes.get(2..2 + count).filter(|d| d.len() <= 4)?;
            let length = digits.iter().try_fold(0usize, |n, d| n.checked_mul(256)?.checked_add(usize::from(*d)))?;
            let minimal = length >= 0x80 && digits.first() != Some(&0);
            minimal.then_some((2 + count, Some(length)))
        }
    }
}

/// How long the tag and the length of the element are that `bytes` begin with.
pub(crate) fn header_len(bytes: &[u8]) -> usize {
    header(bytes).map_or(0, |(length, _)| length)
}

/// Where `part`, a slice of `whole`, lies in it.
pub(crate) fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.wrapping_add(part.len())
}

/// One element of `tag` around the joined `parts`.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
        out.extend_from_slice(&digits);
    }
    parts.iter().for_each(|p| out.extend_from_slice(p));
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

/// A SET OF, in the order that DER asks (X.690 s11.6).
pub(crate) fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    tlv(tag, &elements.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(crate) fn oid(oid: &Oid) -> Vec<u8> {
    tlv(OID, &[oid.as_bytes()])
}

/// A non-negative INTEGER from big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes.iter().position(|b| *b != 0).and_then(|first| bytes.get(first..)).unwrap_or(&[0]);
    let pad: &[u8] = if digits.first().is_some_and(|b| *b >= 0x80) { &[0] } else { &[] };
    tlv(INTEGER, &[pad, digits])
}

/// A BIT STRING of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes])
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(OCTET_STRING, &[bytes])
}

/// Something signed, as X.509 and PKCS #10 lay it out: what is signed, the algorithm, the signature.
pub(crate) fn signed(tbs: &[u8], algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    sequence(&[tbs, &algorithm.identifier_der(), &bits(signature)])
}

/// A Time: UTCTime through 2049, GeneralizedTime after (RFC 5280 s4.1.2.5).
pub(crate) fn time(at: Time) -> Result<Vec<u8>, PkiError> {
    let out_of_range = || PkiError::Misuse(format!("no certificate can say {}", at.as_unix()));
    let seconds = u64::try_from(at.as_unix()).map_err(|_| out_of_range())?;
    let at = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(|_| out_of_range())?;
    let (year, rest) = (at.year(), (at.month(), at.day(), at.hour(), at.minutes(), at.seconds()));
    let rest = format!("{:02}{:02}{:02}{:02}{:02}Z", rest.0, rest.1, rest.2, rest.3, rest.4);
    Ok(match year {
        ..2050 => tlv(UTC_TIME, &[format!("{:02}", year % 100).as_bytes(), rest.as_bytes()]),
        _ => tlv(GENERALIZED_TIME, &[format!("{year:04}").as_bytes(), rest.as_bytes()]),
    })
}

/// Reads an Attribute of exactly one value (RFC 5652 s5.3, RFC 2986 s4.1).
pub(crate) fn attribute<'a>(reader: &mut Reader<'a>) -> Result<(Oid, Tlv<'a>), PkiError> {
    let mut fields = reader.enter(SEQUENCE)?;
    let oid = fields.oid()?;
    let mut values = fields.enter(SET)?;
    fields.finish()?;
    let value = values.next()?;
    values.finish()?;
    Ok((oid, value))
}

/// Reads a Time.
pub(crate) fn read_time(element: Tlv<'_>) -> Result<Time, PkiError> {
    let time = x509_cert::time::Time::from_der(element.raw).map_err(|e| PkiError::malformed("time", e))?;
    Ok(Time::from_unix(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)))
}

/// The same structure with definite, minimal lengths and primitive octet strings.
///
/// `openssl cms -stream` writes indefinite lengths and cuts the content into a constructed OCTET STRING; a decoder that
/// takes the constructed content as it is returns the wrong bytes in silence.
pub(crate) fn ber_to_der<'a>(what: &'static str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, PkiError> {
    if is_der(bytes, 0) {
        return Ok(Cow::Borrowed(bytes));
    }
    let bad = || PkiError::malformed(what, "it is neither DER nor BER");
    let (element, used) = rewrite(bytes, 0).ok_or_else(bad)?;
    if used != bytes.len() {
        return Err(PkiError::malformed(what, "something stands after its end"));
    }
    Ok(Cow::Owned(element))
}

/// Whether `bytes` are elements with definite, minimal lengths and no constructed octet string.
fn is_der(bytes: &[u8], depth: usize) -> bool {
    let mut reader = Reader::new("", bytes);
    while !reader.is_empty() {
        let Ok(element) = reader.next() else { return false };
        let constructed = element.tag & 0x20 != 0;
        if element.tag == OCTET_STRING | 0x20 || depth > MAX_DEPTH || constructed && !is_der(element.value, depth + 1) {
            return false;
        }
    }
    true
}

/// The first element of `bytes` as DER, and how many bytes it took.
fn rewrite(bytes: &[u8], depth: usize) -> Option<(Vec<u8>, usize)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let tag = *bytes.first()?;
    let (header, length) = ber_header(bytes)?;
    if tag & 0x20 == 0 {
        let end = header.checked_add(length?)?;
        return Some((tlv(tag, &[bytes.get(header..end)?]), end));
    }
    let mut content = Vec::new();
    let mut at = header;
    let end = length.map(|l| header.checked_add(l).filter(|end| *end <= bytes.len()).ok_or(())).transpose().ok()?;
    loop {
        match end {
            Some(end) if at == end => break,
            Some(end) if at > end => return None,
            None if bytes.get(at..at.checked_add(2)?)? == [0, 0] => {
                at += 2;
                break;
            }
            _ => {}
        }
        let (element, used) = rewrite(bytes.get(at..end.unwrap_or(bytes.len()))?, depth + 1)?;
        at = at.checked_add(used)?;
        if tag == OCTET_STRING | 0x20 {
            let mut piece = Reader::new("", &element);
            content.extend_from_slice(piece.expect(OCTET_STRING).ok()?.value);
        } else {
            content.extend_from_slice(&element);
        }
    }
    let tag = if tag == OCTET_STRING | 0x20 { OCTET_STRING } else { tag };
    Some((tlv(tag, &[&content]), at))
}

/// As [`header`], with lengths that need not be minimal.
fn ber_header(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    if first <= 0x80 {
        return header(bytes);
    }
    let count = usize::from(first & 0x7f);
    let digits = bytes.get(2..2 + count).filter(|d| d.len() <= 8 && tag & 0x1f != 0x1f)?;
    let length = digits.iter().try_fold(0usize, |n, d| n.checked_mul(256)?.checked_add(usize::from(*d)))?;
    Some((2 + count, Some(length)))
}
