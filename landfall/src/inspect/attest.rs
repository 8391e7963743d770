//! What devices show of their software, and what is made of it (RFC 9334).

use super::{
    report::{Report, Severity},
    x509,
};
use crate::inspect::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use landfall_attest::{
    Ear, EventLog, Evidence, ReferenceValues, Shown, Tier,
    eat::Eat,
    shown::digest_of,
    tpm::{About, Statement},
};

/// What a TPM's statement begins with, by its own mark and its kind.
const MARK: &[u8] = b"\xff\x54\x43\x47\x80";
/// Where the first event of an event log has its name.
const NAME: std::ops::Range<usize> = 32..41;

/// A statement of a TPM or an event log, if it is one.
pub(super) fn binary(bytes: &[u8]) -> Option<Report> {
    if bytes.starts_with(MARK) {
        return Some(statement(bytes));
    }
    (bytes.get(NAME) == Some(b"Spec ID E")).then(|| log(bytes))
}

/// A token in JWS, if it is of a kind that is known here.
pub(super) fn token(text: &str) -> Option<Report> {
    let header = URL_SAFE_NO_PAD.decode(text.split('.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    match header.get("typ")?.as_str()? {
        "eat+jwt" => Some(Ear::read(text).map_or_else(|why| eat(text, &why), |ear| result(&ear))),
        "landfall-reference-values+jwt" => Some(values(text)),
        _ => None,
    }
}

/// Evidence as it crosses the wire, if it looks like it.
pub(super) fn wrapper(text: &[u8], context: &Context) -> Option<Report> {
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let alone = value.get("evidence").unwrap_or(&value);
    alone.as_array()?.first()?.as_str().filter(|kind| kind.contains('/'))?;
    let mut report = Report::new("evidence of what software a device runs (draft-ietf-rats-msg-wrap)");
    let Shown { evidence, sbom } = match Shown::from_cmw(text) {
        Ok(shown) => {
            if let Err(why) = shown.is_whole() {
                report.refuse(&why);
            }
            shown
        }
        Err(why) => {
            report.refuse(&why);
            return Some(report);
        }
    };
    if let Some(sbom) = sbom {
        report.field("list of components", format_args!("{} octets, SHA-256 {}", sbom.len(), digest_of(&sbom)));
    }
    match evidence {
        Evidence::Software(token, _) => {
            report.part("token", self::token(&token)?);
        }
        Evidence::Tpm(quoted) => {
            report.field("nonce", hex::encode(&quoted.nonce));
            for (pcr, value) in &quoted.pcrs {
                report.field(format!("PCR {pcr}"), hex::encode(value));
            }
            report.part("quote", statement(&quoted.statement));
            if let Some(log) = &quoted.log {
                report.part("event log", self::log(log));
            }
            if let Some(key) = quoted.certificates.first() {
                report.part("attestation key", x509::certificate(key, &quoted.certificates, context));
            }
        }
    }
    Some(report)
}

fn statement(bytes: &[u8]) -> Report {
    let statement = match Statement::read(bytes) {
        Ok(statement) => statement,
        Err(why) => {
            let mut report = Report::new("a statement of a TPM");
            report.find(Severity::Error, "tpm-statement", "TPM 2.0 part 2 s10.12", why.to_string());
            return report;
        }
    };
    let mut report = Report::new(match statement.about {
        About::Quote { .. } => "a quote: what a TPM says of its PCRs (TPMS_ATTEST)",
        About::Key { .. } => "what a TPM says of one of its keys (TPMS_ATTEST)",
    });
    report.field("covers", hex::encode(&statement.covered));
    match &statement.about {
        About::Quote { selection, digest } => {
            let selection: Vec<_> = selection.iter().map(ToString::to_string).collect();
            report.field("PCRs", selection.join(", "));
            report.field("digest", hex::encode(digest));
        }
        About::Key { name } => report.field("key", hex::encode(name)),
    }
    report.field("clock", format_args!("{} ms", statement.clock.clock));
    report.field("resets", format_args!("{}, shifted by a constant of the key", statement.clock.reset_count));
    report
}

fn log(bytes: &[u8]) -> Report {
    let mut report = Report::new("an event log: what was measured into a TPM (TCG_PCR_EVENT2)");
    let log = match EventLog::read(bytes) {
        Ok(log) => log,
        Err(why) => {
            let section = "TCG PC Client Platform Firmware Profile s10.2";
            report.find(Severity::Error, "event-log-syntax", section, why.to_string());
            return report;
        }
    };
    for event in &log.events {
        let told: String = String::from_utf8_lossy(&event.data).chars().take(80).collect();
        report.field(format!("PCR {}", event.pcr), format_args!("{} {told}", hex::encode(event.digest)));
    }
    let measured: std::collections::BTreeSet<_> = log.events.iter().map(|event| event.pcr).collect();
    for (pcr, value) in log.replay(measured) {
        report.field(format!("PCR {pcr} then"), hex::encode(value));
    }
    report
}

fn result(ear: &Ear) -> Report {
    let mut report = Report::new("an attestation result: what a verifier makes of a device (draft-ietf-rats-ear)");
    report.field("device", &ear.subject);
    report.field("tier", ear.tier);
    report.field("rests on", &ear.root);
    report.maybe("firmware", ear.firmware.as_ref());
    for (name, value) in ear.vector.claims().into_iter().filter(|(_, value)| *value != 0) {
        report.field(name, value);
    }
    report.field("appraised", ear.at);
    report.field("until", ear.expires);
    let severity = if ear.tier == Tier::Affirming { Severity::Notice } else { Severity::Warning };
    ear.findings.iter().for_each(|(check, why)| report.find(severity, check, "draft-ietf-rats-ear s3", why.clone()));
    report
}

fn eat(text: &str, no_result: &landfall_types::Refusal) -> Report {
    let mut report = Report::new("what a device without a TPM says of its software: an EAT (RFC 9711)");
    match Eat::read(text) {
        Ok(eat) => {
            let claims = eat.unverified();
            report.field("firmware", format_args!("{} {}", claims.firmware.0, claims.firmware.1));
            report.field("SHA-256", hex::encode(claims.measured));
            report.field("nonce", hex::encode(&claims.nonce));
            report.find(
                Severity::Notice,
                "root-of-trust",
                "RFC 9334 s7.4",
                "nothing measured it but the software itself",
            );
        }
        Err(why) => {
            report.what = "an entity attestation token (RFC 9711)".into();
            report.refuse(&why);
            report.refuse(no_result);
        }
    }
    report
}

fn values(text: &str) -> Report {
    let mut report = Report::new("reference values: what good software looks like (RFC 9334 s8.3)");
    match ReferenceValues::read(text) {
        Err(why) => report.refuse(&why),
        Ok(values) => {
            report.field("of", format_args!("{}/{}", values.vendor, values.model));
            report.field("issued", values.issued);
            for release in &values.releases {
                let from = release.from.map(|from| format!(" from {from}")).unwrap_or_default();
                let until = release.until.map(|until| format!(" until {until}")).unwrap_or_default();
                let withdrawn = if release.withdrawn { " withdrawn" } else { "" };
                report.field("release", format_args!("{}{from}{until}{withdrawn}", release.firmware));
                for (pcr, value) in &release.pcrs {
                    report.field(format!("  PCR {pcr}"), value);
                }
            }
        }
    }
    report
}
