//! Nonces.

use super::VoucherError;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A nonce: a string that only its maker understands.
///
/// RFC 8366 s5.3 makes it binary, 8 to 32 bytes, which JSON writes in base64; yet RFC 8995 itself shows hexadecimal
/// (s5.6) and base64url (App. C). So the text is kept and compared as it came (s5.8.1 says as much).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

impl Nonce {
    /// A nonce of 16 bytes from a good random source, in base64.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the binary form that CBOR carries: 8 to 32 bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, VoucherError> {
        match bytes.len() {
            8..=32 => Ok(Self(STANDARD.encode(bytes))),
            length => Err(VoucherError::value("nonce", format!("has {length} bytes, not 8 to 32"))),
        }
    }

    /// The binary form, if the text is base64 of 8 to 32 bytes.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        super::transfer::decode_base64(&self.0).filter(|bytes| (8..=32).contains(&bytes.len()))
    }
}

impl TryFrom<String> for Nonce {
    type Error = VoucherError;
    fn try_from(text: String) -> Result<Self, VoucherError> {
        // 8 bytes at the least, and 32 in hexadecimal at the most.
        if !(8..=64).contains(&text.len()) {
            return Err(VoucherError::value("nonce", format!("has {} characters, not 8 to 64", text.len())));
        }
        if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(VoucherError::value("nonce", "holds a character that no encoding of bytes has"));
        }
        Ok(Self(text))
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
