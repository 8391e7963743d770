//! Bodies as they arrive: raw, or in base64 by peers that took EST's habit along.

use super::Format;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::borrow::Cow;

/// Standard base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The artefact in a body: the bytes themselves (RFC 8995 s6), or what base64, with PEM armour and white space or
/// without, holds. Where neither looks like `format`, the bytes are given back for the parser to refuse.
pub fn body(format: Format, bytes: &[u8]) -> Cow<'_, [u8]> {
    if format.begins(bytes) {
        return Cow::Borrowed(bytes);
    }
    match unarmoured(bytes) {
        Some(raw) if format.begins(&raw) => Cow::Owned(raw),
        _ => Cow::Borrowed(bytes),
    }
}

/// What base64 holds, or nothing if it is no base64.
fn unarmoured(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits: String =
        text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
    decode_base64(&digits)
}

/// Base64 as RFC 4648 s4 has it; white space, missing padding and the URL alphabet (s5) are tolerated, since the
/// published examples hold them.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok().or_else(|| decode_tolerantly(text))
}

fn decode_tolerantly(text: &str) -> Option<Vec<u8>> {
    let digits: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    BASE64.decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_base64_and_pem_are_the_same_body() {
        let raw = [0x30, 0x82, 0x00, 0x01, 0x05];
        for text in ["MIIAAQU=", "MIIAAQU", "MIIA\r\n\tAQU=\n", "-----BEGIN CMS-----\nMIIAAQU=\n-----END CMS-----\n"] {
            assert_eq!(body(Format::CmsJson, text.as_bytes()).as_ref(), raw, "{text}");
        }
        assert_eq!(body(Format::CmsJson, &raw).as_ref(), raw);
        assert_eq!(body(Format::CmsJson, b"nonsense").as_ref(), b"nonsense");
        assert_eq!(body(Format::CoseCbor, b"MIIAAQU=").as_ref(), b"MIIAAQU=");
    }
}
