//! Network (SP 1800-36B 4.3) by Wi-Fi Easy Connect: the configurator's keys, what got no answer, and access points.

use super::{
    ApiError, Console, Problem,
    view::{
        AccessPointFile, Backup, BootstrapKey, ConfiguratorView, Count, HandOver, HandOverAllowed, Introduced,
        NetworkView, NewAccessPoint, NewBackup, NewPkexCode, Part, PkexCode, PkexName, PushButton, Reach, Rotation,
        Unanswered,
    },
};
use crate::{
    book::Book,
    configurator::{AccessPoint, Configurator, NewCode, Push, Tenant},
    settings::{CredentialKind, CurveName},
};
use axum::{
    Json,
    extract::{Query, State},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{Curve, uri::Host};
use landfall_lifecycle::transfer::DppRole;
use landfall_types::{Fingerprint, OwnerId, SerialNumber};
use std::{sync::Arc, time::Duration};

/// The configurator, as each tenant has it; without secrets.
#[utoipa::path(
    get, path = "/v1/network/configurator", tag = "network",
    responses((status = 200, body = Vec<ConfiguratorView>), (status = 503, body = Problem))
)]
pub(super) async fn show(State(console): State<Arc<Console>>) -> Result<Json<Vec<ConfiguratorView>>, ApiError> {
    Ok(Json(console.configurator()?.tenants().map(|tenant| view(tenant)).collect()))
}

/// The devices that got no answer lately, and why; the latest first.
#[utoipa::path(
    get, path = "/v1/network/configurator/refused", tag = "network", params(Part),
    responses((status = 200, body = Vec<Unanswered>), (status = 503, body = Problem))
)]
pub(super) async fn refused(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Vec<Unanswered>>, ApiError> {
    let refused = console.configurator()?.refused().into_iter().take(part.limit());
    let refused = refused.map(|refused| Unanswered {
        tenant: refused.tenant.map(|tenant| tenant.to_string()),
        device: refused.device,
        from: refused.from,
        check: refused.refusal.check.to_string(),
        why: refused.refusal.detail,
        first: refused.first,
        last: refused.last,
        count: refused.count,
    });
    Ok(Json(refused.collect()))
}

/// Reaches out to a device, which waits at the host in its URI or is heard by an access point that listens.
#[utoipa::path(
    post, path = "/v1/network/configurator/reach", tag = "network", request_body = Reach,
    responses((status = 200, body = Count), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn reach(
    State(console): State<Arc<Console>>,
    Json(reach): Json<Reach>,
) -> Result<Json<Count>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, reach.tenant.as_deref())?;
    let by: Option<Host> = reach.by.as_deref().map(str::parse).transpose().map_err(ApiError::invalid)?;
    let hash = bootstrap_hash(&console, tenant, &reach.device)?;
    configurator.reach(&tenant.id, &hash, by).await.map_err(ApiError::conflict)?;
    Ok(Json(Count { count: 1 }))
}

/// Puts a new key in the place of the one that signs connectors; what the old one signed is believed until it ends.
#[utoipa::path(
    post, path = "/v1/network/configurator/rotate", tag = "network", request_body = Rotation,
    responses((status = 200, body = ConfiguratorView), (status = 404, body = Problem))
)]
pub(super) async fn rotate(
    State(console): State<Arc<Console>>,
    Json(rotation): Json<Rotation>,
) -> Result<Json<ConfiguratorView>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, rotation.tenant.as_deref())?;
    configurator.rotate(tenant).await.map_err(ApiError::internal)?;
    Ok(Json(view(tenant)))
}

/// The keys that sign and signed connectors, in an envelope for another configurator.
#[utoipa::path(
    post, path = "/v1/network/configurator/backup", tag = "network", request_body = NewBackup,
    responses((status = 200, body = Backup), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn backup(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewBackup>,
) -> Result<Json<Backup>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, new.tenant.as_deref())?;
    let envelope = configurator.backup(tenant, &new.passphrase.0).await.map_err(ApiError::conflict)?;
    Ok(Json(Backup { tenant: None, envelope: STANDARD.encode(envelope), passphrase: None }))
}

/// Takes in the keys of such an envelope; the latest of them signs connectors from now on.
#[utoipa::path(
    post, path = "/v1/network/configurator/restore", tag = "network", request_body = Backup,
    responses((status = 200, body = ConfiguratorView), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn restore(
    State(console): State<Arc<Console>>,
    Json(backup): Json<Backup>,
) -> Result<Json<ConfiguratorView>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, backup.tenant.as_deref())?;
    let envelope = STANDARD.decode(&backup.envelope).map_err(ApiError::invalid)?;
    let passphrase = backup.passphrase.ok_or_else(|| ApiError::invalid("an envelope has a passphrase"))?;
    configurator.restore(tenant, &envelope, &passphrase.0).await.map_err(ApiError::conflict)?;
    Ok(Json(view(tenant)))
}

/// Lets a configurator that the book has down as one get the keys that sign connectors, once and within ten minutes, when it asks
/// for them by Wi-Fi Easy Connect.
#[utoipa::path(
    post, path = "/v1/network/configurator/hand-over", tag = "network", request_body = HandOver,
    responses((status = 200, body = HandOverAllowed), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn hand_over(
    State(console): State<Arc<Console>>,
    Json(to): Json<HandOver>,
) -> Result<Json<HandOverAllowed>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, to.tenant.as_deref())?;
    let hash = bootstrap_hash(&console, tenant, &to.device)?;
    let until = configurator.allow_hand_over(tenant, &hash).await.map_err(ApiError::conflict)?;
    Ok(Json(HandOverAllowed { device: hash.to_string(), until }))
}

/// The codes by which devices are to be introduced; never the codes themselves.
#[utoipa::path(
    get, path = "/v1/network/configurator/pkex", tag = "network",
    responses((status = 200, body = Vec<PkexCode>), (status = 503, body = Problem))
)]
pub(super) async fn codes(State(console): State<Arc<Console>>) -> Result<Json<Vec<PkexCode>>, ApiError> {
    let configurator = console.configurator()?;
    let mut codes = Vec::new();
    for tenant in configurator.tenants() {
        codes.extend(configurator.codes(tenant)?.into_iter().map(code));
    }
    Ok(Json(codes))
}

/// Takes a code, by which one device that is expected can be introduced.
#[utoipa::path(
    post, path = "/v1/network/configurator/pkex", tag = "network", request_body = NewPkexCode,
    responses((status = 200, body = PkexCode), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn add_code(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewPkexCode>,
) -> Result<Json<PkexCode>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, new.tenant.as_deref())?;
    let new = NewCode {
        identifier: new.identifier,
        code: new.code.0,
        serial_number: new.serial_number.map(|text| text.parse()).transpose().map_err(ApiError::invalid)?,
        model: new.model.map(|text| text.parse()).transpose().map_err(ApiError::invalid)?,
        role: new.role.map(role).transpose()?,
    };
    Ok(Json(code(configurator.add_code(tenant, new).await.map_err(ApiError::conflict)?)))
}

/// Forgets a code: no device can be introduced by it any more.
#[utoipa::path(
    post, path = "/v1/network/configurator/pkex/remove", tag = "network", request_body = PkexName,
    responses((status = 200, body = Count), (status = 404, body = Problem))
)]
pub(super) async fn remove_code(
    State(console): State<Arc<Console>>,
    Json(name): Json<PkexName>,
) -> Result<Json<Count>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, name.tenant.as_deref())?;
    let removed = configurator.remove_code(tenant, name.identifier.as_deref()).await;
    match removed.map_err(|failure| ApiError::internal(failure.why))? {
        true => Ok(Json(Count { count: 1 })),
        false => Err(ApiError::not_found("code with this identifier")),
    }
}

/// Pushes the button: the one device whose own button is pushed at the same time is taken in. The answer comes once it is
/// configured, or says why none was.
#[utoipa::path(
    post, path = "/v1/network/configurator/push-button", tag = "network", request_body = PushButton,
    responses((status = 200, body = Introduced), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn push_button(
    State(console): State<Arc<Console>>,
    Json(push): Json<PushButton>,
) -> Result<Json<Introduced>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, push.tenant.as_deref())?;
    let curve = match push.curve {
        None => Curve::P256,
        Some(name) => CurveName::try_from(name).map_err(ApiError::invalid)?.0,
    };
    let push = Push {
        curve,
        serial_number: push.serial_number.map(|text| text.parse()).transpose().map_err(ApiError::invalid)?,
        model: push.model.map(|text| text.parse()).transpose().map_err(ApiError::invalid)?,
        role: push.role.map(role).transpose()?,
    };
    let device = configurator.push(tenant, push).await.map_err(ApiError::conflict)?;
    Ok(Json(Introduced { device }))
}

fn role(word: String) -> Result<DppRole, ApiError> {
    DppRole::named(&word).ok_or_else(|| ApiError::invalid(format_args!("{word:?} is no role in a network")))
}

fn code(code: crate::configurator::PkexCode) -> PkexCode {
    PkexCode {
        dead: code.is_dead(),
        tenant: code.tenant.to_string(),
        identifier: code.identifier,
        serial_number: code.serial_number.map(|serial| serial.to_string()),
        model: code.model.map(|model| model.to_string()),
        made: code.made,
        failures: code.failures,
        device: code.device.map(|hash| hash.to_string()),
    }
}

/// The files for an access point. They hold secrets, and are meant for its disk and nobody's eyes.
#[utoipa::path(
    post, path = "/v1/network/configurator/access-point", tag = "network", request_body = NewAccessPoint,
    responses((status = 200, body = Vec<AccessPointFile>), (status = 422, body = Problem))
)]
pub(super) async fn access_point(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewAccessPoint>,
) -> Result<Json<Vec<AccessPointFile>>, ApiError> {
    let configurator = console.configurator()?;
    let tenant = tenant(configurator, new.tenant.as_deref())?;
    // These go into lines of hostapd's settings, each of which must stay one.
    for text in [&new.name, &new.interface, &new.folder] {
        if text.chars().any(char::is_control) {
            return Err(ApiError::invalid(format_args!("{text:?} holds a control character")));
        }
    }
    let radius = match &new.radius {
        None => None,
        Some(text) => {
            let address: std::net::SocketAddr = text.parse().map_err(ApiError::invalid)?;
            Some((address.ip(), address.port()))
        }
    };
    let access_point = AccessPoint {
        name: new.name,
        interface: new.interface,
        controller: new.controller.parse().map_err(ApiError::invalid)?,
        radius,
        lasting: new.days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
    };
    let now = console.world.clock.now();
    let files = configurator.access_point(tenant, &access_point, &new.folder, now).map_err(ApiError::internal)?;
    Ok(Json(files.into_iter().map(|file| AccessPointFile { name: file.name, content: file.content }).collect()))
}

fn tenant<'a>(configurator: &'a Configurator, name: Option<&str>) -> Result<&'a Arc<Tenant>, ApiError> {
    let id: OwnerId = match name {
        None => configurator.own().clone(),
        Some(name) => name.parse().map_err(ApiError::invalid)?,
    };
    configurator.tenant(&id).ok_or_else(|| ApiError::not_found(format_args!("tenant {id}")))
}

/// The only device of that serial number in the tenant's book, or the one whose hash it is.
fn bootstrap_hash(console: &Console, tenant: &Tenant, name: &str) -> Result<Fingerprint, ApiError> {
    if let Ok(hash) = name.parse::<Fingerprint>() {
        return Ok(hash);
    }
    let serial: SerialNumber = name.parse().map_err(ApiError::invalid)?;
    let mut found = Book::of(&console.world.store).by_serial(&tenant.id, &serial, 2)?;
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(only.bootstrap_hash),
        (Some(_), Some(_)) => {
            Err(ApiError::conflict(format_args!("several devices have the serial number {serial}: say the key's hash")))
        }
        (None, _) => Err(ApiError::not_found(format_args!("device {serial} in the book"))),
    }
}

fn view(tenant: &Tenant) -> ConfiguratorView {
    let keys = tenant.uris().map(|(curve, uri, hash)| BootstrapKey {
        curve: curve.name().into(),
        uri: uri.to_string(),
        hash: hash.to_string(),
    });
    let network = |network: &crate::configurator::Network| NetworkView {
        ssid: network.ssid.clone(),
        kind: CredentialKind(network.akm).to_string(),
    };
    ConfiguratorView {
        tenant: tenant.id.to_string(),
        keys: keys.collect(),
        signers: tenant.signers(),
        networks: tenant.networks.iter().map(network).collect(),
    }
}
