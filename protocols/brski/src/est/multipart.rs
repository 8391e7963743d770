//! multipart/mixed with base64 parts: the answer to a server-side key generation (RFC 7030 s4.4.2).

use super::body;
use crate::media;
use landfall_types::{Fault, Refusal, http};
use zeroize::Zeroize;

/// Of characters that base64 does not have, so that no part can hold it.
const BOUNDARY: &str = "--=_landfall_=--";

/// At most so many parts are read.
const MOST: usize = 8;

/// One part: DER, and what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Its media type, as sent.
    pub content_type: String,
    /// Its content.
    pub der: Vec<u8>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.der.zeroize(); // one of the parts is a private key
    }
}

/// The Content-Type and the body for `parts`.
pub fn encode(parts: &[Part]) -> (String, Vec<u8>) {
    let mut out = Vec::new();
    for part in parts {
        // RFC 8951 s3 makes Content-Transfer-Encoding meaningless, yet deployed clients look for it here.
        let head =
            format!("--{BOUNDARY}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: base64\r\n\r\n", part.content_type);
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&body::encode(&part.der));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("{}; boundary=\"{BOUNDARY}\"", media::MULTIPART_MIXED), out)
}

/// The parts of `text`, whose Content-Type was `content_type`.
///
/// Refuses (`est-multipart`) another type, a missing boundary, a part without a type, or more than 8 parts.
pub fn decode(content_type: &str, text: &[u8]) -> Result<Vec<Part>, Refusal> {
    let refuse = |detail: &str| Refusal::new(Fault::Malformed, "est-multipart", "RFC 7030 s4.4.2", detail);
    if http::essence(content_type) != media::MULTIPART_MIXED {
        return Err(refuse("the answer is not multipart/mixed").field("Content-Type"));
    }
    if text.len() > body::LIMIT {
        return Err(refuse("the answer is too long"));
    }
    let boundary = boundary(content_type).ok_or_else(|| refuse("the boundary is missing").field("Content-Type"))?;
    let text = std::str::from_utf8(text).map_err(|_| refuse("the answer is not text"))?;
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    for section in text.split(delimiter.as_str()).skip(1) {
        if section.starts_with("--") {
            return Ok(parts);
        }
        if parts.len() == MOST {
            return Err(refuse("there are too many parts"));
        }
        let (head, content) = split_head(section).ok_or_else(|| refuse("a part has no body"))?;
        let content_type = head.lines().find_map(content_type_line).ok_or_else(|| refuse("a part has no type"))?;
        parts.push(Part { content_type: content_type.to_owned(), der: body::decode(content.as_bytes())? });
    }
    Err(refuse("the last part does not end"))
}

fn boundary(content_type: &str) -> Option<&str> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim().trim_matches('"'))
    })?;
    // RFC 2046 s5.1.1: 1 to 70 characters.
    (1..=70).contains(&value.len()).then_some(value)
}

fn split_head(section: &str) -> Option<(&str, &str)> {
    section.split_once("\r\n\r\n").or_else(|| section.split_once("\n\n"))
}

fn content_type_line(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    name.trim().eq_ignore_ascii_case("content-type").then_some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two() -> Vec<Part> {
        let part = |content_type: &str, der: &[u8]| Part { content_type: content_type.into(), der: der.into() };
        vec![part(media::PKCS8, &[0x30, 1, 2]), part(media::PKCS7_CERTS_ONLY, &[0x30, 3])]
    }

    #[test]
    fn there_and_back() {
        let (content_type, text) = encode(&two());
        assert_eq!(decode(&content_type, &text).unwrap(), two());
    }

    #[test]
    fn one_thing_wrong_at_a_time() {
        let (content_type, text) = encode(&two());
        let text = String::from_utf8(text).unwrap();
        let no_end = text.replace(&format!("{BOUNDARY}--\r\n"), BOUNDARY);
        let no_type = text.replace("Content-Type: application/pkcs8\r\n", "");
        for (content_type, text) in [
            ("text/plain", text.as_str()),
            ("multipart/mixed", &text),
            ("multipart/mixed; boundary=\"\"", &text),
            ("multipart/mixed; boundary=other", &text),
            (&content_type, &no_end),
            (&content_type, &no_type),
        ] {
            assert_eq!(decode(content_type, text.as_bytes()).unwrap_err().check, "est-multipart", "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(content_type in ".{0,80}", text: Vec<u8>) {
            let _ = decode(&content_type, &text);
            let _ = decode("multipart/mixed; boundary=-", &text);
        }
    }
}
