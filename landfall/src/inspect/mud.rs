//! What manufacturers say of their devices (RFC 8520).

use super::report::{Finding, Report, Severity};
use landfall_mud::{Direction, Kind, Policy, read};

/// A MUD file: what is wrong with it, and with whom the device may speak.
pub(super) fn file(bytes: &[u8]) -> Report {
    let mut report = Report::new("a MUD file: what a manufacturer says of a kind of device (RFC 8520)");
    let (file, found) = match read(bytes) {
        Ok(read) => read,
        Err(why) => {
            report.refuse(&why);
            return report;
        }
    };
    report.field("MUD URL", &file.url);
    report.maybe("device", file.systeminfo.as_ref());
    report.maybe("manufacturer", file.mfg_name.as_ref());
    report.maybe("model", file.model_name.as_ref());
    report.maybe("last update", file.last_update);
    report.field("good for", format_args!("{} hours", file.cache_validity));
    report.field("supported", if file.is_supported { "yes" } else { "no" });
    report.maybe("signature", file.signature.as_ref());
    report.maybe("documentation", file.documentation.as_ref());
    let policy = Policy::of(&file);
    for direction in [Direction::FromDevice, Direction::ToDevice] {
        for rule in policy.rules(direction) {
            report.field(direction.to_string(), format_args!("{rule} ({})", rule.name));
        }
    }
    for one in &policy.left_out {
        report.field("left out", format_args!("{} {}: {}", one.direction, one.name, one.why));
    }
    report.findings.extend(found.findings().iter().map(|finding| Finding {
        severity: match finding.kind {
            Kind::Wrong => Severity::Error,
            Kind::Mended | Kind::Unsupported => Severity::Warning,
            Kind::Note => Severity::Notice,
        },
        check: format!("mud-{}", finding.kind),
        section: finding.section.to_owned(),
        detail: format!("{}: {}", finding.path, finding.detail),
    }));
    report
}
