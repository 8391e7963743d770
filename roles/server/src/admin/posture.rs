//! Verification (SP 1800-36B 4.5): what is brought of devices' software, and of what others assert.

use super::{
    ApiError, Console, Problem,
    network::{OPERATOR, find},
    verification::refused,
    view::{
        Count, CredentialBrought, CredentialShown, CredentialTaken, CredentialWithdrawn, FeedsShown, PublishedShown,
        SbomId, SbomOf, SbomShown, VexId, VexShown,
    },
};
use crate::authorizer::{BUNDLE, Brought, Scope};
use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::{Path, Query, State},
};
use landfall_software::bounds;
use std::sync::Arc;

/// Takes in a list of components (CycloneDX or SPDX, in JSON), which is the body: of one device, or of a manufacturer's model.
/// What follows is durable and in effect when this is answered.
#[utoipa::path(
    post, path = "/v1/verification/sboms", tag = "verification", params(SbomOf),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = SbomShown), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn add_sbom(
    State(console): State<Arc<Console>>,
    Query(of): Query<SbomOf>,
    body: Body,
) -> Result<Json<SbomShown>, ApiError> {
    let authorizer = console.authorizer()?;
    let scope = match (&of.device, &of.vendor, &of.model) {
        (Some(device), None, None) => Scope::Device(device_id(&console, device)?),
        (None, Some(vendor), Some(model)) => Scope::DeviceType(format!("{vendor}/{model}")),
        _ => return Err(ApiError::invalid("it is of one `device`, or of a `vendor` and its `model`")),
    };
    let document = whole(body, bounds::SBOM).await?;
    let report = authorizer.add_sbom(scope, of.firmware, &document, OPERATOR.into()).await.map_err(refused)?;
    Ok(Json(SbomShown { report }))
}

/// The lists of components, without what was found in them.
#[utoipa::path(
    get, path = "/v1/verification/sboms", tag = "verification",
    responses((status = 200, body = Vec<SbomShown>), (status = 503, body = Problem))
)]
pub(super) async fn sboms(State(console): State<Arc<Console>>) -> Result<Json<Vec<SbomShown>>, ApiError> {
    Ok(Json(console.authorizer()?.sboms().into_iter().map(|report| SbomShown { report }).collect()))
}

/// The lists that manufacturers' files name (RFC 9472), with what became of asking for each.
#[utoipa::path(
    get, path = "/v1/verification/sboms/published", tag = "verification",
    responses((status = 200, body = Vec<PublishedShown>), (status = 503, body = Problem))
)]
pub(super) async fn published(State(console): State<Arc<Console>>) -> Result<Json<Vec<PublishedShown>>, ApiError> {
    Ok(Json(console.authorizer()?.published_sboms().into_iter().map(|record| PublishedShown { record }).collect()))
}

/// One list of components, by its id or by a device: each vulnerability with its component, since when it is mended, and the
/// feeds that tell of it.
#[utoipa::path(
    get, path = "/v1/verification/sboms/{id}", tag = "verification", params(("id" = String, Path)),
    responses((status = 200, body = SbomShown), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn sbom(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Json<SbomShown>, ApiError> {
    let authorizer = console.authorizer()?;
    let found = authorizer.sbom(&id).or_else(|| authorizer.sbom_of(&device_id(&console, &id).ok()?));
    let report = found.ok_or_else(|| ApiError::not_found(format_args!("list of components {id:?}")))?;
    Ok(Json(SbomShown { report }))
}

/// Removes a list of components.
#[utoipa::path(
    post, path = "/v1/verification/sboms/remove", tag = "verification", request_body = SbomId,
    responses((status = 200, body = Count), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn remove_sbom(
    State(console): State<Arc<Console>>,
    Json(which): Json<SbomId>,
) -> Result<Json<Count>, ApiError> {
    match console.authorizer()?.remove_sbom(&which.id).await.map_err(refused)? {
        true => Ok(Json(Count { count: 1 })),
        false => Err(ApiError::not_found(format_args!("list of components {:?}", which.id))),
    }
}

/// Takes in statements that vulnerabilities apply to products, or do not (OpenVEX, CSAF or CycloneDX, in JSON), which are the body. What
/// follows is durable and in effect when this is answered.
#[utoipa::path(
    post, path = "/v1/verification/vex", tag = "verification",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = VexShown), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn add_vex(State(console): State<Arc<Console>>, body: Body) -> Result<Json<VexShown>, ApiError> {
    let authorizer = console.authorizer()?;
    let document = whole(body, bounds::SBOM).await?;
    let record = authorizer.add_vex(&document, OPERATOR.into()).await.map_err(refused)?;
    Ok(Json(VexShown { record }))
}

/// The documents of such statements that were brought.
#[utoipa::path(
    get, path = "/v1/verification/vex", tag = "verification",
    responses((status = 200, body = Vec<VexShown>), (status = 503, body = Problem))
)]
pub(super) async fn vex(State(console): State<Arc<Console>>) -> Result<Json<Vec<VexShown>>, ApiError> {
    Ok(Json(console.authorizer()?.vex().into_iter().map(|record| VexShown { record }).collect()))
}

/// Removes a document of such statements: what it said does not count any more.
#[utoipa::path(
    post, path = "/v1/verification/vex/remove", tag = "verification", request_body = VexId,
    responses((status = 200, body = Count), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn remove_vex(
    State(console): State<Arc<Console>>,
    Json(which): Json<VexId>,
) -> Result<Json<Count>, ApiError> {
    match console.authorizer()?.remove_vex(&which.id).await.map_err(refused)? {
        true => Ok(Json(Count { count: 1 })),
        false => Err(ApiError::not_found(format_args!("document of statements {:?}", which.id))),
    }
}

/// Takes over a bundle of feeds that its publisher has signed (TUF): the body, an archive as tar makes it. If anything is
/// wrong with it, the last one stays.
#[utoipa::path(
    post, path = "/v1/verification/feeds", tag = "verification",
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses((status = 200, body = FeedsShown), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn import_feeds(
    State(console): State<Arc<Console>>,
    body: Body,
) -> Result<Json<FeedsShown>, ApiError> {
    let authorizer = console.authorizer()?;
    let bundle = whole(body, BUNDLE).await?;
    let report = authorizer.import_feeds(bundle, OPERATOR.into()).await.map_err(refused)?;
    Ok(Json(FeedsShown { report: Some(report) }))
}

/// The feeds that are used, with their ages.
#[utoipa::path(
    get, path = "/v1/verification/feeds", tag = "verification",
    responses((status = 200, body = FeedsShown), (status = 503, body = Problem))
)]
pub(super) async fn feeds(State(console): State<Arc<Console>>) -> Result<Json<FeedsShown>, ApiError> {
    Ok(Json(FeedsShown { report: console.authorizer()?.feeds() }))
}

/// Takes in a credential (W3C VC 2.0 as a JWT), or its issuer's list of which are revoked (Bitstring Status List).
#[utoipa::path(
    post, path = "/v1/verification/credentials", tag = "verification", request_body = CredentialBrought,
    responses((status = 200, body = CredentialTaken), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn add_credential(
    State(console): State<Arc<Console>>,
    Json(brought): Json<CredentialBrought>,
) -> Result<Json<CredentialTaken>, ApiError> {
    let taken = console.authorizer()?.add_credential(&brought.jwt, OPERATOR.into()).await.map_err(refused)?;
    Ok(Json(match taken {
        Brought::Credential(report, devices) => {
            CredentialTaken { credential: Some(*report), devices, status_list: None }
        }
        Brought::StatusList(url) => CredentialTaken { credential: None, devices: 0, status_list: Some(url) },
    }))
}

/// The credentials, and how each of them stands now.
#[utoipa::path(
    get, path = "/v1/verification/credentials", tag = "verification",
    responses((status = 200, body = Vec<CredentialShown>), (status = 503, body = Problem))
)]
pub(super) async fn credentials(State(console): State<Arc<Console>>) -> Result<Json<Vec<CredentialShown>>, ApiError> {
    let reports = console.authorizer()?.credential_reports();
    Ok(Json(reports.into_iter().map(|report| CredentialShown { report }).collect()))
}

/// Takes a credential back at once, whoever has issued it.
#[utoipa::path(
    post, path = "/v1/verification/credentials/revoke", tag = "verification", request_body = CredentialWithdrawn,
    responses((status = 200, body = Count), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn revoke_credential(
    State(console): State<Arc<Console>>,
    Json(which): Json<CredentialWithdrawn>,
) -> Result<Json<Count>, ApiError> {
    let CredentialWithdrawn { id, reason } = which;
    match console.authorizer()?.withdraw_credential(&id, OPERATOR.into(), reason).await.map_err(refused)? {
        0 => Err(ApiError::not_found(format_args!("credential {id:?} that counts"))),
        count => Ok(Json(Count { count: count as u64 })),
    }
}

/// The device that is meant: one on record, or one that is known by facts alone.
fn device_id(console: &Console, name: &str) -> Result<landfall_types::DeviceId, ApiError> {
    let authorizer = console.authorizer()?;
    match name.parse() {
        Ok(id) if authorizer.view(&id).is_some() => Ok(id),
        _ => find(console, name),
    }
}

async fn whole(body: Body, longest: usize) -> Result<Bytes, ApiError> {
    let too_long = |_| ApiError::invalid(format_args!("the body was cut off, or has more than {longest} octets"));
    to_bytes(body, longest).await.map_err(too_long)
}
