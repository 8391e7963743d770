//! Certificate extensions: those that are understood, decoded once; all of them, listed.

use crate::{
    asn1,
    error::PkiError,
    name::{AltName, Name},
    oid,
    oid::Oid,
};

/// How many extensions one list may hold.
const MAX_EXTENSIONS: usize = 64;

/// One extension as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extension {
    /// Which.
    pub oid: Oid,
    /// Whether who does not understand it must refuse the certificate.
    pub critical: bool,
    /// The content of its extnValue OCTET STRING.
    pub value: Vec<u8>,
}

impl Extension {
    /// A non-critical one.
    pub const fn new(oid: Oid, value: Vec<u8>) -> Self {
        Self { oid, critical: false, value }
    }

    /// The same, critical.
    #[must_use]
    pub const fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    /// What was read of an extension that only informs. Factories get these wrong, and their devices must still be
    /// readable: a malformed one says nothing unless it is critical, and a lint tells.
    fn said<T>(&self, read: Result<T, PkiError>) -> Result<Option<T>, PkiError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(e) if self.critical => Err(e),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &[asn1::BOOLEAN, 1, 0xff] } else { &[] };
        asn1::sequence(&[&asn1::oid(&self.oid), critical, &asn1::octets(&self.value)])
    }

    /// An `Extensions` SEQUENCE, without two of one kind (RFC 5280 s4.2).
    pub(crate) fn list(what: &'static str, der: &[u8]) -> Result<Vec<Self>, PkiError> {
        let mut all = asn1::Reader::inside(what, asn1::SEQUENCE, der)?;
        let mut list: Vec<Self> = Vec::new();
        while !all.is_empty() {
            let mut fields = all.enter(asn1::SEQUENCE)?;
            let oid = fields.oid()?;
            let critical = fields.boolean()?;
            let value = fields.expect(asn1::OCTET_STRING)?.value.to_vec();
            fields.finish()?;
            if list.len() == MAX_EXTENSIONS {
                return Err(PkiError::malformed(what, "it has too many extensions"));
            }
            if list.iter().any(|e| e.oid == oid) {
                return Err(PkiError::malformed(what, format!("extension {oid} stands twice")));
            }
            list.push(Self { oid, critical, value });
        }
        Ok(list)
    }
}

/// What a key may be used for (RFC 5280 s4.2.1.3), as the first nine bits of the BIT STRING.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature.
    pub const DIGITAL_SIGNATURE: Self = Self(1 << 15);
    /// nonRepudiation, also called contentCommitment.
    pub const NON_REPUDIATION: Self = Self(1 << 14);
    /// keyEncipherment.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 13);
    /// keyAgreement.
    pub const KEY_AGREEMENT: Self = Self(1 << 11);
    /// keyCertSign.
    pub const KEY_CERT_SIGN: Self = Self(1 << 10);
    /// cRLSign.
    pub const CRL_SIGN: Self = Self(1 << 9);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn allows(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let mut reader = asn1::Reader::new("key usage", der);
        let value = reader.expect(asn1::BIT_STRING)?.value;
        reader.finish()?;
        match *value {
            [0..=7, first] => Ok(Self(u16::from_be_bytes([first, 0]))),
            [0..=7, first, second] => Ok(Self(u16::from_be_bytes([first, second]))),
            _ => Err(reader.bad("it is not of 1 to 9 bits")),
        }
    }

    /// As a named bit list: trailing zero bits are left out (X.690 s11.2.2).
    pub(crate) fn extension(self) -> Extension {
        let bytes = self.0.to_be_bytes();
        let used: &[u8] = if self.0 & 0xff == 0 { &bytes[..1] } else { &bytes };
        let spare = if self.0 & 0xff == 0 { self.0.trailing_zeros() - 8 } else { self.0.trailing_zeros() };
        let spare = [u8::try_from(spare.min(7)).unwrap_or(0)];
        Extension::new(oid::KEY_USAGE, asn1::tlv(asn1::BIT_STRING, &[&spare, used])).critical()
    }
}

/// The extensions that are understood here. A malformed one on which a decision hangs makes the certificate unreadable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) ca: bool,
    pub(crate) path_len: Option<u8>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) ekus: Option<Vec<Oid>>,
    pub(crate) alt_names: Vec<AltName>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id_ext: Option<Vec<u8>>,
    pub(crate) masa_url: Option<String>,
    pub(crate) mud_url: Option<String>,
    pub(crate) mud_signer: Option<Name>,
    pub(crate) policies: Vec<Oid>,
}

impl Known {
    pub(crate) fn of(extensions: &[Extension]) -> Result<Self, PkiError> {
        let mut known = Self::default();
        for extension in extensions {
            known.take(extension)?;
        }
        Ok(known)
    }

    fn take(&mut self, extension: &Extension) -> Result<(), PkiError> {
        let value = extension.value.as_slice();
        match extension.oid {
            oid::BASIC_CONSTRAINTS => {
                let mut fields = asn1::Reader::inside("basic constraints", asn1::SEQUENCE, value)?;
                self.ca = fields.boolean()?;
                self.path_len = if fields.is_empty() { None } else { Some(fields.small_integer()?) };
                fields.finish()?;
            }
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage::from_der(value)?),
            oid::EXTENDED_KEY_USAGE => {
                let mut purposes = asn1::Reader::inside("extended key usage", asn1::SEQUENCE, value)?;
                let mut ekus = Vec::new();
                while !purposes.is_empty() {
                    ekus.push(purposes.oid()?);
                }
                self.ekus = Some(ekus);
            }
            oid::SUBJECT_ALT_NAME => {
                let mut names = asn1::Reader::inside("subject alternative name", asn1::SEQUENCE, value)?;
                while !names.is_empty() {
                    self.alt_names.push(AltName::from_tlv(names.next()?));
                }
            }
            oid::SUBJECT_KEY_ID => {
                let mut reader = asn1::Reader::new("subject key identifier", value);
                self.subject_key_id = Some(reader.expect(asn1::OCTET_STRING)?.value.to_vec());
                reader.finish()?;
            }
            oid::AUTHORITY_KEY_ID => {
                let mut fields = asn1::Reader::inside("authority key identifier", asn1::SEQUENCE, value)?;
                let key_id = fields.optional(asn1::context_primitive(0))?;
                self.authority_key_id = key_id.map(|id| id.value.to_vec());
                self.authority_key_id_ext = Some(asn1::octets(value));
            }
            oid::CERTIFICATE_POLICIES => self.policies = policies(value)?,
            oid::MASA_URL => self.masa_url = extension.said(ia5("MASA URL extension", value))?,
            oid::MUD_URL => self.mud_url = extension.said(ia5("MUD URL extension", value))?,
            oid::MUD_SIGNER => self.mud_signer = extension.said(Name::from_der(value))?,
            _ => {}
        }
        Ok(())
    }
}

fn policies(value: &[u8]) -> Result<Vec<Oid>, PkiError> {
    let mut all = asn1::Reader::inside("certificate policies", asn1::SEQUENCE, value)?;
    let mut policies = Vec::new();
    while !all.is_empty() {
        // Qualifiers may follow; they say nothing to programs.
        policies.push(all.enter(asn1::SEQUENCE)?.oid()?);
    }
    Ok(policies)
}

fn ia5(what: &'static str, der: &[u8]) -> Result<String, PkiError> {
    let mut reader = asn1::Reader::new(what, der);
    let text = reader.expect(asn1::IA5_STRING)?.value;
    reader.finish()?;
    match String::from_utf8(text.to_vec()) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err(reader.bad("it is not ASCII")),
    }
}
