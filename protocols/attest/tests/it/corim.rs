//! Reference values in signed CoRIMs: a good one, each refusal by one thing changed in it, and what others have made.

use ciborium::{Value, into_writer};
use coset::{CoseSign1Builder, HeaderBuilder, Label, TaggedCborSerializable, iana};
use landfall_attest::{ReferenceValues, corim};
use landfall_pki::{Algorithm, PublicKey, Signer, SoftwareKey, fixed_from_der};
use landfall_types::{Fingerprint, Time};

const NOW: Time = Time::from_unix(1_700_000_000);

fn int(number: i64) -> Value {
    Value::Integer(number.into())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn map(members: Vec<(i64, Value)>) -> Value {
    Value::Map(members.into_iter().map(|(name, value)| (int(name), value)).collect())
}

fn tag(number: u64, value: Value) -> Value {
    Value::Tag(number, Box::new(value))
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    into_writer(value, &mut out).unwrap();
    out
}

fn sha256(octet: u8) -> Value {
    Value::Array(vec![
        Value::Array(vec![text("another"), Value::Bytes(vec![1; 4])]),
        Value::Array(vec![int(1), Value::Bytes(vec![octet; 32])]),
    ])
}

/// What is signed, each part of which a test may change.
struct Good {
    class: Value,
    values: Vec<Value>,
    corim: Vec<(i64, Value)>,
    meta: Vec<(i64, Value)>,
    content: &'static str,
    key: SoftwareKey,
}

impl Good {
    fn new() -> Self {
        let registers = Value::Map(vec![(int(0), sha256(7)), (int(8), sha256(8))]);
        Self {
            class: map(vec![(1, text("acme")), (2, text("lamp"))]),
            values: vec![map(vec![(0, map(vec![(0, text("2.0"))]))]), map(vec![(14, registers)])],
            corim: vec![(0, text("lamps")), (4, validity(NOW, 60))],
            meta: vec![(0, map(vec![(0, text("Acme releases"))])), (1, validity(NOW, 60))],
            content: "application/rim+cbor",
            key: SoftwareKey::generate(Algorithm::EcdsaP256).unwrap(),
        }
    }

    fn payload(&self) -> Vec<u8> {
        let measurements = self.values.iter().map(|values| map(vec![(1, values.clone())])).collect();
        let triple = Value::Array(vec![map(vec![(0, self.class.clone())]), Value::Array(measurements)]);
        let triples = map(vec![(0, Value::Array(vec![triple]))]);
        let comid = map(vec![(1, map(vec![(0, text("lamp-2.0"))])), (4, triples)]);
        let tags = Value::Array(vec![tag(506, Value::Bytes(bytes(&comid)))]);
        let members = self.corim.iter().cloned().chain([(1, tags)]).collect();
        bytes(&tag(501, map(members)))
    }

    fn sign(&self) -> Vec<u8> {
        self.sign_as(iana::Algorithm::ES256, self.payload())
    }

    fn sign_as(&self, algorithm: iana::Algorithm, payload: Vec<u8>) -> Vec<u8> {
        let mut header = HeaderBuilder::new().algorithm(algorithm).content_type(self.content.into()).build();
        if !self.meta.is_empty() {
            header.rest.push((Label::Int(8), Value::Bytes(bytes(&map(self.meta.clone())))));
        }
        let sign = |signed: &[u8]| fixed_from_der(Algorithm::EcdsaP256, &self.key.sign(signed).unwrap()).unwrap();
        let message = CoseSign1Builder::new().protected(header).payload(payload).create_signature(&[], sign).build();
        message.to_tagged_vec().unwrap()
    }

    fn verified(&self) -> Result<Vec<ReferenceValues>, String> {
        verified(&self.sign(), self.key.public_key())
    }
}

fn verified(octets: &[u8], key: &PublicKey) -> Result<Vec<ReferenceValues>, String> {
    corim::verify(octets, std::slice::from_ref(key), NOW).map_err(|refusal| refusal.check.into_owned())
}

fn validity(from: Time, seconds: i64) -> Value {
    let begun = i64::try_from(from.since(Time::from_unix(0)).as_secs()).unwrap();
    map(vec![(0, tag(1, int(begun))), (1, tag(1, int(begun + seconds)))])
}

#[test]
fn a_signed_corim_says_what_pcrs_hold() {
    let good = Good::new();
    let known = good.verified().unwrap();
    let [values] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((values.vendor.as_str(), values.model.as_str(), values.issued), ("acme", "lamp", NOW));
    let [release] = values.releases.as_slice() else { panic!("{values:?}") };
    assert_eq!(release.firmware, "2.0");
    assert_eq!(release.pcrs, [(0, Fingerprint([7; 32])), (8, Fingerprint([8; 32]))].into());
    assert!(release.holds(NOW) && release.until.is_some());
    let file = corim::verify_either(&good.sign(), &[good.key.public_key().clone()], NOW).unwrap();
    assert_eq!(file, known);
    // Firmware of a device without a TPM.
    let mut plain = Good::new();
    plain.values = vec![map(vec![(0, map(vec![(0, text("2.0"))])), (2, sha256(5))])];
    assert_eq!(plain.verified().unwrap()[0].releases[0].software, Some(Fingerprint([5; 32])));
}

#[test]
fn one_who_may_not_say_so_is_refused() {
    let good = Good::new();
    let signed = good.sign();
    let other = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    assert_eq!(verified(&signed, other.public_key()).unwrap_err(), "reference-signature");
    let of_another_kind = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    assert_eq!(verified(&signed, of_another_kind.public_key()).unwrap_err(), "reference-signer");
    assert_eq!(corim::verify(&signed, &[], NOW).unwrap_err().check, "reference-signer");
    let key = good.key.public_key();
    for at in (0..signed.len()).step_by(7) {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        verified(&changed, key).unwrap_err();
        verified(&signed[..at], key).unwrap_err();
    }
    let mut changed = signed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(verified(&changed, key).unwrap_err(), "reference-signature");
    assert_eq!(verified(&[&signed[..], &[0]].concat(), key).unwrap_err(), "reference-syntax");
    assert_eq!(verified(&good.sign_as(iana::Algorithm::ES384, good.payload()), key).unwrap_err(), "reference-signer");
    assert_eq!(verified(&vec![0xd2; corim::LONGEST + 1], key).unwrap_err(), "reference-syntax");
    assert_eq!(verified(&[vec![0xd2], vec![0x81; 10_000]].concat(), key).unwrap_err(), "reference-syntax", "too deep");
}

#[test]
fn one_that_does_not_hold_now_or_is_of_a_profile_is_refused() {
    let refused = |change: &dyn Fn(&mut Good)| {
        let mut good = Good::new();
        change(&mut good);
        good.verified().unwrap_err()
    };
    let day = std::time::Duration::from_secs(86_400);
    for (from, seconds) in [(NOW + day, 60), (NOW - day, 60)] {
        assert_eq!(refused(&|good| good.meta[1] = (1, validity(from, seconds))), "reference-validity");
        assert_eq!(refused(&|good| good.corim[1] = (4, validity(from, seconds))), "reference-validity");
    }
    assert_eq!(refused(&|good| good.corim.push((3, tag(32, text("https://example.com"))))), "reference-profile");
}

#[test]
fn one_with_something_else_in_it_is_refused() {
    let good = Good::new();
    assert_eq!(
        verified(&good.sign_as(iana::Algorithm::ES256, vec![0xa0]), good.key.public_key()).unwrap_err(),
        "reference-syntax"
    );
    let register = |name: Value, value: Value| map(vec![(14, Value::Map(vec![(name, value)]))]);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Good));
    let changes: [Change<'_>; 14] = [
        ("another content", &|good| good.content = "application/cbor"),
        ("nobody says who signed", &|good| good.meta.clear()),
        ("no id", &|good| drop(good.corim.remove(0))),
        ("a name twice", &|good| good.corim.push((0, text("again")))),
        ("no vendor", &|good| good.class = map(vec![(2, text("lamp"))])),
        ("no model", &|good| good.class = map(vec![(1, text("acme"))])),
        ("no version", &|good| drop(good.values.remove(0))),
        ("a version of another form", &|good| good.values[0] = map(vec![(0, text("2.0"))])),
        ("nothing that is measured", &|good| drop(good.values.remove(1))),
        ("a register that is no PCR", &|good| good.values[1] = register(int(24), sha256(1))),
        ("a register with a name", &|good| good.values[1] = register(text("boot"), sha256(1))),
        ("no SHA-256", &|good| {
            good.values[1] = register(int(0), Value::Array(vec![Value::Array(vec![int(7), Value::Bytes(vec![1; 48])])]))
        }),
        ("a short SHA-256", &|good| {
            good.values[1] = register(int(0), Value::Array(vec![Value::Array(vec![int(1), Value::Bytes(vec![1; 31])])]))
        }),
        ("a register twice", &|good| good.values.push(register(int(0), sha256(9)))),
    ];
    for (what, change) in changes {
        let mut good = Good::new();
        change(&mut good);
        assert_eq!(good.verified().unwrap_err(), "reference-syntax", "{what}");
    }
}

/// Veraison's tools have signed these; what they say is of a profile, or without a version.
#[test]
fn what_others_have_signed_is_believed_to_be_theirs() {
    let (x, y) = (
        "30a0424cd21c2944838a2d75c92b37e76ea20d9f00893a3b4eee8a3c0aafec3e",
        "e04b65e92456d9888b52b379bdfbd51ee869ef1f0fc65b6659695b6cce081723",
    );
    let point = hex::decode(format!("04{x}{y}")).unwrap();
    let key = PublicKey::from_point(Algorithm::EcdsaP256, &point).unwrap();
    let good = include_bytes!("../vectors/veraison/signed-good-corim.cbor");
    let profiled = include_bytes!("../vectors/veraison/signed-example-corim.cbor");
    let refusal = corim::verify(good, std::slice::from_ref(&key), NOW).unwrap_err();
    assert!(refusal.check == "reference-syntax" && refusal.to_string().contains("two digests"), "{refusal}");
    assert_eq!(verified(profiled, &key).unwrap_err(), "reference-profile");
    let later = Time::from_unix(1_800_000_000);
    assert_eq!(corim::verify(good, std::slice::from_ref(&key), later).unwrap_err().check, "reference-validity");
    for theirs in [&good[..], profiled] {
        let mut changed = theirs.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(verified(&changed, &key).unwrap_err(), "reference-signature");
    }
}
