//! The three forms of an artefact.

use crate::media;
use landfall_types::http::essence;
use std::fmt;

/// How an artefact is encoded and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON in CMS (RFC 8366 s5.4), the one that every party of RFC 8995 speaks.
    CmsJson,
    /// JSON in JWS, general serialisation (draft-ietf-anima-jws-voucher).
    JwsJson,
    /// CBOR with SIDs in COSE_Sign1 (draft-ietf-anima-constrained-voucher).
    CoseCbor,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CmsJson, Self::JwsJson, Self::CoseCbor];

    /// Its media type, as it is sent.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::CmsJson => media::VOUCHER_CMS,
            Self::JwsJson => media::VOUCHER_JWS,
            Self::CoseCbor => media::VOUCHER_COSE,
        }
    }

    /// The form that a `Content-Type` names; its parameters are ignored.
    pub fn from_media_type(content_type: &str) -> Option<Self> {
        match essence(content_type).as_str() {
            media::VOUCHER_CMS => Some(Self::CmsJson),
            media::VOUCHER_JWS => Some(Self::JwsJson),
            media::VOUCHER_COSE | media::VOUCHER_COSE_OLD => Some(Self::CoseCbor),
            _ => None,
        }
    }

    /// The form that `bytes` look like, with or without base64 around them.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.begins(&super::body(*format, bytes)))
    }

    /// Whether `raw` bytes begin as this form does.
    pub(super) fn begins(self, raw: &[u8]) -> bool {
        match self {
            // A DER or BER SEQUENCE.
            Self::CmsJson => raw.first() == Some(&0x30) && raw.get(1).is_some_and(|length| *length >= 0x80),
            Self::JwsJson => raw.trim_ascii_start().first() == Some(&b'{'),
            // CBOR tag 18, or the bare array of four (RFC 9052 s4.2).
            Self::CoseCbor => matches!(raw.first(), Some(0xd2 | 0x84)),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CmsJson => "CMS",
            Self::JwsJson => "JWS",
            Self::CoseCbor => "COSE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_both_ways() {
        for format in Format::ALL {
            assert_eq!(Format::from_media_type(format.media_type()), Some(format));
        }
        assert_eq!(Format::from_media_type("Application/Voucher-CMS+JSON; a=b"), Some(Format::CmsJson));
        assert_eq!(Format::from_media_type("application/voucher-cose+cbor"), Some(Format::CoseCbor));
        assert_eq!(Format::from_media_type("application/json"), None);
    }

    #[test]
    fn forms_are_told_apart_by_their_first_bytes() {
        assert_eq!(Format::sniff(&[0x30, 0x82, 1, 0]), Some(Format::CmsJson));
        assert_eq!(Format::sniff(b"MIIF"), Some(Format::CmsJson));
        assert_eq!(Format::sniff(b" {\"payload\""), Some(Format::JwsJson));
        assert_eq!(Format::sniff(&[0xd2, 0x84]), Some(Format::CoseCbor));
        assert_eq!(Format::sniff(b"0oRD"), Some(Format::CoseCbor));
        assert_eq!(Format::sniff(b""), None);
    }
}
