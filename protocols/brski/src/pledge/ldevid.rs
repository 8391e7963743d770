//! Whether an issued certificate is what was asked for (RFC 7030 s4.2.3, 802.1AR LDevID).

use super::{csr::Subject, voucher::instant};
use crate::est::client::Enrolled;
use landfall_pki::{Anchor, Anchors, Certificate, PathPolicy, oid, validate};
use landfall_types::{Fault, Refusal, Time};

/// The domain's CA certificates, sorted by what they are for.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    pub(super) anchors: Vec<Certificate>,
    pub(super) others: Vec<Certificate>,
}

impl Domain {
    /// RFC 7030 s4.1.3: the roots are anchors, and the rest completes chains. A domain below a CA that it does not show
    /// is anchored at what it shows.
    ///
    /// # Errors
    /// `cacerts-ca` if none is a CA.
    pub(super) fn of(certificates: Vec<Certificate>) -> Result<Self, Refusal> {
        let cas: Vec<_> = certificates.into_iter().filter(Certificate::is_ca).collect();
        if cas.is_empty() {
            let detail = "none of the certificates is a CA's";
            return Err(Refusal::new(Fault::Peer, "cacerts-ca", "RFC 7030 s4.1.3", detail));
        }
        let (anchors, others): (Vec<_>, Vec<_>) = cas.into_iter().partition(Certificate::is_self_issued);
        Ok(match anchors.is_empty() {
            true => Self { anchors: others, others: anchors },
            false => Self { anchors, others },
        })
    }
}

/// Checks an issued certificate; gives what stands between it and its anchor, lowest first.
///
/// That it holds the requested key has been checked on reading it (`est-issued-key`).
pub(super) fn check(
    issued: &Enrolled,
    domain: &Domain,
    subject: &Subject,
    clock: bool,
    now: Time,
) -> Result<Vec<Certificate>, Refusal> {
    let refuse =
        |check, field, detail: String| Err(Refusal::new(Fault::Peer, check, "RFC 7030 s4.2.3", detail).field(field));
    let certificate = &issued.certificate;
    if certificate.is_ca() {
        return refuse("ldevid-ca", "basicConstraints", "it is a CA certificate".into());
    }
    let purposes = certificate.ekus();
    if !purposes.is_empty() && !purposes.iter().any(|p| [oid::CLIENT_AUTH, oid::ANY_EKU].contains(p)) {
        return refuse("ldevid-client-auth", "extKeyUsage", "it may not be used to authenticate a TLS client".into());
    }
    names(certificate, subject)?;
    let intermediates: Vec<_> = issued.others.iter().chain(&domain.others).cloned().collect();
    let anchors = Anchors::of(domain.anchors.iter().cloned());
    // A domain's certificate must not have begun in the future of a device that knows the time, or have expired.
    let at = instant(clock, now, std::iter::once(certificate).chain(&intermediates).chain(&domain.anchors));
    match validate(certificate, &intermediates, &anchors, &PathPolicy::at(at)) {
        Ok(path) => {
            let anchor = |c: &Certificate| matches!(&path.anchor, Anchor::Certificate(anchor) if anchor == c);
            Ok(path.chain.iter().skip(1).filter(|c| !anchor(c)).cloned().collect())
        }
        Err(why) => refuse("ldevid-chain", "issuer", why.to_string()),
    }
}

/// The certificate is for this device: a serial number in it is ours, and what is renewed keeps its names.
fn names(certificate: &Certificate, subject: &Subject) -> Result<(), Refusal> {
    let refuse =
        |check, section, field, detail: String| Err(Refusal::new(Fault::Peer, check, section, detail).field(field));
    let (ours, theirs) = (subject.name.attribute(oid::SERIAL_NUMBER), certificate.subject_serial_number());
    if let (Some(theirs), false) = (&theirs, theirs.as_ref().map(|t| t.as_str()) == ours.as_deref()) {
        let detail = format!("it is for the device {theirs}");
        return refuse("ldevid-serial-number", "RFC 8995 s5.9.2", "serialNumber", detail);
    }
    if subject.fixed && certificate.subject_der() != subject.name.to_der() {
        let detail = format!("it is for {}", certificate.subject());
        return refuse("ldevid-subject", "RFC 7030 s4.2.2", "subject", detail);
    }
    if subject.fixed && certificate.alt_names() != subject.alt_names {
        let detail = "its alternative names are not those of the certificate that it replaces".into();
        return refuse("ldevid-alt-names", "RFC 7030 s4.2.2", "subjectAltName", detail);
    }
    if subject.name.is_empty() && certificate.subject_name().is_empty() && certificate.alt_names().is_empty() {
        return refuse("ldevid-names", "RFC 5280 s4.1.2.6", "subject", "it names nobody".into());
    }
    Ok(())
}
