//! Signed artefacts for tests.

use landfall_brski::voucher::{Format, Nonce, Payload, SealOptions, Voucher, VoucherRequest, prepare};
use landfall_pki::{Certificate, SignedDataBuilder, oid};
use landfall_testkit::{Identity, NOW};
use landfall_types::SerialNumber;

/// `payload` signed by `by`, with the certificates above it.
pub(super) fn seal<T: Payload>(format: Format, payload: &T, by: &Identity) -> Vec<u8> {
    seal_with(format, payload, by, &by.intermediates)
}

/// The same with other certificates beside.
pub(super) fn seal_with<T: Payload>(format: Format, payload: &T, by: &Identity, extra: &[Certificate]) -> Vec<u8> {
    let unsealed =
        prepare(format, payload, &by.certificate, extra, SealOptions::default()).expect("it is put together");
    let signature = by.sign(unsealed.to_be_signed());
    unsealed.seal(&signature).expect("it is sealed")
}

/// Any content in CMS, as a voucher would be.
pub(super) fn cms(content_type: oid::Oid, content: &[u8], by: &Identity) -> Vec<u8> {
    let builder = SignedDataBuilder::new(content_type, content, &by.certificate, by.intermediates.clone());
    builder.prepare(None).expect("it is put together").issue(&*by.key).expect("it is signed")
}

pub(super) fn serial(text: &str) -> SerialNumber {
    text.parse().expect("a serial number")
}

/// A nonced voucher that pins `pinned`.
pub(super) fn voucher(pinned: &Certificate) -> Voucher {
    let mut voucher = Voucher::new(serial("JADA123456789"));
    voucher.created_on = Some(NOW);
    voucher.assertion = Some(landfall_brski::voucher::Assertion::Logged);
    voucher.pinned_domain_cert = Some(pinned.clone());
    voucher.nonce = Some(Nonce::from_random([7; 16]));
    voucher
}

/// A pledge's request that has seen `registrar`.
pub(super) fn request(registrar: &Certificate) -> VoucherRequest {
    let mut request = VoucherRequest::new(serial("JADA123456789"));
    request.created_on = Some(NOW);
    request.assertion = Some(landfall_brski::voucher::Assertion::Proximity);
    request.nonce = Some(Nonce::from_random([7; 16]));
    request.proximity_registrar_cert = Some(registrar.clone());
    request
}
