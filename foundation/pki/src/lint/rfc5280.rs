//! RFC 5280: certificates of the Internet.

use super::{Lint, Role, Severity, everyone, when};
use crate::{AltName, Certificate, asn1, extension::KeyUsage, oid};
use landfall_types::Time;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        name: "version-3",
        source: "RFC 5280 s4.1.2.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(c.version() != 2, "its version is not 3"),
    },
    Lint {
        name: "serial-positive",
        source: "RFC 5280 s4.1.2.2",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let zero = c.serial().iter().all(|b| *b == 0);
            when(zero || c.serial().first().is_some_and(|b| *b >= 0x80), "its serial number is not positive")
        },
    },
    Lint {
        name: "serial-length",
        source: "RFC 5280 s4.1.2.2",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(c.serial().len() > 20, "its serial number is longer than 20 bytes"),
    },
    Lint {
        name: "issuer-named",
        source: "RFC 5280 s4.1.2.4",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(is_empty(c.issuer_der()), "its issuer has no name"),
    },
    Lint {
        name: "validity-order",
        source: "RFC 5280 s4.1.2.5",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(c.not_after() < c.not_before(), "it ends before it begins"),
    },
    Lint {
        name: "validity-encoding",
        source: "RFC 5280 s4.1.2.5",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let year_2050 = Time::from_unix(2_524_608_000);
            let dates = asn1::Reader::inside("validity", asn1::SEQUENCE, c.validity_der());
            let wrong = dates.and_then(|mut dates| {
                let early = |tag, at| tag == asn1::GENERALIZED_TIME && at < year_2050;
                Ok(early(dates.next()?.tag, c.not_before()) || early(dates.next()?.tag, c.not_after()))
            });
            when(wrong.unwrap_or(true), "a date before 2050 is not a UTCTime")
        },
    },
    Lint {
        name: "ca-subject-named",
        source: "RFC 5280 s4.1.2.6",
        severity: Severity::Error,
        applies: ca,
        check: |c| when(is_empty(c.subject_der()), "a CA has no name"),
    },
    Lint {
        name: "common-name-length",
        source: "RFC 5280 A.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(too_long(c, oid::COMMON_NAME, 64), "its common name is longer than 64 characters"),
    },
    Lint {
        name: "organization-length",
        source: "RFC 5280 A.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(too_long(c, oid::ORGANIZATION, 64), "its organization is longer than 64 characters"),
    },
    Lint {
        name: "country-code",
        source: "RFC 5280 A.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let country = c.subject_attribute(oid::COUNTRY);
            when(country.is_some_and(|country| country.len() != 2), "its country is not a code of two letters")
        },
    },
    Lint {
        name: "authority-key-id",
        source: "RFC 5280 s4.2.1.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let missing = !c.is_self_issued() && c.authority_key_id().is_none();
            when(missing, "it does not say which key signed it")
        },
    },
    Lint {
        name: "authority-key-id-not-critical",
        source: "RFC 5280 s4.2.1.1",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(critical(c, oid::AUTHORITY_KEY_ID), "its authority key identifier is critical"),
    },
    Lint {
        name: "subject-key-id",
        source: "RFC 5280 s4.2.1.2",
        severity: Severity::Error,
        applies: ca,
        check: |c| when(c.subject_key_id().is_none(), "a CA has no subject key identifier"),
    },
    Lint {
        name: "subject-key-id-not-critical",
        source: "RFC 5280 s4.2.1.2",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(critical(c, oid::SUBJECT_KEY_ID), "its subject key identifier is critical"),
    },
    Lint {
        name: "ca-key-usage",
        source: "RFC 5280 s4.2.1.3",
        severity: Severity::Error,
        applies: ca,
        check: |c| {
            let signs = c.key_usage().is_some_and(|usage| usage.allows(KeyUsage::KEY_CERT_SIGN));
            when(!signs, "a CA's key usage does not have keyCertSign")
        },
    },
    Lint {
        name: "key-usage-critical",
        source: "RFC 5280 s4.2.1.3",
        severity: Severity::Warning,
        applies: everyone,
        check: |c| {
            let lax = c.extension(oid::KEY_USAGE).is_some_and(|usage| !usage.critical);
            when(lax, "its key usage is not critical")
        },
    },
    Lint {
        name: "key-usage-not-empty",
        source: "RFC 5280 s4.2.1.3",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(c.key_usage() == Some(KeyUsage::default()), "its key usage allows nothing"),
    },
    Lint {
        name: "alt-names-not-empty",
        source: "RFC 5280 s4.2.1.6",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let empty = c.extension(oid::SUBJECT_ALT_NAME).is_some() && c.alt_names().is_empty();
            when(empty, "its list of alternative names is empty")
        },
    },
    Lint {
        name: "nameless-needs-critical-alt-names",
        source: "RFC 5280 s4.2.1.6",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let wrong = is_empty(c.subject_der()) && !c.is_ca() && !critical(c, oid::SUBJECT_ALT_NAME);
            when(wrong, "its subject is empty and no critical alternative name stands in for it")
        },
    },
    Lint {
        name: "dns-name-syntax",
        source: "RFC 5280 s4.2.1.6",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let wrong = c.dns_names().into_iter().find(|name| !is_dns_name(name))?;
            Some(format!("{wrong:?} is not a DNS name"))
        },
    },
    Lint {
        name: "alt-name-ascii",
        source: "RFC 5280 s4.2.1.6",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let text =
                |name: &AltName| matches!(name, AltName::Other(der) if matches!(der.first(), Some(0x81 | 0x82 | 0x86)));
            when(c.alt_names().iter().any(text), "an alternative name is not ASCII")
        },
    },
    Lint {
        name: "ca-basic-constraints-critical",
        source: "RFC 5280 s4.2.1.9",
        severity: Severity::Error,
        applies: ca,
        check: |c| {
            let missing = !c.is_ca() || !critical(c, oid::BASIC_CONSTRAINTS);
            when(missing, "a CA's basic constraints do not say so critically")
        },
    },
    Lint {
        name: "cert-sign-needs-ca",
        source: "RFC 5280 s4.2.1.9",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let signs = c.key_usage().is_some_and(|usage| usage.allows(KeyUsage::KEY_CERT_SIGN));
            when(signs && !c.is_ca(), "it has keyCertSign and is not a CA")
        },
    },
    Lint {
        name: "path-len-needs-ca",
        source: "RFC 5280 s4.2.1.9",
        severity: Severity::Error,
        applies: everyone,
        check: |c| when(c.path_len().is_some() && !c.is_ca(), "it limits a path and is not a CA"),
    },
    Lint {
        name: "extended-key-usage-not-empty",
        source: "RFC 5280 s4.2.1.12",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let empty = c.extension(oid::EXTENDED_KEY_USAGE).is_some() && c.ekus().is_empty();
            when(empty, "its extended key usage is empty")
        },
    },
    Lint {
        name: "end-entity-is-no-ca",
        source: "RFC 5280 s4.2.1.9",
        severity: Severity::Error,
        applies: |role| !matches!(role, Role::Ca | Role::Other),
        check: |c| when(c.is_ca(), "an end entity is made a CA"),
    },
    Lint {
        name: "ca-expiry",
        source: "RFC 5280 s4.1.2.5",
        severity: Severity::Notice,
        applies: ca,
        check: |c| when(c.not_after() == Time::FOREVER, "a CA never expires"),
    },
];

fn ca(role: Role) -> bool {
    role == Role::Ca
}

fn is_empty(name: &[u8]) -> bool {
    name == [asn1::SEQUENCE, 0]
}

fn critical(certificate: &Certificate, oid: crate::Oid) -> bool {
    certificate.extension(oid).is_some_and(|e| e.critical)
}

fn too_long(certificate: &Certificate, attribute: crate::Oid, most: usize) -> bool {
    certificate.subject_attribute(attribute).is_some_and(|text| text.chars().count() > most)
}

/// Labels of letters, digits and hyphens (RFC 1123 s2.1), and a wildcard first at most.
fn is_dns_name(name: &str) -> bool {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let inside = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && plain.split('.').all(label)
}
