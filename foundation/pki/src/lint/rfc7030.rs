//! RFC 7030: EST.

use super::{Lint, Role, Severity, when};
use crate::oid;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        name: "renewable",
        source: "RFC 7030 s3.3.2",
        severity: Severity::Error,
        applies: |role| role == Role::Ldevid,
        check: |c| {
            let client = c.ekus().is_empty() || c.has_eku(oid::CLIENT_AUTH);
            when(!client, "its purposes lack clientAuth, so its holder could not renew it")
        },
    },
    Lint {
        name: "server-purpose",
        source: "RFC 7030 s3.3.1",
        severity: Severity::Error,
        applies: |role| matches!(role, Role::Registrar | Role::Server),
        check: |c| when(!c.has_eku(oid::SERVER_AUTH), "its purposes lack serverAuth, so TLS clients refuse it"),
    },
    Lint {
        name: "server-named",
        source: "RFC 7030 s3.6",
        severity: Severity::Warning,
        applies: |role| matches!(role, Role::Registrar | Role::Server),
        check: |c| when(c.alt_names().is_empty(), "it names no host, so clients that look for one refuse it"),
    },
];
