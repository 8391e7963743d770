//! Lists of components: both formats, and lists that are none or too much.

use super::sample::{cyclonedx, list, spdx};
use landfall_software::{bounds, sbom};
use landfall_types::Fault;
use serde_json::{Value, json};

fn refused(value: &Value) -> (Fault, String) {
    let refusal = sbom::read(value.to_string().as_bytes()).unwrap_err();
    (refusal.fault, refusal.detail)
}

#[test]
fn both_formats_tell_the_same_of_a_component() {
    let (one, other) = (list(&cyclonedx()), list(&spdx()));
    assert_eq!((&*one.format, &*other.format), ("CycloneDX 1.6", "SPDX-2.3"));
    for sbom in [&one, &other] {
        assert_eq!((&*sbom.root.as_ref().unwrap().name, &*sbom.root.as_ref().unwrap().version), ("lamp", "1.2.0"));
        let openssl = sbom.components.iter().find(|component| component.name == "openssl").unwrap();
        assert_eq!(openssl.version, "3.0.11-1~deb12u2");
        assert_eq!(openssl.purl.as_ref().unwrap().version.as_deref(), Some("3.0.11-1~deb12u2"));
        let busybox = sbom.components.iter().find(|component| component.name == "busybox").unwrap();
        assert_eq!((busybox.version.as_str(), &*busybox.cpe.as_ref().unwrap().product), ("1.35.0", "busybox"));
    }
}

#[test]
fn parts_of_parts_are_there_and_what_is_excluded_is_not() {
    let sbom = list(&cyclonedx());
    let names: Vec<&str> = sbom.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["openssl", "Jinja2", "smallvec", "busybox", "acme-secret-sauce", "/etc/passwd"]);
    assert_eq!(sbom.identified().count(), 4);
}

#[test]
fn every_version_that_is_read_and_none_other() {
    for version in ["1.4", "1.5", "1.6", "1.7"] {
        let mut document = cyclonedx();
        document["specVersion"] = version.into();
        list(&document);
    }
    let mut document = cyclonedx();
    document["specVersion"] = "2.0".into();
    assert_eq!(refused(&document).0, Fault::Incompatible);
    let mut document = spdx();
    document["spdxVersion"] = "SPDX-2.1".into();
    assert_eq!(refused(&document).0, Fault::Incompatible);
    assert_eq!(
        refused(&json!({ "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld" })).0,
        Fault::Incompatible
    );
    for text in ["<bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>", "SPDXVersion: SPDX-2.3\n"] {
        assert_eq!(sbom::read(text.as_bytes()).unwrap_err().fault, Fault::Incompatible);
    }
    for text in ["", "{}", "[]", "null", "{\"bomFormat\":\"CycloneDX\",\"spdxVersion\":\"SPDX-2.3\"}"] {
        assert_eq!(sbom::read(text.as_bytes()).unwrap_err().fault, Fault::Malformed, "{text}");
    }
}

#[test]
fn what_is_known_may_stand_once() {
    let text = cyclonedx().to_string();
    let twice = text.replacen("{", r#"{"components":[],"#, 1);
    assert!(sbom::read(twice.as_bytes()).unwrap_err().detail.contains("duplicate"));
}

#[test]
fn bombs_are_refused_by_size_count_and_depth() {
    let mut deep = json!({ "type": "library", "name": "x" });
    for _ in 0..bounds::DEPTH + 1 {
        deep = json!({ "type": "library", "name": "x", "components": [deep] });
    }
    let mut document = cyclonedx();
    document["components"] = json!([deep]);
    assert!(refused(&document).1.contains("deep"));

    let nested = format!("{}{}", "{\"components\":[".repeat(10_000), "]}".repeat(10_000));
    let text = format!("{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":[{nested}]}}");
    assert!(sbom::read(text.as_bytes()).unwrap_err().detail.contains("recursion"));

    let many = "{\"name\":\"x\"},".repeat(bounds::COMPONENTS + 1);
    let text = format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":[{}]}}",
        many.trim_end_matches(',')
    );
    assert!(sbom::read(text.as_bytes()).unwrap_err().detail.contains("more than"));
    // The same number, spread over parts of parts.
    let half = "{\"name\":\"x\"},".repeat(bounds::COMPONENTS / 2 + 1);
    let half = half.trim_end_matches(',');
    let text = format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":[{{\"components\":[{half}]}},{half}]}}"
    );
    assert!(sbom::read(text.as_bytes()).unwrap_err().detail.contains("more than"));

    let mut document = cyclonedx();
    document["components"][0]["name"] = "x".repeat(bounds::TEXT + 1).into();
    assert!(refused(&document).1.contains("longer"));
    let long = format!("{}{}", cyclonedx(), " ".repeat(bounds::SBOM));
    assert!(sbom::read(long.as_bytes()).unwrap_err().detail.contains("bytes"));
}

#[test]
fn what_cannot_be_read_of_a_component_leaves_it_unidentified() {
    let mut document = cyclonedx();
    document["components"][0]["purl"] = "openssl 3".into();
    assert_eq!(list(&document).identified().count(), 3);
    document["components"][0]["name"] = "open\u{1b}[31mssl".into();
    assert_eq!(list(&document).components[0].name, "open[31mssl");
}
