//! Judging a certificate request, and deciding what its certificate will say (RFC 7030 s4.2, RFC 8995 s5.9.2).

use super::{Client, Config};
use crate::est::{
    Operation,
    csrattrs::{CsrAttrs, ExtensionWish},
};
use der::Decode;
use landfall_pki::{AltName, Certificate, Csr, KeyKind, Name, Oid, extension::Extension, oid, profile::Ldevid};
use landfall_types::{Fault, Refusal};
use x509_cert::ext::pkix;

const S421: &str = "RFC 7030 s4.2.1";
const S422: &str = "RFC 7030 s4.2.2";
const S452: &str = "RFC 7030 s4.5.2";

/// ChangeSubjectName (RFC 6402 s2.8).
const CHANGE_SUBJECT_NAME: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.7.36");
/// The key to encrypt a private key with, by name (RFC 4108 s2.2.5).
const DECRYPT_KEY_ID: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.37");
/// The same, asymmetric (RFC 7030 s4.4.1.2).
const ASYMMETRIC_DECRYPT_KEY_ID: Oid = Oid::new_unwrap("1.2.840.113549.1.9.16.2.54");
/// The attribute types of names (X.520).
const NAME_ATTRIBUTES: &str = "2.5.4.";

fn refuse<T>(
    check: &'static str,
    section: &'static str,
    field: &'static str,
    detail: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal::new(Fault::Peer, check, section, detail).field(field))
}

/// Checks what the request alone can tell.
///
/// RFC 7030 s4.4.1: where the server makes the key, key and signature in the request mean nothing.
pub(super) fn alone(config: &Config, operation: Operation, csr: &Csr) -> Result<(), Refusal> {
    let attributes = csr.attribute_oids();
    if attributes.contains(&CHANGE_SUBJECT_NAME) {
        return refuse("csr-change-subject", S422, "ChangeSubjectName", "subjects are not changed here");
    }
    if operation == Operation::ServerKeyGen {
        // RFC 7030 s4.4.1.1: a key that is not known here ends the request; none is.
        return match attributes.iter().any(|a| *a == DECRYPT_KEY_ID || *a == ASYMMETRIC_DECRYPT_KEY_ID) {
            true => refuse("csr-decrypt-key", "RFC 7030 s4.4.1", "DecryptKeyIdentifier", "no such key is known here"),
            false => Ok(()),
        };
    }
    if let Err(why) = csr.verify_possession() {
        return refuse("csr-possession", S421, "signature", why.to_string());
    }
    let kind = csr.public_key().kind();
    if !config.keys.iter().any(|allowed| covers(*allowed, kind)) {
        return refuse("csr-key", S421, "subjectPKInfo", format!("a key of kind {kind} is not certified here"));
    }
    wished_key(&config.csrattrs, kind)
}

fn covers(allowed: KeyKind, kind: KeyKind) -> bool {
    match (allowed, kind) {
        (KeyKind::Rsa { bits: least }, KeyKind::Rsa { bits }) => bits >= least,
        _ => allowed == kind,
    }
}

/// RFC 8995 s5.9.2: the request is held against the CSR attributes; first, its key.
fn wished_key(wishes: &CsrAttrs, kind: KeyKind) -> Result<(), Refusal> {
    let curve = wishes.curve().is_some_and(|curve| {
        let wished = [(oid::P256, KeyKind::P256), (oid::P384, KeyKind::P384), (oid::P521, KeyKind::P521)];
        !wished.contains(&(curve, kind))
    });
    let size =
        wishes.rsa_bits().is_some_and(|bits| !matches!(kind, KeyKind::Rsa { bits: has } if has == bits as usize));
    match (curve && wishes.rsa_bits().is_none()) || (size && wishes.curve().is_none()) || (curve && size) {
        true => refuse("csr-attributes", S452, "subjectPKInfo", format!("{kind} is not the key that was asked for")),
        false => Ok(()),
    }
}

/// Checks the request against who makes it, and says what the certificate will say.
pub(super) fn profile(config: &Config, operation: Operation, client: &Client, csr: &Csr) -> Result<Ldevid, Refusal> {
    match (operation, client) {
        (Operation::SimpleReenroll, Client::Member { ldevid, .. }) => {
            extensions(config, csr, ldevid.alt_names(), ldevid.ekus())?;
            renewal(config, ldevid, csr)
        }
        (Operation::SimpleReenroll, Client::Pledge { .. }) => {
            let detail = "an IDevID is not this domain's to renew";
            refuse("reenroll-certificate", S422, "", detail).map_err(|e: Refusal| Refusal { fault: Fault::Denied, ..e })
        }
        _ => {
            extensions(config, csr, &[], &config.purposes)?;
            first(config, client, csr)
        }
    }
}

/// RFC 7030 s4.2.2: subject and subjectAltName have to be those of the certificate that is renewed.
fn renewal(config: &Config, old: &Certificate, csr: &Csr) -> Result<Ldevid, Refusal> {
    if csr.subject_der() != old.subject_der() {
        let detail = format!("{:?} is asked for in place of {:?}", csr.subject(), old.subject());
        return refuse("reenroll-subject", S422, "subject", detail);
    }
    if csr.alt_names() != old.alt_names() {
        let detail = format!("{:?} is asked for in place of {:?}", csr.alt_names(), old.alt_names());
        return refuse("reenroll-alt-name", S422, "subjectAltName", detail);
    }
    let purposes = old.ekus().to_vec();
    let crl_url = config.crl_url.clone();
    Ok(Ldevid { subject: old.subject_name(), alt_names: old.alt_names().to_vec(), purposes, crl_url })
}

/// A device's certificate says who the device is, which the server knows better than the request; so the subject is
/// the server's, and the request must not claim to be anyone else.
fn first(config: &Config, client: &Client, csr: &Csr) -> Result<Ldevid, Refusal> {
    let serial = client.serial();
    if csr.subject_serial_number().is_some_and(|claimed| claimed != *serial) {
        let detail = format!("{:?} is asked for by {serial}", csr.subject());
        return refuse("csr-subject", S421, "serialNumber", detail);
    }
    let name = csr.subject_name();
    if let Some(claimed) = name.attribute(oid::COMMON_NAME) {
        let known = [Some(serial.to_string()), client.certificate().common_name()];
        let named = known.into_iter().flatten().any(|known| known == claimed);
        if !named && !under(&config.dns_suffixes, &claimed) {
            return refuse("csr-subject", S421, "commonName", format!("{claimed:?} is asked for by {serial}"));
        }
    }
    wished_names(&config.csrattrs, &name)?;
    let subject = Name::common(serial.as_str()).serial_number(serial);
    let subject = config.organization.iter().fold(subject, |subject, organization| subject.organization(organization));
    let purposes = if csr.ekus().is_empty() { config.purposes.clone() } else { csr.ekus().to_vec() };
    Ok(Ldevid { subject, alt_names: csr.alt_names().to_vec(), purposes, crl_url: config.crl_url.clone() })
}

/// RFC 8995 s5.9.2: what the CSR attributes ask for by the name of a subject attribute has to stand in the subject.
fn wished_names(wishes: &CsrAttrs, name: &Name) -> Result<(), Refusal> {
    let missing =
        wishes.oids().find(|wish| wish.to_string().starts_with(NAME_ATTRIBUTES) && name.attribute(*wish).is_none());
    match missing {
        Some(missing) => refuse("csr-attributes", S452, "subject", format!("the subject has no {missing}")),
        None => Ok(()),
    }
}

/// Every extension in the request has to be one that was asked for, or that changes nothing; and every one that was
/// asked for has to be there. What is not understood is refused, not dropped: the client would not notice.
fn extensions(config: &Config, csr: &Csr, held: &[AltName], purposes: &[Oid]) -> Result<(), Refusal> {
    let wished = config.csrattrs.extensions();
    for extension in csr.extensions() {
        if !wished.iter().any(|wish| satisfies(extension, wish)) {
            unasked(config, csr, extension, held, purposes)?;
        }
    }
    match wished.iter().find(|wish| !csr.extensions().iter().any(|extension| satisfies(extension, wish))) {
        Some(missing) => {
            let detail = format!("extension {} is missing or is not the one that was asked for", missing.oid());
            refuse("csr-attributes", S452, "extensionRequest", detail)
        }
        None => Ok(()),
    }
}

fn satisfies(extension: &Extension, wish: &ExtensionWish) -> bool {
    match wish {
        ExtensionWish::Type(oid) => extension.oid == *oid,
        ExtensionWish::Value(wished) => extension.oid == wished.oid && extension.value == wished.value,
    }
}

fn unasked(
    config: &Config,
    csr: &Csr,
    extension: &Extension,
    held: &[AltName],
    purposes: &[Oid],
) -> Result<(), Refusal> {
    let refuse = |field, detail: String| refuse("csr-extension", S421, field, detail);
    match extension.oid {
        oid::SUBJECT_ALT_NAME => match csr.alt_names().iter().find(|name| !may_have(config, name, held)) {
            Some(name) => refuse("subjectAltName", format!("{name:?} is not for this client")),
            None => Ok(()),
        },
        oid::EXTENDED_KEY_USAGE => match csr.ekus().iter().find(|purpose| !purposes.contains(purpose)) {
            Some(purpose) => refuse("extKeyUsage", format!("{purpose} is not for devices")),
            None => Ok(()),
        },
        oid::BASIC_CONSTRAINTS => match pkix::BasicConstraints::from_der(&extension.value) {
            Ok(constraints) if !constraints.ca => Ok(()),
            _ => refuse("basicConstraints", "a device is no CA".into()),
        },
        oid::KEY_USAGE => match pkix::KeyUsage::from_der(&extension.value) {
            Ok(usage) if !usage.key_cert_sign() && !usage.crl_sign() => Ok(()),
            _ => refuse("keyUsage", "a device signs neither certificates nor revocation lists".into()),
        },
        // It follows from the key, whatever the request says.
        oid::SUBJECT_KEY_ID => Ok(()),
        other => refuse("extensionRequest", format!("nobody asked for {other}")),
    }
}

fn may_have(config: &Config, name: &AltName, held: &[AltName]) -> bool {
    held.contains(name) || matches!(name, AltName::Dns(name) if under(&config.dns_suffixes, name))
}

/// Whether `name` stands below one of the suffixes, by at least one whole label and without wildcards.
fn under(suffixes: &[String], name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let name = name.to_ascii_lowercase();
    plain
        && suffixes.iter().any(|suffix| {
            let suffix = suffix.trim_start_matches('.').to_ascii_lowercase();
            name.strip_suffix(&suffix)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty() && rest.split('.').all(|label| !label.is_empty()))
        })
}
