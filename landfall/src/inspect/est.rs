//! What only EST has: the list of what a certificate request should hold.

use super::{report::Report, x509::attribute};
use landfall_brski::est::csrattrs::CsrAttrs;

/// CSR attributes (RFC 7030 s4.5.2), if `der` is such a list.
pub(crate) fn csrattrs(der: &[u8]) -> Option<Report> {
    let attributes = CsrAttrs::from_der(der).ok()?;
    let mut report = Report::new("CSR attributes (RFC 7030 s4.5.2)");
    let oids: Vec<String> = attributes.oids().map(|oid| attribute(&oid)).collect();
    report.field("asks for", if oids.is_empty() { "nothing".into() } else { oids.join("\n") });
    report.field("binding to TLS", if attributes.wants_binding() { "asked for" } else { "not asked for" });
    report.maybe("curve", attributes.curve().map(|curve| attribute(&curve)));
    report.maybe("RSA bits", attributes.rsa_bits());
    for extension in attributes.extensions() {
        report.field("extension", extension.oid());
    }
    Some(report)
}
