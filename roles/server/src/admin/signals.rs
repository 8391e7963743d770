//! Verification (SP 1800-36B 4.5): who is told what becomes of devices, and who tells.

use super::{ApiError, Console, Problem, view::SignalsView};
use crate::RoleName;
use axum::{Json, extract::State};
use std::sync::Arc;

/// How those stand who are told what becomes of devices, and those whose word of them counts.
#[utoipa::path(
    get, path = "/v1/verification/signals", tag = "verification",
    responses((status = 200, body = SignalsView), (status = 503, body = Problem))
)]
pub(super) async fn show(State(console): State<Arc<Console>>) -> Result<Json<SignalsView>, ApiError> {
    let told = console.signals.as_ref().ok_or_else(|| ApiError::no_role(RoleName::Authorizer))?;
    Ok(Json(SignalsView { receivers: told.receivers()?, sources: told.sources() }))
}
