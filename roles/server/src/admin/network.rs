//! Network (SP 1800-36B 4.3): the domain's devices, their vouchers and certificates, and who may come.

use super::{
    ApiError, Console, Problem,
    server::state,
    view::{
        Configuration, Device, IssuedCertificate, Note, Page, Part, Prefetch, Prefetched, StoredVoucher, Telemetry,
    },
};
use crate::registrar::CertificateRecord;
use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use landfall_brski::{
    registrar::{PrefetchedVoucher, Target},
    voucher::Format,
};
use landfall_lifecycle::{
    device::DeviceEvent,
    network::{ConfigurationSeen, DomainDevice, HistorySeen, ReportKind},
};
use landfall_pki::Certificate;
use landfall_policy::Policy;
use landfall_types::{DeviceId, Record, SerialNumber, VendorId};
use std::sync::Arc;

/// Who an operator on this machine is, in the log.
pub(super) const OPERATOR: &str = "an operator";

/// The devices of this domain, and those that wanted to be; `state=awaiting-approval` gives those that wait for a person.
#[utoipa::path(
    get, path = "/v1/network/devices", tag = "network", params(Part),
    responses((status = 200, body = Page<Device>), (status = 422, body = Problem))
)]
pub(super) async fn devices(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<Device>>, ApiError> {
    console.network()?;
    let (store, limit) = (&console.world.store, part.limit());
    let found = match &part.state {
        None => store.scan::<DomainDevice>(part.after.as_deref(), limit)?,
        Some(text) => {
            let wanted = state(text)?.to_string();
            let after = part.after.clone().unwrap_or_default();
            let found = store.scan_index::<DomainDevice>(DomainDevice::BY_STATE, Some((&wanted, &after)), limit)?;
            found.into_iter().filter(|(value, _)| *value == wanted).map(|(_, device)| device).collect()
        }
    };
    let items = found.into_iter().map(|device| view(device.record, Vec::new())).collect();
    Ok(Json(Page::of(items, limit, |device: &Device| device.id.clone())))
}

/// One device, with its certificates.
#[utoipa::path(
    get, path = "/v1/network/devices/{device}", tag = "network",
    params(("device" = String, Path, description = "Its id, or its serial number if only one device has it")),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn device(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Result<Json<Device>, ApiError> {
    console.network()?;
    shown(&console, &name).map(Json)
}

/// Lets a device in that waits for a person, or would be refused.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/approve", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn approve(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Approved { by: by(&note) }).await
}

/// Keeps a device out.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/deny", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn deny(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Rejected { by: by(&note) }).await
}

/// Throws a device out: its certificates are revoked, and it gets no others.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/revoke", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn revoke(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Revoked { by: OPERATOR.into(), why: note.reason }).await
}

/// Takes a revocation back; the device has to ask anew, and gets new certificates.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/reinstate", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn reinstate(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Reinstated { by: by(&note) }).await
}

/// Lets a device go, for resale for example: its certificates are revoked, and what was decided about it is forgotten.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/forget", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn forget(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Retired { by: OPERATOR.into(), why: note.reason }).await
}

/// Deletes a device's credentials; it may be onboarded anew, to the same network or to another one.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/delete-credentials", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn delete_credentials(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    happen(&console, &name, DeviceEvent::Deleted { by: OPERATOR.into(), why: note.reason }).await
}

/// The vouchers that were fetched ahead.
#[utoipa::path(
    get, path = "/v1/network/vouchers", tag = "network", params(Part),
    responses((status = 200, body = Page<StoredVoucher>))
)]
pub(super) async fn vouchers(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<StoredVoucher>>, ApiError> {
    console.registrar()?;
    let found = console.world.store.scan::<PrefetchedVoucher>(part.after.as_deref(), part.limit())?;
    let items = found.into_iter().map(|voucher| stored(&voucher.record)).collect();
    Ok(Json(Page::of(items, part.limit(), |voucher: &StoredVoucher| voucher.device.clone())))
}

/// Fetches vouchers ahead, so that their devices can join while the MASA is away.
#[utoipa::path(
    post, path = "/v1/network/vouchers", tag = "network", request_body = Prefetch,
    responses((status = 200, body = Vec<Prefetched>), (status = 422, body = Problem))
)]
pub(super) async fn prefetch(
    State(console): State<Arc<Console>>,
    Json(wanted): Json<Prefetch>,
) -> Result<Json<Vec<Prefetched>>, ApiError> {
    let registrar = console.registrar()?;
    let vendor: VendorId = wanted.vendor.parse().map_err(ApiError::invalid)?;
    if registrar.vendors().find(&vendor).is_none() {
        return Err(ApiError::invalid(format_args!("there is no vendor {vendor} in the settings")));
    }
    // Its file may hold the certificates above it too.
    let issuer = Certificate::chain_from_pem(&wanted.issuer_certificate).map_err(ApiError::invalid)?;
    let issuer = issuer.first().ok_or_else(|| ApiError::invalid("there is no certificate of the issuer"))?;
    let masa = wanted.masa.as_deref().map(str::parse).transpose().map_err(ApiError::invalid)?;
    let mut results = Vec::new();
    for serial_number in wanted.serial_numbers {
        let fetched = match serial_number.parse::<SerialNumber>() {
            Ok(serial) => {
                let idevid_issuer = authority_key_id(issuer);
                let (vendor, masa) = (vendor.clone(), masa.clone());
                registrar.prefetch(Target { serial, idevid_issuer, vendor, masa, format: Format::CmsJson }).await
            }
            Err(why) => Err(why.to_string()),
        };
        results.push(match fetched {
            Ok(voucher) => Prefetched { serial_number, voucher: Some(stored(&voucher)), error: None },
            Err(why) => Prefetched { serial_number, voucher: None, error: Some(why) },
        });
    }
    Ok(Json(results))
}

/// The certificates that this domain issued; `state` is good or revoked.
#[utoipa::path(
    get, path = "/v1/network/certificates", tag = "network", params(Part),
    responses((status = 200, body = Page<IssuedCertificate>))
)]
pub(super) async fn certificates(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<IssuedCertificate>>, ApiError> {
    console.registrar()?;
    let found = console.world.store.scan::<CertificateRecord>(part.after.as_deref(), part.limit())?;
    let next = (found.len() >= part.limit()).then(|| found.last().map(|last| last.key())).flatten();
    let wanted = |record: &CertificateRecord| match part.state.as_deref() {
        Some("revoked") => record.revoked.is_some(),
        Some("good") => record.revoked.is_none(),
        _ => true,
    };
    let items = found.into_iter().map(|found| found.record).filter(wanted);
    Ok(Json(Page { items: items.map(|record| issued(&record)).collect(), next }))
}

/// The revocation list, in DER.
#[utoipa::path(
    get, path = "/v1/network/crl", tag = "network",
    responses((status = 200, content_type = "application/pkix-crl", body = Vec<u8>))
)]
pub(super) async fn crl(State(console): State<Arc<Console>>) -> Result<impl IntoResponse, ApiError> {
    let crl = console.registrar()?.crl().ok_or_else(|| ApiError::not_found("revocation list"))?;
    Ok(([("content-type", "application/pkix-crl")], crl.to_vec()))
}

/// The policy that is in force.
#[utoipa::path(
    get, path = "/v1/network/policy", tag = "network", responses((status = 200, body = Object))
)]
pub(super) async fn policy(State(console): State<Arc<Console>>) -> Result<Json<Policy>, ApiError> {
    Ok(Json(Policy::clone(&console.registrar()?.policy())))
}

/// Replaces the policy, now and after a restart.
#[utoipa::path(
    post, path = "/v1/network/policy", tag = "network", request_body = Object,
    responses((status = 200, body = Object), (status = 422, body = Problem))
)]
pub(super) async fn set_policy(
    State(console): State<Arc<Console>>,
    Json(policy): Json<Policy>,
) -> Result<Json<Policy>, ApiError> {
    if let Some(set) = policy.missing_sets().first() {
        return Err(ApiError::invalid(format_args!("a rule names the set {set:?}, which is not there")));
    }
    console.registrar()?.set_policy(policy.clone()).await.map_err(ApiError::internal)?;
    Ok(Json(policy))
}

async fn happen(console: &Console, name: &str, event: DeviceEvent) -> Result<Json<Device>, ApiError> {
    console.network()?;
    let id = find(console, name)?;
    let revoked = crate::happen::happen(&console.world, &id, event).await?;
    let is_out =
        revoked || !console.world.store.find::<DomainDevice>(id.as_str())?.is_some_and(|it| it.state.is_inside());
    if let Some(enforcer) = console.enforcer.as_ref().filter(|_| is_out) {
        enforcer.put_out(&id).await;
    }
    if let Some(access) = console.access.clone().filter(|_| is_out) {
        let id = id.clone();
        // How it went at each access point is for the log: the device is off the records, whatever they say.
        tokio::spawn(async move { access.put_out(&id).await });
    }
    if let Some(registrar) = console.registrar.as_ref().filter(|_| revoked) {
        registrar.renew_crl(true).await.map_err(ApiError::internal)?;
    }
    shown(console, id.as_str()).map(Json)
}

/// The device of that id, or the only one with that serial number.
pub(super) fn find(console: &Console, name: &str) -> Result<DeviceId, ApiError> {
    let store = &console.world.store;
    if let Some(found) = store.find::<DomainDevice>(name)? {
        return Ok(found.record.identity.device);
    }
    let mut found = store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, name, 2)?;
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(only.record.identity.device),
        (Some(one), Some(other)) => Err(ApiError::conflict(format_args!(
            "several devices have the serial number {name}: say {} or {}",
            one.identity.device, other.identity.device
        ))),
        (None, _) => Err(ApiError::not_found(format_args!("device {name:?} here; it has not asked to join"))),
    }
}

pub(super) fn shown(console: &Console, name: &str) -> Result<Device, ApiError> {
    let id = find(console, name)?;
    let store = &console.world.store;
    let found = store.find::<DomainDevice>(id.as_str())?.ok_or_else(|| ApiError::not_found("such device"))?;
    Ok(view(found.record, CertificateRecord::of_device(store, &id)?.iter().map(|found| issued(found)).collect()))
}

fn view(device: DomainDevice, certificates: Vec<IssuedCertificate>) -> Device {
    let identity = device.identity;
    let hardware_backed = identity.birth.is_hardware_backed();
    let mut reasons: Vec<String> = Vec::new();
    if let Some(ruled) = &device.decision {
        reasons.push(format!("policy at {}: {}: {}", ruled.at, ruled.decision.verdict, ruled.decision.why()));
    }
    if let Some(approval) = &device.approval {
        let word = if approval.approved { "approved" } else { "denied" };
        reasons.push(format!("{word} by {} at {}", approval.by, approval.at));
    }
    if let Some(voucher) = &device.voucher {
        let from = if voucher.from_stock { "fetched ahead" } else { "fresh" };
        let assertion = voucher.assertion.map_or("no assertion", |assertion| assertion.as_str());
        reasons.push(format!("voucher at {}: {assertion}, {from}", voucher.at));
    }
    if let Some(history) = &device.history {
        reasons.push(format!("audit log at {}: {} vouchers, {}", history.at, history.events, others(history)));
    }
    Device {
        id: identity.device.to_string(),
        serial_number: identity.serial_number.to_string(),
        tenant: identity.tenant().map(ToString::to_string),
        vendor: identity.vendor.map(|vendor| vendor.to_string()).unwrap_or_default(),
        model: identity.model.map(|model| model.to_string()),
        hardware_backed,
        state: device.state.to_string(),
        since: device.since,
        last_asked: device.last_asked,
        reasons,
        configuration: device.configuration.map(configuration),
        certificates,
        telemetry: device
            .reports
            .into_iter()
            .map(|report| Telemetry {
                at: report.at,
                about: match report.about {
                    ReportKind::Voucher => "voucher".into(),
                    ReportKind::Enrolment => "enrolment".into(),
                    ReportKind::Configuration => "configuration".into(),
                    ReportKind::Connection => "connection".into(),
                },
                ok: report.success,
                reason: report.reason,
                with_new_certificate: report.with_new_certificate.unwrap_or(false),
            })
            .collect(),
    }
}

/// How many other domains, and the first of them by name: for whoever has to decide.
fn others(history: &HistorySeen) -> String {
    const SHOWN: usize = 3;
    let foreign = &history.foreign_domains;
    if foreign.is_empty() {
        return "no other domains".into();
    }
    let named: Vec<_> = foreign.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if foreign.len() > SHOWN { ", …" } else { "" };
    let plural = if foreign.len() == 1 { "" } else { "s" };
    format!("{} other domain{plural} ({}{more})", foreign.len(), named.join(", "))
}

fn configuration(seen: ConfigurationSeen) -> Configuration {
    Configuration {
        at: seen.at,
        introduced: seen.introduced.map(|via| via.as_str().to_owned()),
        networks: seen.networks,
        role: seen.role,
        network_authenticated: seen.network_authenticated,
        expires: seen.expires,
        mud_url: seen.mud_url,
        others: seen.others,
    }
}

fn issued(record: &CertificateRecord) -> IssuedCertificate {
    let certificate = Certificate::from_der(&record.issued.certificate).ok();
    IssuedCertificate {
        serial: record.issued.serial.clone(),
        device: record.issued.device.id.to_string(),
        subject: certificate.as_ref().map(Certificate::subject).unwrap_or_default(),
        not_before: certificate.as_ref().map_or(record.issued.at, Certificate::not_before),
        not_after: record.issued.not_after,
        hardware_backed: record.hardware_backed,
        revoked: record.revoked.as_ref().map(|revoked| revoked.at),
        pem: certificate.map(|certificate| certificate.to_pem()).unwrap_or_default(),
    }
}

fn stored(voucher: &PrefetchedVoucher) -> StoredVoucher {
    StoredVoucher {
        device: voucher.device.to_string(),
        serial_number: voucher.serial.to_string(),
        vendor: voucher.vendor.to_string(),
        fetched: voucher.at,
        expires: voucher.expires,
    }
}

/// The authority key identifier that `issuer` gives the certificates that it issues, as RFC 8366 s5.3 wants it: the
/// extension's value with its OCTET STRING header.
fn authority_key_id(issuer: &Certificate) -> Vec<u8> {
    let key_id = issuer.key_id();
    let wrap = |tag: u8, inner: &[u8]| {
        let length = u8::try_from(inner.len()).unwrap_or(u8::MAX);
        [&[tag, length], inner].concat()
    };
    wrap(0x04, &wrap(0x30, &wrap(0x80, &key_id)))
}

fn by(note: &Note) -> String {
    match note.reason.as_str() {
        "" => OPERATOR.into(),
        reason => format!("{OPERATOR} ({reason})"),
    }
}
