//! Which artefact is it? Layers are taken off one by one, then each kind is tried, the strictest first.

use super::{
    Context, attest, capture, dpp, est, json,
    report::{Report, Severity},
    voucher, x509,
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use landfall_brski::voucher::Format;
use landfall_pki::{Certificate, Crl, Csr, SignedData, cms, oid, pem};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What `bytes` are.
pub(crate) fn recognise(bytes: &[u8], context: &Context) -> Report {
    if bytes.trim_ascii().is_empty() {
        return unknown("it is empty");
    }
    // PNG and JPEG.
    if bytes.starts_with(b"\x89PNG") || bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return dpp::picture(bytes);
    }
    // Before PEM, which JSON may hold.
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return json::report(bytes.trim_ascii(), context);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if text.trim_start().starts_with(landfall_dpp::Uri::SCHEME) {
            return dpp::uri(text);
        }
        if text.contains("-----BEGIN ") {
            return armoured(text, context);
        }
        if let Some(report) = is_compact(text.trim()).then(|| attest::token(text.trim())).flatten() {
            return report;
        }
        if is_compact(text.trim()) {
            return dpp::connector(text, None, context);
        }
    }
    if bytes.trim_ascii_start().first() == Some(&b'[')
        && let Some(report) = attest::wrapper(bytes, context)
    {
        return report;
    }
    if let Some(report) = attest::binary(bytes).or_else(|| binary(bytes, context)) {
        return report;
    }
    match unbase64(bytes).filter(|inner| !inner.is_empty()) {
        Some(inner) => wrapped("base64", recognise_inner(&inner, context)),
        None => unknown("it is of no kind that is known here"),
    }
}

/// The same after base64: only once, or a bomb of wrappings could keep us busy.
fn recognise_inner(bytes: &[u8], context: &Context) -> Report {
    match bytes.first() {
        Some(b'{') => json::report(bytes, context),
        _ => binary(bytes, context).unwrap_or_else(|| unknown("base64 of something that is of no kind known here")),
    }
}

fn binary(bytes: &[u8], context: &Context) -> Option<Report> {
    match bytes.first()? {
        0x30 => asn1(bytes, context),
        // COSE's tag, and the head of an NFC record of a media type.
        0xd2 | 0x84 => dpp::ndef(bytes).or_else(|| Some(voucher::signed(Format::CoseCbor, bytes, context))),
        _ => capture::capture(bytes, context).or_else(|| dpp::body(bytes, context)).or_else(|| dpp::ndef(bytes)),
    }
}

/// Whether it is a signed object in the compact form of RFC 7515 s3.1, whose header begins with `{"`.
fn is_compact(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2 && !text.contains(char::is_whitespace)
}

pub(super) fn asn1(der: &[u8], context: &Context) -> Option<Report> {
    if let Ok(certificate) = Certificate::from_der(der) {
        return Some(x509::certificate(&certificate, &[], context));
    }
    if let Ok(csr) = Csr::from_der(der) {
        return Some(x509::request(&csr));
    }
    if let Ok(crl) = Crl::from_der(der) {
        return Some(x509::revocations(&crl, context));
    }
    if let Ok(certificates) = cms::parse_certs_only(der) {
        return Some(x509::bundle("certificates alone in PKCS#7 (RFC 7030 s4.1.3)", &certificates, context));
    }
    match SignedData::parse(der) {
        Ok(_) => Some(voucher::signed(Format::CmsJson, der, context)),
        // Signed data that is broken is better explained than not recognised.
        Err(_) if mentions(der, &oid::SIGNED_DATA) => Some(voucher::signed(Format::CmsJson, der, context)),
        Err(_) => est::csrattrs(der),
    }
}

/// Whether `der` holds the object identifier near its beginning, where a ContentInfo has it.
fn mentions(der: &[u8], oid: &landfall_pki::Oid) -> bool {
    let head = der.get(..der.len().min(32)).unwrap_or_default();
    head.windows(oid.as_bytes().len()).any(|window| window == oid.as_bytes())
}

pub(super) fn armoured(text: &str, context: &Context) -> Report {
    let blocks = match pem::decode(text) {
        Ok(blocks) if !blocks.is_empty() => blocks,
        Ok(_) => return unknown("PEM armour with nothing inside"),
        Err(why) => return unknown(&format!("broken PEM armour: {why}")),
    };
    let certificates: Option<Vec<Certificate>> = blocks
        .iter()
        .map(|block| Certificate::from_der(&block.der).ok().filter(|_| block.label == "CERTIFICATE"))
        .collect();
    let report = match (certificates, blocks.as_slice()) {
        (_, [only]) => block(&only.label, &only.der, context),
        (Some(certificates), _) => x509::bundle("certificates", &certificates, context),
        (None, several) => {
            let mut report = Report::new(format!("{} things in one file", several.len()));
            for (index, one) in several.iter().enumerate() {
                report.part((index + 1).to_string(), block(&one.label, &one.der, context));
            }
            report
        }
    };
    wrapped("PEM", report)
}

fn block(label: &str, der: &[u8], context: &Context) -> Report {
    if label.ends_with("PRIVATE KEY") {
        let mut report = Report::new("a private key, which is not shown");
        let detail = "a private key in a file is only as safe as the file; keep it in an element, and this one secret";
        report.find(Severity::Warning, "private-key", "SP 1800-36B 4.1", detail);
        return report;
    }
    binary(der, context).unwrap_or_else(|| match label {
        "CERTIFICATE" => broken("certificate", Certificate::from_der(der).err()),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => broken("certificate request", Csr::from_der(der).err()),
        "X509 CRL" => broken("revocation list", Crl::from_der(der).err()),
        other => unknown(&format!("PEM says {other}, which is of no kind known here")),
    })
}

fn broken(what: &str, why: Option<landfall_pki::PkiError>) -> Report {
    let mut report = Report::new(format!("a broken {what}"));
    let why = why.map_or_else(String::new, |why| why.to_string());
    report.find(Severity::Error, "encoding", "RFC 5280 s4.1", why);
    report
}

fn unknown(why: &str) -> Report {
    let mut report = Report::new("not recognised");
    report.find(Severity::Error, "not-recognised", "landfall inspect --help", why);
    report
}

fn wrapped(by: &str, mut report: Report) -> Report {
    report.wrapped.insert(0, by.into());
    report
}

fn unbase64(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(digits).ok()
}
