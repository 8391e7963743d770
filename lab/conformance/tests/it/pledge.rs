//! A pledge made by hand: it sends what a test wants it to send.

use super::lab::Lab;
use landfall_brski::{
    media, paths,
    voucher::{Assertion, Format, Nonce, Payload, SealOptions, VoucherRequest, prepare},
};
use landfall_net::{
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{CertificateSerial, SignedDataBuilder, oid};
use landfall_testkit::Identity;
use landfall_types::{
    SerialNumber, Time,
    http::{Request, Response},
};
use std::net::SocketAddr;

fn nonce() -> Nonce {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(CertificateSerial::random().unwrap().as_bytes()).for_each(|(to, from)| *to = *from);
    Nonce::from_random(bytes)
}

/// A good request of `device`, which has seen the lab's registrar.
pub(super) fn request(lab: &Lab, device: &Identity) -> VoucherRequest {
    request_of(lab, device.certificate.subject_serial_number().unwrap())
}

/// The same of the device with that serial number.
pub(super) fn request_of(lab: &Lab, serial: SerialNumber) -> VoucherRequest {
    VoucherRequest {
        created_on: Some(Time::now()),
        assertion: Some(Assertion::Proximity),
        nonce: Some(nonce()),
        proximity_registrar_cert: Some(lab.domain.registrar.certificate.clone()),
        ..VoucherRequest::new(serial)
    }
}

/// `payload` in CMS, signed by `by`.
pub(super) fn seal<T: Payload>(payload: &T, by: &Identity) -> Vec<u8> {
    let unsealed =
        prepare(Format::CmsJson, payload, &by.certificate, &by.intermediates, SealOptions::default()).unwrap();
    let signature = by.sign(unsealed.to_be_signed());
    unsealed.seal(&signature).unwrap()
}

/// Any JSON in CMS, as a voucher request would be.
pub(super) fn seal_text(text: &str, by: &Identity) -> Vec<u8> {
    let builder = SignedDataBuilder::new(oid::VOUCHER_CONTENT, text, &by.certificate, by.intermediates.clone());
    builder.prepare(None).unwrap().issue(&*by.key).unwrap()
}

/// A connection to `address` with the certificate of `client`, to whomever answers.
pub(super) async fn connect(address: SocketAddr, client: Option<&Identity>) -> Connection {
    let own = client.map(|client| TlsIdentity { chain: client.chain(), signer: client.signer() });
    let tls = ClientTls::provisional(own.as_ref()).unwrap();
    let endpoint: Endpoint = address.to_string().parse().unwrap();
    Connection::open(&endpoint, Some(&tls), ClientLimits::default()).await.unwrap()
}

/// Posts `body` as a voucher request in CMS.
pub(super) async fn post_voucher_request(address: SocketAddr, client: &Identity, body: Vec<u8>) -> Response {
    let request = Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, body).accept(media::VOUCHER_CMS);
    connect(address, Some(client)).await.send(request).await.unwrap()
}

/// Gets a voucher for `device`, so that it may enrol.
pub(super) async fn vouched(lab: &Lab, device: &Identity) -> Vec<u8> {
    let body = seal(&request(lab, device), device);
    let response = post_voucher_request(lab.registrar, device, body).await;
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    response.body
}
