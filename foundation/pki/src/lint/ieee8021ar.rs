//! IEEE 802.1AR-2018: secure device identity.

use super::{Lint, Role, Severity, when};
use crate::{AltName, asn1, extension::KeyUsage, oid};
use landfall_types::Time;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        name: "idevid-serial-number",
        source: "IEEE 802.1AR-2018 s8.6",
        severity: Severity::Error,
        applies: idevid,
        check: |c| when(c.subject_serial_number().is_none(), "its subject has no serialNumber of 1 to 64 characters"),
    },
    Lint {
        name: "idevid-no-expiry",
        source: "IEEE 802.1AR-2018 s8.7",
        severity: Severity::Warning,
        applies: idevid,
        check: |c| when(c.not_after() != Time::FOREVER, "it expires; 99991231235959Z would say that it does not"),
    },
    Lint {
        name: "idevid-authority-key-id",
        source: "IEEE 802.1AR-2018 s8.10.1",
        severity: Severity::Error,
        applies: idevid,
        check: |c| when(c.authority_key_id().is_none(), "it does not say which key signed it"),
    },
    Lint {
        name: "idevid-key-usage",
        source: "IEEE 802.1AR-2018 s8.10.3",
        severity: Severity::Error,
        applies: idevid,
        check: |c| {
            let signs = c.key_usage().is_none_or(|usage| usage.allows(KeyUsage::DIGITAL_SIGNATURE));
            when(!signs, "its key usage lacks digitalSignature")
        },
    },
    Lint {
        name: "idevid-hardware-module-name",
        source: "IEEE 802.1AR-2018 s8.10.4",
        severity: Severity::Warning,
        applies: idevid,
        check: |c| {
            let named = c.alt_names().is_empty() || c.alt_names().iter().any(is_hardware_module);
            when(!named, "its alternative names lack a hardwareModuleName")
        },
    },
];

fn idevid(role: Role) -> bool {
    role == Role::Idevid
}

fn is_hardware_module(name: &AltName) -> bool {
    let AltName::Other(der) = name else { return false };
    let other = asn1::Reader::inside("otherName", asn1::context(0), der);
    other.and_then(|mut fields| fields.oid()).is_ok_and(|kind| kind == oid::HARDWARE_MODULE_NAME)
}
