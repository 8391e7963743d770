//! The voucher.

use super::{
    Assertion, Nonce, Payload, VoucherError,
    fields::{Fields, Leaf},
    payload::sealed::Fielded,
};
use landfall_pki::Certificate;
use landfall_types::{SerialNumber, Time};

/// A voucher: the manufacturer's word on who owns a device (RFC 8366 s5.3).
#[derive(Clone, Debug)]
pub struct Voucher {
    /// When it was made.
    pub created_on: Option<Time>,
    /// When it ends; excludes a nonce.
    pub expires_on: Option<Time>,
    /// How the owner was verified.
    pub assertion: Option<Assertion>,
    /// Whose voucher it is.
    pub serial_number: SerialNumber,
    /// The authority key identifier of the IDevID, as an OCTET STRING with its header.
    pub idevid_issuer: Option<Vec<u8>>,
    /// What the registrar's certificate has to chain to. A voucher without it is read, since the pledge has to fail
    /// gracefully (RFC 8995 s5.6.1), and never made.
    pub pinned_domain_cert: Option<Certificate>,
    /// Whether the pledge must, or must not, look for revocations of the domain's certificates.
    pub domain_cert_revocation_checks: Option<bool>,
    /// The nonce of the pledge's request; excludes an expiry.
    pub nonce: Option<Nonce>,
    /// Until when the MASA thinks it will renew this voucher.
    pub last_renewal_date: Option<Time>,
    /// Names of fields that are not known here, which were ignored.
    pub unknown: Vec<String>,
}

impl Voucher {
    /// A voucher with nothing but the serial number.
    pub const fn new(serial_number: SerialNumber) -> Self {
        Self {
            created_on: None,
            expires_on: None,
            assertion: None,
            serial_number,
            idevid_issuer: None,
            pinned_domain_cert: None,
            domain_cert_revocation_checks: None,
            nonce: None,
            last_renewal_date: None,
            unknown: Vec::new(),
        }
    }

    /// What holds for every voucher, made or read.
    fn constraints(&self) -> Result<(), VoucherError> {
        if self.created_on.is_none() {
            return Err(VoucherError::Missing("created-on"));
        }
        if self.assertion.is_none() {
            return Err(VoucherError::Missing("assertion"));
        }
        if self.nonce.is_some() && self.expires_on.is_some() {
            return Err(VoucherError::NonceAndExpiry);
        }
        if self.last_renewal_date.is_some() && self.expires_on.is_none() {
            return Err(VoucherError::RenewalWithoutExpiry);
        }
        match (self.expires_on, self.pinned_domain_cert.as_ref().map(Certificate::not_after)) {
            (Some(expires_on), Some(not_after)) if expires_on > not_after => {
                Err(VoucherError::OutlivesPinned { expires_on, not_after })
            }
            _ => Ok(()),
        }
    }
}

impl Payload for Voucher {
    fn check(&self) -> Result<(), VoucherError> {
        self.constraints()?;
        match self.pinned_domain_cert {
            Some(_) => Ok(()),
            None => Err(VoucherError::Missing("pinned-domain-cert")),
        }
    }
}

impl Fielded for Voucher {
    const NAME: &'static str = "ietf-voucher:voucher";
    const SID: i128 = 2451;
    const FIELDS: &'static [(&'static str, i128)] = &[
        ("assertion", 1),
        ("created-on", 2),
        ("domain-cert-revocation-checks", 3),
        ("expires-on", 4),
        ("idevid-issuer", 5),
        ("last-renewal-date", 6),
        ("nonce", 7),
        ("pinned-domain-cert", 8),
        ("pinned-domain-pubk", 9),
        ("pinned-domain-pubk-sha256", 10),
        ("serial-number", 11),
    ];

    fn to_fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields.put("created-on", self.created_on.map(Leaf::Time));
        fields.put("expires-on", self.expires_on.map(Leaf::Time));
        fields.put("assertion", self.assertion.map(Leaf::Assertion));
        fields.put("serial-number", Some(Leaf::Text(self.serial_number.to_string())));
        fields.put("idevid-issuer", self.idevid_issuer.clone().map(Leaf::Bytes));
        fields.put("pinned-domain-cert", self.pinned_domain_cert.as_ref().map(|c| Leaf::Bytes(c.der().to_vec())));
        fields.put("domain-cert-revocation-checks", self.domain_cert_revocation_checks.map(Leaf::Bool));
        fields.put("nonce", self.nonce.clone().map(Leaf::Nonce));
        fields.put("last-renewal-date", self.last_renewal_date.map(Leaf::Time));
        fields
    }

    fn from_fields(mut fields: Fields) -> Result<Self, VoucherError> {
        let voucher = Self {
            created_on: fields.time("created-on")?,
            expires_on: fields.time("expires-on")?,
            assertion: fields.assertion("assertion")?,
            serial_number: fields.serial_number("serial-number")?.ok_or(VoucherError::Missing("serial-number"))?,
            idevid_issuer: fields.bytes("idevid-issuer")?,
            pinned_domain_cert: fields.certificate("pinned-domain-cert")?,
            domain_cert_revocation_checks: fields.boolean("domain-cert-revocation-checks")?,
            nonce: fields.nonce("nonce")?,
            last_renewal_date: fields.time("last-renewal-date")?,
            unknown: fields.into_names(),
        };
        voucher.constraints()?;
        Ok(voucher)
    }
}
