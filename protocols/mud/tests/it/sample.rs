//! A file in which everything is that a file can have, and what becomes of it with one thing changed.

use super::{agree, traffic};
use landfall_mud::{Class, Kind, MudFile, Policy, Report, read};
use landfall_types::Refusal;
use serde_json::{Value, json};

fn entry(name: &str, matches: Value) -> Value {
    json!({ "name": name, "matches": matches, "actions": { "forwarding": "accept" } })
}

/// All of it as the specifications have it.
pub(crate) fn sample() -> Value {
    let tls = json!({ "tls-dtls-profile": [{
        "name": "cloud", "supported-tls-version": ["tls12", "tls13"], "cipher-suite": [4865, 4866],
        "extension-type": [10, 11, 13, 16, 24], "supported-group": [29], "signature-algorithm": [1027],
        "application-protocol": ["h2"],
    }] });
    let from4 = [
        json!({ "name": "never", "matches": { "ipv4": { "protocol": 6 }, "tcp": { "destination-port": { "port": 23 } } },
                "actions": { "forwarding": "drop" } }),
        entry(
            "cloud",
            json!({
                "ipv4": { "ietf-acldns:dst-dnsname": "cloud.lamp.example", "protocol": 6 },
                "tcp": { "ietf-mud:direction-initiated": "from-device", "destination-port": { "operator": "eq", "port": 443 } },
                "ietf-acl-tls:client-profiles": tls,
            }),
        ),
        entry(
            "mine",
            json!({ "ietf-mud:mud": { "my-controller": [null] }, "ipv4": { "protocol": 17 },
                              "udp": { "destination-port": { "lower-port": 5683, "upper-port": 5684 } } }),
        ),
        entry("friends", json!({ "ietf-mud:mud": { "same-manufacturer": [null] }, "ipv4": {} })),
        entry(
            "others",
            json!({ "ietf-mud:mud": { "manufacturer": "switch.example" },
                                "tcp": { "source-port": { "operator": "gte", "port": 1024 },
                                         "destination-port": { "operator": "neq", "port": 22 } } }),
        ),
        entry(
            "alike",
            json!({ "ietf-mud:mud": { "model": "https://lamp.example/lamp.json" }, "ipv4": { "protocol": 6 } }),
        ),
        entry(
            "group",
            json!({ "ietf-mud:mud": { "local-networks": [null] },
                               "ipv4": { "protocol": 17, "destination-ipv4-network": "239.255.255.250/32" },
                               "udp": { "destination-port": { "operator": "lte", "port": 1900 } } }),
        ),
        entry(
            "class",
            json!({ "ietf-mud:mud": { "controller": "https://lamp.example/class/hub" },
                               "icmp": { "type": 8, "code": 0 } }),
        ),
    ];
    let to4 = [entry(
        "cloud",
        json!({
            "ipv4": { "ietf-acldns:src-dnsname": "cloud.lamp.example", "protocol": 6 },
            "tcp": { "ietf-mud:direction-initiated": "from-device", "source-port": { "operator": "eq", "port": 443 } },
        }),
    )];
    let from6 = [entry(
        "group6",
        json!({ "ipv6": { "protocol": 58, "destination-ipv6-network": "ff02::/16" },
                                        "icmp": { "type": 135 } }),
    )];
    let mixed = [
        entry(
            "all",
            json!({ "eth": { "ethertype": 35020, "destination-mac-address": "01:80:c2:00:00:00",
                                      "destination-mac-address-mask": "ff:ff:ff:ff:ff:f0" } }),
        ),
        entry(
            "six",
            json!({ "eth": { "source-mac-address": "02:00:00:00:00:07" },
                             "ipv6": { "source-ipv6-network": "2001:db8::/32" } }),
        ),
    ];
    let list =
        |name: &str, kind: &str, entries: &[Value]| json!({ "name": name, "type": kind, "aces": { "ace": entries } });
    let named = |names: &[&str]| {
        let names: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "access-lists": { "access-list": names } })
    };
    json!({
        "ietf-mud:mud": {
            "mud-version": 1,
            "mud-url": "https://lamp.example/lamp.json",
            "last-update": "2026-06-29T19:50:19+02:00",
            "mud-signature": "https://lamp.example/lamp.p7s",
            "cache-validity": 72,
            "is-supported": true,
            "systeminfo": "A lamp",
            "mfg-name": "Lamps", "model-name": "L1", "firmware-rev": "1.2", "software-rev": "3.4",
            "documentation": "https://lamp.example/doc",
            "extensions": ["tls", "transparency"],
            "ietf-mud-tls:is-tls-dtls-profile-supported": true,
            "ietf-mud-transparency:transparency": {
                "sboms": [{ "version-info": "1.2", "sbom-url": "https://lamp.example/sbom" }],
                "sbom-archive-list": "https://lamp.example/sboms",
                "vuln-url": ["https://lamp.example/vuln"],
            },
            "from-device-policy": named(&["from4", "from6", "link"]),
            "to-device-policy": named(&["to4"]),
        },
        "ietf-access-control-list:acls": { "acl": [
            list("from4", "ipv4-acl-type", &from4),
            list("from6", "ipv6-acl-type", &from6),
            list("link", "mixed-eth-ipv4-ipv6-acl-type", &mixed),
            list("to4", "ipv4-acl-type", &to4),
        ] },
    })
}

fn reading(value: &Value) -> Result<(MudFile, Report), Refusal> {
    read(value.to_string().as_bytes())
}

#[test]
fn all_that_a_file_can_have_is_understood() {
    let (file, report) = reading(&sample()).unwrap();
    assert!(report.conforms() && report.count(Kind::Unsupported) == 0, "{report:?}");
    assert_eq!(file.url.authority(), "lamp.example");
    assert_eq!((file.cache_validity, file.is_supported, file.has_tls_profiles), (72, true, true));
    assert_eq!(file.extensions, ["tls", "transparency"]);
    assert_eq!(file.transparency.as_ref().unwrap().vulnerabilities, ["https://lamp.example/vuln"]);
    let policy = Policy::of(&file);
    assert!(policy.left_out.is_empty());
    // RFC 8520 appendix B: six rules more in either direction.
    assert_eq!((policy.from_device.len(), policy.to_device.len()), (11 + 6, 1 + 6));
    assert_eq!(policy.from_device[1].tls[0].cipher_suites, [4865, 4866]);
    assert_eq!(policy.from_device[3].classes, [Class::Manufacturer("lamp.example".into())]);
}

/// A change, and what is found then: kind, end of the path, and section.
type Case = (&'static str, Option<Value>, Kind, &'static str, &'static str);

#[test]
fn one_thing_changed_is_found_where_it_is() {
    use Kind::{Mended, Note, Unsupported, Wrong};
    const ACL: &str = "/ietf-access-control-list:acls/acl";
    let cases: &[Case] = &[
        ("/ietf-mud:mud/last-update", None, Wrong, "/ietf-mud:mud", "RFC 8520 s3.4"),
        ("/ietf-mud:mud/last-update", Some(json!("yesterday")), Wrong, "last-update", "RFC 8520 s3.4"),
        ("/ietf-mud:mud/is-supported", None, Wrong, "/ietf-mud:mud", "RFC 8520 s3.6"),
        ("/ietf-mud:mud/is-supported", Some(json!("true")), Wrong, "is-supported", "RFC 8520 s3.6"),
        ("/ietf-mud:mud/is-supported", Some(json!(false)), Note, "is-supported", "RFC 8520 s3.6"),
        ("/ietf-mud:mud/cache-validity", Some(json!(0)), Wrong, "cache-validity", "RFC 8520 s3.5"),
        ("/ietf-mud:mud/cache-validity", Some(json!(169)), Wrong, "cache-validity", "RFC 8520 s3.5"),
        ("/ietf-mud:mud/systeminfo", Some(json!("x".repeat(61))), Note, "systeminfo", "RFC 8520 s3.7"),
        ("/ietf-mud:mud/systeminfo", Some(json!("x\u{1b}[2J")), Wrong, "systeminfo", "RFC 8520 s3.7"),
        ("/ietf-mud:mud/systeminfo", Some(json!("x".repeat(5000))), Wrong, "systeminfo", "RFC 8520 s3.7"),
        ("/ietf-mud:mud/documentation", Some(json!("javascript:x")), Wrong, "documentation", "RFC 8520 s4.3"),
        ("/ietf-mud:mud/mud-signature", Some(json!("http://x/y")), Wrong, "mud-signature", "RFC 8520 s13.1"),
        ("/ietf-mud:mud/extensions", Some(json!(["tls"])), Mended, "extensions", "RFC 9472 s5"),
        ("/ietf-mud:mud/extensions/0", Some(json!("")), Wrong, "extensions/0", "RFC 8520 s3.9"),
        ("/ietf-mud:mud/from-device-policy", None, Wrong, "/ietf-mud:mud", "RFC 8520 s3.3"),
        (
            "/ietf-mud:mud/to-device-policy/access-lists/access-list/0/name",
            Some(json!("none")),
            Wrong,
            "0/name",
            "RFC 8520 s3.3",
        ),
        (
            "/ietf-mud:mud/to-device-policy/access-lists/access-list/0/name",
            Some(json!(1)),
            Wrong,
            "0/name",
            "RFC 8520 s3.3",
        ),
        ("/ietf-mud:mud/colour", Some(json!("red")), Note, "colour", "RFC 8520 s3.9"),
        ("/ietf-acl:other", Some(json!({})), Note, "/ietf-acl:other", "RFC 8520 s3.9"),
        (
            "/ietf-mud:mud/ietf-mud-tls:is-tls-dtls-profile-supported",
            Some(json!("true")),
            Mended,
            "supported",
            "RFC 7951 s6.3",
        ),
        (
            "/ietf-mud:mud/ietf-mud-transparency:transparency/sbom-contact-uri",
            Some(json!("tel:1")),
            Wrong,
            "transparency",
            "RFC 9472 s5",
        ),
        (
            "/ietf-mud:mud/ietf-mud-transparency:transparency/vuln-url/0",
            Some(json!("ftp://x")),
            Wrong,
            "vuln-url/0",
            "RFC 9472 s5",
        ),
        ("/acl/0/type", Some(json!("ipv5-acl-type")), Wrong, "acl/0/type", "RFC 8519 s4.1"),
        ("/acl/0/name", Some(json!("to4")), Wrong, "access-list/0/name", "RFC 8520 s3.3"),
        ("/acl/0/aces/ace/0/name", Some(json!("")), Wrong, "ace/0", "RFC 8519 s4.1"),
        ("/acl/0/aces/ace/1/name", Some(json!("never")), Mended, "ace/1/name", "RFC 8519 s4.1"),
        ("/acl/0/aces/ace/1/actions", None, Wrong, "ace/1", "RFC 8519 s4.1"),
        ("/acl/0/aces/ace/1/actions/forwarding", Some(json!("mirror")), Wrong, "forwarding", "RFC 8520 s2.1"),
        ("/acl/0/aces/ace/1/actions/forwarding", Some(json!("reject")), Note, "forwarding", "RFC 8520 s2.1"),
        ("/acl/0/aces/ace/1/matches/ipv4/protocol", Some(json!(17)), Wrong, "ace/1/matches", "RFC 8519 s4.1"),
        ("/acl/0/aces/ace/1/matches/ipv4/protocol", Some(json!(256)), Wrong, "protocol", "RFC 8519 s4.2"),
        ("/acl/0/aces/ace/1/matches/ipv4/dscp", Some(json!(1)), Unsupported, "dscp", "RFC 8519 s4.2"),
        ("/acl/0/aces/ace/1/matches/ipv4/colour", Some(json!(1)), Wrong, "colour", "RFC 8520 s3.9"),
        ("/acl/0/aces/ace/1/matches/ingress-interface", Some(json!("x")), Wrong, "ingress-interface", "RFC 8520 s3.9"),
        ("/acl/0/aces/ace/1/matches/ipv6", Some(json!({})), Wrong, "ipv6", "RFC 8519 s4.1"),
        ("/acl/0/aces/ace/1/matches/udp", Some(json!({})), Wrong, "matches", "RFC 8519 s4.1"),
        (
            "/acl/0/aces/ace/1/matches/ipv4/ietf-acldns:dst-dnsname",
            Some(json!("0.0.0.0/0")),
            Wrong,
            "dst-dnsname",
            "RFC 8520 s8",
        ),
        (
            "/acl/0/aces/ace/1/matches/ipv4/ietf-acldns:dst-dnsname",
            Some(json!("192.0.2.1")),
            Unsupported,
            "dst-dnsname",
            "RFC 8520 s8",
        ),
        (
            "/acl/0/aces/ace/1/matches/ipv4/ietf-acldns:dst-dnsname",
            Some(json!("a..b")),
            Wrong,
            "dst-dnsname",
            "RFC 8520 s8",
        ),
        (
            "/acl/0/aces/ace/1/matches/ipv4/ietf-acldns:dst-dnsname",
            Some(json!("*.b")),
            Wrong,
            "dst-dnsname",
            "RFC 8520 s8",
        ),
        (
            "/acl/0/aces/ace/1/matches/tcp/ietf-mud:direction-initiated",
            Some(json!("both")),
            Wrong,
            "direction-initiated",
            "RFC 8520 s4.8",
        ),
        ("/acl/0/aces/ace/1/matches/tcp/destination-port/port", Some(json!(65536)), Wrong, "port", "RFC 8519 s4.2"),
        ("/acl/0/aces/ace/1/matches/tcp/destination-port/port", None, Wrong, "destination-port", "RFC 8519 s4.2"),
        (
            "/acl/0/aces/ace/1/matches/tcp/destination-port/operator",
            Some(json!("about")),
            Wrong,
            "operator",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/1/matches/tcp/destination-port/lower-port",
            Some(json!(1)),
            Wrong,
            "destination-port",
            "RFC 8519 s4.2",
        ),
        ("/acl/0/aces/ace/1/matches/tcp/flags", Some(json!("syn")), Unsupported, "flags", "RFC 8519 s4.2"),
        (
            "/acl/0/aces/ace/2/matches/udp/destination-port/operator",
            Some(json!("eq")),
            Mended,
            "operator",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/2/matches/udp/destination-port/operator",
            Some(json!("neq")),
            Wrong,
            "operator",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/2/matches/udp/destination-port/upper-port",
            Some(json!(5000)),
            Wrong,
            "destination-port",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/2/matches/ietf-mud:mud/my-controller",
            Some(json!([])),
            Mended,
            "my-controller",
            "RFC 8520 s4.7",
        ),
        (
            "/acl/0/aces/ace/2/matches/ietf-mud:mud/my-controller",
            Some(json!("x")),
            Wrong,
            "my-controller",
            "RFC 8520 s4.7",
        ),
        ("/acl/0/aces/ace/2/matches/ietf-mud:mud/my-controller", None, Wrong, "ietf-mud:mud", "RFC 8520 s4"),
        ("/acl/0/aces/ace/2/matches/ietf-mud:mud/colour", Some(json!("red")), Wrong, "colour", "RFC 8520 s3.9"),
        (
            "/acl/0/aces/ace/4/matches/ietf-mud:mud/manufacturer",
            Some(json!("a b")),
            Wrong,
            "manufacturer",
            "RFC 8520 s4.1",
        ),
        ("/acl/0/aces/ace/5/matches/ietf-mud:mud/model", Some(json!("urn:x")), Wrong, "model", "RFC 8520 s4.4"),
        (
            "/acl/0/aces/ace/6/matches/ipv4/destination-ipv4-network",
            Some(json!("239.1.1.1")),
            Mended,
            "network",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/6/matches/ipv4/destination-ipv4-network",
            Some(json!("::1/128")),
            Wrong,
            "network",
            "RFC 8519 s4.2",
        ),
        (
            "/acl/0/aces/ace/7/matches/ietf-mud:mud/controller",
            Some(json!("urn:ietf:params:mud:gateway")),
            Mended,
            "controller",
            "RFC 8520 s17.7",
        ),
        (
            "/acl/0/aces/ace/7/matches/icmp/rest-of-header",
            Some(json!("AAAA")),
            Unsupported,
            "rest-of-header",
            "RFC 8519 s4.2",
        ),
        ("/acl/0/aces/ace/7/matches", None, Note, "ace/7", "RFC 8519 s4.1"),
        ("/acl/2/aces/ace/0/matches/eth/ethertype", Some(json!("0x88cc")), Mended, "ethertype", "RFC 8519 s4.2"),
        ("/acl/2/aces/ace/0/matches/eth/ethertype", Some(json!(6)), Wrong, "ethertype", "RFC 8519 s4.2"),
        ("/acl/2/aces/ace/0/matches/eth/destination-mac-address", None, Wrong, "eth", "RFC 8519 s4.2"),
        ("/acl/2/aces/ace/1/matches/ipv4", Some(json!({})), Wrong, "ipv6", "RFC 8519 s4.1"),
        ("/acl/2/aces/ace/1/matches/icmp", Some(json!({})), Note, "", ""),
    ];
    for (path, value, kind, end, section) in cases {
        let path = match path.strip_prefix("/acl/") {
            Some(rest) => format!("{ACL}/{rest}"),
            None => (*path).to_owned(),
        };
        let changed = changed(sample(), &path, value.clone());
        let (_, report) = reading(&changed).unwrap();
        let found = report.findings().iter().any(|finding| {
            finding.kind == *kind && finding.path.ends_with(end) && (finding.section == *section || section.is_empty())
        });
        assert!(found, "{path} = {value:?}: {kind} {end} {section} is not in {report:#?}");
    }
}

#[test]
fn what_is_no_file_of_version_1_is_refused_by_name() {
    let check = |path: &str, value: Option<Value>| {
        let changed = changed(sample(), path, value);
        reading(&changed).expect_err(path).check.into_owned()
    };
    assert_eq!(check("/ietf-mud:mud", None), "mud-container");
    assert_eq!(check("/ietf-mud:mud", Some(json!([]))), "mud-container");
    assert_eq!(check("/ietf-mud:mud/mud-version", None), "mud-version");
    assert_eq!(check("/ietf-mud:mud/mud-version", Some(json!(2))), "mud-version");
    assert_eq!(check("/ietf-mud:mud/mud-version", Some(json!("1"))), "mud-version");
    for url in [json!(null), json!("http://lamp.example/x"), json!("https://a@lamp.example/x"), json!(["https://x/"])] {
        assert_eq!(check("/ietf-mud:mud/mud-url", Some(url)), "mud-url");
    }
    assert_eq!(check("/ietf-mud:mud/mud-url", None), "mud-url");
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().check.into_owned();
    assert_eq!(refused(b"[]"), "mud-json");
    assert_eq!(refused(b"{\"ietf-mud:mud\":{},\"ietf-mud:mud\":{}}"), "mud-json");
    assert_eq!(refused("[".repeat(100_000).as_bytes()), "mud-json");
    assert_eq!(refused(&vec![b' '; 1024 * 1024 + 1]), "mud-size");
    let mut many = sample();
    let one = many["ietf-access-control-list:acls"]["acl"][1]["aces"]["ace"][0].clone();
    many["ietf-access-control-list:acls"]["acl"][1]["aces"]["ace"] = Value::Array(vec![one; 2049]);
    assert_eq!(reading(&many).unwrap_err().check, "mud-entries");
}

/// RFC 9761 s7 has another shape than the models.
#[test]
fn lists_within_the_container_and_actions_among_the_matches_are_mended() {
    let mut changed = sample();
    let acls = changed.as_object_mut().unwrap().remove("ietf-access-control-list:acls").unwrap();
    changed["ietf-mud:mud"]["ietf-access-control-list:acls"] = acls;
    let entry = &mut changed["ietf-mud:mud"]["ietf-access-control-list:acls"]["acl"][0]["aces"]["ace"][1];
    let actions = entry.as_object_mut().unwrap().remove("actions").unwrap();
    entry["matches"]["actions"] = actions;
    let (file, report) = reading(&changed).unwrap();
    assert_eq!((report.count(Kind::Wrong), report.count(Kind::Mended)), (0, 2), "{report:#?}");
    assert_eq!(Policy::of(&file), Policy::of(&reading(&sample()).unwrap().0));
}

#[test]
fn what_is_not_understood_never_lets_more_through() {
    let before = Policy::of(&reading(&sample()).unwrap().0);
    let context = agree::context(&before);
    let packets = traffic::packets(&before, &context, 7);
    let mut all = Vec::new();
    paths(&sample(), String::new(), &mut all);
    let inside = |path: &&String| path.contains("/aces/") || path.contains("-policy/");
    let (mut tried, mut left_out) = (0, 0);
    for path in all.iter().filter(inside) {
        for wrong in [json!(null), json!(-1), json!({ "x": 1 }), json!([[]]), json!("\u{0}")] {
            let changed = changed(sample(), path, Some(wrong.clone()));
            let Ok((file, report)) = reading(&changed) else { continue };
            let after = Policy::of(&file);
            if report.count(Kind::Wrong) == 0 {
                continue;
            }
            tried += 1;
            left_out += after.left_out.len();
            for packet in &packets {
                let wider = after.allows(packet, &context) && !before.allows(packet, &context);
                assert!(!wider, "{path} = {wrong} lets through {packet:?}");
            }
        }
    }
    assert!(tried > 500 && left_out > 300, "{tried} {left_out}");
}

/// RFC 7493 s2.3: of two of one name nobody can say which is meant.
#[test]
fn every_field_of_the_schema_doubled_is_refused() {
    let mut all = Vec::new();
    paths(&sample(), String::new(), &mut all);
    let mut tried = 0;
    for path in &all {
        let (above, name) = path.rsplit_once('/').unwrap();
        let whole = sample();
        let holder = if above.is_empty() { Some(&whole) } else { whole.pointer(above) };
        if !holder.unwrap().is_object() {
            continue;
        }
        let value = sample().pointer(path).unwrap().clone();
        let twice = changed(sample(), &format!("{above}/TWICE"), Some(value)).to_string();
        assert!(read(twice.as_bytes()).is_ok(), "{path}: another name is none of two");
        let twice = twice.replace("\"TWICE\"", &format!("\"{name}\""));
        assert_eq!(read(twice.as_bytes()).expect_err(path).check, "mud-json", "{path}");
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}

/// Who wrote the file is told of each, in its place.
#[test]
fn every_field_of_the_schema_of_another_type_is_refused_or_found() {
    let (_, before) = reading(&sample()).unwrap();
    let mut all = Vec::new();
    paths(&sample(), String::new(), &mut all);
    for path in &all {
        let is_object = sample().pointer(path).unwrap().is_object();
        let other = if is_object { json!(true) } else { json!({ "x": [1] }) };
        let Ok((_, report)) = reading(&changed(sample(), path, Some(other))) else { continue };
        let mut new = report.findings().iter().filter(|finding| !before.findings().contains(finding));
        assert!(new.next().is_some(), "{path}: {report:#?}");
    }
}

/// What a match does not say it does not ask for; whatever else is missing opens nothing.
#[test]
fn every_field_of_the_schema_missing_lets_no_more_through() {
    let before = Policy::of(&reading(&sample()).unwrap().0);
    let context = agree::context(&before);
    let packets = traffic::packets(&before, &context, 7);
    let mut all = Vec::new();
    paths(&sample(), String::new(), &mut all);
    let (mut refused, mut tried) = (0, 0);
    for path in &all {
        // An entry that is not in its list is no missing field.
        if path.contains("/matches") || path.rsplit('/').next().unwrap().parse::<usize>().is_ok() {
            continue;
        }
        tried += 1;
        let Ok((file, _)) = reading(&changed(sample(), path, None)) else {
            refused += 1;
            continue;
        };
        let after = Policy::of(&file);
        for packet in &packets {
            let wider = after.allows(packet, &context) && !before.allows(packet, &context);
            assert!(!wider, "without {path} it lets through {packet:?}");
        }
    }
    assert!(refused >= 3 && tried > 60, "{refused} {tried}");
}

#[test]
fn what_comes_after_an_unreadable_drop_is_left_out() {
    let path = "/ietf-access-control-list:acls/acl/0/aces/ace/0/matches/tcp/destination-port/port";
    let (file, _) = reading(&changed(sample(), path, Some(json!("telnet")))).unwrap();
    let policy = Policy::of(&file);
    assert!(policy.from_device.is_empty() && policy.left_out.len() == 11, "{:?}", policy.left_out);
    assert_eq!(policy.to_device.len(), 7);
    let path = "/ietf-mud:mud/from-device-policy/access-lists/access-list/0/name";
    let policy = Policy::of(&reading(&changed(sample(), path, Some(json!("gone")))).unwrap().0);
    assert!(policy.from_device.is_empty());
}

/// Sets what is at a path, adds it, or takes it away.
pub(crate) fn changed(mut file: Value, path: &str, value: Option<Value>) -> Value {
    let (above, name) = path.rsplit_once('/').unwrap();
    let above = if above.is_empty() { Some(&mut file) } else { file.pointer_mut(above) };
    match (above.unwrap_or_else(|| panic!("{path}")), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => drop(members.shift_remove(name).expect(path)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (Value::Array(items), None) => drop(items.remove(name.parse::<usize>().unwrap())),
        _ => panic!("{path}"),
    }
    file
}

/// A path to everything in a file.
pub(crate) fn paths(value: &Value, above: String, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
                all.push(path.clone());
                paths(value, path, all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let path = format!("{above}/{index}");
                all.push(path.clone());
                paths(value, path, all);
            }
        }
        _ => {}
    }
}
