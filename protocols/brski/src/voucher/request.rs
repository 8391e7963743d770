//! The voucher request, of a pledge or of a registrar.

use super::{
    Assertion, Nonce, Payload, VoucherError,
    fields::{Fields, Leaf},
    payload::sealed::Fielded,
};
use landfall_pki::Certificate;
use landfall_types::{SerialNumber, Time};

/// A voucher request (RFC 8995 s3).
///
/// The fields of a voucher that mean nothing in a request (`pinned-domain-cert`, `last-renewal-date`,
/// `domain-cert-revocation-checks`) must be ignored (s3.4) and so are found under `unknown`.
#[derive(Clone, Debug)]
pub struct VoucherRequest {
    /// When it was made; a pledge without a clock leaves it out (s5.2).
    pub created_on: Option<Time>,
    /// When it ends; excludes a nonce.
    pub expires_on: Option<Time>,
    /// What the pledge hopes for.
    pub assertion: Option<Assertion>,
    /// Which device the voucher is for.
    pub serial_number: SerialNumber,
    /// The authority key identifier of the IDevID, as an OCTET STRING with its header.
    pub idevid_issuer: Option<Vec<u8>>,
    /// Makes the voucher an answer to this request and no other.
    pub nonce: Option<Nonce>,
    /// In a registrar's request: the pledge's, whole.
    pub prior_signed_voucher_request: Option<Vec<u8>>,
    /// In a pledge's request: the certificate that the registrar showed in TLS.
    pub proximity_registrar_cert: Option<Certificate>,
    /// Names of fields that were ignored.
    pub unknown: Vec<String>,
}

impl VoucherRequest {
    /// A request with nothing but the serial number.
    pub const fn new(serial_number: SerialNumber) -> Self {
        Self {
            created_on: None,
            expires_on: None,
            assertion: None,
            serial_number,
            idevid_issuer: None,
            nonce: None,
            prior_signed_voucher_request: None,
            proximity_registrar_cert: None,
            unknown: Vec::new(),
        }
    }
}

impl Payload for VoucherRequest {
    fn check(&self) -> Result<(), VoucherError> {
        match self.nonce.is_some() && self.expires_on.is_some() {
            true => Err(VoucherError::NonceAndExpiry),
            false => Ok(()),
        }
    }
}

impl Fielded for VoucherRequest {
    const NAME: &'static str = "ietf-voucher-request:voucher";
    const OTHER_NAMES: &'static [&'static str] = &["ietf-voucher-request-prm:voucher"];
    const SID: i128 = 2501;
    const FIELDS: &'static [(&'static str, i128)] = &[
        ("assertion", 1),
        ("created-on", 2),
        ("domain-cert-revocation-checks", 3),
        ("expires-on", 4),
        ("idevid-issuer", 5),
        ("last-renewal-date", 6),
        ("nonce", 7),
        ("pinned-domain-cert", 8),
        ("prior-signed-voucher-request", 9),
        ("proximity-registrar-cert", 10),
        ("proximity-registrar-pubk-sha256", 11),
        ("proximity-registrar-pubk", 12),
        ("serial-number", 13),
    ];

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::default();
        let proximity = self.proximity_registrar_cert.as_ref().map(|c| Leaf::Bytes(c.der().to_vec()));
        fields.put("created-on", self.created_on.map(Leaf::Time));
        fields.put("expires-on", self.expires_on.map(Leaf::Time));
        fields.put("assertion", self.assertion.map(Leaf::Assertion));
        fields.put("serial-number", Some(Leaf::Text(self.serial_number.to_string())));
        fields.put("idevid-issuer", self.idevid_issuer.clone().map(Leaf::Bytes));
        fields.put("nonce", self.nonce.clone().map(Leaf::Nonce));
        fields.put("prior-signed-voucher-request", self.prior_signed_voucher_request.clone().map(Leaf::Bytes));
        fields.put("proximity-registrar-cert", proximity);
        fields
    }

    fn from_fields(mut fields: Fields) -> Result<Self, VoucherError> {
        let request = Self {
            created_on: fields.time("created-on")?,
            expires_on: fields.time("expires-on")?,
            assertion: fields.assertion("assertion")?,
            serial_number: fields.serial_number("serial-number")?.ok_or(VoucherError::Missing("serial-number"))?,
            idevid_issuer: fields.bytes("idevid-issuer")?,
            nonce: fields.nonce("nonce")?,
            prior_signed_voucher_request: fields.bytes("prior-signed-voucher-request")?,
            proximity_registrar_cert: fields.certificate("proximity-registrar-cert")?,
            unknown: fields.into_names(),
        };
        request.check()?;
        Ok(request)
    }
}
