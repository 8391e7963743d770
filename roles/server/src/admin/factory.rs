//! Factory (SP 1800-36B 4.1): the manufacturer's records of the devices that were made.

use super::{
    ApiError, Console, Problem,
    view::{Count, MadeDevice, Page, Part},
};
use crate::factory;
use axum::{
    Json,
    extract::{Query, State},
};
use landfall_lifecycle::factory::FactoryDevice;
use serde_json::Value;
use std::sync::Arc;

/// The most records that one request brings.
const MOST: usize = 1000;

/// The devices that were made.
#[utoipa::path(
    get, path = "/v1/factory/devices", tag = "factory", params(Part),
    responses((status = 200, body = Page<MadeDevice>))
)]
pub(super) async fn devices(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<MadeDevice>>, ApiError> {
    let found = console.world.store.scan::<FactoryDevice>(part.after.as_deref(), part.limit())?;
    let items = found.into_iter().map(|found| view(&found.record)).collect();
    Ok(Json(Page::of(items, part.limit(), |device: &MadeDevice| device.serial_number.clone())))
}

/// Takes records from a factory that runs elsewhere, in the form in which `landfall factory export` writes them; what
/// is there already must be the same, or become void. At most 1000 at a time.
#[utoipa::path(
    post, path = "/v1/factory/devices", tag = "factory", request_body = Vec<Object>,
    responses((status = 200, body = Count), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn import(
    State(console): State<Arc<Console>>,
    Json(records): Json<Vec<Value>>,
) -> Result<Json<Count>, ApiError> {
    if records.len() > MOST {
        return Err(ApiError::invalid(format_args!(
            "{} records are more than the {MOST} of one request",
            records.len()
        )));
    }
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    let store = console.world.store.clone();
    let taken = tokio::task::spawn_blocking(move || factory::import(&store, &mut lines.join("\n").as_bytes()));
    let count = taken.await.map_err(ApiError::internal)?.map_err(ApiError::conflict)?;
    Ok(Json(Count { count }))
}

fn view(device: &FactoryDevice) -> MadeDevice {
    MadeDevice {
        serial_number: device.serial_number.to_string(),
        device: device.device.to_string(),
        model: device.model.to_string(),
        made: device.made,
        void: device.void.as_ref().map(|void| void.why.clone()),
    }
}
