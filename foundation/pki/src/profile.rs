//! Certificate profiles: what a caller chooses, and nothing else.

use crate::{AltName, Authority, CertificateSerial, Name, Oid, PkiError, Prepared, PublicKey, Validity};
use landfall_types::SerialNumber;

macro_rules! prepare {
    ($profile:ident) => {
        impl $profile {
            /// Prepares it for `key`, to be issued by `issuer`.
            pub fn prepare(
                &self,
                issuer: &Authority,
                key: &PublicKey,
                serial: CertificateSerial,
                validity: Validity,
            ) -> Result<Prepared, PkiError> {
                let _ = (issuer, key, serial, validity);
                todo!()
            }
        }
    };
}

/// A device's identity from its factory (IEEE 802.1AR-2018 s8, RFC 8995 s2.3).
#[derive(Clone, Debug)]
pub struct Idevid {
    /// The device's serial number.
    pub serial_number: SerialNumber,
    /// What else the subject says, such as organization and model.
    pub subject: Name,
    /// Where its MASA is (RFC 8995 s2.3.2).
    pub masa_url: Option<String>,
    /// Where its MUD file is (RFC 8520 s11).
    pub mud_url: Option<String>,
    /// The subject of who signs that file.
    pub mud_signer: Option<Name>,
    /// The name of its hardware module (RFC 4108 s5).
    pub hardware_module: Option<HardwareModule>,
}

/// A hardware module's name (RFC 4108 s5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareModule {
    /// Its type, from the manufacturer's arc.
    pub kind: Oid,
    /// Its serial number.
    pub serial: Vec<u8>,
}

/// A device's identity in a domain.
#[derive(Clone, Debug)]
pub struct Ldevid {
    /// The subject, as the request had it.
    pub subject: Name,
    /// Names beside the subject.
    pub alt_names: Vec<AltName>,
    /// What it is for; clientAuth if empty.
    pub purposes: Vec<Oid>,
}

/// A registrar: cmcRA, serverAuth and clientAuth (RFC 8995 s5.5.4).
#[derive(Clone, Debug)]
pub struct RegistrarRa {
    /// The subject.
    pub subject: Name,
    /// DNS names and addresses that it serves.
    pub alt_names: Vec<AltName>,
}

/// Who signs vouchers.
#[derive(Clone, Debug)]
pub struct Masa {
    /// The subject.
    pub subject: Name,
}

/// A TLS server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The subject.
    pub subject: Name,
    /// DNS names and addresses that it serves.
    pub alt_names: Vec<AltName>,
}

/// A person or program that operates a server: clientAuth.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The subject.
    pub subject: Name,
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
        let _ = (key, serial, validity);
        todo!()
    }
}

prepare!(Idevid);
prepare!(Ldevid);
prepare!(RegistrarRa);
prepare!(Masa);
prepare!(Server);
prepare!(Operator);
prepare!(Ca);
