//! Reference values as a signed CoRIM (draft-ietf-rats-corim-10): COSE_Sign1 over CBOR, which is only read here.
//!
//! Taken is what has a meaning without a profile: reference triples about a class of devices by vendor and model, with integrity
//! registers, which are a TPM's PCRs, or digests, which are those of firmware. Each triple is a release.

use crate::{ReferenceValues, Release, malformed, reference_values::MOST, refuse};
use ciborium::{Value, de::from_reader_with_recursion_limit};
use coset::{CoseSign1, Label, RegisteredLabel, RegisteredLabelWithPrivate, TaggedCborSerializable, iana};
use landfall_pki::{Algorithm, PublicKey};
use landfall_types::{Fault, Fingerprint, Refusal, Time};
use std::collections::BTreeMap;

/// How long all of it may be, and how deep things are in it.
pub const LONGEST: usize = 1024 * 1024;
const DEEPEST: usize = 16;
const CONTENT: &str = "application/rim+cbor";
/// s4.2.2.1 and RFC 9597: who signed, and until when that holds.
const META: i64 = 8;
const CWT_CLAIMS: i64 = 15;
/// Tags: a CoRIM, a CoMID in it.
const CORIM: u64 = 501;
const COMID: u64 = 506;
/// The number of SHA-256 in the IANA registry of named information.
const SHA256: i128 = 1;
const SECTION: &str = "draft-ietf-rats-corim s4";

/// Reads a file of reference values in either form if one of `signers` signed it, and it holds at `now`.
///
/// # Errors
/// As [`ReferenceValues::verify`] and [`verify`].
pub fn verify_either(octets: &[u8], signers: &[PublicKey], now: Time) -> Result<Vec<ReferenceValues>, Refusal> {
    if is_signed(octets) {
        return verify(octets, signers, now);
    }
    let text = std::str::from_utf8(octets).map_err(|_| bad("it is neither a signed CoRIM nor text"))?;
    ReferenceValues::verify(text, signers).map(|known| vec![known])
}

/// What one of `signers` says in it, if that holds at `now`: one part for each model.
///
/// # Errors
/// `reference-syntax`, `reference-signer`, `reference-signature`, `reference-validity` or `reference-profile`.
pub fn verify(octets: &[u8], signers: &[PublicKey], now: Time) -> Result<Vec<ReferenceValues>, Refusal> {
    if octets.len() > LONGEST {
        return Err(bad("it is too long"));
    }
    // Bounded in depth before anything else looks at it.
    parse(octets)?;
    let message = CoseSign1::from_tagged_slice(octets).map_err(|why| bad(&why.to_string()))?;
    let header = &message.protected.header;
    // RFC 9052 s3.1: a header marked critical must be understood, and none beyond the basic ones is.
    if !header.crit.is_empty() {
        return Err(bad("it has a critical header"));
    }
    if header.content_type != Some(RegisteredLabel::Text(CONTENT.into())) {
        return Err(bad("it is not application/rim+cbor"));
    }
    let payload = message.payload.as_deref().ok_or_else(|| bad("the payload is elsewhere"))?;
    let signed = message.tbs_data(&[]);
    let fits = |key: &&PublicKey| {
        let own = Algorithm::of(key.kind()).map(identifier);
        own.is_some_and(|own| header.alg == Some(RegisteredLabelWithPrivate::Assigned(own)))
    };
    let mut tried = signers.iter().filter(fits).peekable();
    if tried.peek().is_none() {
        let why = "nobody who may say what good software looks like has a key of that kind";
        return Err(refuse("reference-signer", SECTION, why));
    }
    let is_theirs = |key: &PublicKey| {
        Algorithm::of(key.kind()).is_some_and(|by| key.verify_raw(by, &signed, &message.signature).is_ok())
    };
    if !tried.any(is_theirs) {
        let why = "it was not signed by anybody who may say what good software looks like";
        return Err(refuse("reference-signature", SECTION, why));
    }
    signature_holds(&header.rest, now)?;
    unsigned(payload, now)
}

/// The same of one that nobody signed, for whoever wants to look at it.
///
/// # Errors
/// As [`verify`].
pub fn unsigned(octets: &[u8], now: Time) -> Result<Vec<ReferenceValues>, Refusal> {
    if octets.len() > LONGEST {
        return Err(bad("it is too long"));
    }
    read(&parse(octets)?, now)
}

/// Whether it may be a signed CoRIM (RFC 9052 s2: the tag of COSE_Sign1): text begins otherwise.
pub fn is_signed(octets: &[u8]) -> bool {
    octets.first() == Some(&0xd2)
}

const fn identifier(algorithm: Algorithm) -> iana::Algorithm {
    match algorithm {
        Algorithm::EcdsaP256 => iana::Algorithm::ES256,
        Algorithm::EcdsaP384 => iana::Algorithm::ES384,
        Algorithm::Ed25519 => iana::Algorithm::EdDSA,
    }
}

/// s4.2.2: one of the two says who signed, and each may say until when.
fn signature_holds(rest: &[(Label, Value)], now: Time) -> Result<(), Refusal> {
    let part = |label: i64| rest.iter().find(|(name, _)| *name == Label::Int(label)).map(|(_, value)| value);
    match (part(META), part(CWT_CLAIMS)) {
        (None, None) => return Err(bad("it does not say who signed it")),
        (Some(meta), _) => {
            let meta = parse(meta.as_bytes().ok_or_else(|| bad("corim-meta is no byte string"))?)?;
            let meta = Map::of(&meta, "corim-meta")?;
            if let Some(validity) = meta.get(1) {
                Validity::read(validity)?.check(now)?;
            }
        }
        (None, Some(_)) => {}
    }
    if let Some(claims) = part(CWT_CLAIMS) {
        let claims = Map::of(claims, "CWT-Claims")?;
        // RFC 8392 s3.1: seconds, without the tag.
        let validity =
            Validity { from: claims.get(5).map(seconds).transpose()?, until: claims.get(4).map(seconds).transpose()? };
        validity.check(now)?;
    }
    Ok(())
}

/// s4.1: the CoRIM itself.
fn read(value: &Value, now: Time) -> Result<Vec<ReferenceValues>, Refusal> {
    let corim = Map::of(tagged(value, CORIM, "an unsigned CoRIM")?, "corim-map")?;
    corim.get(0).ok_or_else(|| bad("it has no id"))?;
    // s4.1.4: a profile may give everything another meaning.
    if corim.get(3).is_some() {
        return Err(refuse("reference-profile", SECTION, "it is by a profile, and none is known here"));
    }
    let validity = corim.get(4).map(Validity::read).transpose()?.unwrap_or_default();
    validity.check(now)?;
    let mut found: BTreeMap<(String, String), Vec<Release>> = BTreeMap::new();
    for tag in list(corim.get(1), "tags")? {
        let content = tagged(tag, COMID, "a CoMID")?.as_bytes().ok_or_else(|| bad("a CoMID is no byte string"))?;
        let content = parse(content)?;
        let triples = Map::of(&content, "concise-mid-tag")?;
        let triples = Map::of(triples.get(4).ok_or_else(|| bad("a CoMID has no triples"))?, "triples-map")?;
        for triple in list(triples.get(0), "reference-triples")? {
            let (class, release) = release(triple, &validity)?;
            let of_class = found.entry(class).or_default();
            of_class.push(release);
            if of_class.len() > MOST {
                return Err(bad("it has too many releases"));
            }
        }
    }
    let issued = validity.from.unwrap_or(Time::from_unix(0));
    Ok(found.into_iter().map(|((vendor, model), all)| ReferenceValues::new(&vendor, &model, issued, all)).collect())
}

/// s5.1.5.1: what devices of a class measure.
fn release(triple: &Value, validity: &Validity) -> Result<((String, String), Release), Refusal> {
    let parts = list(Some(triple), "a reference triple")?;
    let [environment, measurements] = parts else { return Err(bad("a reference triple has not two parts")) };
    let environment = Map::of(environment, "environment-map")?;
    if environment.get(1).is_some() || environment.get(2).is_some() {
        return Err(bad("a reference triple is about single devices or a group, and not about a class"));
    }
    let class = Map::of(environment.get(0).ok_or_else(|| bad("an environment has no class"))?, "class-map")?;
    let named = |number, what: &str| {
        let text = class.get(number).and_then(Value::as_text).map(str::to_owned);
        text.ok_or_else(|| bad(&format!("a class has no {what}")))
    };
    let whose = (named(1, "vendor")?, named(2, "model")?);
    let mut release = Release { from: validity.from, until: validity.until, ..Release::default() };
    for measurement in list(Some(measurements), "measurements")? {
        let values = Map::of(measurement, "measurement-map")?;
        let values = Map::of(values.get(1).ok_or_else(|| bad("a measurement has no values"))?, "measurement-values")?;
        if let Some(version) = values.get(0) {
            let text = Map::of(version, "version-map")?.get(0).and_then(Value::as_text).map(str::to_owned);
            release.firmware = text.ok_or_else(|| bad("a version is no text"))?;
        }
        if let Some(digests) = values.get(2) {
            let digest = sha256(digests)?;
            if release.software.replace(digest).is_some_and(|before| before != digest) {
                return Err(bad("a release has firmware of two digests"));
            }
        }
        if let Some(registers) = values.get(14) {
            for (number, digests) in registers.as_map().ok_or_else(|| bad("integrity registers are no map"))? {
                let pcr = number.as_integer().and_then(|number| u8::try_from(number).ok()).filter(|pcr| *pcr < 24);
                let pcr = pcr.ok_or_else(|| bad("an integrity register is none of the 24 PCRs"))?;
                if release.pcrs.insert(pcr, sha256(digests)?).is_some() {
                    return Err(bad("an integrity register is told of twice"));
                }
            }
        }
    }
    if release.firmware.is_empty() {
        return Err(bad("a release has no version"));
    }
    match release.pcrs.is_empty() && release.software.is_none() {
        true => Err(bad(&format!("it does not say how {:.100} is recognised", release.firmware))),
        false => Ok((whose, release)),
    }
}

/// s5.1.4.1.4.5: the one of these digests that is a SHA-256.
fn sha256(digests: &Value) -> Result<Fingerprint, Refusal> {
    let mut found = None;
    for digest in list(Some(digests), "digests")? {
        let parts = list(Some(digest), "a digest")?;
        let [algorithm, value] = parts else { return Err(bad("a digest has not two parts")) };
        if algorithm.as_integer().map(i128::from) == Some(SHA256) || algorithm.as_text() == Some("sha-256") {
            let octets = value.as_bytes().and_then(|octets| octets.as_slice().try_into().ok());
            let octets = octets.ok_or_else(|| bad("a SHA-256 has not 32 octets"))?;
            if found.replace(Fingerprint(octets)).is_some() {
                return Err(bad("a SHA-256 is told of twice"));
            }
        }
    }
    found.ok_or_else(|| bad("there is no SHA-256 among the digests"))
}

/// validity-map (s7.3).
#[derive(Clone, Copy, Debug, Default)]
struct Validity {
    from: Option<Time>,
    until: Option<Time>,
}

impl Validity {
    fn read(value: &Value) -> Result<Self, Refusal> {
        let map = Map::of(value, "validity-map")?;
        let time = |value: &Value| seconds(tagged(value, 1, "a time")?);
        let until = map.get(1).ok_or_else(|| bad("a validity has no end"))?;
        Ok(Self { from: map.get(0).map(time).transpose()?, until: Some(time(until)?) })
    }

    fn check(&self, now: Time) -> Result<(), Refusal> {
        let refuse = |why: String| Err(Refusal::new(Fault::Denied, "reference-validity", SECTION, why));
        match (self.from, self.until) {
            (Some(from), _) if now < from => refuse(format!("it holds from {from} on")),
            (_, Some(until)) if until <= now => refuse(format!("it held until {until}")),
            _ => Ok(()),
        }
    }
}

/// Whole seconds since 1970.
fn seconds(value: &Value) -> Result<Time, Refusal> {
    let seconds = value.as_integer().and_then(|number| i64::try_from(number).ok());
    // Until the year 9999, as in certificates.
    let seconds = seconds.filter(|seconds| (0..253_402_300_800).contains(seconds));
    Ok(Time::from_unix(seconds.ok_or_else(|| bad("a time is no number of seconds"))?))
}

/// A map whose names are numbers; those of extensions are passed over.
struct Map<'a>(&'a [(Value, Value)]);

impl<'a> Map<'a> {
    fn of(value: &'a Value, what: &str) -> Result<Self, Refusal> {
        let map = value.as_map().ok_or_else(|| bad(&format!("{what} is no map")))?;
        let mut names: Vec<_> = map.iter().filter_map(|(name, _)| name.as_integer().map(i128::from)).collect();
        names.sort_unstable();
        match names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            // RFC 8949 s5.6.
            true => Err(bad(&format!("{what} has a name twice"))),
            false => Ok(Self(map)),
        }
    }

    fn get(&self, number: i128) -> Option<&'a Value> {
        self.0.iter().find(|(name, _)| name.as_integer().map(i128::from) == Some(number)).map(|(_, value)| value)
    }
}

fn list<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a [Value], Refusal> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).filter(|list| !list.is_empty());
    list.ok_or_else(|| bad(&format!("{what}: there is no list, or nothing in it")))
}

fn tagged<'a>(value: &'a Value, number: u64, what: &str) -> Result<&'a Value, Refusal> {
    match value {
        Value::Tag(found, value) if *found == number => Ok(value),
        _ => Err(bad(&format!("{what} has not the tag {number}"))),
    }
}

/// CBOR, whole and nothing after it.
fn parse(octets: &[u8]) -> Result<Value, Refusal> {
    let mut rest = octets;
    let value = from_reader_with_recursion_limit(&mut rest, DEEPEST).map_err(|_| bad("it is no CBOR, or too deep"))?;
    match rest.is_empty() {
        true => Ok(value),
        false => Err(bad("something stands behind it")),
    }
}

fn bad(why: &str) -> Refusal {
    malformed("reference-syntax", SECTION, why)
}
