//! The field `idevid-issuer`.

use der::{Decode, asn1::OctetStringRef};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

/// The key identifier in an `idevid-issuer`.
///
/// The field is the authority key identifier extension's OCTET STRING (RFC 8366 s5.3), which the published examples
/// carry with its tag and length; some senders leave those out, or send the bare identifier.
pub fn key_identifier(idevid_issuer: &[u8]) -> Option<Vec<u8>> {
    let inner = <&OctetStringRef>::from_der(idevid_issuer).map_or(idevid_issuer, |octets| octets.as_bytes());
    let identifier = match AuthorityKeyIdentifier::from_der(inner) {
        Ok(extension) => extension.key_identifier?.as_bytes().to_vec(),
        Err(_) => inner.to_vec(),
    };
    (8..=32).contains(&identifier.len()).then_some(identifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrapping_of_an_identifier_is_the_same() {
        let identifier: Vec<u8> = (0..20).collect();
        let wrapped = |head: &[u8]| [head, &identifier].concat();
        let heads: [&[u8]; 4] = [&[0x04, 0x18, 0x30, 0x16, 0x80, 0x14], &[0x30, 0x16, 0x80, 0x14], &[0x04, 0x14], &[]];
        for head in heads {
            assert_eq!(key_identifier(&wrapped(head)), Some(identifier.clone()), "{head:x?}");
        }
        assert_eq!(key_identifier(&[]), None);
        assert_eq!(key_identifier(&[0x04, 0x02, 0x30, 0x00]), None);
        assert_eq!(key_identifier(&[7; 33]), None);
    }
}
