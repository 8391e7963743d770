//! What somebody says about vulnerabilities: when it counts, and for what.

use super::sample::{catalogue, cyclonedx, list, now};
use landfall_software::{Assessment, Tenths, assess, vex, vex::Status};
use serde_json::{Value, json};

fn openvex() -> Value {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://acme.example/vex/1",
        "author": "Acme",
        "timestamp": "2026-11-10T00:00:00Z",
        "version": 1,
        "statements": [{
            "vulnerability": { "name": "CVE-2021-25900" },
            "products": [{ "@id": "pkg:generic/acme/lamp@1.2.0", "subcomponents": [{ "@id": "pkg:cargo/smallvec" }] }],
            "status": "not_affected",
            "justification": "vulnerable_code_not_in_execute_path"
        }]
    })
}

fn after(documents: &[Value]) -> Assessment {
    let statements = documents.iter().flat_map(|one| vex::read(one.to_string().as_bytes()).unwrap());
    assess(Some(&list(&cyclonedx())), &catalogue(), &statements.collect::<Vec<_>>(), now())
}

fn score(documents: &[Value]) -> Option<u8> {
    after(documents).score.map(Tenths::get)
}

#[test]
fn what_does_not_apply_does_not_count_and_stays_to_be_seen() {
    assert_eq!(score(&[]), Some(100));
    let assessment = after(&[openvex()]);
    assert_eq!(assessment.score.map(Tenths::get), Some(88));
    let excused = assessment.findings.last().unwrap();
    let excuse = excused.excused.as_ref().unwrap();
    assert_eq!((excused.id.as_str(), excuse.status), ("CVE-2021-25900", Status::NotAffected));
    assert_eq!(excuse.why.as_deref(), Some("vulnerable_code_not_in_execute_path"));
}

#[test]
fn one_thing_changed_and_it_counts() {
    for (path, value) in [
        ("/statements/0/vulnerability/name", json!("CVE-2021-25901")),
        ("/statements/0/products/0/@id", json!("pkg:generic/acme/lamp@1.2.1")),
        ("/statements/0/products/0/@id", json!("pkg:generic/globex/lamp@1.2.0")),
        ("/statements/0/products/0/@id", json!("https://acme.example/lamp")),
        ("/statements/0/products/0/subcomponents/0/@id", json!("pkg:cargo/smallvec@1.5.0")),
        ("/statements/0/products/0/subcomponents/0/@id", json!("smallvec")),
        ("/statements/0/products", json!([])),
        ("/statements/0/status", json!("affected")),
        ("/statements/0/status", json!("under_investigation")),
    ] {
        let mut document = openvex();
        *document.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(score(&[document]), Some(100), "{path} {value}");
    }
    for (path, value) in [
        ("/statements/0/vulnerability/name", json!("RUSTSEC-2021-0003")),
        ("/statements/0/products/0/@id", json!("pkg:generic/acme/lamp")),
        ("/statements/0/products/0/subcomponents", json!([])),
        ("/statements/0/products", json!([{ "@id": "pkg:cargo/smallvec@1.6.0" }])),
        ("/statements/0/status", json!("fixed")),
    ] {
        let mut document = openvex();
        *document.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(score(&[document]), Some(88), "{path} {value}");
    }
}

#[test]
fn the_last_word_counts_and_of_two_at_once_the_graver() {
    let mut later = openvex();
    later["timestamp"] = "2026-11-11T00:00:00Z".into();
    later["statements"][0]["status"] = "affected".into();
    assert_eq!((score(&[openvex(), later.clone()]), score(&[later.clone(), openvex()])), (Some(100), Some(100)));
    later["timestamp"] = "2026-11-10T00:00:00Z".into();
    assert_eq!((score(&[openvex(), later.clone()]), score(&[later.clone(), openvex()])), (Some(100), Some(100)));
    later["timestamp"] = "2026-11-09T00:00:00Z".into();
    assert_eq!(score(&[later, openvex()]), Some(88));
}

#[test]
fn an_exploited_vulnerability_that_does_not_apply_is_not_named() {
    let mut document = openvex();
    document["statements"][0]["vulnerability"]["name"] = "CVE-2022-28391".into();
    document["statements"][0]["products"] = json!([{ "@id": "pkg:generic/acme/lamp@1.2.0" }]);
    assert_eq!(after(&[document]).exploited, Some(Vec::new()));
}

#[test]
fn who_says_that_nothing_is_affected_says_why() {
    let mut document = openvex();
    document["statements"][0].as_object_mut().unwrap().remove("justification");
    assert!(vex::read(document.to_string().as_bytes()).unwrap_err().detail.contains("why"));
    document["statements"][0]["impact_statement"] = "the code is never called".into();
    vex::read(document.to_string().as_bytes()).unwrap();
    for (path, value) in [("/@context", "https://csaf.example"), ("/statements/0/status", "fine")] {
        let mut document = openvex();
        *document.pointer_mut(path).unwrap() = value.into();
        vex::read(document.to_string().as_bytes()).expect_err(path);
    }
    vex::read(b"{}").unwrap_err();
}

#[test]
fn cyclonedx_says_it_by_links_and_never_by_references_of_its_own() {
    let document = |reference: &str| {
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": { "timestamp": "2026-11-10T00:00:00Z" },
            "vulnerabilities": [{
                "id": "RUSTSEC-2021-0003", "references": [{ "id": "CVE-2021-25900" }],
                "analysis": { "state": "not_affected", "justification": "code_not_reachable" },
                "affects": [{ "ref": reference }]
            }]
        })
    };
    let serial = "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1";
    for counts in
        [format!("{serial}#smallvec"), serial.to_owned(), format!("{serial}#lamp"), "pkg:cargo/smallvec".into()]
    {
        assert_eq!(score(&[document(&counts)]), Some(88), "{counts}");
    }
    for other in ["smallvec", "lamp", "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2#smallvec", "urn:cdx:x/1#smallvec"]
    {
        assert_eq!(score(&[document(other)]), Some(100), "{other}");
    }
}
