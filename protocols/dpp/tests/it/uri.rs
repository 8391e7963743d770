//! The bootstrapping URI.

use crate::it::vectors::{octets, strings, vector};
use landfall_dpp::{Channel, Curve, Uri, curve::PublicKey, uri::Host};
use proptest::prelude::*;

const K: &str = "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADURzxmttZoIRIPWGoQMV00XHWCAQIhXruVWOz0NjlkIA=";

fn parse(fields: &str) -> Result<Uri, landfall_dpp::uri::UriError> {
    format!("DPP:{fields}K:{K};;").parse()
}

/// The field that is found wrong.
fn wrong(fields: &str) -> &'static str {
    parse(fields).expect_err(fields).field
}

#[test]
fn the_published_lists() {
    let Some(values) = vector("/uri") else { return };
    for (_, text) in strings(&values["valid_roundtrip_identical"]) {
        let uri: Uri = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(uri.to_string().parse::<Uri>().unwrap(), uri, "{text}");
    }
    for (_, text) in strings(&values["invalid"]) {
        assert!(text.parse::<Uri>().is_err(), "{text}");
    }
    for (names, digits) in values["supported_curves_B"].as_object().unwrap() {
        let curves: Vec<_> = match names.as_str() {
            "all six" => Curve::ALL.to_vec(),
            names => names.split(':').map(|name| Curve::named(name).unwrap()).collect(),
        };
        let uri = parse(&format!("B:{};", digits.as_str().unwrap())).unwrap();
        assert_eq!(uri.curves.as_ref().unwrap(), &curves);
        assert!(uri.to_string().contains(&format!("B:{};", digits.as_str().unwrap())), "{uri}");
    }
    for (text, parts) in values["host_H"].as_object().unwrap() {
        let host: Host = text.parse().unwrap();
        assert_eq!(
            (host.name.as_str(), u64::from(host.port)),
            (parts[0].as_str().unwrap(), parts[1].as_u64().unwrap())
        );
        assert_eq!(&host.to_string(), text);
        assert!(host.address().is_some());
    }
    for derived in values["derived_from_valid"].as_array().unwrap() {
        let uri: Uri = format!("DPP:K:{};;", derived["K"].as_str().unwrap()).parse().unwrap();
        assert_eq!(uri.key.bootstrap_hash().0.to_vec(), octets(&derived["bootstrap_key_hash"]));
        assert_eq!(uri.key.chirp_hash().0.to_vec(), octets(&derived["chirp_hash"]));
    }
}

#[test]
fn a_key_on_every_curve() {
    let Some(values) = vector("/bootstrap_keys/keys") else { return };
    for (curve, key) in values.as_object().unwrap() {
        let text = format!("DPP:K:{};;", key["uri_K"].as_str().unwrap());
        let uri: Uri = text.parse().unwrap();
        assert_eq!(uri.key.curve().name(), curve);
        assert_eq!(uri.key.spki(), octets(&key["spki_compressed"]));
        assert_eq!(uri.to_string(), text);
    }
}

#[test]
fn the_fields_are_written_in_their_order() {
    let text = format!("DPP:C:81/1,6,115/36;M:010203040506;I:SN=1;V:3;B:f3;H:example.net:1234;K:{K};;");
    let uri: Uri = text.parse().unwrap();
    assert_eq!(uri.to_string(), text);
    assert_eq!(uri.channels[2], Channel { class: 115, channel: 36 });
    assert_eq!(uri.mac, Some([1, 2, 3, 4, 5, 6]));
    assert_eq!((uri.information.as_deref(), uri.version), (Some("SN=1"), Some(3)));
    assert_eq!(uri.host.as_ref().unwrap().address(), None);
    let backwards: String = text[4..].trim_end_matches(';').split(';').rev().map(|field| format!("{field};")).collect();
    assert_eq!(format!("DPP:{backwards};").parse::<Uri>().unwrap(), uri);
}

#[test]
fn what_later_releases_add_is_passed_over() {
    let uri = parse("Z:what:ever/it is;C:0081/1;").map_err(|error| error.field);
    assert_eq!(uri, Err("C"));
    assert_eq!(parse("Z:what:ever/it is;X:;").unwrap(), parse("").unwrap());
    assert_eq!(parse("B:f7f;").unwrap().curves.unwrap(), Curve::ALL);
    assert_eq!(parse("C:81/999,6,255/0,999/1;").unwrap().channels, [Channel { class: 81, channel: 6 }]);
    assert_eq!(parse("M:01:02:03:04:05:0a;").unwrap().mac, Some([1, 2, 3, 4, 5, 10]));
}

#[test]
fn each_field_is_refused_by_its_name() {
    for (fields, field) in [
        ("C:1;", "C"),
        ("C:81/1a;", "C"),
        ("C:1/2000;", "C"),
        ("C:81/-1;", "C"),
        ("C:-1/1;", "C"),
        ("C:;", "C"),
        ("C:81/1,,2;", "C"),
        ("M:;", "M"),
        ("M:01020304050;", "M"),
        ("M:0102030405066;", "M"),
        ("M:01:02:03:04:0506;", "M"),
        ("M:0102030405zz;", "M"),
        ("I:foo\tbar;", "I"),
        ("I:f\u{fc}r;", "I"),
        ("V:;", "V"),
        ("V:x;", "V"),
        ("V:+2;", "V"),
        ("V:1000;", "V"),
        ("B:;", "B"),
        ("B:g;", "B"),
        ("B:00000000000000001;", "B"),
        ("H:;", "H"),
        ("H:a b;", "H"),
        ("H:host:;", "H"),
        ("H:host:0;", "H"),
        ("H:host:65536;", "H"),
        ("H:host:+1;", "H"),
        ("H:[fe80::1;", "H"),
        ("H:[fe80::1]1;", "H"),
        ("H:[192.168.1.1]:1;", "H"),
        ("H:fe80::g;", "H"),
        ("I:a;I:a;", "I"),
        ("what;", "URI"),
        (";", "URI"),
    ] {
        assert_eq!(wrong(fields), field, "{fields}");
    }
    assert_eq!(wrong(&format!("K:{K};")), "K", "two keys");
    assert_eq!(wrong(&format!("C:{};", ["81/1"; 257].join(","))), "C");
    assert_eq!(wrong(&format!("I:{};", "x".repeat(5000))), "URI");
    for text in
        [format!("dpp:K:{K};;"), format!("DPP:K:{K};"), format!("DPP:K:{K};; "), "DPP:K:;;".into(), "DPP:V:3;;".into()]
    {
        assert!(text.parse::<Uri>().is_err(), "{text}");
    }
    let refusal = parse("V:x;").unwrap_err().refusal();
    assert_eq!((&*refusal.check, &*refusal.field, &*refusal.section), ("dpp-uri", "V", "DPP s5.2.1"));
}

#[test]
fn an_uncompressed_key_is_taken_and_written_compressed() {
    let key = parse("").unwrap().key;
    let head = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    use base64::{Engine, engine::general_purpose::STANDARD};
    let long: Uri = format!("DPP:K:{};;", STANDARD.encode([head, key.to_wire()].concat())).parse().unwrap();
    assert_eq!(long, Uri::of(key));
    assert!(long.to_string().contains(K));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        channels in proptest::collection::vec((1_u8.., 1_u8..), 0..40),
        mac in proptest::option::of(any::<[u8; 6]>()),
        information in proptest::option::of("[ -:<-~]{0,40}"),
        version in proptest::option::of(any::<u8>()),
        curves in proptest::option::of(proptest::sample::subsequence(Curve::ALL.to_vec(), 0..=6)),
        host in proptest::option::of(("[a-z0-9.-]{1,30}|2001:db8::[0-9a-f]{1,4}", 1_u16..)),
    ) {
        let channels = channels.into_iter().map(|(class, channel)| Channel { class, channel }).collect();
        let host = host.map(|(name, port)| Host { name, port });
        let uri = Uri { channels, mac, information, version, curves, host, ..Uri::of(PublicKey::generator(Curve::P256)) };
        prop_assert_eq!(uri.to_string().parse::<Uri>().unwrap(), uri);
    }

    #[test]
    fn any_text_is_safe(text in "(DPP:)?([CMIVBHK]:[ -~]{0,12};){0,6}K?:?\\PC{0,20};{0,2}") {
        let _ = text.parse::<Uri>();
    }
}
