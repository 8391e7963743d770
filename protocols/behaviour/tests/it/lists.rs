//! Deny lists in each of their forms: what is on them, what is left out, and how they are looked up.

use landfall_behaviour::{DenyList, DenyLists, Format, deny::Entry};
use landfall_testkit::Rng;
use landfall_types::Time;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

fn now() -> Time {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn read(format: Format, text: &str) -> DenyList {
    DenyList::read(format, text.as_bytes(), now()).unwrap()
}

fn entries(list: &DenyList) -> Vec<String> {
    list.entries.keys().map(Entry::to_string).collect()
}

fn left_out(list: &DenyList) -> Vec<&str> {
    list.left_out.iter().map(|one| one.text.as_str()).collect()
}

#[test]
fn plain_lists_with_remarks_prefixes_and_names_and_hosts_files() {
    let list = read(
        Format::Plain,
        "# remark\n198.51.100.7\n203.0.113.77/24 ; SBL1\n\n2001:db8:1::/48\n0.0.0.0 Evil.Example.\n127.0.0.1 localhost\n*.bad.example\n",
    );
    assert_eq!(entries(&list), ["198.51.100.7", "203.0.113.0/24", "2001:db8:1::/48", "bad.example", "evil.example"]);
    assert!(list.left_out.is_empty());
}

#[test]
fn what_would_take_a_network_down_is_left_out_and_told() {
    let wrong = [
        "0.0.0.0/0",
        "1.0.0.0/7",
        "::/0",
        "2001::/18",
        "10.1.2.3",
        "192.168.0.0/16",
        "127.0.0.2",
        "169.254.1.1",
        "224.0.0.1",
        "100.64.0.1",
        "fe80::1",
        "fd00::1",
        "::1",
        "com",
        "1.2.3",
        "1.2.3.4/33",
        "1.2.3.4/x",
        "a..b",
        "two words",
        "ex ample.com x",
    ];
    let list = read(Format::Plain, &format!("198.51.100.7\n{}\n", wrong.join("\n")));
    assert_eq!(entries(&list), ["198.51.100.7"]);
    assert_eq!((list.left_out.len(), list.left_out_count), (wrong.len(), wrong.len()));
}

#[test]
fn a_list_with_nothing_on_it_is_refused() {
    for format in Format::ALL {
        for text in ["", "# nothing\n", "{}", "[]", "<html></html>", "{\"type\":\"bundle\",\"objects\":[]}"] {
            DenyList::read(format, text.as_bytes(), now()).expect_err(text);
        }
    }
    DenyList::read(Format::Plain, b"\xff\xfe", now()).unwrap_err();
}

#[test]
fn feodo_trackers_columns() {
    let text = "################\r\n# Feodo Tracker Botnet C2 IP Blocklist #\r\n\
        \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\r\n\
        \"2024-05-01 10:11:12\",\"198.51.100.7\",\"443\",\"online\",\"2024-05-02\",\"Pika\"\"bot\"\r\n\
        \"2024-05-01 10:11:12\",\"192.168.1.1\",\"443\",\"offline\",\"2024-05-02\",\"x,y\"\r\n# END 2 entries\r\n";
    let list = read(Format::Csv, text);
    assert_eq!((entries(&list), left_out(&list)), (vec!["198.51.100.7".to_owned()], vec!["192.168.1.1"]));
    let other = read(Format::Csv, "# id, ioc_value, x\n1, 198.51.100.7:443, y\n2, evil.example, y\n3\n");
    assert_eq!((entries(&other), left_out(&other)), (vec!["198.51.100.7".into(), "evil.example".into()], vec!["3"]));
    DenyList::read(Format::Csv, b"a,b,c\n1,2,3\n", now()).unwrap_err();
}

fn indicator(pattern: &str) -> Value {
    json!({
        "type": "indicator", "spec_version": "2.1", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2026-11-01T00:00:00.000Z", "modified": "2026-11-01T00:00:00.000Z", "indicator_types": ["malicious-activity"],
        "pattern": pattern, "pattern_type": "stix", "valid_from": "2026-11-01T00:00:00Z"
    })
}

fn bundle(objects: &[Value]) -> String {
    json!({ "type": "bundle", "id": "bundle--5d0092c5-5f74-4287-9642-33f4c354e56d", "objects": objects }).to_string()
}

/// Reads it beside a good one, since a list of nothing is refused.
fn with(object: Value) -> DenyList {
    let mut good = indicator("[ipv4-addr:value = '192.0.2.1']");
    good["id"] = "indicator--00000000-0000-4000-8000-000000000000".into();
    read(Format::Stix, &bundle(&[good, object]))
}

#[test]
fn patterns_of_addresses_and_names() {
    for (pattern, expected) in [
        ("[ipv4-addr:value = '198.51.100.7']", &["198.51.100.7"][..]),
        ("[ipv4-addr:value='198.51.100.0/24']", &["198.51.100.0/24"]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", &["198.51.100.0/24"]),
        ("[ipv6-addr:value = '2001:db8::1']", &["2001:db8::1"]),
        ("[domain-name:value = 'Evil.example' OR domain-name:value = 'bad.example']", &["bad.example", "evil.example"]),
        ("[domain-name:value IN ('evil.example', 'bad.example')]", &["bad.example", "evil.example"]),
        (
            "[ipv4-addr:value = '198.51.100.7'] OR [domain-name:value = 'evil.example']",
            &["198.51.100.7", "evil.example"],
        ),
        (
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.7']",
            &["198.51.100.7"],
        ),
    ] {
        let found: Vec<String> =
            entries(&with(indicator(pattern))).into_iter().filter(|entry| entry != "192.0.2.1").collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn patterns_that_mean_more_or_nothing_are_left_out() {
    for pattern in [
        "[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443]",
        "[ipv4-addr:value = '198.51.100.7' AND domain-name:value = 'evil.example']",
        "[ipv4-addr:value != '198.51.100.7']",
        "[NOT ipv4-addr:value = '198.51.100.7']",
        "[ipv4-addr:value LIKE '198.%']",
        "[url:value = 'https://evil.example/x']",
        "[file:hashes.'SHA-256' = 'aa']",
        "[ipv4-addr:value = '198.51.100.7'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.8']",
        "[ipv4-addr:value = '198.51.100.7'] WITHIN 5 SECONDS",
        "[ipv4-addr:value = 'evil.example']",
        "[domain-name:value = '198.51.100.7']",
        "[network-traffic:dst_ref.type = 'ipv4-addr']",
        "[ipv4-addr:value = '198.51.100.7'",
        "[ipv4-addr:value = '198.51.100.7]",
        "[ipv4-addr:value = 198.51.100.7]",
        "[domain-name:value = 'evil\\x.example']",
        "[]",
        "",
    ] {
        let list = with(indicator(pattern));
        assert_eq!((entries(&list), list.left_out_count), (vec!["192.0.2.1".to_owned()], 1), "{pattern}");
    }
}

#[test]
fn an_indicator_holds_for_its_time_in_its_last_version() {
    let good = || indicator("[ipv4-addr:value = '198.51.100.7']");
    assert_eq!(with(good()).entries.len(), 2);
    for (name, value) in [
        ("revoked", json!(true)),
        ("spec_version", json!("2.0")),
        ("pattern_type", json!("snort")),
        ("valid_from", json!("2026-11-24T00:00:00Z")),
        ("valid_until", json!("2026-11-22T00:00:00Z")),
        ("valid_until", json!("some day")),
        ("type", json!("observed-data")),
    ] {
        let mut object = good();
        object[name] = value;
        assert_eq!(with(object).entries.len(), 1, "{name}");
    }
    let (mut later, mut until) = (good(), good());
    later["modified"] = "2026-11-02T00:00:00.000Z".into();
    later["revoked"] = true.into();
    for order in [[good(), later.clone()], [later, good()]] {
        DenyList::read(Format::Stix, bundle(&order).as_bytes(), now()).expect_err("the last version is revoked");
    }
    until["valid_until"] = "2026-11-23T01:00:00Z".into();
    let list = with(until);
    let lists = DenyLists::of([("x", &list)]);
    let address: IpAddr = "198.51.100.7".parse().unwrap();
    assert!(lists.address(address, now()).is_some());
    assert!(lists.address(address, "2026-11-23T01:00:00Z".parse().unwrap()).is_none());
}

#[test]
fn taxii_is_asked_page_by_page() {
    use landfall_behaviour::deny::taxii::{Poll, Step};
    let mut poll = Poll::new(Some("2026-11-01T00:00:00+00:00".into()));
    assert_eq!(
        poll.query(),
        "objects/?match[type]=indicator&match[spec_version]=2.1&added_after=2026-11-01T00%3A00%3A00%2B00%3A00"
    );
    let mut second = indicator("[ipv4-addr:value = '198.51.100.8']");
    second["id"] = "indicator--2".into();
    let page = |objects: &[Value], next: Option<&str>| {
        json!({ "more": next.is_some(), "next": next, "objects": objects }).to_string()
    };
    let first = page(&[indicator("[ipv4-addr:value = '198.51.100.7']")], Some("a b"));
    assert_eq!(poll.answer(first.as_bytes()).unwrap(), Step::More);
    assert!(poll.query().ends_with("&next=a%20b"));
    assert_eq!(poll.clone().answer(page(&[second], None).as_bytes()).unwrap(), Step::Done);
    poll.clone().answer(first.as_bytes()).expect_err("in circles");
    poll.clone().answer(b"{\"more\":true}").expect_err("no way on");
    poll.clone().answer(b"<html>").expect_err("no envelope");
    assert_eq!(poll.indicators.len(), 1);
    assert_eq!(entries(&read(Format::Taxii, &first)), ["198.51.100.7"]);
}

#[test]
fn the_longest_prefix_and_the_nearest_name_are_found() {
    let wide = read(Format::Plain, "203.0.113.0/24\n198.51.100.0/25\nevil.example\n2001:db8::/32\n");
    let narrow = read(Format::Plain, "203.0.113.9\n");
    let lists = DenyLists::of([("wide", &wide), ("narrow", &narrow)]);
    let told = |address: &str| lists.address(address.parse().unwrap(), now()).map(|contact| contact.to_string());
    assert_eq!(told("203.0.113.9").as_deref(), Some("203.0.113.9 (narrow)"));
    assert_eq!(told("203.0.113.8").as_deref(), Some("203.0.113.0/24 (wide)"));
    assert_eq!(told("::ffff:203.0.113.8").as_deref(), Some("203.0.113.0/24 (wide)"));
    assert_eq!(told("198.51.100.127").as_deref(), Some("198.51.100.0/25 (wide)"));
    assert_eq!(told("2001:db8:ffff::1").as_deref(), Some("2001:db8::/32 (wide)"));
    for free in ["198.51.100.128", "203.0.112.255", "2001:db9::1"] {
        assert_eq!(told(free), None, "{free}");
    }
    let named = |name: &str| lists.name(name, now()).is_some();
    assert!(named("evil.example") && named("EVIL.example.") && named("a.b.evil.example"));
    assert!(!named("notevil.example") && !named("example") && !named("") && !named("evil.example.org"));
}

/// Against looking at each entry in turn.
#[test]
fn a_hundred_thousand_entries_are_looked_up_as_one_by_one() {
    let seed = 11;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut text = String::new();
    for _ in 0..100_000 {
        let address = Ipv4Addr::from(0x2000_0000 + (rng.next() as u32 >> 3));
        text.push_str(&format!("{address}/{}\n", [32, 32, 32, 24, 28][rng.below(5) as usize]));
    }
    let list = read(Format::Plain, &text);
    let lists = DenyLists::of([("all", &list)]);
    assert!(lists.len() > 90_000);
    let prefixes: Vec<(u32, u8)> = list
        .entries
        .keys()
        .filter_map(|entry| match entry {
            Entry::Prefix(IpAddr::V4(address), bits) => Some((u32::from(*address), *bits)),
            _ => None,
        })
        .collect();
    for _ in 0..50 {
        // Near an entry, so that both outcomes come about.
        let (near, _) = prefixes[rng.below(prefixes.len() as u64) as usize];
        let address = near ^ (rng.below(64) as u32);
        let one_by_one = prefixes
            .iter()
            .any(|(prefix, bits)| (prefix ^ address).checked_shr(32 - u32::from(*bits)).unwrap_or(0) == 0);
        let found = lists.address(IpAddr::V4(address.into()), now());
        assert_eq!(found.is_some(), one_by_one, "{}", Ipv4Addr::from(address));
    }
}
