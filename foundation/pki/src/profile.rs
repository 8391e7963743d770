//! Certificate profiles: what a caller chooses, and nothing else.
//!
//! Each is prepared for a key and an issuer; [`Prepared::lint`] then decides whether it may be signed.

use crate::{
    AltName, Authority, CertificateSerial, Name, Oid, PkiError, Prepared, PublicKey, Validity, asn1,
    extension::{Extension, KeyUsage},
    issue::Template,
    lint::Role,
    oid,
};
use landfall_types::SerialNumber;

/// A device's identity from its factory (IEEE 802.1AR-2018 s8, RFC 8995 s2.3). Its validity should be
/// [`Validity::forever`].
#[derive(Clone, Debug)]
pub struct Idevid {
    /// The device's serial number.
    pub serial_number: SerialNumber,
    /// What else the subject says, such as organization and model.
    pub subject: Name,
    /// Where its MASA is (RFC 8995 s2.3.2): an authority, such as `masa.example.com:9443`, or an https URL.
    pub masa_url: Option<String>,
    /// Where its MUD file is (RFC 8520 s11).
    pub mud_url: Option<String>,
    /// The subject of who signs that file.
    pub mud_signer: Option<Name>,
    /// The name of its hardware module (RFC 4108 s5).
    pub hardware_module: Option<HardwareModule>,
    /// What its issuer has verified of the key ([`oid::TPM_RESIDENCY`] and others).
    pub policies: Vec<Oid>,
}

impl Idevid {
    /// An IDevID that says nothing but its serial number.
    pub const fn new(serial_number: SerialNumber) -> Self {
        let subject = Name::new();
        Self {
            serial_number,
            subject,
            masa_url: None,
            mud_url: None,
            mud_signer: None,
            hardware_module: None,
            policies: Vec::new(),
        }
    }

    /// The extensions that it has beside what every certificate of its issuer has: what a request asks for.
    pub fn extensions(&self) -> Vec<Extension> {
        self.template().extensions
    }

    fn template(&self) -> Template {
        let ia5 = |oid, text: &String| Extension::new(oid, asn1::tlv(asn1::IA5_STRING, &[text.as_bytes()]));
        let module = self.hardware_module.as_ref().map(HardwareModule::alt_name);
        let subject = self.subject.clone().serial_number(&self.serial_number);
        let alt_names = alt_names(&subject, module.as_slice());
        let mut extensions = vec![KeyUsage::DIGITAL_SIGNATURE.extension()];
        extensions.extend(alt_names);
        extensions.extend(self.masa_url.as_ref().map(|url| ia5(oid::MASA_URL, url)));
        extensions.extend(self.mud_url.as_ref().map(|url| ia5(oid::MUD_URL, url)));
        extensions.extend(self.mud_signer.as_ref().map(|name| Extension::new(oid::MUD_SIGNER, name.to_der())));
        extensions.extend(policies(&self.policies));
        Template { role: Role::Idevid, subject, extensions }
    }
}

/// A hardware module's name (RFC 4108 s5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareModule {
    /// Its type, from the manufacturer's arc.
    pub kind: Oid,
    /// Its serial number.
    pub serial: Vec<u8>,
}

impl HardwareModule {
    fn alt_name(&self) -> AltName {
        let name = asn1::sequence(&[&asn1::oid(&self.kind), &asn1::octets(&self.serial)]);
        let value = asn1::tlv(asn1::context(0), &[&name]);
        AltName::Other(asn1::tlv(asn1::context(0), &[&asn1::oid(&oid::HARDWARE_MODULE_NAME), &value]))
    }
}

/// A device's identity in a domain.
#[derive(Clone, Debug)]
pub struct Ldevid {
    /// The subject, as the request had it.
    pub subject: Name,
    /// Names beside the subject.
    pub alt_names: Vec<AltName>,
    /// What it is for; clientAuth if empty, without which it could not be renewed.
    pub purposes: Vec<Oid>,
    /// Where its issuer's revocation list is, if the certificate is to say so: an address of http.
    pub crl_url: Option<String>,
}

impl Ldevid {
    fn template(&self) -> Template {
        let purposes = if self.purposes.is_empty() { &[oid::CLIENT_AUTH] } else { self.purposes.as_slice() };
        let mut template = end_entity(Role::Ldevid, &self.subject, &self.alt_names, purposes);
        template.extensions.extend(self.crl_url.as_deref().map(distribution_point));
        template
    }
}

/// A registrar: cmcRA, serverAuth and clientAuth, since it is the RA (RFC 8995 s5.5.4), the pledge's server and the
/// MASA's client.
#[derive(Clone, Debug)]
pub struct RegistrarRa {
    /// The subject.
    pub subject: Name,
    /// DNS names and addresses that it serves.
    pub alt_names: Vec<AltName>,
}

impl RegistrarRa {
    fn template(&self) -> Template {
        let purposes = [oid::CMC_RA, oid::SERVER_AUTH, oid::CLIENT_AUTH];
        end_entity(Role::Registrar, &self.subject, &self.alt_names, &purposes)
    }
}

/// Who signs vouchers.
#[derive(Clone, Debug)]
pub struct Masa {
    /// The subject.
    pub subject: Name,
}

impl Masa {
    fn template(&self) -> Template {
        end_entity(Role::Masa, &self.subject, &[], &[])
    }
}

/// Who signs the lists of devices that a factory made (documentSigning, RFC 9336).
#[derive(Clone, Debug)]
pub struct ManifestSigner {
    /// The subject.
    pub subject: Name,
}

impl ManifestSigner {
    fn template(&self) -> Template {
        end_entity(Role::Other, &self.subject, &[], &[oid::DOCUMENT_SIGNING])
    }
}

/// A TLS server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The subject.
    pub subject: Name,
    /// DNS names and addresses that it serves.
    pub alt_names: Vec<AltName>,
}

impl Server {
    fn template(&self) -> Template {
        end_entity(Role::Server, &self.subject, &self.alt_names, &[oid::SERVER_AUTH])
    }
}

/// A person or program that operates a server: clientAuth.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The subject.
    pub subject: Name,
}

impl Operator {
    fn template(&self) -> Template {
        end_entity(Role::Operator, &self.subject, &[], &[oid::CLIENT_AUTH])
    }
}

/// A certification authority.
#[derive(Clone, Debug)]
pub struct Ca {
    /// The subject.
    pub subject: Name,
    /// How many CAs may stand below it.
    pub path_len: Option<u8>,
}

impl Ca {
    /// A root: two levels of CAs may stand below it.
    pub const fn root(subject: Name) -> Self {
        Self { subject, path_len: Some(2) }
    }

    /// An intermediate: one level of CAs may stand below it.
    pub const fn intermediate(subject: Name) -> Self {
        Self { subject, path_len: Some(1) }
    }

    /// An issuing CA: only end entities stand below it.
    pub const fn issuing(subject: Name) -> Self {
        Self { subject, path_len: Some(0) }
    }

    /// Prepares it to be signed by its own key.
    pub fn prepare_root(
        &self,
        key: &PublicKey,
        serial: CertificateSerial,
        validity: Validity,
    ) -> Result<Prepared, PkiError> {
        self.template().prepare_root(key, serial, validity)
    }

    fn template(&self) -> Template {
        const TRUE: &[u8] = &[asn1::BOOLEAN, 1, 0xff];
        let path_len = self.path_len.map(|n| asn1::unsigned(&[n])).unwrap_or_default();
        let constraints = asn1::sequence(&[TRUE, &path_len]);
        let extensions = vec![
            Extension::new(oid::BASIC_CONSTRAINTS, constraints).critical(),
            KeyUsage::KEY_CERT_SIGN.and(KeyUsage::CRL_SIGN).extension(),
        ];
        Template { role: Role::Ca, subject: self.subject.clone(), extensions }
    }
}

macro_rules! prepare {
    ($($profile:ident),*) => {
        $(impl $profile {
            /// Prepares it for `key`, to be issued by `issuer`.
            pub fn prepare(
                &self,
                issuer: &Authority,
                key: &PublicKey,
                serial: CertificateSerial,
                validity: Validity,
            ) -> Result<Prepared, PkiError> {
                self.template().prepare(issuer, key, serial, validity)
            }
        })*
    };
}

prepare!(Idevid, Ldevid, RegistrarRa, Masa, ManifestSigner, Server, Operator, Ca);

fn end_entity(role: Role, subject: &Name, names: &[AltName], purposes: &[Oid]) -> Template {
    let mut extensions = vec![KeyUsage::DIGITAL_SIGNATURE.extension()];
    if !purposes.is_empty() {
        let purposes: Vec<u8> = purposes.iter().flat_map(asn1::oid).collect();
        extensions.push(Extension::new(oid::EXTENDED_KEY_USAGE, asn1::sequence(&[&purposes])));
    }
    extensions.extend(alt_names(subject, names));
    Template { role, subject: subject.clone(), extensions }
}

/// RFC 5280 s4.2.1.4: each without qualifiers.
fn policies(policies: &[Oid]) -> Option<Extension> {
    let list: Vec<u8> = policies.iter().flat_map(|policy| asn1::sequence(&[&asn1::oid(policy)])).collect();
    (!policies.is_empty()).then(|| Extension::new(oid::CERTIFICATE_POLICIES, asn1::sequence(&[&list])))
}

/// RFC 5280 s4.2.1.13: one point, by the full name of the list; the issuer is the certificate's own.
fn distribution_point(url: &str) -> Extension {
    let full_name = asn1::tlv(asn1::context(0), &[&AltName::Uri(url.to_owned()).to_der()]);
    let point = asn1::sequence(&[&asn1::tlv(asn1::context(0), &[&full_name])]);
    Extension::new(oid::CRL_DISTRIBUTION_POINTS, asn1::sequence(&[&point]))
}

/// RFC 5280 s4.2.1.6: critical where the subject is empty.
pub(crate) fn alt_names(subject: &Name, names: &[AltName]) -> Option<Extension> {
    let list: Vec<u8> = names.iter().flat_map(AltName::to_der).collect();
    let extension = Extension::new(oid::SUBJECT_ALT_NAME, asn1::sequence(&[&list]));
    let extension = if subject.is_empty() { extension.critical() } else { extension };
    (!names.is_empty()).then_some(extension)
}
