//! Verification (SP 1800-36B 4.5): where the network and the system in which the owner keeps what there is do not agree.

use super::{ApiError, Console, Problem, view::AssetsView};
use crate::assets::Assets;
use axum::{Json, extract::State};
use std::sync::Arc;

/// Devices that were discovered and not onboarded, onboarded and not seen, and others about which the two do not agree, as it was
/// found the last time.
#[utoipa::path(
    get, path = "/v1/verification/assets", tag = "verification",
    responses((status = 200, body = AssetsView), (status = 404, body = Problem))
)]
pub(super) async fn show(State(console): State<Arc<Console>>) -> Result<Json<AssetsView>, ApiError> {
    Ok(Json(AssetsView { report: assets(&console)?.report() }))
}

/// Holds both against each other now: what the asset system says is taken in, and how devices stand is written there if the settings
/// say so.
#[utoipa::path(
    post, path = "/v1/verification/assets/synchronize", tag = "verification",
    responses((status = 200, body = AssetsView), (status = 404, body = Problem), (status = 502, body = Problem))
)]
pub(super) async fn synchronize(State(console): State<Arc<Console>>) -> Result<Json<AssetsView>, ApiError> {
    let report = assets(&console)?.synchronize().await.map_err(ApiError::upstream)?;
    Ok(Json(AssetsView { report }))
}

fn assets(console: &Console) -> Result<&Assets, ApiError> {
    let missing = || ApiError::not_found("asset system in the settings (authorizer.assets)");
    console.assets.as_deref().ok_or_else(missing)
}
