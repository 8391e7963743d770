//! Vouchers, requests, and what else BRSKI's parties say to each other.

use landfall_brski::{
    audit_log::AuditLog,
    proxy::grasp::{Flood, Objective},
    telemetry::Status,
    voucher::{self, Format, Payload, Voucher, VoucherRequest},
};

/// A voucher's content in JSON.
pub fn voucher_json(data: &[u8]) -> bool {
    json::<Voucher>(data)
}

/// A voucher request's content in JSON.
pub fn request_json(data: &[u8]) -> bool {
    json::<VoucherRequest>(data)
}

/// A voucher's content in CBOR.
pub fn voucher_cbor(data: &[u8]) -> bool {
    let Ok(voucher) = Voucher::from_cbor(data) else { return false };
    if voucher.check().is_ok() {
        let written = voucher.to_cbor().ok();
        let again = written.as_deref().and_then(|cbor| Voucher::from_cbor(cbor).ok());
        assert_eq!(again.and_then(|again| again.to_cbor().ok()), written, "what was written reads as the same");
    }
    true
}

/// A voucher in CMS.
pub fn voucher_cms(data: &[u8]) -> bool {
    open::<Voucher>(Format::CmsJson, data)
}

/// A voucher in JWS.
pub fn voucher_jws(data: &[u8]) -> bool {
    open::<Voucher>(Format::JwsJson, data)
}

/// A voucher in COSE.
pub fn voucher_cose(data: &[u8]) -> bool {
    open::<Voucher>(Format::CoseCbor, data)
}

/// A voucher request in CMS.
pub fn request_cms(data: &[u8]) -> bool {
    open::<VoucherRequest>(Format::CmsJson, data)
}

/// A status report.
pub fn telemetry(data: &[u8]) -> bool {
    let Ok(status) = Status::parse(data) else { return false };
    assert!(Status::parse(&status.encode()).is_ok(), "what was read can be written and read");
    true
}

/// A MASA's audit log.
pub fn audit_log(data: &[u8]) -> bool {
    let Ok(log) = AuditLog::parse(data) else { return false };
    let again = AuditLog::parse(&log.encode());
    assert!(again.is_ok_and(|again| again.events.len() == log.events.len()), "what was read can be written and read");
    true
}

/// A GRASP datagram.
pub fn grasp(data: &[u8]) -> bool {
    let Ok(flood) = Flood::decode(data) else { return false };
    let _ = (flood.proxies(1), flood.registrars(1));
    // Objectives of other protocols are not ours to repeat, so only what has none comes back the same.
    if flood.announcements.iter().all(|announcement| announcement.objective != Objective::Other) {
        assert_eq!(Flood::decode(&flood.encode()), Ok(flood), "what was read can be written and read");
    }
    true
}

fn json<T: Payload>(data: &[u8]) -> bool {
    let Ok(payload) = T::from_json(data) else { return false };
    if payload.check().is_ok() {
        let written = payload.to_json();
        let again = T::from_json(&written).map(|again| again.to_json());
        assert_eq!(again.ok(), Some(written), "what was written reads as the same");
    }
    true
}

fn open<T: Payload>(format: Format, data: &[u8]) -> bool {
    let _ = Format::sniff(data);
    voucher::open::<T>(format, data).is_ok()
}
