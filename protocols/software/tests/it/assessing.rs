//! From lists and feeds to one score: the worst, and never better for what is missing.

use super::sample::{catalogue, cyclonedx, feed, lines, list, now, nvd, osv, spdx};
use landfall_software::{Assessment, Catalogue, Feed, FeedKind, Tenths, assess};
use serde_json::{Value, json};

fn of(document: &Value, catalogue: &Catalogue) -> Assessment {
    assess(Some(&list(document)), catalogue, &[], now())
}

fn tenths(assessment: &Assessment) -> Option<u8> {
    assessment.score.map(Tenths::get)
}

#[test]
fn the_score_is_that_of_the_worst() {
    let all = of(&cyclonedx(), &catalogue());
    let found: Vec<(&str, u8)> = all.findings.iter().map(|one| (one.id.as_str(), one.score.get())).collect();
    // The exploited one comes first, then the rest by score; the one that nobody has scored counts as the worst.
    assert_eq!(found, [("CVE-2022-28391", 88), ("CVE-2021-25900", 100), ("CVE-2023-5363", 75), ("CVE-2024-22195", 54)]);
    assert_eq!(tenths(&all), Some(100));
    assert_eq!(all.exploited.as_deref(), Some(&["CVE-2022-28391".to_owned()][..]));
    assert_eq!(all.findings[0].likely, Some(513));
    assert!(all.findings[1].is_unscored && !all.findings[2].is_unscored);
    let mended: Vec<Option<&str>> = all.findings.iter().map(|one| one.fixed.as_deref()).collect();
    assert_eq!(mended, [None, Some("1.6.1"), Some("3.0.11-1~deb12u3"), Some("3.1.3")]);
    assert_eq!((&*all.findings[0].by, &*all.findings[1].by), (&[FeedKind::Nvd][..], &[FeedKind::Osv][..]));
    assert_eq!(all.feed_age.unwrap().as_secs(), 40 * 3600, "that of the oldest");
    assert_eq!((all.unidentified.as_slice(), all.uncovered.len()), (&["acme-secret-sauce 7".to_owned()][..], 0));
}

#[test]
fn both_formats_come_to_the_same() {
    let assessment = of(&spdx(), &catalogue());
    let found: Vec<&str> = assessment.findings.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((found, tenths(&assessment)), (vec!["CVE-2022-28391", "CVE-2023-5363"], Some(88)));
}

#[test]
fn what_is_missing_improves_nothing() {
    let whole = of(&cyclonedx(), &catalogue());
    for missing in FeedKind::ALL {
        let some = Catalogue::of(FeedKind::ALL.into_iter().filter(|kind| *kind != missing).map(feed));
        let less = of(&cyclonedx(), &some);
        assert!(less.score.is_none_or(|score| Some(score) >= whole.score), "without {missing}: {:?}", less.score);
    }
    let without = assess(None, &catalogue(), &[], now());
    assert_eq!((without.is_known, without.score, without.exploited), (false, None, None));
    let without = of(&cyclonedx(), &Catalogue::default());
    assert_eq!((without.is_known, without.score, without.exploited, without.feed_age), (true, None, None, None));
    // Without the scores of the NVD, and without any for what the list of packages does not cover.
    let some = Catalogue::of([FeedKind::Osv, FeedKind::Kev].map(feed));
    let mut document = cyclonedx();
    document["components"].as_array_mut().unwrap().truncate(1);
    assert_eq!(tenths(&of(&document, &some)), Some(100), "nobody says how bad it is");
    document["components"][0]["purl"] = "pkg:npm/left-pad@1.0.0".into();
    let uncovered = of(&document, &some);
    assert_eq!((uncovered.score, uncovered.uncovered.len()), (None, 1));
}

/// One component with one version.
fn with(purl: &str) -> Value {
    let mut document = cyclonedx();
    document["components"] = json!([{ "type": "library", "name": "x", "purl": purl }]);
    document
}

#[test]
fn ranges_mean_what_their_ecosystem_says() {
    for (purl, affected) in [
        ("pkg:cargo/smallvec@0.6.2", false),
        ("pkg:cargo/smallvec@0.6.3", true),
        ("pkg:cargo/smallvec@0.6.14", false),
        ("pkg:cargo/smallvec@1.0.0-alpha", false),
        ("pkg:cargo/smallvec@1.6.0", true),
        ("pkg:cargo/smallvec@1.6.1", false),
        ("pkg:cargo/smallvec", true),
        ("pkg:cargo/smallvec@unknown", true),
        ("pkg:pypi/Jinja2@3.1.3rc1", true),
        ("pkg:pypi/jinja2@3.1.3", false),
        ("pkg:pypi/jinja2@3.1.3.post1", false),
        ("pkg:deb/debian/openssl@3.0.11-1~deb12u2", true),
        ("pkg:deb/debian/openssl@3.0.11-1~deb12u3", false),
        ("pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=debian-11", false),
        ("pkg:deb/debian/openssl@3.0.11-1~deb12u2?distro=bookworm", true),
        ("pkg:deb/ubuntu/openssl@3.0.11-1~deb12u2", false),
        ("pkg:deb/debian/libssl3@3.0.11-1~deb12u2?upstream=openssl", true),
        ("pkg:deb/debian/libssl3@1?upstream=openssl%403.0.11-1~deb12u3", false),
        ("pkg:generic/busybox@1.35.0", true),
        ("pkg:generic/busybox@1.36.0", false),
    ] {
        let found = of(&with(purl), &catalogue());
        assert_eq!(!found.findings.is_empty(), affected, "{purl}: {:?}", found.findings);
    }
    let uncertain = of(&with("pkg:cargo/smallvec@unknown"), &catalogue());
    assert!(uncertain.findings[0].is_uncertain);
}

#[test]
fn a_list_of_versions_counts_where_ranges_are_of_commits() {
    let mut record = osv()[2].clone();
    record["affected"][0]["ranges"] =
        json!([{ "type": "GIT", "repo": "https://x.example/y", "events": [{ "introduced": "0" }] }]);
    let catalogue = |record: &Value| Catalogue::of([Feed::read(FeedKind::Osv, record.to_string().as_bytes()).unwrap()]);
    assert!(of(&with("pkg:cargo/smallvec@9"), &catalogue(&record)).findings[0].is_uncertain);
    record["affected"][0]["versions"] = json!(["1.6.0"]);
    assert_eq!(of(&with("pkg:cargo/smallvec@9"), &catalogue(&record)).findings, []);
    assert!(!of(&with("pkg:cargo/smallvec@1.6.0"), &catalogue(&record)).findings[0].is_uncertain);
    // "Fixed in 0" is how Debian says that a release never had it.
    let mut record = osv()[0].clone();
    record["affected"][0]["ranges"][0]["events"][1]["fixed"] = "0".into();
    assert_eq!(of(&with("pkg:deb/debian/openssl@1"), &catalogue(&record)).findings, []);
}

#[test]
fn ends_of_ranges_in_the_nvd() {
    let hits = |version: &str, bounds: Value| {
        let mut document = nvd();
        let one = &mut document["vulnerabilities"][1]["cve"]["configurations"][0]["nodes"][0]["cpeMatch"][0];
        *one = json!({ "vulnerable": true, "criteria": "cpe:2.3:a:busybox:busybox:*:*:*:*:*:*:*:*" });
        for (name, value) in bounds.as_object().unwrap() {
            one[name.as_str()] = value.clone();
        }
        let catalogue = Catalogue::of([Feed::read(FeedKind::Nvd, document.to_string().as_bytes()).unwrap()]);
        !of(&with(&format!("pkg:generic/busybox@{version}")), &catalogue).findings.is_empty()
    };
    assert!(hits("1", json!({})) && hits("99", json!({})));
    assert!(
        hits("1.2", json!({ "versionStartIncluding": "1.2" }))
            && !hits("1.1", json!({ "versionStartIncluding": "1.2" }))
    );
    assert!(
        hits("1.2", json!({ "versionEndIncluding": "1.2" })) && !hits("1.2", json!({ "versionEndExcluding": "1.2" }))
    );
    assert!(hits("1.1", json!({ "versionEndExcluding": "1.2" })));
    assert!(hits("1.35.0", json!({ "criteria": "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" })));
    assert!(!hits("1.35.1", json!({ "criteria": "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" })));
    assert!(!hits("1", json!({ "vulnerable": false })));
}

#[test]
fn what_the_author_admits_counts_too() {
    let mut document = cyclonedx();
    document["components"].as_array_mut().unwrap().truncate(1);
    document["components"][0]["version"] = "9".into();
    document["components"][0]["purl"] = "pkg:deb/debian/openssl@9".into();
    assert_eq!(tenths(&of(&document, &catalogue())), Some(0));
    document["vulnerabilities"] = json!([{
        "id": "ACME-1", "ratings": [{ "score": 6.1, "method": "CVSSv31" }], "affects": [{ "ref": "openssl" }]
    }]);
    assert_eq!(tenths(&of(&document, &catalogue())), Some(61));
    document["vulnerabilities"][0]["analysis"] =
        json!({ "state": "not_affected", "justification": "code_not_reachable" });
    assert_eq!(tenths(&of(&document, &catalogue())), Some(0));
}

#[test]
fn many_records_are_found_quickly_by_name() {
    let records: Vec<Value> = (0..20_000)
        .map(|number| {
            let mut record = osv()[2].clone();
            record["id"] = format!("X-{number}").into();
            record["affected"][0]["package"]["name"] = format!("package-{number}").into();
            record
        })
        .collect();
    let catalogue = Catalogue::of([Feed::read(FeedKind::Osv, &lines(&records)).unwrap()]);
    assert_eq!(catalogue.len(), 20_000);
    assert_eq!(of(&with("pkg:cargo/package-19999@1.6.0"), &catalogue).findings.len(), 1);
}
