//! RFC 8995: BRSKI.

use super::{Lint, Role, Severity, when};
use crate::{extension::KeyUsage, oid};

pub(super) const LINTS: &[Lint] = &[
    Lint {
        name: "masa-url-not-critical",
        source: "RFC 8995 s2.3.2",
        severity: Severity::Error,
        applies: |role| role == Role::Idevid,
        check: |c| when(c.extension(oid::MASA_URL).is_some_and(|e| e.critical), "its MASA URL is critical"),
    },
    Lint {
        name: "masa-url-encoding",
        source: "RFC 8995 s2.3.2",
        severity: Severity::Error,
        applies: |role| role == Role::Idevid,
        check: |c| {
            let unreadable = c.extension(oid::MASA_URL).is_some() && c.masa_url().is_none();
            when(unreadable, "its MASA URL is not an IA5String")
        },
    },
    Lint {
        name: "masa-url-form",
        source: "RFC 8995 s2.3.2",
        severity: Severity::Error,
        applies: |role| role == Role::Idevid,
        check: |c| {
            let url = c.masa_url()?;
            when(!is_masa_url(&url), format!("{url:?} is neither an authority nor an https URL"))
        },
    },
    Lint {
        name: "masa-url-present",
        source: "RFC 8995 s2.3.2",
        severity: Severity::Notice,
        applies: |role| role == Role::Idevid,
        check: |c| {
            when(
                c.extension(oid::MASA_URL).is_none(),
                "it has no MASA URL, so registrars must be told where its MASA is",
            )
        },
    },
    Lint {
        name: "registrar-signs",
        source: "RFC 8995 s5.5",
        severity: Severity::Error,
        applies: |role| matches!(role, Role::Registrar | Role::Masa),
        check: |c| {
            let signs = c.key_usage().is_none_or(|usage| usage.allows(KeyUsage::DIGITAL_SIGNATURE));
            when(!signs, "its key usage lacks digitalSignature, so it cannot sign vouchers or requests")
        },
    },
    Lint {
        name: "registrar-cmc-ra",
        source: "RFC 8995 s5.5.4",
        severity: Severity::Error,
        applies: |role| role == Role::Registrar,
        check: |c| when(!c.has_eku(oid::CMC_RA), "a registrar's certificate lacks cmcRA, so MASAs refuse it"),
    },
];

/// An authority, or a complete https URL: without a slash there is only the authority.
fn is_masa_url(url: &str) -> bool {
    let authority = match url.strip_prefix("https://") {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None if url.contains('/') => return false,
        None => url,
    };
    !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}
