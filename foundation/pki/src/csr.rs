//! Certificate signing requests (PKCS #10, RFC 2986).

use crate::{Algorithm, AltName, Name, Oid, PkiError, PublicKey, Signer, extension::Extension};
use landfall_types::SerialNumber;

/// A request, parsed; possession of the key has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
}

impl Csr {
    /// From DER; nothing may stand after it.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let _ = der;
        todo!()
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key that a certificate is asked for.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject's DER.
    pub fn subject_der(&self) -> &[u8] {
        todo!()
    }

    /// The subject.
    pub fn subject_name(&self) -> Name {
        todo!()
    }

    /// The subject in the form of RFC 4514, for people.
    pub fn subject(&self) -> String {
        todo!()
    }

    /// The subject's serialNumber attribute.
    pub fn subject_serial_number(&self) -> Option<SerialNumber> {
        todo!()
    }

    /// Whether the request was signed with the key that it holds.
    pub fn verify_possession(&self) -> Result<(), PkiError> {
        todo!()
    }

    /// Its challengePassword (RFC 2985 s5.4.1), in which EST puts the channel binding (RFC 7030 s3.5).
    pub fn challenge_password(&self) -> Option<String> {
        todo!()
    }

    /// The extensions that it asks for.
    pub fn extensions(&self) -> &[Extension] {
        todo!()
    }

    /// The subject alternative names that it asks for.
    pub fn alt_names(&self) -> &[AltName] {
        todo!()
    }

    /// The DNS names among them.
    pub fn dns_names(&self) -> Vec<String> {
        todo!()
    }

    /// The extended key usages that it asks for.
    pub fn ekus(&self) -> &[Oid] {
        todo!()
    }

    /// Which attributes it has.
    pub fn attribute_oids(&self) -> Vec<Oid> {
        todo!()
    }
}

/// What to ask for.
#[derive(Clone, Debug, Default)]
pub struct CsrRequest {
    /// The subject.
    pub subject: Name,
    /// Names beside the subject.
    pub alt_names: Vec<AltName>,
    /// Other extensions to ask for.
    pub extensions: Vec<Extension>,
    /// A challengePassword.
    pub challenge_password: Option<String>,
    /// Other attributes: identifier, and the DER of one value.
    pub attributes: Vec<(Oid, Vec<u8>)>,
}

impl CsrRequest {
    /// Prepares the request for a key that signs with `algorithm`.
    pub fn prepare(&self, key: &PublicKey, algorithm: Algorithm) -> Result<PreparedCsr, PkiError> {
        let _ = (key, algorithm);
        todo!()
    }
}

/// A request that waits for its signature.
#[derive(Debug)]
pub struct PreparedCsr {
    info: Vec<u8>,
    algorithm: Algorithm,
}

impl PreparedCsr {
    /// What must be signed, with the key in the request.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.info
    }

    /// The request with that signature (ECDSA as DER).
    pub fn sign(self, signature: &[u8]) -> Result<Csr, PkiError> {
        let _ = (signature, self.algorithm);
        todo!()
    }

    /// The request signed by a key that is at hand.
    pub fn issue(self, signer: &dyn Signer) -> Result<Csr, PkiError> {
        let signature = signer.sign(self.to_be_signed())?;
        self.sign(&signature)
    }
}
