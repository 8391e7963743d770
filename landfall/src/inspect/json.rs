//! What is written in JSON: vouchers in JWS, unsigned vouchers, audit logs, telemetry.

use super::{
    Context, dpp, mud,
    recognise::armoured,
    report::{Report, Severity},
    voucher,
};
use landfall_brski::{
    audit_log::AuditLog,
    telemetry::{self, Status},
    voucher::{Format, Payload, Voucher, VoucherRequest},
};
use serde_json::{Map, Value};

/// What the factory gives a device to begin its life with.
fn bundle(idevid: &str, members: &Map<String, Value>, context: &Context) -> Report {
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut report = Report::new("a device's bundle: its birth credential, for the agent");
    for name in ["serial-number", "model", "masa-url"].into_iter().filter(|name| !text(name).is_empty()) {
        report.field(name, text(name));
    }
    if members.contains_key("key") {
        let detail = "the device's private key is in it; it belongs on that device and nowhere else";
        report.find(Severity::Notice, "private-key", "SP 1800-36B 4.1", detail);
    }
    report.part("IDevID", armoured(&format!("{idevid}{}", text("chain")), context));
    report.part("what the device believes of its MASA", armoured(text("masa-anchors"), context));
    report
}

/// What a JSON object is.
pub(crate) fn report(bytes: &[u8], context: &Context) -> Report {
    let members = match landfall_types::json::parse(bytes) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return broken("JSON, and not an object"),
        Err(why) => return broken(&why.to_string()),
    };
    let has = |name: &str| members.contains_key(name);
    if has("signatures") && has("payload") {
        return voucher::signed(Format::JwsJson, bytes, context);
    }
    if members.keys().any(|name| name.starts_with("ietf-voucher-request")) {
        return unsigned(VoucherRequest::from_json(bytes).map(|request| voucher::request(&request)));
    }
    if has("ietf-voucher:voucher") {
        return unsigned(Voucher::from_json(bytes).map(|voucher| voucher::voucher(&voucher, context)));
    }
    if has("ietf-mud:mud") {
        return mud::file(bytes);
    }
    if has("events") {
        return audit(bytes);
    }
    if let Some(Value::String(idevid)) = members.get("idevid") {
        return bundle(idevid, &members, context);
    }
    if has("discovery") && has("cred") {
        return dpp::object(bytes, context);
    }
    if has("wi-fi_tech") && has("netRole") {
        return dpp::request(bytes, context);
    }
    if has("result") {
        return dpp::status(bytes);
    }
    if has("kty") {
        return dpp::jwk(Value::Object(members));
    }
    if has("version") && has("status") {
        return status(bytes);
    }
    broken("a JSON object that is of no kind known here")
}

fn unsigned(content: Result<Report, landfall_brski::voucher::VoucherError>) -> Report {
    match content {
        Ok(mut report) => {
            report.what = format!("{}, unsigned", report.what);
            report.find(Severity::Error, "voucher-signature", "RFC 8366 s5.4", "nobody has signed it");
            report
        }
        Err(why) => {
            let mut report = Report::new("an unsigned voucher or request that cannot be read");
            report.refuse(&why.refusal());
            report
        }
    }
}

fn audit(bytes: &[u8]) -> Report {
    let mut report = Report::new("a MASA's audit log (RFC 8995 s5.8)");
    let log = match AuditLog::parse(bytes) {
        Ok(log) => log,
        Err(why) => {
            report.find(Severity::Error, "audit-log", "RFC 8995 s5.8.1", why.to_string());
            return report;
        }
    };
    report.field("version", log.version);
    report.field("events", log.events.len());
    for event in &log.events {
        let nonce = event.nonce.as_ref().map_or("no nonce".into(), |nonce| format!("nonce {nonce}"));
        report.field(event.date.to_string(), format_args!("domain {}, {nonce}", event.domain));
    }
    let nonceless = log.events.iter().filter(|event| event.nonce.is_none()).count();
    if nonceless > 0 {
        let detail =
            format!("{nonceless} vouchers without nonce: such a domain could take the device over after a reset");
        report.find(Severity::Notice, "audit-nonceless", "RFC 8995 s5.8.3", detail);
    }
    report
}

fn status(bytes: &[u8]) -> Report {
    let mut report = Report::new("status telemetry of a pledge (RFC 8995 s5.7, s5.9.4)");
    let status = match Status::parse(bytes) {
        Ok(status) => status,
        Err(why) => {
            report.find(Severity::Error, "telemetry", "RFC 8995 s5.7", why.to_string());
            return report;
        }
    };
    report.field("version", status.version);
    report.field("status", if status.status { "it went well" } else { "it failed" });
    report.maybe("reason", status.reason);
    report.maybe("reason-context", status.reason_context);
    if status.version > telemetry::VERSION {
        report.find(Severity::Warning, "telemetry-version", "RFC 8995 s5.7", "a newer version than is known here");
    }
    for name in &status.unknown {
        report.find(Severity::Notice, "telemetry-unknown", "RFC 8995 s5.7", format!("{name} is not known and ignored"));
    }
    report
}

fn broken(why: &str) -> Report {
    let mut report = Report::new("not recognised");
    report.find(Severity::Error, "not-recognised", "landfall inspect --help", why);
    report
}
