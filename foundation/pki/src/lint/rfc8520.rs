//! RFC 8520: manufacturer usage descriptions.

use super::{Lint, Severity, everyone, when};
use crate::oid;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        name: "mud-url-https",
        source: "RFC 8520 s1.5",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let url = c.mud_url()?;
            when(!url.starts_with("https://"), format!("{url:?} is not an https URL"))
        },
    },
    Lint {
        name: "mud-encoding",
        source: "RFC 8520 s11",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let url = c.extension(oid::MUD_URL).is_some() && c.mud_url().is_none();
            let signer = c.extension(oid::MUD_SIGNER).is_some() && c.mud_signer().is_none();
            when(url || signer, "its MUD URL is not an IA5String, or its MUD signer not a name")
        },
    },
    Lint {
        name: "mud-not-critical",
        source: "RFC 8520 s11",
        severity: Severity::Error,
        applies: everyone,
        check: |c| {
            let critical = |oid| c.extension(oid).is_some_and(|e| e.critical);
            when(critical(oid::MUD_URL) || critical(oid::MUD_SIGNER), "a MUD extension is critical")
        },
    },
];
