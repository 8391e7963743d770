//! The fields of an artefact, between its encoding (JSON, CBOR) and its type (voucher, request).

use super::{Assertion, Nonce, VoucherError, transfer::decode_base64};
use landfall_pki::Certificate;
use landfall_types::{SerialNumber, Time};

/// A field's value, as far as the encoding says what it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    /// Text, or binary as JSON writes it.
    Text(String),
    /// Binary.
    Bytes(Vec<u8>),
    /// A truth value.
    Bool(bool),
    /// A number.
    Integer(i128),
    /// A point in time.
    Time(Time),
    /// The assertion, to be written.
    Assertion(Assertion),
    /// The nonce, to be written.
    Nonce(Nonce),
    /// Something that no known field holds.
    Other,
}

/// Names and values, in order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Leaf)>);

impl Fields {
    /// Adds a field that was read.
    pub(super) fn push(&mut self, name: impl Into<String>, leaf: Leaf) {
        self.0.push((name.into(), leaf));
    }

    /// Adds a field to be written, if it has a value.
    pub(super) fn put(&mut self, name: &'static str, leaf: Option<Leaf>) {
        if let Some(leaf) = leaf {
            self.push(name, leaf);
        }
    }

    /// Name and value of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Leaf)> {
        self.0.iter().map(|(name, leaf)| (name.as_str(), leaf))
    }

    /// The names that are left when every known field has been taken.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0.into_iter().map(|(name, _)| name).collect()
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Leaf) -> Result<T, String>,
    ) -> Result<Option<T>, VoucherError> {
        let Some(at) = self.0.iter().position(|(n, _)| n == name) else { return Ok(None) };
        let (_, leaf) = self.0.remove(at);
        read(leaf).map(Some).map_err(|why| VoucherError::value(name, why))
    }

    /// A `yang:date-and-time`: RFC 3339 text, or the epoch time that older CBOR drafts have.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<Time>, VoucherError> {
        self.take(name, |leaf| match leaf {
            Leaf::Text(text) => text.parse().map_err(|e| format!("is no date and time: {e}")),
            Leaf::Time(time) => Ok(time),
            _ => Err("is no date and time".into()),
        })
    }

    /// A boolean; RFC 8366 s5.2 shows it as a string, so that is read too.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, VoucherError> {
        self.take(name, |leaf| match leaf {
            Leaf::Bool(value) => Ok(value),
            Leaf::Text(text) if text == "true" => Ok(true),
            Leaf::Text(text) if text == "false" => Ok(false),
            _ => Err("is neither true nor false".into()),
        })
    }

    /// Binary: base64 in JSON (RFC 7951 s6.6), a byte string in CBOR.
    pub(super) fn bytes(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, VoucherError> {
        self.take(name, binary)
    }

    /// A certificate.
    pub(super) fn certificate(&mut self, name: &'static str) -> Result<Option<Certificate>, VoucherError> {
        self.take(name, |leaf| Certificate::from_der(&binary(leaf)?).map_err(|e| format!("is no certificate: {e}")))
    }

    /// A serial number; older CBOR drafts have it as a byte string.
    pub(super) fn serial_number(&mut self, name: &'static str) -> Result<Option<SerialNumber>, VoucherError> {
        self.take(name, |leaf| {
            let text = match leaf {
                Leaf::Text(text) => text,
                Leaf::Bytes(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8")?,
                _ => return Err("is no text".into()),
            };
            SerialNumber::try_from(text).map_err(|e| format!("is no serial number: {e}"))
        })
    }

    /// A nonce.
    pub(super) fn nonce(&mut self, name: &'static str) -> Result<Option<Nonce>, VoucherError> {
        let nonce = self.take(name, |leaf| match leaf {
            Leaf::Text(text) => Ok(Nonce::try_from(text)),
            Leaf::Bytes(bytes) => Ok(Nonce::from_bytes(&bytes)),
            _ => Err("is neither text nor binary".into()),
        })?;
        nonce.transpose()
    }

    /// An assertion: its name, or its number in CBOR (RFC 9254 s6.6).
    pub(super) fn assertion(&mut self, name: &'static str) -> Result<Option<Assertion>, VoucherError> {
        self.take(name, |leaf| {
            let found = match &leaf {
                Leaf::Text(text) => Assertion::ALL.into_iter().find(|a| a.as_str() == text),
                Leaf::Integer(number) => Assertion::ALL.into_iter().find(|a| i128::from(a.number()) == *number),
                _ => None,
            };
            found.ok_or_else(|| "is none of verified, logged, proximity, agent-proximity".into())
        })
    }
}

fn binary(leaf: Leaf) -> Result<Vec<u8>, String> {
    match leaf {
        Leaf::Text(text) => decode_base64(&text).ok_or_else(|| "is no base64".into()),
        Leaf::Bytes(bytes) => Ok(bytes),
        _ => Err("is no binary value".into()),
    }
}
