//! Certificate revocation lists (RFC 5280 s5).

use crate::{
    Algorithm, Authority, Certificate, CertificateSerial, PkiError, PublicKey, Signer, asn1, extension::Extension,
    key::sha256, oid, pem,
};
use der::Decode;
use landfall_types::{Fingerprint, Time};
use spki::AlgorithmIdentifierOwned;
use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

const WHAT: &str = "revocation list";

/// The longest list that is read, in bytes: some half a million entries.
pub const MAX_LEN: usize = 16 * 1024 * 1024;

/// A revocation list, parsed; who signed it has not been checked. Cheap to clone.
#[derive(Clone)]
pub struct Crl(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    tbs: Range<usize>,
    issuer: Vec<u8>,
    this_update: Time,
    next_update: Option<Time>,
    number: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    revoked: HashMap<Vec<u8>, Revoked>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
    fingerprint: Fingerprint,
}

/// When and why a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Time,
    /// Why.
    pub reason: Reason,
}

macro_rules! reasons {
    ($($name:ident = $code:literal $text:literal,)*) => {
        /// Why a certificate was revoked (RFC 5280 s5.3.1).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(missing_docs)]
        pub enum Reason {
            #[default]
            $($name = $code,)*
        }

        impl Reason {
            fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name in the specification.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    Unspecified = 0 "unspecified",
    KeyCompromise = 1 "keyCompromise",
    CaCompromise = 2 "cACompromise",
    AffiliationChanged = 3 "affiliationChanged",
    Superseded = 4 "superseded",
    CessationOfOperation = 5 "cessationOfOperation",
    CertificateHold = 6 "certificateHold",
    PrivilegeWithdrawn = 9 "privilegeWithdrawn",
    AaCompromise = 10 "aACompromise",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Crl {
    /// From DER; nothing may stand after it. Delta and indirect lists are refused: they say something about other lists
    /// and other issuers, which nothing here looks at.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        if der.len() > MAX_LEN {
            return Err(PkiError::malformed(WHAT, "it is too long"));
        }
        let mut outer = asn1::Reader::inside(WHAT, asn1::SEQUENCE, der)?;
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let outer_algorithm = outer.expect(asn1::SEQUENCE)?;
        let Some((0, signature)) = outer.expect(asn1::BIT_STRING)?.value.split_first() else {
            return Err(outer.bad("its signature is not of whole bytes"));
        };
        outer.finish()?;

        let mut fields = asn1::Reader::new(WHAT, tbs.value);
        if fields.peek() == Some(asn1::INTEGER) && fields.small_integer()? != 1 {
            return Err(PkiError::unsupported(WHAT, "its version is not 2"));
        }
        if fields.expect(asn1::SEQUENCE)?.raw != outer_algorithm.raw {
            return Err(fields.bad("it names two signature algorithms"));
        }
        let issuer = fields.expect(asn1::SEQUENCE)?.raw.to_vec();
        let this_update = asn1::read_time(fields.next()?)?;
        let next_update = match fields.peek() {
            Some(asn1::UTC_TIME | asn1::GENERALIZED_TIME) => Some(asn1::read_time(fields.next()?)?),
            _ => None,
        };
        let revoked = match fields.optional(asn1::SEQUENCE)? {
            Some(list) => entries(list.value)?,
            None => HashMap::new(),
        };
        let extensions = match fields.optional(asn1::context(0))? {
            Some(list) => Extension::list(WHAT, list.value)?,
            None => Vec::new(),
        };
        fields.finish()?;
        refuse_critical(&extensions)?;
        let authority_key_id = extensions.iter().find(|e| e.oid == oid::AUTHORITY_KEY_ID).map(key_id).transpose()?;
        let number = extensions.into_iter().find(|e| e.oid == oid::CRL_NUMBER).map(|e| e.value);
        let algorithm = AlgorithmIdentifierOwned::from_der(outer_algorithm.raw);
        Ok(Self(Arc::new(Inner {
            tbs: asn1::position(der, tbs.raw),
            issuer,
            this_update,
            next_update,
            number,
            authority_key_id: authority_key_id.flatten(),
            revoked,
            algorithm: algorithm.map_err(|e| PkiError::malformed(WHAT, e))?,
            signature: signature.to_vec(),
            fingerprint: sha256(der),
            der: der.to_vec(),
        })))
    }

    /// From PEM that holds one list.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        match pem::decode(text)?.as_slice() {
            [block] if block.label == "X509 CRL" => Self::from_der(&block.der),
            _ => Err(PkiError::malformed("PEM", "it does not hold one revocation list")),
        }
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("X509 CRL", self.der())
    }

    /// The issuer's DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.0.issuer
    }

    /// The key identifier of its issuer, as its authority key identifier extension says (RFC 5280 s5.2.1).
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.authority_key_id.as_deref()
    }

    /// When it was made.
    pub fn this_update(&self) -> Time {
        self.0.this_update
    }

    /// When the next one is due.
    pub fn next_update(&self) -> Option<Time> {
        self.0.next_update
    }

    /// Whether it speaks for that time: made by then, and the next one not yet due. A list that does not say when the
    /// next one is due is never current (RFC 5280 s5.1.2.5 makes it say so).
    pub fn is_current(&self, at: Time) -> bool {
        self.this_update() <= at && self.next_update().is_some_and(|next| at <= next)
    }

    /// The DER of its number (RFC 5280 s5.2.3), an INTEGER.
    pub fn number_der(&self) -> Option<&[u8]> {
        self.0.number.as_deref()
    }

    /// Whether `key` made its signature.
    pub fn verify_issued_by(&self, key: &PublicKey) -> Result<(), PkiError> {
        let tbs = self.0.der.get(self.0.tbs.clone()).unwrap_or_default();
        key.verify(&self.0.algorithm, tbs, &self.0.signature).map_err(|e| match e {
            PkiError::BadSignature(_) => PkiError::BadSignature(WHAT),
            other => other,
        })
    }

    /// Whether it revokes that certificate, which must be of the same issuer.
    pub fn is_revoked(&self, certificate: &Certificate) -> Option<Revoked> {
        let of_issuer = certificate.issuer_der() == self.issuer_der();
        self.0.revoked.get(certificate.serial()).filter(|_| of_issuer).copied()
    }

    /// How many certificates it revokes.
    pub fn len(&self) -> usize {
        self.0.revoked.len()
    }

    /// Whether it revokes none.
    pub fn is_empty(&self) -> bool {
        self.0.revoked.is_empty()
    }

    /// SHA-256 of its DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }
}

fn entries(list: &[u8]) -> Result<HashMap<Vec<u8>, Revoked>, PkiError> {
    let mut revoked = HashMap::new();
    let mut all = asn1::Reader::new(WHAT, list);
    while !all.is_empty() {
        let mut fields = all.enter(asn1::SEQUENCE)?;
        let serial = fields.expect(asn1::INTEGER)?.value.to_vec();
        let at = asn1::read_time(fields.next()?)?;
        let extensions = match fields.optional(asn1::SEQUENCE)? {
            Some(list) => Extension::list(WHAT, list.raw)?,
            None => Vec::new(),
        };
        fields.finish()?;
        refuse_critical(&extensions)?;
        let reason = match extensions.iter().find(|e| e.oid == oid::CRL_REASON).map(|e| e.value.as_slice()) {
            None => Reason::Unspecified,
            Some(&[ENUMERATED, 1, code]) => Reason::from_code(code).unwrap_or_default(),
            Some(_) => return Err(fields.bad("a reason is not one byte")),
        };
        revoked.insert(serial, Revoked { at, reason });
    }
    Ok(revoked)
}

const ENUMERATED: u8 = 0x0a;

/// What an authority key identifier extension says of the key.
fn key_id(extension: &Extension) -> Result<Option<Vec<u8>>, PkiError> {
    let mut fields = asn1::Reader::inside(WHAT, asn1::SEQUENCE, &extension.value)?;
    Ok(fields.optional(asn1::context_primitive(0))?.map(|id| id.value.to_vec()))
}

/// RFC 5280 s5.2: a list with a critical extension that is not understood must not be used.
fn refuse_critical(extensions: &[Extension]) -> Result<(), PkiError> {
    let understood = [oid::CRL_NUMBER, oid::AUTHORITY_KEY_ID, oid::CRL_REASON];
    match extensions.iter().find(|e| e.oid == oid::DELTA_CRL || e.critical && !understood.contains(&e.oid)) {
        Some(unknown) => Err(PkiError::unsupported(WHAT, format!("its extension {} is not understood", unknown.oid))),
        None => Ok(()),
    }
}

impl PartialEq for Crl {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Crl {}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crl({} entries, made {})", self.len(), self.this_update())
    }
}

/// Revocation lists that can be replaced while they are in use: clones are the same lists.
#[derive(Clone, Debug, Default)]
pub struct Crls(Arc<RwLock<Arc<[Crl]>>>);

impl Crls {
    /// The lists as they are now.
    pub fn now(&self) -> Arc<[Crl]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses these lists from now on, and no others.
    pub fn replace(&self, lists: impl IntoIterator<Item = Crl>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = lists.into_iter().collect();
    }
}

impl FromIterator<Crl> for Crls {
    fn from_iter<I: IntoIterator<Item = Crl>>(lists: I) -> Self {
        Self(Arc::new(RwLock::new(lists.into_iter().collect())))
    }
}

/// A list to be made.
#[derive(Clone, Debug)]
pub struct CrlRequest {
    /// Its number; each list has a higher one than the last (RFC 5280 s5.2.3).
    pub number: u64,
    /// When it is made.
    pub this_update: Time,
    /// When the next one is due.
    pub next_update: Time,
    /// What it revokes.
    pub revoked: Vec<(CertificateSerial, Revoked)>,
}

impl CrlRequest {
    /// Prepares it, to be issued by `issuer`.
    pub fn prepare(&self, issuer: &Authority) -> Result<PreparedCrl, PkiError> {
        let key = issuer.certificate.public_key();
        let algorithm = Algorithm::of(key.kind())
            .ok_or_else(|| PkiError::Misuse(format!("nothing here signs with a key of {}", key.kind())))?;
        if self.next_update <= self.this_update {
            return Err(PkiError::Misuse("a list must be due after it is made".into()));
        }
        let mut entries = Vec::with_capacity(self.revoked.len() * 40);
        for (serial, revoked) in &self.revoked {
            entries.extend(entry(serial, *revoked)?);
        }
        // RFC 5280 s5.1.2.6: without entries the list is absent, not empty.
        let entries = if entries.is_empty() { entries } else { asn1::sequence(&[&entries]) };
        let key_id = asn1::tlv(asn1::context_primitive(0), &[&issuer.certificate.key_id()]);
        let extensions = asn1::sequence(&[
            &Extension::new(oid::AUTHORITY_KEY_ID, asn1::sequence(&[&key_id])).to_der(),
            &Extension::new(oid::CRL_NUMBER, asn1::unsigned(&self.number.to_be_bytes())).to_der(),
        ]);
        const VERSION_2: &[u8] = &[asn1::INTEGER, 1, 1];
        let tbs = asn1::sequence(&[
            VERSION_2,
            &algorithm.identifier_der(),
            issuer.certificate.subject_der(),
            &asn1::time(self.this_update)?,
            &asn1::time(self.next_update)?,
            &entries,
            &asn1::tlv(asn1::context(0), &[&extensions]),
        ]);
        Ok(PreparedCrl { tbs, algorithm, issuer: key.clone() })
    }
}

fn entry(serial: &CertificateSerial, revoked: Revoked) -> Result<Vec<u8>, PkiError> {
    // RFC 5280 s5.3.1: "unspecified" is said by saying nothing.
    let reason = match revoked.reason {
        Reason::Unspecified => Vec::new(),
        reason => {
            let value = vec![ENUMERATED, 1, reason as u8];
            asn1::sequence(&[&Extension::new(oid::CRL_REASON, value).to_der()])
        }
    };
    Ok(asn1::sequence(&[&asn1::unsigned(serial.as_bytes()), &asn1::time(revoked.at)?, &reason]))
}

/// A list that waits for its signature.
#[derive(Debug)]
pub struct PreparedCrl {
    tbs: Vec<u8>,
    algorithm: Algorithm,
    issuer: PublicKey,
}

impl PreparedCrl {
    /// What must be signed, with the issuer's key.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// The list with that signature (ECDSA as DER), which is checked with the issuer's key first.
    pub fn sign(self, signature: &[u8]) -> Result<Crl, PkiError> {
        let crl = Crl::from_der(&asn1::signed(&self.tbs, self.algorithm, signature))?;
        crl.verify_issued_by(&self.issuer)?;
        Ok(crl)
    }

    /// The list signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Crl, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        self.sign(&signature)
    }
}
