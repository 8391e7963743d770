//! Whether the key in a request for a certificate lives in the device's hardware.

use landfall_brski::{est::server::EnrolFacts, registrar::Vendors};
use landfall_lifecycle::network::DomainDevice;
use landfall_pki::{Certificate, Csr, PathPolicy, attestation::KeyAttestation, oid, validate};
use landfall_tpm::proof::check_request;
use landfall_types::{DeviceId, Fault, Refusal, Time};

const SECTION: &str = "TCG TPM 2.0 Keys for Device Identity s8";

/// What proves it, in words.
///
/// # Errors
/// What is missing.
pub(super) fn proof(
    facts: &EnrolFacts,
    certified_before: bool,
    device: &DomainDevice,
    vendors: &Vendors,
    now: Time,
) -> Result<&'static str, Refusal> {
    if facts.key.is_none() {
        return Err(refuse("ldevid-own-key", "the server makes the key"));
    }
    let client = facts.client.certificate();
    if client.is_hardware_backed() && client.public_key() == facts.csr.public_key() {
        return Ok("it is the birth key");
    }
    if certified_before {
        return Ok("it was proven before");
    }
    attested(&facts.csr, device, vendors, now).map(|()| "the request proves it")
}

/// The manufacturer certified a key of the device's own TPM that speaks of others, and that says so of this one.
fn attested(csr: &Csr, device: &DomainDevice, vendors: &Vendors, now: Time) -> Result<(), Refusal> {
    let value = csr.attribute(oid::KEY_ATTESTATION);
    let value = value.ok_or_else(|| refuse("ldevid-attestation", "the request proves nothing of its key"))?;
    let attested = KeyAttestation::from_der(value)
        .map_err(|why| Refusal::new(Fault::Malformed, "ldevid-attestation", SECTION, why.to_string()))?;
    let (by, above) =
        attested.certificates.split_first().ok_or_else(|| refuse("ldevid-attestation", "who says so is not told"))?;
    let vendor = device.identity.vendor.as_ref().and_then(|vendor| vendors.find(vendor));
    let vendor = vendor.ok_or_else(|| refuse("ldevid-attestation", "the device's manufacturer is not known"))?;
    validate(by, above, &vendor.idevid_anchors, &PathPolicy::at(now))?;
    if !is_attestation_key(by) {
        return Err(refuse("ldevid-attestation-key", "its manufacturer has not verified that key to attest only"));
    }
    let serial = by.subject_serial_number();
    let whose = serial.map(|serial| DeviceId::new(&by.authority_key_id().unwrap_or_default(), &serial));
    if whose.as_ref() != Some(&device.identity.device) {
        return Err(refuse("ldevid-attestation-device", "another device's TPM says so"));
    }
    check_request(&attested, by, csr.public_key())
}

fn is_attestation_key(certificate: &Certificate) -> bool {
    [oid::TPM_RESIDENCY, oid::TPM_RESTRICTED].iter().all(|policy| certificate.policies().contains(policy))
}

fn refuse(check: &'static str, detail: &str) -> Refusal {
    Refusal::new(Fault::Denied, check, SECTION, detail)
}
