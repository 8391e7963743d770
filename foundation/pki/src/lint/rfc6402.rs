//! RFC 6402: who may act as a registration authority for CMC (RFC 5272) and EST.

use super::{Lint, Role, Severity, when};
use crate::oid;

pub(super) const LINTS: &[Lint] = &[Lint {
    name: "ra-purpose-only-for-registrars",
    source: "RFC 6402 s2.10",
    severity: Severity::Error,
    applies: |role| matches!(role, Role::Idevid | Role::Ldevid | Role::Masa | Role::Operator | Role::Server),
    check: |c| when(c.has_eku(oid::CMC_RA), "it has cmcRA, with which its holder could pass as a registrar"),
}];
