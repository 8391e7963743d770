//! Bodies: DER in base64, written plainly and read with tolerance (RFC 8951 s3).

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use landfall_types::{Fault, Refusal};

/// The longest body that is looked at, in bytes.
pub const LIMIT: usize = 256 * 1024;
/// The same of a request where evidence was asked for: [`landfall_pki::csr::MAX_LEN_WITH_EVIDENCE`] in base64, with line breaks.
pub const LIMIT_WITH_EVIDENCE: usize = 768 * 1024;

const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `der` as a body, without line breaks, which RFC 8951 s3.1 no longer asks for.
pub fn encode(der: &[u8]) -> Vec<u8> {
    STANDARD.encode(der).into_bytes()
}

/// The DER that `body` carries.
///
/// RFC 8951 s3.1: white space may stand anywhere, and Content-Transfer-Encoding means nothing. Clients in the field
/// also send PEM armour, drop the padding or skip base64 altogether; the meaning of such a body is not in doubt, so it
/// is taken. Refuses (`est-body`) what is empty, longer than [`LIMIT`], or none of these.
pub fn decode(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    decode_up_to(LIMIT, body)
}

/// The same of a body that may be so long.
pub fn decode_up_to(longest: usize, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let refuse = |detail: &str| Refusal::new(Fault::Malformed, "est-body", "RFC 8951 s3.1", detail).field("body");
    if body.len() > longest {
        return Err(refuse("the body is too long").field("Content-Length"));
    }
    // A DER SEQUENCE starts with 0x30, and no DER that is asked for here fits in printable characters.
    if body.first() == Some(&0x30) && !body.is_ascii() {
        return Ok(body.to_vec());
    }
    let text = std::str::from_utf8(body).map_err(|_| refuse("the body is neither base64 nor DER"))?;
    let digits: String =
        text.lines().filter(|line| !line.trim().starts_with("-----")).flat_map(str::split_ascii_whitespace).collect();
    let der = TOLERANT.decode(digits).map_err(|_| refuse("the body is not base64"))?;
    match der.is_empty() {
        true => Err(refuse("the body is empty")),
        false => Ok(der),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DER: &[u8] = &[0x30, 0x06, 0x02, 0x01, 0x81, 0x02, 0x01, 0xff];

    #[test]
    fn bodies_that_clients_send() {
        let plain = String::from_utf8(encode(DER)).unwrap();
        let (head, tail) = plain.split_at(5);
        for body in [
            plain.clone(),
            plain.trim_end_matches('=').to_owned(),
            format!("{head}\r\n{tail}\r\n"),
            format!(" {head}\t{tail} \n\n"),
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{plain}\n-----END CERTIFICATE REQUEST-----\n"),
        ] {
            assert_eq!(decode(body.as_bytes()).unwrap(), DER, "{body:?}");
        }
        assert_eq!(decode(DER).unwrap(), DER);
    }

    #[test]
    fn bodies_that_mean_nothing() {
        for body in [&b""[..], b" \r\n", b"MAY*", b"\xff\xfe", b"-----BEGIN CERTIFICATE REQUEST-----"] {
            assert_eq!(decode(body).unwrap_err().check, "est-body", "{body:?}");
        }
        assert_eq!(decode(&vec![b'A'; LIMIT + 1]).unwrap_err().field, "Content-Length");
    }

    proptest! {
        #[test]
        fn never_panics(body: Vec<u8>) {
            let _ = decode(&body);
        }

        #[test]
        fn what_is_encoded_is_decoded(der in proptest::collection::vec(any::<u8>(), 1..200)) {
            prop_assert_eq!(decode(&encode(&der)).unwrap(), der);
        }
    }
}
