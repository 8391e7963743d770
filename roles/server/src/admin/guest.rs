//! Network (SP 1800-36B 4.2, note): devices that somebody else owns, and that may be here.

use super::{
    ApiError, Console, Problem,
    network::OPERATOR,
    view::{GuestView, NewGuest, Note},
};
use axum::{
    Json,
    extract::{Path, State},
};
use landfall_lifecycle::network::{GuestPermit, Revocation};
use landfall_types::{SerialNumber, VendorId};
use std::{sync::Arc, time::Duration};

/// As many are shown as anyone looks at.
const MOST: usize = 10_000;

/// The devices that somebody else owns and that are or were permitted here.
#[utoipa::path(
    get, path = "/v1/network/guests", tag = "network",
    responses((status = 200, body = Vec<GuestView>), (status = 503, body = Problem))
)]
pub(super) async fn guests(State(console): State<Arc<Console>>) -> Result<Json<Vec<GuestView>>, ApiError> {
    let (found, now) = (console.world.store.scan::<GuestPermit>(None, MOST)?, console.world.clock.now());
    Ok(Json(found.into_iter().map(|found| view(found.record, now)).collect()))
}

/// Permits a device that somebody else owns to come in with its manufacturer's certificate, for some time.
#[utoipa::path(
    post, path = "/v1/network/guests", tag = "network", request_body = NewGuest,
    responses((status = 200, body = GuestView), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn permit(
    State(console): State<Arc<Console>>,
    Json(new): Json<NewGuest>,
) -> Result<Json<GuestView>, ApiError> {
    console.access()?;
    let (vendor, serial_number) = named(&new.vendor, &new.serial_number)?;
    if console.registrar()?.vendors().find(&vendor).is_none() {
        return Err(ApiError::invalid(format_args!("{vendor} is not in [[registrar.vendor]]")));
    }
    if new.days == 0 {
        return Err(ApiError::invalid("for no time at all nobody needs a permission"));
    }
    let at = console.world.clock.now();
    let until = at + Duration::from_secs(u64::from(new.days) * 86_400);
    let (by, why) = (OPERATOR.into(), new.reason);
    let permit = GuestPermit { vendor, serial_number, at, by, why, until, seen: None, ended: None };
    console.world.store.commit(permit.begun()?).await?;
    Ok(Json(view(permit, at)))
}

/// Takes that back: the device is put out at once.
#[utoipa::path(
    post, path = "/v1/network/guests/{vendor}/{serial}/end", tag = "network", request_body = Note,
    params(("vendor" = String, Path), ("serial" = String, Path)),
    responses((status = 200, body = GuestView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn end(
    State(console): State<Arc<Console>>,
    Path((vendor, serial)): Path<(String, String)>,
    Json(note): Json<Note>,
) -> Result<Json<GuestView>, ApiError> {
    let (vendor, serial) = named(&vendor, &serial)?;
    let (key, at) = (GuestPermit::key_of(&vendor, &serial), console.world.clock.now());
    let found = console.world.store.find::<GuestPermit>(&key)?;
    let permit = found.ok_or_else(|| ApiError::not_found(format_args!("permission for {key}")))?.record;
    if permit.ended.is_some() {
        return Err(ApiError::conflict(format_args!("the permission for {key} has been taken back already")));
    }
    let end = Revocation { at, by: OPERATOR.into(), why: note.reason };
    console.world.store.commit(permit.clone().ended(end.clone())?).await?;
    // Whoever is inside by it is put out by what the log says.
    Ok(Json(view(GuestPermit { ended: Some(end), ..permit }, at)))
}

fn named(vendor: &str, serial: &str) -> Result<(VendorId, SerialNumber), ApiError> {
    Ok((vendor.parse().map_err(ApiError::invalid)?, serial.parse().map_err(ApiError::invalid)?))
}

fn view(permit: GuestPermit, now: landfall_types::Time) -> GuestView {
    GuestView {
        good: permit.is_good(now),
        vendor: permit.vendor.to_string(),
        serial_number: permit.serial_number.to_string(),
        since: permit.at,
        until: permit.until,
        by: permit.by,
        reason: permit.why,
        seen: permit.seen.map(|(_, at)| at),
        ended: permit.ended.map(|ended| ended.why),
    }
}
