//! A lamp, what it runs, and what the world knows about that.

use landfall_software::{Catalogue, Feed, FeedKind, Sbom, sbom};
use landfall_types::Time;
use serde_json::{Value, json};

pub(crate) fn now() -> Time {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

pub(crate) fn cyclonedx() -> Value {
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 1,
        "metadata": {
            "timestamp": "2026-11-01T00:00:00Z",
            "component": {
                "type": "firmware", "bom-ref": "lamp", "name": "lamp", "version": "1.2.0", "purl": "pkg:generic/acme/lamp@1.2.0"
            }
        },
        "components": [
            {
                "type": "library", "bom-ref": "openssl", "name": "openssl", "version": "3.0.11-1~deb12u2",
                "purl": "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=armhf&distro=debian-12"
            },
            {
                "type": "library", "bom-ref": "jinja", "name": "Jinja2", "version": "3.1.2", "purl": "pkg:pypi/jinja2@3.1.2",
                "components": [
                    { "type": "library", "bom-ref": "smallvec", "name": "smallvec", "version": "1.6.0", "purl": "pkg:cargo/smallvec@1.6.0" }
                ]
            },
            { "type": "library", "bom-ref": "busybox", "name": "busybox", "version": "1.35.0", "cpe": "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" },
            { "type": "library", "bom-ref": "secret", "name": "acme-secret-sauce", "version": "7" },
            { "type": "file", "bom-ref": "passwd", "name": "/etc/passwd" },
            { "type": "library", "bom-ref": "gtest", "name": "gtest", "version": "1.0.0", "purl": "pkg:cargo/smallvec@1.6.0", "scope": "excluded" }
        ]
    })
}

pub(crate) fn spdx() -> Value {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "lamp",
        "documentNamespace": "https://acme.example/spdx/lamp-1.2.0",
        "creationInfo": { "created": "2026-11-01T00:00:00Z", "creators": ["Tool: make"] },
        "packages": [
            { "SPDXID": "SPDXRef-lamp", "name": "lamp", "versionInfo": "1.2.0", "downloadLocation": "NOASSERTION", "filesAnalyzed": false, "primaryPackagePurpose": "FIRMWARE" },
            {
                "SPDXID": "SPDXRef-openssl", "name": "openssl", "versionInfo": "3.0.11-1~deb12u2", "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "externalRefs": [
                    { "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:deb/debian/openssl?distro=debian-12" }
                ]
            },
            {
                "SPDXID": "SPDXRef-busybox", "name": "busybox", "versionInfo": "NOASSERTION", "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "externalRefs": [
                    { "referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" }
                ]
            }
        ],
        "relationships": [
            { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-lamp" }
        ]
    })
}

pub(crate) fn osv() -> Vec<Value> {
    vec![
        json!({
            "schema_version": "1.7.0", "id": "DSA-5532-1", "modified": "2026-11-20T08:00:00Z", "upstream": ["CVE-2023-5363"],
            "affected": [{
                "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "3.0.11-1~deb12u3" }] }]
            }]
        }),
        json!({
            "schema_version": "1.7.0", "id": "GHSA-h5c8-rqwp-cp95", "modified": "2026-11-21T08:00:00Z",
            "aliases": ["CVE-2024-22195", "PYSEC-2024-1"],
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N" }],
            "affected": [{
                "package": { "ecosystem": "PyPI", "name": "Jinja2" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "3.1.3" }] }]
            }],
            "database_specific": { "severity": "MODERATE", "cwe_ids": ["CWE-79"] }
        }),
        json!({
            "schema_version": "1.7.0", "id": "RUSTSEC-2021-0003", "modified": "2026-11-19T08:00:00Z", "aliases": ["CVE-2021-25900"],
            "affected": [{
                "package": { "ecosystem": "crates.io", "name": "smallvec" },
                "ranges": [{ "type": "SEMVER", "events": [
                    { "introduced": "0.6.3" }, { "fixed": "0.6.14" }, { "introduced": "1.0.0" }, { "fixed": "1.6.1" }
                ] }]
            }]
        }),
        json!({
            "schema_version": "1.7.0", "id": "RUSTSEC-2000-0001", "modified": "2026-11-19T08:00:00Z", "withdrawn": "2026-11-19T08:00:00Z",
            "affected": [{ "package": { "ecosystem": "crates.io", "name": "smallvec" }, "versions": ["1.6.0"] }]
        }),
    ]
}

pub(crate) fn nvd() -> Value {
    json!({
        "resultsPerPage": 3, "startIndex": 0, "totalResults": 3, "format": "NVD_CVE", "version": "2.0",
        "timestamp": "2026-11-22T08:00:00.123",
        "vulnerabilities": [
            { "cve": {
                "id": "CVE-2023-5363", "vulnStatus": "Analyzed",
                "metrics": { "cvssMetricV31": [{ "source": "nvd@nist.gov", "type": "Primary", "cvssData": {
                    "version": "3.1", "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "baseScore": 7.5, "baseSeverity": "HIGH"
                } }] }
            } },
            { "cve": {
                "id": "CVE-2022-28391", "vulnStatus": "Modified",
                "metrics": { "cvssMetricV31": [{ "cvssData": {
                    "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", "baseScore": 8.8
                } }] },
                "configurations": [{ "nodes": [{ "operator": "OR", "negate": false, "cpeMatch": [
                    { "vulnerable": true, "criteria": "cpe:2.3:a:busybox:busybox:*:*:*:*:*:*:*:*", "versionEndIncluding": "1.35.0" }
                ] }] }]
            } },
            { "cve": {
                "id": "CVE-2000-0001", "vulnStatus": "Rejected",
                "configurations": [{ "nodes": [{ "cpeMatch": [
                    { "vulnerable": true, "criteria": "cpe:2.3:a:busybox:busybox:1.35.0:*:*:*:*:*:*:*" }
                ] }] }]
            } }
        ]
    })
}

pub(crate) fn kev() -> Value {
    json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.11.21",
        "dateReleased": "2026-11-21T15:00:00.0000Z", "count": 1,
        "vulnerabilities": [{ "cveID": "CVE-2022-28391", "vendorProject": "BusyBox", "product": "BusyBox", "dateAdded": "2026-11-01" }]
    })
}

pub(crate) const EPSS: &str = "#model_version:v2025.03.14,score_date:2026-11-22T12:55:00Z\ncve,epss,percentile\n\
    CVE-2022-28391,0.51297,0.98630\nCVE-2023-5363,0.00100,0.4\n";

pub(crate) fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().map(|record| format!("{record}\n")).collect::<String>().into_bytes()
}

pub(crate) fn feed(kind: FeedKind) -> Feed {
    let bytes = match kind {
        FeedKind::Osv => lines(&osv()),
        FeedKind::Nvd => nvd().to_string().into_bytes(),
        FeedKind::Kev => kev().to_string().into_bytes(),
        FeedKind::Epss => EPSS.into(),
    };
    Feed::read(kind, &bytes).unwrap()
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::of(FeedKind::ALL.map(feed))
}

pub(crate) fn list(value: &Value) -> Sbom {
    sbom::read(value.to_string().as_bytes()).unwrap()
}
