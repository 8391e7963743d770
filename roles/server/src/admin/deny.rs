//! Verification (SP 1800-36B 4.5): deny lists, and who is forgiven for having been in contact with what is on them.

use super::{
    ApiError, Console, Problem,
    verification::who,
    view::{DenyListAdded, DenyListShown, DenyListView, Forgiven, Note, ProposedDenyList},
};
use crate::deny::{ListRecord, Lists};
use axum::{
    Json,
    extract::{Path, State},
};
use landfall_behaviour::Format;
use landfall_types::{Fault, Refusal};
use std::sync::Arc;

/// So many entries of a list are shown.
const SHOWN: usize = 1000;

/// The deny lists: from where, how old, and what is wrong with them.
#[utoipa::path(
    get, path = "/v1/verification/deny-lists", tag = "verification",
    responses((status = 200, body = Vec<DenyListView>), (status = 503, body = Problem))
)]
pub(super) async fn lists(State(console): State<Arc<Console>>) -> Result<Json<Vec<DenyListView>>, ApiError> {
    let lists = console.deny_lists()?;
    Ok(Json(lists.all().iter().map(|record| view(lists, record)).collect()))
}

/// Takes in a list, in the place of one of that name that was added before; devices are watched for what is on it when this is
/// answered.
#[utoipa::path(
    post, path = "/v1/verification/deny-lists", tag = "verification", request_body = ProposedDenyList,
    responses((status = 200, body = DenyListAdded), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn add(
    State(console): State<Arc<Console>>,
    Json(proposed): Json<ProposedDenyList>,
) -> Result<Json<DenyListAdded>, ApiError> {
    let lists = console.deny_lists()?;
    let ProposedDenyList { name, format, text } = proposed;
    let format: Format = format.parse().map_err(|why: Refusal| ApiError::invalid(why))?;
    if format == Format::Taxii {
        return Err(ApiError::invalid("a server of TAXII is asked if it is in the settings"));
    }
    let record = lists.add(&name, format, text.as_bytes()).await.map_err(refused)?;
    if let Some(enforcer) = &console.enforcer {
        enforcer.watch_for_denied().await.map_err(ApiError::internal)?;
    }
    Ok(Json(DenyListAdded { left_out: record.left_out.clone(), list: view(lists, &record) }))
}

/// One list, with the first thousand of what is on it.
#[utoipa::path(
    get, path = "/v1/verification/deny-lists/{list}", tag = "verification", params(("list" = String, Path)),
    responses((status = 200, body = DenyListShown), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Result<Json<DenyListShown>, ApiError> {
    let lists = console.deny_lists()?;
    let record = lists.find(&name).ok_or_else(|| missing(&name))?;
    let list = view(lists, &record);
    let ListRecord { mut entries, left_out, .. } = record;
    entries.truncate(SHOWN);
    Ok(Json(DenyListShown { list, entries, left_out }))
}

/// Takes away a list that was added; what devices did against it speaks against them no more.
#[utoipa::path(
    post, path = "/v1/verification/deny-lists/{list}/remove", tag = "verification", request_body = Note,
    params(("list" = String, Path)),
    responses((status = 200, body = DenyListView), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn remove(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(_): Json<Note>,
) -> Result<Json<DenyListView>, ApiError> {
    let lists = console.deny_lists()?;
    let record = lists.remove(&name).await.map_err(refused)?.ok_or_else(|| missing(&name))?;
    Ok(Json(view(lists, &record)))
}

/// Forgives a device what it was in contact with.
#[utoipa::path(
    post, path = "/v1/verification/devices/{device}/forgive", tag = "verification", request_body = Note,
    params(("device" = String, Path)),
    responses((status = 200, body = Forgiven), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn forgive(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(_): Json<Note>,
) -> Result<Json<Forgiven>, ApiError> {
    let authorizer = console.authorizer()?;
    let device = who(&console, &authorizer, &name)?;
    Ok(Json(Forgiven { lists: console.deny_lists()?.forgive(&device).await.map_err(refused)? }))
}

fn view(lists: &Lists, record: &ListRecord) -> DenyListView {
    DenyListView {
        name: record.name.clone(),
        origin: record.origin,
        format: record.format.clone(),
        entries: record.entries.len(),
        left_out: record.left_out_count,
        taken: record.taken,
        fresh_until: lists.fresh_until(record),
        tried: record.tried,
        trouble: record.trouble.clone(),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::not_found(format_args!("deny list {name:?}"))
}

fn refused(why: Refusal) -> ApiError {
    match why.fault {
        Fault::Malformed | Fault::Misuse => ApiError::invalid(why),
        Fault::Denied => ApiError::conflict(why),
        _ => ApiError::internal(why),
    }
}
