//! Vouchers and voucher requests, in CMS, JWS and COSE.

use super::{
    Context,
    report::{Report, Severity},
    x509,
};
use landfall_brski::voucher::{self, Format, Payload, Signed, Voucher, VoucherError, VoucherRequest};
use landfall_pki::{SignedData, oid};
use landfall_types::Refusal;

/// A signed voucher or request.
pub(crate) fn signed(format: Format, bytes: &[u8], context: &Context) -> Report {
    match voucher::open_with::<VoucherRequest>(format, bytes, &context.anchors) {
        Ok(found) => return signed_request(&found, context),
        Err(VoucherError::Artefact { .. }) => {}
        Err(why) => return explain(format, bytes, &why, context),
    }
    match voucher::open_with::<Voucher>(format, bytes, &context.anchors) {
        Ok(found) => signed_voucher(&found, context),
        Err(why) => explain(format, bytes, &why, context),
    }
}

fn signed_voucher(found: &Signed<Voucher>, context: &Context) -> Report {
    let mut report = voucher(&found.payload, context);
    report.what = format!("{} in {}", report.what, found.format);
    signature(&mut report, found, context);
    report
}

fn signed_request(found: &Signed<VoucherRequest>, context: &Context) -> Report {
    let mut report = request(&found.payload);
    let registrars = found.payload.prior_signed_voucher_request.is_some() || found.signer.has_eku(oid::CMC_RA);
    let what = if registrars { "a registrar's voucher request" } else { "a voucher request" };
    report.what = format!("{what} in {}", found.format);
    signature(&mut report, found, context);
    match registrars {
        true => from_registrar(&mut report, found, context),
        false => from_pledge(&mut report, found),
    }
    report
}

/// What a voucher says, and what is wrong with that.
pub(crate) fn voucher(voucher: &Voucher, context: &Context) -> Report {
    let mut report = Report::new("a voucher");
    report.field("serial-number", &voucher.serial_number);
    report.maybe("assertion", voucher.assertion.map(|assertion| assertion.as_str()));
    report.maybe("created-on", voucher.created_on);
    report.maybe("expires-on", voucher.expires_on);
    report.maybe("nonce", voucher.nonce.as_ref().map(|nonce| nonce.as_str()));
    report.maybe("idevid-issuer", voucher.idevid_issuer.as_ref().map(hex::encode));
    report.maybe("last-renewal-date", voucher.last_renewal_date);
    report.maybe("domain-cert-revocation-checks", voucher.domain_cert_revocation_checks);
    if let Err(why) = voucher.check() {
        report.refuse(&why.refusal());
    }
    if voucher.nonce.is_none() && voucher.expires_on.is_none() {
        let detail = "neither nonce nor expires-on: it is good for ever";
        report.find(Severity::Warning, "voucher-expires-on", "RFC 8995 s5.6", detail);
    }
    if let Some(expires_on) = voucher.expires_on.filter(|expires_on| *expires_on <= context.at) {
        report.find(Severity::Error, "voucher-expired", "RFC 8366 s5.3", format!("it ended at {expires_on}"));
    }
    unknown(&mut report, &voucher.unknown);
    if let Some(pinned) = &voucher.pinned_domain_cert {
        report.part("pinned-domain-cert", x509::content(pinned));
    }
    report
}

/// What a request says.
pub(crate) fn request(request: &VoucherRequest) -> Report {
    let mut report = Report::new(match request.prior_signed_voucher_request {
        Some(_) => "a registrar's voucher request",
        None => "a voucher request",
    });
    report.field("serial-number", &request.serial_number);
    report.maybe("assertion", request.assertion.map(|assertion| assertion.as_str()));
    report.maybe("created-on", request.created_on);
    report.maybe("expires-on", request.expires_on);
    report.maybe("nonce", request.nonce.as_ref().map(|nonce| nonce.as_str()));
    report.maybe("idevid-issuer", request.idevid_issuer.as_ref().map(hex::encode));
    if let Err(why) = request.check() {
        report.refuse(&why.refusal());
    }
    unknown(&mut report, &request.unknown);
    if let Some(proximity) = &request.proximity_registrar_cert {
        report.part("proximity-registrar-cert", x509::content(proximity));
    }
    report
}

fn unknown(report: &mut Report, names: &[String]) {
    for name in names {
        report.find(Severity::Notice, "voucher-unknown-field", "RFC 8995 s5.6.1", format!("{name} is ignored"));
    }
}

fn signature<T>(report: &mut Report, found: &Signed<T>, context: &Context) {
    report.field("signature", format_args!("verifies with the key of {}", found.signer.subject()));
    if found.format == Format::CmsJson
        && SignedData::parse(&found.raw).is_ok_and(|signed| signed.content_type() == oid::DATA)
    {
        let detail = "the content is called id-data, as in the examples of RFC 8995, and not id-ct-animaJSONVoucher";
        report.find(Severity::Notice, "voucher-content-type", "RFC 8366 s5.4", detail);
    }
    report.trust = x509::trust(&found.signer, &found.certificates, context);
    report.part("signer", x509::content(&found.signer));
    for certificate in &found.certificates {
        report.part("certificate", x509::content(certificate));
    }
}

/// RFC 8995 s5.2: what a registrar demands of a pledge.
fn from_pledge(report: &mut Report, found: &Signed<VoucherRequest>) {
    let request = &found.payload;
    if request.nonce.is_none() {
        report.find(Severity::Warning, "request-nonce", "RFC 8995 s5.2", "a pledge must send a nonce");
    }
    if request.proximity_registrar_cert.is_none() {
        let detail = "without proximity-registrar-cert it can lead to a logged voucher at most";
        report.find(Severity::Notice, "request-proximity", "RFC 8995 s5.2", detail);
    }
    same_serial(report, "request-signer-serial", found);
}

/// RFC 8995 s5.5: what a MASA demands of a registrar.
fn from_registrar(report: &mut Report, found: &Signed<VoucherRequest>, context: &Context) {
    let request = &found.payload;
    if !found.signer.has_eku(oid::CMC_RA) {
        let detail = "the signer has not the purpose id-kp-cmcRA, so it is no registrar";
        report.find(Severity::Error, "registrar-cmc-ra", "RFC 8995 s5.5.4", detail);
    }
    if request.proximity_registrar_cert.is_some() {
        let detail = "proximity-registrar-cert must not be in a registrar's request";
        report.find(Severity::Error, "request-proximity", "RFC 8995 s5.5", detail);
    }
    if request.idevid_issuer.is_none() {
        let detail = "idevid-issuer is missing; two makers may use one serial number";
        report.find(Severity::Notice, "request-idevid-issuer", "RFC 8995 s5.5", detail);
    }
    let Some(prior) = &request.prior_signed_voucher_request else {
        let detail = "without the pledge's own request it can lead to a logged or verified voucher only";
        return report.find(Severity::Notice, "prior-request", "RFC 8995 s5.5.5", detail);
    };
    let format = Format::sniff(prior).unwrap_or(found.format);
    if let Ok(pledge) = voucher::open_with::<VoucherRequest>(format, prior, &context.anchors) {
        against_pledge(report, found, &pledge);
    }
    report.part(
        "prior-signed-voucher-request",
        signed(format, prior, &Context { anchors: Vec::new(), ..context.clone() }),
    );
}

/// RFC 8995 s5.5.5, s5.5.6: the registrar's request has to agree with the pledge's.
fn against_pledge(report: &mut Report, found: &Signed<VoucherRequest>, pledge: &Signed<VoucherRequest>) {
    let (ours, theirs) = (&found.payload, &pledge.payload);
    if ours.serial_number != theirs.serial_number {
        let detail = format!("the registrar says {}, the pledge {}", ours.serial_number, theirs.serial_number);
        report.find(Severity::Error, "request-serial", "RFC 8995 s5.5", detail);
    }
    if ours.nonce.is_some() && ours.nonce != theirs.nonce {
        let detail = "the registrar's nonce is not the pledge's";
        report.find(Severity::Error, "request-nonce", "RFC 8995 s5.5.6", detail);
    }
    let ours = || std::iter::once(&found.signer).chain(&found.certificates);
    match &theirs.proximity_registrar_cert {
        Some(seen) if ours().any(|certificate| certificate.public_key() == seen.public_key()) => {
            report.field("proximity", "the pledge saw a certificate of this registrar");
        }
        Some(_) => {
            let detail = "the pledge saw another registrar than the one that asks";
            report.find(Severity::Error, "request-proximity", "RFC 8995 s5.5.5", detail);
        }
        None => {}
    }
}

fn same_serial(report: &mut Report, check: &str, found: &Signed<VoucherRequest>) {
    let signer = found.signer.subject_serial_number();
    if signer.as_ref().is_some_and(|serial| *serial != found.payload.serial_number) {
        let detail = "the serial number is not the one in the certificate of who signed";
        report.find(Severity::Error, check, "RFC 8995 s5.5", detail);
    }
}

/// A voucher or request that does not open: what is wrong, and what it would say, for what that is worth.
fn explain(format: Format, bytes: &[u8], why: &VoucherError, context: &Context) -> Report {
    let mut report = match format {
        Format::CmsJson => unverified(&voucher::body(format, bytes), context),
        Format::JwsJson | Format::CoseCbor => None,
    }
    .unwrap_or_else(|| Report::new(format!("a {format} object that is no acceptable voucher or request")));
    let Refusal { check, section, detail, .. } = why.refusal();
    let advice = match why {
        VoucherError::NoSigner => "; name the signer's certificate with --anchor",
        _ => "",
    };
    report.find(Severity::Error, &check, &section, format!("{detail}{advice}"));
    report
}

fn unverified(raw: &[u8], context: &Context) -> Option<Report> {
    let signed = SignedData::parse(raw).ok()?;
    let mut report = match VoucherRequest::from_json(signed.content()) {
        Ok(found) => request(&found),
        Err(_) => voucher(&Voucher::from_json(signed.content()).ok()?, context),
    };
    report.what = format!("{} in CMS, which cannot be believed", report.what);
    for certificate in signed.certificates() {
        report.part("certificate", x509::content(certificate));
    }
    Some(report)
}
