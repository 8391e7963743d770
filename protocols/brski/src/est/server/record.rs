//! What an EST server writes down.

use super::Device;
use crate::{
    est::{Operation, binding::Linked},
    registrar::record::base64_bytes,
};
use landfall_types::{Fingerprint, Record, Time};
use serde::{Deserialize, Serialize};

/// A certificate that was issued. It is on record before the client sees it.
///
/// The role keeps it in a record of its own, together with what becomes of the certificate later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The certificate's serial number, in hexadecimal.
    pub serial: String,
    /// The certificate, in DER.
    #[serde(with = "base64_bytes")]
    pub certificate: Vec<u8>,
    /// Its name in the log.
    pub fingerprint: Fingerprint,
    /// The device that has it.
    pub device: Device,
    /// Its key.
    pub key: Fingerprint,
    /// What was asked.
    pub operation: Operation,
    /// The certificate that the client authenticated with, and that this one replaces if it was an LDevID.
    pub client: Fingerprint,
    /// The request, in DER.
    #[serde(with = "base64_bytes")]
    pub csr: Vec<u8>,
    /// Whether the request was linked to the connection.
    pub linked: Linked,
    /// When it was issued.
    pub at: Time,
    /// When it ends.
    pub not_after: Time,
}

/// A request that waits for a person's decision; one for each device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The device.
    pub device: Device,
    /// The key in the request; the rest of it changes with every connection.
    pub key: Option<Fingerprint>,
    /// What was asked.
    pub operation: Operation,
    /// The request, in DER.
    #[serde(with = "base64_bytes")]
    pub csr: Vec<u8>,
    /// When it was asked last.
    pub at: Time,
    /// Why it has to wait.
    pub why: String,
}

impl Record for Waiting {
    const COLLECTION: &'static str = "waiting-enrolment";

    fn key(&self) -> String {
        self.device.id.to_string()
    }
}

/// What has to be durable before the client is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A certificate. Its serial number is new, and the commit has to fail if it is not.
    Issued(Issued),
    /// A request that waits.
    Waiting(Waiting),
}
