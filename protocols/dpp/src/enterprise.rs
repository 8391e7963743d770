//! Certificates for 802.1X (DPP s6.4.3.7): what a certification request holds, and how it is tied to the exchange.
//!
//! The certificate's key is the protocol key, and the request's challengePassword comes out of the exchange's own key.
//! So whoever holds the request knows that it was made here, by the enrollee that was authenticated.

use crate::{
    asn1::{self, Malformed, Reader, context},
    crypto::{self, Secret},
    curve::{Curve, PrivateKey, PublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use der::{Encode, Tag, asn1::ObjectIdentifier};
use landfall_pki::{Certificate, Csr, Name, cms};
use landfall_types::{Fault, Redacted, Refusal};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const SECTION: &str = "DPP s6.4.3.7";
const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// The octets of a challengePassword before they are written in base64.
const PASSWORD: usize = 64;
/// The longest list of attributes, in octets of base64.
const ATTRIBUTES: usize = 4096;
/// The longest list of attributes, in items.
const ITEMS: usize = 64;

fn bad_attributes(why: &'static str) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-csr-attributes", SECTION, why).field("CSR Attributes Request")
}

fn bad_request(fault: Fault, check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(fault, check, SECTION, why).field("pkcs10")
}

fn bad_bag(why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-certificate-bag", SECTION, why).field("certBag")
}

/// What a configurator wants to find in a request (RFC 7030 s4.5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrAttributes {
    /// A challengePassword, which DPP always expects.
    pub challenge_password: bool,
    /// A key on that curve.
    pub curve: Option<Curve>,
    /// Other attributes by their types. An enrollee that does not know them passes them over.
    pub others: Vec<ObjectIdentifier>,
}

impl CsrAttributes {
    /// What DPP needs, and a key on `curve` if it matters.
    pub const fn of(curve: Option<Curve>) -> Self {
        Self { challenge_password: true, curve, others: Vec::new() }
    }

    /// Reads the DER of CsrAttrs.
    ///
    /// # Errors
    /// If it is not that, or asks for a key on a curve that DPP does not have.
    pub fn from_der(der: &[u8]) -> Result<Self, Refusal> {
        let mut wanted = Self::default();
        match wanted.read(der) {
            Ok(false) => Ok(wanted),
            Ok(true) => Err(bad_attributes("a key on a curve that DPP does not have is asked for")),
            Err(Malformed) => Err(bad_attributes("it is not a list of attributes")),
        }
    }

    /// Fills in what `der` asks for; whether a curve among it is not known.
    fn read(&mut self, der: &[u8]) -> Result<bool, Malformed> {
        let mut unknown = false;
        let mut items = Reader::inside(Tag::Sequence, der)?;
        for _ in 0..ITEMS {
            if items.is_empty() {
                return Ok(unknown);
            }
            if items.next_is(Tag::ObjectIdentifier) {
                self.add(items.oid()?);
                continue;
            }
            let mut attribute = items.enter(Tag::Sequence)?;
            let oid = attribute.oid()?;
            let mut values = attribute.enter(Tag::Set)?;
            attribute.finish()?;
            match oid {
                // RFC 7030 s4.5.2: the type of key as attribute, with the curve as its value.
                EC_PUBLIC_KEY => {
                    let oid = values.oid()?;
                    self.curve = Curve::ALL.into_iter().find(|curve| curve.oid() == oid);
                    unknown |= self.curve.is_none();
                }
                oid => self.add(oid),
            }
        }
        items.finish().map(|()| unknown)
    }

    fn add(&mut self, oid: ObjectIdentifier) {
        match Curve::ALL.into_iter().find(|curve| curve.oid() == oid) {
            Some(curve) => self.curve = Some(curve),
            None if oid == CHALLENGE_PASSWORD => self.challenge_password = true,
            None => self.others.push(oid),
        }
    }

    /// Writes the DER of CsrAttrs.
    pub fn to_der(&self) -> Vec<u8> {
        // Object identifiers are short, so nothing can fail.
        self.write().unwrap_or_default()
    }

    fn write(&self) -> Result<Vec<u8>, Malformed> {
        let mut items = Vec::new();
        if self.challenge_password {
            items.extend(CHALLENGE_PASSWORD.to_der()?);
        }
        if let Some(curve) = self.curve {
            let value = asn1::tlv(Tag::Set, &[&curve.oid().to_der()?])?;
            items.extend_from_slice(&asn1::sequence(&[&EC_PUBLIC_KEY.to_der()?, &value])?);
        }
        for oid in &self.others {
            items.extend(oid.to_der()?);
        }
        Ok(asn1::sequence(&[&items])?.to_vec())
    }
}

/// CsrAttrs with challengePassword alone, which is all that DPP needs.
pub fn challenge_password_only() -> Vec<u8> {
    CsrAttributes::of(None).to_der()
}

/// CsrAttrs as a CSR Attributes Request carries them: base64.
pub fn attributes_text(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// The DER in a CSR Attributes Request.
///
/// # Errors
/// If it is too long, or not base64.
pub fn attributes_of_text(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    if text.len() > ATTRIBUTES {
        return Err(bad_attributes("it is too long"));
    }
    // Some peers break lines, as PEM does.
    let text: Vec<u8> = text.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    STANDARD.decode(text).map_err(|_| bad_attributes("it is not base64"))
}

/// The challengePassword of requests in the exchange with that key `bk`. `curve` is the one of the authentication, also
/// if the protocol key was exchanged for one on another curve since.
pub fn challenge_password(bk: &Secret, curve: Curve) -> Redacted<String> {
    let password = crypto::expand(curve, bk, &[b"CSR challengePassword"], PASSWORD);
    STANDARD.encode(password.expose()).into()
}

/// A certificate request for `key`, bound to an exchange on `curve` by `bk`, that has what `attributes` (the DER of
/// CsrAttrs) ask for. What an enrollee does not know of it is passed over (RFC 7030 s4.5.2).
///
/// # Errors
/// If a key on another curve is asked for, the name does not fit in a certificate, or the key cannot sign.
pub fn request(name: &str, key: &PrivateKey, bk: &Secret, curve: Curve, attributes: &[u8]) -> Result<Vec<u8>, Refusal> {
    if CsrAttributes::from_der(attributes)?.curve.is_some_and(|wanted| wanted != key.curve()) {
        return Err(bad_attributes("a key on another curve than that of the protocol key is asked for"));
    }
    let unwritten = |Malformed| bad_request(Fault::Misuse, "dpp-csr", "the name does not fit in a certificate");
    let info = info(&Name::common(name).to_der(), key.public(), &challenge_password(bk, curve)).map_err(unwritten)?;
    let unsigned = |why: String| bad_request(Fault::Backend, "dpp-csr", format!("it cannot be signed: {why}"));
    let signature = key.sign(&info).map_err(|error| unsigned(error.to_string()))?;
    signed(&info, key.curve(), &signature).map_err(|Malformed| unsigned("the signature has another length".into()))
}

/// CertificationRequestInfo (RFC 2986 s4.1).
fn info(subject: &[u8], key: &PublicKey, password: &Redacted<String>) -> Result<Vec<u8>, Malformed> {
    // Certification authorities do not all take compressed points, so this one is spelt out.
    let point = asn1::tlv(Tag::BitString, &[&[0], key.sec1()])?;
    let algorithm = asn1::algorithm(EC_PUBLIC_KEY, &key.curve().oid().to_der()?)?;
    let spki = asn1::sequence(&[&algorithm, &point])?;
    // DPP s6.4.3.7: a UTF8String.
    let password = asn1::tlv(Tag::Utf8String, &[password.expose().as_bytes()])?;
    let values = asn1::tlv(Tag::Set, &[&password])?;
    let attribute = asn1::sequence(&[&CHALLENGE_PASSWORD.to_der()?, &values])?;
    let attributes = asn1::tlv(context(0, true), &[&attribute])?;
    Ok(asn1::sequence(&[&0_u8.to_der()?, subject, &spki, &attributes])?.to_vec())
}

fn signed(info: &[u8], curve: Curve, signature: &[u8]) -> Result<Vec<u8>, Malformed> {
    let signature = asn1::tlv(Tag::BitString, &[&[0], &signature_to_der(curve, signature)?])?;
    let algorithm = asn1::algorithm(signature_algorithm(curve), &[])?;
    Ok(asn1::sequence(&[info, &algorithm, &signature])?.to_vec())
}

/// Refuses a request that is not for `key` and signed by it, or not bound to this exchange on `curve` by `bk`. The
/// enrollee is then told [`Status::CsrBad`](crate::Status::CsrBad).
///
/// # Errors
/// With the check that failed.
pub fn check(der: &[u8], key: &PublicKey, bk: &Secret, curve: Curve) -> Result<Csr, Refusal> {
    let csr = Csr::from_der(der).map_err(|error| bad_request(Fault::Malformed, "dpp-csr", error.to_string()))?;
    if PublicKey::from_spki(csr.public_key().spki_der()).as_ref() != Ok(key) {
        return Err(bad_request(Fault::Peer, "dpp-csr-key", "it is for another key than the protocol key"));
    }
    verify_signature(der, key).map_err(|why| bad_request(Fault::Peer, "dpp-csr-signature", why))?;
    let given = Zeroizing::new(csr.challenge_password().unwrap_or_default());
    match bool::from(given.as_bytes().ct_eq(challenge_password(bk, curve).expose().as_bytes())) {
        true => Ok(csr),
        false => Err(bad_request(Fault::Peer, "dpp-csr-binding", "its challengePassword is not of this exchange")),
    }
}

fn verify_signature(der: &[u8], key: &PublicKey) -> Result<(), &'static str> {
    let parts = || {
        let mut request = Reader::inside(Tag::Sequence, der)?;
        let info = request.whole(Tag::Sequence)?;
        let algorithm = request.enter(Tag::Sequence)?.oid()?;
        let Some((0, signature)) = request.value(Tag::BitString)?.split_first() else { return Err(Malformed) };
        Ok((info, algorithm, signature_from_der(key.curve(), signature)?))
    };
    let (info, algorithm, signature) = parts().map_err(|Malformed| "its signature cannot be read")?;
    if algorithm != signature_algorithm(key.curve()) {
        return Err("its signature is not made with the hash of the key's curve");
    }
    key.verify(info, &signature).map_err(|_| "its signature is not that of the protocol key")
}

/// The certificate in a bag that is for `key`, with the others in the bag, which lead from it to a root.
///
/// # Errors
/// If the bag is not certs-only PKCS#7, or has no certificate for that key.
pub fn open_bag(bag: &[u8], key: &PublicKey) -> Result<(Certificate, Vec<Certificate>), Refusal> {
    let mut all = cms::parse_certs_only(bag).map_err(|error| bad_bag(error.to_string()))?;
    let mine = |certificate: &Certificate| {
        PublicKey::from_spki(certificate.public_key().spki_der()).is_ok_and(|found| found == *key)
    };
    match all.iter().position(mine) {
        Some(at) => Ok((all.remove(at), all)),
        None => Err(bad_bag("it has no certificate for the protocol key")),
    }
}

/// A bag with a device's certificate and those that lead from it to a root.
pub fn pack_bag(certificate: &Certificate, chain: &[Certificate]) -> Vec<u8> {
    let all: Vec<_> = std::iter::once(certificate).chain(chain).cloned().collect();
    cms::certs_only(&all)
}

/// ECDSA with the hash of the curve (RFC 5758 s3.2).
const fn signature_algorithm(curve: Curve) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match curve {
        Curve::P256 | Curve::Bp256 => "1.2.840.10045.4.3.2",
        Curve::P384 | Curve::Bp384 => "1.2.840.10045.4.3.3",
        Curve::P521 | Curve::Bp512 => "1.2.840.10045.4.3.4",
    })
}

/// r and s, each as long as the curve's coordinates, as a SEQUENCE of two INTEGERs (RFC 3279 s2.2.3).
fn signature_to_der(curve: Curve, raw: &[u8]) -> Result<Vec<u8>, Malformed> {
    let len = curve.coordinate_len();
    let halves = raw.split_at_checked(len).filter(|(_, s)| s.len() == len);
    let (r, s) = halves.ok_or(Malformed)?;
    let integer = |half: &[u8]| -> Result<_, Malformed> {
        let digits = half.iter().position(|octet| *octet != 0).and_then(|first| half.get(first..)).unwrap_or(&[0]);
        let sign: &[u8] = if digits.first().is_some_and(|octet| *octet >= 0x80) { &[0] } else { &[] };
        asn1::tlv(Tag::Integer, &[sign, digits])
    };
    Ok(asn1::sequence(&[&integer(r)?, &integer(s)?])?.to_vec())
}

fn signature_from_der(curve: Curve, der: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut pair = Reader::inside(Tag::Sequence, der)?;
    let mut half = || -> Result<Vec<u8>, Malformed> {
        let digits = pair.value(Tag::Integer)?;
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        let pad = curve.coordinate_len().checked_sub(digits.len()).ok_or(Malformed)?;
        Ok([vec![0; pad].as_slice(), digits].concat())
    };
    let halves = [half()?, half()?];
    pair.finish()?;
    Ok(halves.concat())
}
