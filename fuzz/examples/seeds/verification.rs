//! What others say of devices and their software, and records of what devices do.

use super::{bad, cut, good};
use landfall_claims::{
    Claim, Credential, SecurityEvent,
    caep::{Event, Subject},
    status::StatusList,
};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::NOW;

const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,"metadata":{"timestamp":"2026-11-01T00:00:00Z","component":{"type":"firmware","bom-ref":"lamp","name":"lamp","version":"1.2.0","purl":"pkg:generic/acme/lamp@1.2.0"}},"components":[{"type":"library","bom-ref":"jinja","group":"x","name":"Jinja2","version":"3.1.2","purl":"pkg:pypi/jinja2@3.1.2","components":[{"name":"smallvec","purl":"pkg:cargo/smallvec@1.6.0"}]},{"name":"busybox","cpe":"cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*","scope":"required"}],"vulnerabilities":[{"id":"ACME-1","references":[{"id":"CVE-2026-1"}],"ratings":[{"score":6.1,"method":"CVSSv31"}],"analysis":{"state":"in_triage"},"affects":[{"ref":"jinja"}]}]}"#;
const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","documentNamespace":"https://acme.example/1","packages":[{"SPDXID":"SPDXRef-lamp","name":"lamp","versionInfo":"1"},{"SPDXID":"SPDXRef-a","name":"openssl","versionInfo":"3.0.11-1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/openssl?distro=debian-12"}]}],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-lamp"}]}"#;
const OPENVEX: &str = r#"{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-11-10T00:00:00Z","statements":[{"vulnerability":{"name":"CVE-2021-25900","aliases":["RUSTSEC-2021-0003"]},"products":[{"@id":"pkg:generic/acme/lamp@1.2.0","subcomponents":[{"@id":"pkg:cargo/smallvec"}]}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"}]}"#;
const CSAF: &str = r#"{"document":{"category":"csaf_vex","csaf_version":"2.0","publisher":{"name":"Acme"},"tracking":{"id":"ACME-1","version":"1","status":"final","current_release_date":"2026-11-10T00:00:00Z"}},"product_tree":{"branches":[{"branches":[{"product":{"product_id":"lamp","product_identification_helper":{"purl":"pkg:generic/acme/lamp@1.2.0"}}}]}],"full_product_names":[{"product_id":"part","product_identification_helper":{"purl":"pkg:cargo/smallvec"}}],"relationships":[{"product_reference":"part","relates_to_product_reference":"lamp","full_product_name":{"product_id":"both"}}],"product_groups":[{"group_id":"all","product_ids":["both"]}]},"vulnerabilities":[{"cve":"CVE-2021-25900","ids":[{"text":"RUSTSEC-2021-0003"}],"product_status":{"known_not_affected":["both"],"known_affected":["lamp"]},"flags":[{"label":"component_not_present","group_ids":["all"]}],"threats":[{"category":"impact","product_ids":["both"]}]}]}"#;
const OSV: &str = r#"{"id":"RUSTSEC-2021-0003","modified":"2026-11-19T08:00:00Z","aliases":["CVE-2021-25900"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N"}],"affected":[{"package":{"ecosystem":"crates.io","name":"smallvec"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0.6.3"},{"fixed":"0.6.14"},{"introduced":"1.0.0"},{"last_affected":"1.6.0"}]}],"versions":["1.5.0"]}],"database_specific":{"severity":"HIGH"}}"#;
const NVD: &str = r#"{"format":"NVD_CVE","version":"2.0","timestamp":"2026-11-22T08:00:00.123","vulnerabilities":[{"cve":{"id":"CVE-2022-28391","vulnStatus":"Analyzed","metrics":{"cvssMetricV31":[{"cvssData":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H","baseScore":8.8}}]},"configurations":[{"nodes":[{"cpeMatch":[{"vulnerable":true,"criteria":"cpe:2.3:a:busybox:busybox:*:*:*:*:*:*:*:*","versionStartIncluding":"1.0","versionEndExcluding":"1.36.0"}]}]}]}}]}"#;
const KEV: &str =
    r#"{"dateReleased":"2026-11-21T15:00:00.0000Z","count":1,"vulnerabilities":[{"cveID":"CVE-2022-28391"}]}"#;
const EPSS: &str =
    "#model_version:v2025.03.14,score_date:2026-11-22T12:55:00Z\ncve,epss,percentile\nCVE-2022-28391,0.51297,0.98\n";
const STIX: &str = r#"{"type":"bundle","id":"bundle--1","objects":[{"type":"indicator","spec_version":"2.1","id":"indicator--1","modified":"2026-11-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '198.51.100.7' OR domain-name:value IN ('evil.example', 'bad.example')]","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z","valid_until":"2036-11-01T00:00:00Z"}]}"#;
/// What a kernel has told of a connection that begins.
const NEW: &str = "d0000000000100060000000000000000020000003400018014000180080001000a000102080002000a0002021c000280050001000600000006000200\
    82d4000006000300005000003400028014000180080001000a000202080002000a0001021c0002800500010006000000060002000050000006000300\
    82d4000008000c0044b5542908000300000000080800070000000078300004802c0001800500010001000000050002000a0000000500030000000000\
    060004000300000006000500000000000c001b0018eac634c008d65d";
/// And of one that is over, and was counted.
const OVER: &str = "24010000020100000000000003cb78bf0a0000004c0001802c00018014000300fd00000000000000000000000000000214000400fd00000000000000\
    00000000000000011c0002800500010011000000060002009c40000006000300003500004c0002802c00018014000300fd0000000000000000000000\
    0000000114000400fd0000000000000000000000000000021c00028005000100110000000600020000350000060003009c40000008000c000cbb1c78\
    0800030000000208080007000000001d1c0009800c00010000000000000000010c00020000000000000000351c000a800c0001000000000000000000\
    0c00020000000000000000001c0014800c00010018eac634e00a9ab90c00020018eac634fefffa0d0c001b0018eac634fefffaef";
/// What it tells of a packet: the group, the port, what the rule calls it, and the beginning of its frame.
const LOGGED: &str = "4000000000040000000000000000000007000012080006000000000308000a00626567756e000000120010000200000000010200000000fe08000000060009004500\
    0000";

pub(super) fn write() {
    software();
    claims();
    behaviour();
}

fn software() {
    good("sbom", "cyclonedx", CYCLONEDX);
    good("sbom", "spdx", SPDX);
    bad("sbom", "xml", "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>");
    bad("sbom", "version", CYCLONEDX.replace("1.6\"", "0.9\""));
    cut("sbom", "spdx", SPDX.as_bytes());
    good("vex", "openvex", OPENVEX);
    good("vex", "cyclonedx", CYCLONEDX);
    good("vex", "csaf", CSAF);
    bad("vex", "csaf-no-reason", CSAF.replace("flags", "x").replace("impact", "x"));
    cut("vex", "csaf", CSAF.as_bytes());
    bad("vex", "no-reason", OPENVEX.replace("justification", "x"));
    good("feed-osv", "record", OSV);
    good("feed-osv", "lines", format!("{OSV}\n{}\n", OSV.replace("0003", "0004")));
    cut("feed-osv", "record", OSV.as_bytes());
    good("feed-nvd", "page", NVD);
    bad("feed-nvd", "version", NVD.replace("2.0", "1.1"));
    good("feed-kev", "catalogue", KEV);
    bad("feed-kev", "count", KEV.replace("\"count\":1", "\"count\":2"));
    good("feed-epss", "day", EPSS);
    bad("feed-epss", "score", EPSS.replace("0.51297", "5.1"));
    for (name, purl) in [
        ("debian", "pkg:deb/debian/dpkg@1%3A1.19.0?arch=i386&distro=jessie"),
        ("npm", "pkg:npm/%40angular/animation@12.3.1#src"),
        ("pypi", "pkg:pypi/Django_Allauth@12.23"),
    ] {
        good("purl", name, purl);
    }
    bad("purl", "scheme", "http://deb/debian/dpkg");
    bad("purl", "escape", "pkg:deb/debian/dpkg@%3");
    for (name, versions) in [
        ("semver", "1.0.0-rc.1\n1.0.0-rc.1.1"),
        ("debian", "1:2.0~rc1-1+b1\n2.0-1"),
        ("python", "1!1.0.post1.dev2\n1.0rc1+local.5"),
        ("letters", "1.0.2k\n1.0.2-beta1"),
    ] {
        good("versions", name, versions);
    }
    bad("versions", "words", "latest\nstable");
}

fn claims() {
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).expect("a key");
    let issuer = key.public_key().clone();
    let claim = Claim::TypeBinding { device: issuer.fingerprint(), device_type: "acme/lamp".into() };
    let (valid_from, valid_until, status) = (NOW, None, None);
    let credential =
        Credential { id: "urn:uuid:1".into(), issuer: issuer.clone(), claim, valid_from, valid_until, status };
    let jwt = credential.issue(&key).expect("a credential");
    good("credential", "type", &jwt);
    bad("credential", "unsigned", jwt.rsplit_once('.').map(|(signed, _)| format!("{signed}.")).expect("parts"));
    good("jws", "credential", &jwt);
    bad("jws", "two-parts", jwt.rsplit_once('.').expect("parts").0);
    let list = StatusList::new("https://x.example/1".into(), issuer, NOW, None).issue(&key).expect("a list");
    good("status-list", "empty", &list);
    bad("status-list", "credential", &jwt);
    let event = SecurityEvent {
        id: "1".into(),
        issuer: "https://x.example".into(),
        audience: vec!["us".into()],
        issued: NOW,
        subject: Subject::Device("lamp".into()),
        event: Event::ComplianceChange { was: true, is: false },
        at: None,
        reason: None,
    };
    good("security-event", "compliance", event.sign(&key).expect("an event"));
    bad("security-event", "credential", &jwt);
    let root = root(&key);
    good("bundle-root", "one-key", &root);
    bad("bundle-root", "changed", root.replace("\"version\":1", "\"version\":2"));
    let files = [("timestamp.json", "{}"), ("targets/kev.json", KEV)].map(|(name, text)| (name.into(), text.into()));
    let archive = landfall_tuf::Archive::write(&files.into()).expect("an archive");
    cut("bundle-archive", "files", &archive);
    good("bundle-archive", "files", archive);
}

fn root(key: &SoftwareKey) -> String {
    let pem = landfall_pki::pem::encode("PUBLIC KEY", key.public_key().spki_der());
    let role = serde_json::json!({ "keyids": ["k"], "threshold": 1 });
    let signed = serde_json::json!({
        "_type": "root", "spec_version": "1.0", "version": 1, "expires": "2036-11-22T00:00:00Z",
        "keys": { "k": { "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": pem } } },
        "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role }
    });
    let bytes = landfall_tuf::canonical(&signed).expect("a canonical form");
    let signature: String = key.sign(&bytes).expect("a signature").iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({ "signatures": [{ "keyid": "k", "sig": signature }], "signed": signed }).to_string()
}

fn behaviour() {
    good("deny-plain", "list", "# x\n198.51.100.7\n203.0.113.0/24 ; y\n0.0.0.0 evil.example\n2001:db8::/32\n");
    bad("deny-plain", "local", "10.0.0.0/8\n127.0.0.1\n0.0.0.0/0\ncom\n");
    let columns = "\"first_seen_utc\",\"dst_ip\",\"dst_port\"\r\n\"2024-05-01\",\"198.51.100.7\",\"443\"\r\n";
    good("deny-csv", "feodo", columns);
    bad("deny-csv", "no-column", columns.replace("dst_ip", "x"));
    good("deny-stix", "bundle", STIX);
    bad("deny-stix", "revoked", STIX.replace("\"spec_version\"", "\"revoked\":true,\"spec_version\""));
    let page = STIX.replace("\"type\":\"bundle\",\"id\":\"bundle--1\"", "\"more\":true,\"next\":\"2\"");
    good("deny-taxii", "page", &page);
    cut("deny-taxii", "page", page.as_bytes());
    for (name, pattern) in [
        ("or", "[ipv4-addr:value = '198.51.100.7'] OR [domain-name:value IN ('a.example','b.example')]"),
        ("subset", "[ipv4-addr:value ISSUBSET '198.51.100.0/24']"),
        ("traffic", "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.1']"),
    ] {
        good("stix-pattern", name, pattern);
    }
    bad("stix-pattern", "and", "[ipv4-addr:value = '198.51.100.7' AND domain-name:value = 'a.example']");
    for (name, message) in [("new", NEW), ("over", OVER)] {
        good("conntrack", name, octets(message));
        cut("conntrack", name, &octets(message));
    }
    // IPCTNL_MSG_CT_NEW without NLM_F_CREATE: something has changed.
    bad("conntrack", "changed", octets(&NEW.replacen("000100060000", "000100000000", 1)));
    good("nflog", "begun", octets(LOGGED));
    cut("nflog", "begun", &octets(LOGGED));
    let body: &[&[u16]] =
        &[&[2, 24, 300, 4, 8, 4, 12, 4, 11, 2, 82, 65535], &[300, 18, 2560, 2, 49152, 519, 443, 866, 29232]];
    let body: Vec<u8> = body.concat().iter().flat_map(|number| number.to_be_bytes()).collect();
    let length = u8::try_from(16 + body.len()).expect("short");
    let message = [&[0, 10, 0, length, 0x69, 0x24, 0xee, 0, 0, 0, 0, 1, 0, 0, 0, 7][..], &body].concat();
    good("ipfix", "template", &message);
    cut("ipfix", "template", &message);
}

fn octets(hex: &str) -> Vec<u8> {
    let octet = |at: usize| u8::from_str_radix(hex.get(at..at + 2).expect("pairs"), 16).expect("hex");
    (0..hex.len()).step_by(2).map(octet).collect()
}
