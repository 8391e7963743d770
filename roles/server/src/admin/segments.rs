//! Network (SP 1800-36B 3.3.2, 4.5): the parts of the network on this machine, and devices that are not trusted now.

use super::{
    ApiError, Console, Problem,
    network::{OPERATOR, find, shown},
    view::{Device, FlowSources, Note, Segments, Usage, Violations},
};
use axum::{
    Json,
    extract::{Path, State},
};
use landfall_lifecycle::network::Quarantine;
use landfall_types::Changes;
use std::sync::Arc;

/// The parts of the network on this machine's bridges, and who is behind which port.
#[utoipa::path(
    get, path = "/v1/network/segments", tag = "network",
    responses((status = 200, body = Segments), (status = 503, body = Problem))
)]
pub(super) async fn show(State(console): State<Arc<Console>>) -> Result<Json<Segments>, ApiError> {
    Ok(Json(console.enforcer()?.view().await))
}

/// What devices did against what their manufacturers say, and was dropped.
#[utoipa::path(
    get, path = "/v1/network/violations", tag = "network",
    responses((status = 200, body = Violations), (status = 503, body = Problem))
)]
pub(super) async fn violations(State(console): State<Arc<Console>>) -> Result<Json<Violations>, ApiError> {
    Ok(Json(console.enforcer()?.violations().await))
}

/// Who may speak with whom on this machine's bridges, by whose word, and where that word came from (RFC 8520).
#[utoipa::path(
    get, path = "/v1/network/mud", tag = "network",
    responses((status = 200, body = Usage), (status = 503, body = Problem))
)]
pub(super) async fn usage(State(console): State<Arc<Console>>) -> Result<Json<Usage>, ApiError> {
    Ok(Json(console.enforcer()?.usage().await))
}

/// Who tells of flows of devices elsewhere, what was refused and why, and what was lost.
#[utoipa::path(
    get, path = "/v1/verification/flows", tag = "verification",
    responses((status = 200, body = FlowSources), (status = 503, body = Problem))
)]
pub(super) async fn flows(State(console): State<Arc<Console>>) -> Result<Json<FlowSources>, ApiError> {
    Ok(Json(console.enforcer()?.flow_sources()))
}

/// Puts a device into quarantine: at once where it is, and whenever it comes in from now on.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/quarantine", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn quarantine(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    let id = find(&console, &name)?;
    let (at, by, why) = (console.world.clock.now(), OPERATOR.into(), note.reason);
    let quarantine = Quarantine { device: id, at, by, why };
    place(&console, &name, Changes::new().put(&quarantine)?.and(quarantine.begun()?)).await
}

/// Takes a device out of quarantine.
#[utoipa::path(
    post, path = "/v1/network/devices/{device}/release", tag = "network", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Device), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn release(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(note): Json<Note>,
) -> Result<Json<Device>, ApiError> {
    let id = find(&console, &name)?;
    let found = console.world.store.find::<Quarantine>(id.as_str())?;
    let quarantine = found.ok_or_else(|| ApiError::conflict(format_args!("{name} is not in quarantine")))?.record;
    let ended = quarantine.ended(console.world.clock.now(), OPERATOR, &note.reason)?;
    place(&console, &name, Changes::new().delete::<Quarantine>(id.as_str()).and(ended)).await
}

/// Writes it down, and places the device anew wherever it is.
async fn place(console: &Console, name: &str, changes: Changes) -> Result<Json<Device>, ApiError> {
    let access = console.access()?.clone();
    let id = find(console, name)?;
    console.world.store.commit(changes).await?;
    access.place_anew(&id).await;
    shown(console, id.as_str()).map(Json)
}
