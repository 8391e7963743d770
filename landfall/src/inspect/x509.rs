//! Certificates, chains, requests, revocation lists.

use super::{
    Context,
    report::{Report, Severity, Trust},
};
use landfall_pki::{
    AltName, Anchor, Certificate, Crl, Csr, Finding, Oid, PathPolicy, PublicKey, extension::KeyUsage, lint, oid,
    validate,
};
use landfall_types::Time;

/// A certificate; `others` may stand between it and an anchor.
pub(crate) fn certificate(certificate: &Certificate, others: &[Certificate], context: &Context) -> Report {
    let mut report = content(certificate);
    let lints: Vec<Finding> = lint::certificate(certificate);
    report.lints(lints);
    validity(&mut report, certificate, context.at);
    report.trust = trust(certificate, others, context);
    report
}

/// Several certificates that belong together; the first is judged with the help of the others.
pub(crate) fn bundle(what: &str, certificates: &[Certificate], context: &Context) -> Report {
    let mut report = Report::new(format!("{} {what}", certificates.len()));
    for (index, certificate) in certificates.iter().enumerate() {
        report.part((index + 1).to_string(), self::certificate(certificate, certificates, context));
    }
    report
}

/// What a certificate says, not judged.
pub(crate) fn content(certificate: &Certificate) -> Report {
    let mut report = Report::new(kind(certificate));
    report.field("subject", certificate.subject());
    report.field("issuer", certificate.issuer());
    report.maybe("device serial", certificate.subject_serial_number());
    report.field("certificate serial", certificate.serial_hex());
    report.field("valid", format_args!("{} to {}", certificate.not_before(), certificate.not_after()));
    report.field("key", key(certificate.public_key()));
    report.field("key id", hex::encode(certificate.key_id()));
    report.maybe("issuer's key id", certificate.authority_key_id().map(hex::encode));
    report.maybe("usage", certificate.key_usage().map(usage).filter(|words| !words.is_empty()));
    let purposes: Vec<String> = certificate.ekus().iter().map(purpose).collect();
    report.maybe("purposes", (!purposes.is_empty()).then(|| purposes.join(", ")));
    let names: Vec<String> = certificate.alt_names().iter().map(alt_name).collect();
    report.maybe("names", (!names.is_empty()).then(|| names.join(", ")));
    report.maybe("MASA URL", certificate.masa_url());
    report.maybe("MUD URL", certificate.mud_url());
    report.maybe("MUD signer", certificate.mud_signer());
    if certificate.is_ca() {
        report.field("domain id", certificate.domain_id());
    }
    report.field("SHA-256", certificate.fingerprint());
    report
}

/// A word for what a certificate is for, as far as it tells.
fn kind(certificate: &Certificate) -> &'static str {
    let has = |purpose| certificate.has_eku(purpose);
    match () {
        () if certificate.is_ca() && certificate.is_self_issued() => "a root CA certificate",
        () if certificate.is_ca() => "a CA certificate",
        () if certificate.masa_url().is_some() => "an IDevID (a device's identity from its factory)",
        () if has(oid::CMC_RA) => "a registrar's certificate (id-kp-cmcRA)",
        () if certificate.not_after() == Time::FOREVER && certificate.subject_serial_number().is_some() => {
            "an IDevID (a device's identity from its factory)"
        }
        () if certificate.subject_serial_number().is_some() => "a device's certificate, such as an LDevID",
        () => "a certificate",
    }
}

fn validity(report: &mut Report, certificate: &Certificate, at: Time) {
    if at < certificate.not_before() {
        let detail = format!("it begins at {}", certificate.not_before());
        report.find(Severity::Error, "not-yet-valid", "RFC 5280 s4.1.2.5", detail);
    }
    if at > certificate.not_after() {
        let detail = format!("it ended at {}; --at TIME judges it at another time", certificate.not_after());
        report.find(Severity::Error, "expired", "RFC 5280 s4.1.2.5", detail);
    }
}

/// Whether it leads to one of the anchors; nothing if there are none.
pub(crate) fn trust(certificate: &Certificate, others: &[Certificate], context: &Context) -> Option<Trust> {
    if context.anchors.is_empty() {
        return None;
    }
    Some(match validate(certificate, others, &context.trusted(), &PathPolicy::at(context.at)) {
        Ok(path) => Trust::Trusted { anchor: anchor(&path.anchor) },
        Err(refusal) => Trust::Refused { refusal },
    })
}

fn anchor(anchor: &Anchor) -> String {
    match anchor {
        Anchor::Certificate(certificate) => certificate.subject(),
        Anchor::Key(key) => format!("the key {}", hex::encode(key.key_id())),
    }
}

/// A certificate request.
pub(crate) fn request(csr: &Csr) -> Report {
    let mut report = Report::new("a certificate request (PKCS#10)");
    report.field("subject", csr.subject());
    report.maybe("device serial", csr.subject_serial_number());
    report.field("key", key(csr.public_key()));
    let names: Vec<String> = csr.alt_names().iter().map(alt_name).collect();
    report.maybe("names", (!names.is_empty()).then(|| names.join(", ")));
    let purposes: Vec<String> = csr.ekus().iter().map(purpose).collect();
    report.maybe("purposes", (!purposes.is_empty()).then(|| purposes.join(", ")));
    let attributes: Vec<String> = csr.attribute_oids().iter().map(attribute).collect();
    report.maybe("attributes", (!attributes.is_empty()).then(|| attributes.join(", ")));
    report.maybe("bound to TLS by", csr.challenge_password());
    match csr.verify_possession() {
        Ok(()) => report.field("possession", "proven: the signature verifies with the key inside"),
        Err(why) => report.find(Severity::Error, "possession", "RFC 2986 s4.2", why.to_string()),
    }
    report
}

/// A revocation list.
pub(crate) fn revocations(crl: &Crl, context: &Context) -> Report {
    let mut report = Report::new("a revocation list (CRL)");
    report.maybe("issuer", landfall_pki::Name::from_der(crl.issuer_der()).ok());
    report.field("made", crl.this_update());
    report.maybe("next", crl.next_update());
    report.field("revoked", crl.len());
    if crl.next_update().is_some_and(|next| next < context.at) {
        report.find(Severity::Error, "crl-stale", "RFC 5280 s5.1.2.5", "a newer one should have been made by now");
    }
    let issuer = context.anchors.iter().find(|anchor| anchor.subject_der() == crl.issuer_der());
    match issuer.map(|issuer| crl.verify_issued_by(issuer.public_key())) {
        Some(Ok(())) => report.field("signature", "verifies with the key of its issuer"),
        Some(Err(why)) => report.find(Severity::Error, "crl-signature", "RFC 5280 s5.1.1.3", why.to_string()),
        None => {
            let detail = "its signature was not checked: name its issuer's certificate with --anchor";
            report.find(Severity::Notice, "crl-signature", "RFC 5280 s5.1.1.3", detail);
        }
    }
    report
}

fn key(key: &PublicKey) -> String {
    format!("{:?}", key.kind())
}

fn usage(usage: KeyUsage) -> String {
    let words = [
        (KeyUsage::DIGITAL_SIGNATURE, "digitalSignature"),
        (KeyUsage::KEY_ENCIPHERMENT, "keyEncipherment"),
        (KeyUsage::KEY_AGREEMENT, "keyAgreement"),
        (KeyUsage::KEY_CERT_SIGN, "keyCertSign"),
        (KeyUsage::CRL_SIGN, "cRLSign"),
    ];
    words.into_iter().filter(|(bit, _)| usage.allows(*bit)).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
}

fn purpose(purpose: &Oid) -> String {
    match *purpose {
        oid::SERVER_AUTH => "TLS server".into(),
        oid::CLIENT_AUTH => "TLS client".into(),
        oid::CMC_RA => "registration authority (cmcRA)".into(),
        other => other.to_string(),
    }
}

pub(super) fn attribute(attribute: &Oid) -> String {
    match *attribute {
        oid::CHALLENGE_PASSWORD => "challengePassword".into(),
        oid::EXTENSION_REQUEST => "extensionRequest".into(),
        oid::EC_PUBLIC_KEY => "an EC key".into(),
        oid::P256 => "P-256".into(),
        oid::P384 => "P-384".into(),
        oid::RSA => "an RSA key".into(),
        oid::ECDSA_SHA256 => "ECDSA with SHA-256".into(),
        oid::ECDSA_SHA384 => "ECDSA with SHA-384".into(),
        oid::SERIAL_NUMBER => "serialNumber".into(),
        other => other.to_string(),
    }
}

fn alt_name(name: &AltName) -> String {
    match name {
        AltName::Dns(text) | AltName::Uri(text) | AltName::Email(text) => text.clone(),
        AltName::Ip(address) => address.to_string(),
        AltName::Other(der) => format!("other:{}", hex::encode(der)),
    }
}
