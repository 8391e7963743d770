//! How a device speaks TLS and DTLS (RFC 9761).

use super::object::Object;
use crate::{
    bounds,
    report::{At, Report},
};
use serde_json::Value;

const SECTION: &str = "RFC 9761 s5.2";

/// One of the ways in which a device speaks TLS or DTLS. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsProfile {
    /// Its name.
    pub name: String,
    /// Versions of TLS: 12 and 13.
    pub tls_versions: Vec<u8>,
    /// Versions of DTLS.
    pub dtls_versions: Vec<u8>,
    /// Numbers of cipher suites.
    pub cipher_suites: Vec<u16>,
    /// Numbers of extensions.
    pub extension_types: Vec<u16>,
    /// Numbers of groups.
    pub groups: Vec<u16>,
    /// Numbers of signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// Names of what is spoken inside (ALPN).
    pub application_protocols: Vec<String>,
    /// What else it asks for, by name: certificates and keys, which TLS 1.3 hides from those between.
    pub others: Vec<String>,
}

/// RFC 9761 s6: whether the file says how the device speaks TLS.
pub(super) fn is_supported(mud: &mut Object<'_, '_>, report: &mut Report) -> bool {
    const NAME: &str = "ietf-mud-tls:is-tls-dtls-profile-supported";
    let Some(value) = mud.take_or(NAME, &["is-tls-dtls-profile-supported"], "RFC 7951 s4", report) else {
        return false;
    };
    match value {
        Value::Bool(supported) => *supported,
        // RFC 9761 s7 has it so itself.
        Value::String(text) if text == "true" || text == "false" => {
            report.mended(&mud.at().name(NAME), "RFC 7951 s6.3", "it should be true or false without quotes");
            text == "true"
        }
        _ => {
            report.wrong(&mud.at().name(NAME), "RFC 9761 s6", "it is neither true nor false");
            false
        }
    }
}

/// The ways of one entry.
pub(super) fn profiles(matches: &mut Object<'_, '_>, report: &mut Report) -> Vec<TlsProfile> {
    const NAME: &str = "ietf-acl-tls:client-profiles";
    // The example of RFC 9761 s7 has other names than its model in s5.2.
    let others = ["ietf-acl-tls:client-profile", "client-profiles"];
    let Some(value) = matches.take_or(NAME, &others, SECTION, report) else { return Vec::new() };
    let at = matches.at();
    let at = at.name(NAME);
    let Some(mut container) = Object::of(value, at, SECTION, report) else { return Vec::new() };
    let Some(list) = container.take_or("tls-dtls-profile", &["tls-dtls-profiles"], SECTION, report) else {
        report.wrong(&at, SECTION, "it has no profile");
        return Vec::new();
    };
    let at = at.name("tls-dtls-profile");
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() || items.len() > bounds::ITEMS {
        report.wrong(&at, SECTION, format!("it is no list of 1 to {} profiles", bounds::ITEMS));
        return Vec::new();
    }
    report.note(&at, SECTION, "addresses and ports are enforced, and of TLS nothing yet");
    items.iter().enumerate().filter_map(|(index, value)| profile(value, &at.index(index), report)).collect()
}

fn profile(value: &Value, at: &At<'_>, report: &mut Report) -> Option<TlsProfile> {
    let mut object = Object::of(value, *at, SECTION, report)?;
    let mut profile = TlsProfile::default();
    match object.required("name", SECTION, report).and_then(Value::as_str) {
        Some(name) if (1..=64).contains(&name.chars().count()) => profile.name = name.to_owned(),
        _ => report.wrong(at, SECTION, "it has no name of 1 to 64 characters"),
    }
    let mut numbers = |name, other| {
        let found = object.take_or(name, &[other], SECTION, report);
        let items = found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<u16> = items.iter().filter_map(Value::as_u64).filter_map(|n| u16::try_from(n).ok()).collect();
        if found.is_some() && (numbers.is_empty() || numbers.len() != items.len() || items.len() > bounds::ITEMS) {
            report.wrong(&at.name(name), SECTION, "it is no list of numbers of 16 bits");
        }
        numbers
    };
    profile.cipher_suites = numbers("cipher-suite", "cipher-suites");
    profile.extension_types = numbers("extension-type", "extension-types");
    profile.groups = numbers("supported-group", "supported-groups");
    profile.signature_algorithms = numbers("signature-algorithm", "signature-algorithms");
    let mut texts = |name, other| {
        let found = object.take_or(name, &[other], SECTION, report);
        let items = found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if found.is_some() && (texts.is_empty() || texts.len() != items.len() || items.len() > bounds::ITEMS) {
            report.wrong(&at.name(name), SECTION, "it is no list of texts");
        }
        texts
    };
    profile.application_protocols = texts("application-protocol", "application-protocols");
    // RFC 9761 s5.3: versions 1.2 and 1.3 of each are registered.
    let mut versions = |name, other, of: [&str; 2]| {
        let named = texts(name, other);
        let known = named.iter().filter_map(|version| match version.as_str() {
            version if version == of[0] => Some(12),
            version if version == of[1] => Some(13),
            _ => None,
        });
        (known.collect::<Vec<u8>>(), named.len())
    };
    let (tls, tls_named) = versions("supported-tls-version", "supported-tls-versions", ["tls12", "tls13"]);
    let (dtls, dtls_named) = versions("supported-dtls-version", "supported-dtls-versions", ["dtls12", "dtls13"]);
    if (tls.len(), dtls.len()) != (tls_named, dtls_named) {
        report.wrong(at, "RFC 9761 s5.3", "it names a version that is not registered");
    }
    (profile.tls_versions, profile.dtls_versions) = (tls, dtls);
    profile.others = object.others().map(str::to_owned).collect();
    Some(profile)
}
