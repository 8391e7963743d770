//! What somebody says about vulnerabilities: when it counts, and for what.

use super::sample::{catalogue, cyclonedx, list, now};
use landfall_software::{Assessment, Tenths, assess, vex, vex::Status};
use serde_json::{Value, json};

pub(crate) fn openvex() -> Value {
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
fn an_exploited_vulnerability_is_named_whatever_is_said_of_it() {
    let mut document = openvex();
    document["statements"][0]["vulnerability"]["name"] = "CVE-2022-28391".into();
    document["statements"][0]["products"] = json!([{ "@id": "pkg:generic/acme/lamp@1.2.0" }]);
    for status in ["not_affected", "fixed"] {
        document["statements"][0]["status"] = status.into();
        let assessment = after(std::slice::from_ref(&document));
        assert_eq!(assessment.exploited, Some(vec!["CVE-2022-28391".to_owned()]), "{status}");
        let first = &assessment.findings[0];
        assert!(first.id == "CVE-2022-28391" && first.excused.is_some() && first.is_exploited, "{first:?}");
    }
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

pub(crate) fn cyclonedx_vex(reference: &str) -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": { "timestamp": "2026-11-10T00:00:00Z" },
        "vulnerabilities": [{
            "id": "RUSTSEC-2021-0003", "references": [{ "id": "CVE-2021-25900", "source": { "name": "CVE" } }],
            "analysis": { "state": "not_affected", "justification": "code_not_reachable" },
            "affects": [{ "ref": reference }]
        }]
    })
}

#[test]
fn cyclonedx_says_it_by_links_and_never_by_references_of_its_own() {
    let serial = "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1";
    for counts in
        [format!("{serial}#smallvec"), serial.to_owned(), format!("{serial}#lamp"), "pkg:cargo/smallvec".into()]
    {
        assert_eq!(score(&[cyclonedx_vex(&counts)]), Some(88), "{counts}");
    }
    for other in ["smallvec", "lamp", "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2#smallvec", "urn:cdx:x/1#smallvec"]
    {
        assert_eq!(score(&[cyclonedx_vex(other)]), Some(100), "{other}");
    }
}

fn csaf() -> Value {
    json!({
        "document": {
            "category": "csaf_vex", "csaf_version": "2.0", "title": "smallvec in the lamp",
            "publisher": { "category": "vendor", "name": "Acme", "namespace": "https://acme.example" },
            "tracking": {
                "id": "ACME-2026-1", "version": "3", "status": "final",
                "initial_release_date": "2026-11-01T00:00:00Z", "current_release_date": "2026-11-10T00:00:00Z"
            }
        },
        "product_tree": {
            "branches": [{ "category": "vendor", "name": "Acme", "branches": [{
                "category": "product_version", "name": "1.2.0",
                "product": { "name": "Lamp 1.2.0", "product_id": "lamp", "product_identification_helper": { "purl": "pkg:generic/acme/lamp@1.2.0" } }
            }] }],
            "full_product_names": [
                { "name": "smallvec", "product_id": "part", "product_identification_helper": { "purl": "pkg:cargo/smallvec" } }
            ],
            "relationships": [{
                "category": "default_component_of", "product_reference": "part", "relates_to_product_reference": "lamp",
                "full_product_name": { "name": "smallvec in the lamp", "product_id": "part-in-lamp" }
            }],
            "product_groups": [{ "group_id": "all", "product_ids": ["part-in-lamp", "lamp"] }]
        },
        "vulnerabilities": [{
            "cve": "CVE-2021-25900",
            "product_status": { "known_not_affected": ["part-in-lamp"] },
            "flags": [{ "label": "vulnerable_code_not_in_execute_path", "product_ids": ["part-in-lamp"] }]
        }]
    })
}

#[test]
fn csaf_says_it_of_a_part_in_a_product_and_says_why() {
    let words = vex::document(csaf().to_string().as_bytes()).unwrap();
    assert_eq!((words.format.as_str(), words.author.as_deref()), ("CSAF 2.0", Some("Acme")));
    assert_eq!(words.document.as_deref(), Some("ACME-2026-1/3"));
    let assessment = after(&[csaf()]);
    assert_eq!(assessment.score.map(Tenths::get), Some(88));
    let excuse = assessment.findings.last().unwrap().excused.clone().unwrap();
    assert_eq!(
        (excuse.status, excuse.why.as_deref()),
        (Status::NotAffected, Some("vulnerable_code_not_in_execute_path"))
    );
    // One thing otherwise, and it counts.
    for (path, value) in [
        ("/vulnerabilities/0/cve", json!("CVE-2021-25901")),
        (
            "/product_tree/branches/0/branches/0/product/product_identification_helper/purl",
            json!("pkg:generic/acme/lamp@1.2.1"),
        ),
        ("/product_tree/branches/0/branches/0/product/product_identification_helper", json!({})),
        ("/product_tree/full_product_names/0/product_identification_helper", json!({})),
        ("/product_tree/full_product_names/0/product_identification_helper/purl", json!("pkg:cargo/smallvec@1.5.0")),
        ("/product_tree/relationships/0/relates_to_product_reference", json!("another")),
        ("/product_tree/relationships", json!([])),
        ("/vulnerabilities/0/product_status", json!({ "known_affected": ["part-in-lamp"] })),
        ("/vulnerabilities/0/product_status", json!({ "last_affected": ["part-in-lamp"] })),
        ("/vulnerabilities/0/product_status", json!({ "under_investigation": ["part-in-lamp"] })),
        ("/vulnerabilities/0/product_status", json!({ "recommended": ["part-in-lamp"] })),
    ] {
        let mut document = csaf();
        *document.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(score(&[document]), Some(100), "{path} {value}");
    }
    for (path, value) in [
        ("/vulnerabilities/0/product_status", json!({ "fixed": ["part-in-lamp"] })),
        ("/vulnerabilities/0/flags/0", json!({ "label": "component_not_present", "group_ids": ["all"] })),
        (
            "/vulnerabilities/0",
            json!({
                "cve": "CVE-2021-25900", "product_status": { "known_not_affected": ["lamp"] },
                "threats": [{ "category": "impact", "details": "it is never called", "product_ids": ["lamp"] }]
            }),
        ),
    ] {
        let mut document = csaf();
        *document.pointer_mut(path).unwrap() = value.clone();
        assert_eq!(score(&[document]), Some(88), "{path} {value}");
    }
}

#[test]
fn csaf_that_is_none_a_draft_or_says_not_why_is_refused() {
    for (path, value) in [
        ("/document/category", json!("csaf_security_advisory")),
        ("/document/csaf_version", json!("3.0")),
        ("/document/tracking/status", json!("draft")),
        ("/vulnerabilities/0/flags", json!([])),
        ("/vulnerabilities/0/flags/0/product_ids", json!(["lamp"])),
        ("/vulnerabilities/0/flags/0", json!({ "product_ids": ["part-in-lamp"] })),
        ("/document/tracking", json!({})),
        ("/document", json!(1)),
    ] {
        let mut document = csaf();
        *document.pointer_mut(path).unwrap() = value.clone();
        vex::read(document.to_string().as_bytes()).expect_err(&format!("{path} {value}"));
    }
    // Groups of groups of products would cost more than the document is long.
    let mut bomb = csaf();
    bomb["product_tree"]["product_groups"][0]["product_ids"] = vec!["lamp"; 1000].into();
    bomb["vulnerabilities"][0]["flags"] =
        vec![json!({ "label": "component_not_present", "group_ids": ["all"] }); 101].into();
    assert!(vex::read(bomb.to_string().as_bytes()).unwrap_err().detail.contains("too many"));
}
