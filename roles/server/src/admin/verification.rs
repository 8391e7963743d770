//! Verification (SP 1800-36B 4.5): what is known of devices, what policy makes of it, and the policy itself.

use super::{
    ApiError, Console, Problem,
    network::{OPERATOR, find},
    serve::Caller,
    server::lines,
    view::{
        BrakedSource, Decided, Examined, Facts, FactsTaken, LookedAt, Operation, Page, Part, PolicyInForce,
        PolicyReplay, PolicyTrial, ProposedPolicy, RollBack, Ruled, SourceJudged, Statement, Verified,
    },
};
use crate::authorizer::{Authorizer, DECISION_LOG, Joining};
use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use landfall_assurance::{Fact, Level, Question};
use landfall_lifecycle::network::DomainDevice;
use landfall_types::{DeviceId, Fault, Refusal};
use std::sync::Arc;

/// Takes facts in from whoever finds them out; what follows is durable and in effect when this is answered.
#[utoipa::path(
    post, path = "/v1/verification/facts", tag = "verification", request_body = Facts,
    responses((status = 200, body = FactsTaken), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn tell(
    State(console): State<Arc<Console>>,
    Json(told): Json<Facts>,
) -> Result<Json<FactsTaken>, ApiError> {
    let taken = told.facts.len();
    let news = console.authorizer()?.assert(told.facts).await.map_err(refused)?;
    Ok(Json(FactsTaken { taken, news }))
}

/// Takes in what an operator says of a device.
#[utoipa::path(
    post, path = "/v1/verification/devices/{device}/facts", tag = "verification", request_body = Statement,
    params(("device" = String, Path)),
    responses((status = 200, body = FactsTaken), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn state(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(said): Json<Statement>,
) -> Result<Json<FactsTaken>, ApiError> {
    let authorizer = console.authorizer()?;
    let Statement { kind, value, expires } = said;
    let fact = Fact {
        subject: who(&console, &authorizer, &name)?,
        kind,
        value,
        source: "operator".into(),
        issuer: None,
        at: console.world.clock.now(),
        expires,
        verifier: "admin".into(),
    };
    let news = authorizer.assert(vec![fact]).await.map_err(refused)?;
    Ok(Json(FactsTaken { taken: 1, news }))
}

/// How devices stand; `state` is a level, such as `quarantine`.
#[utoipa::path(
    get, path = "/v1/verification/devices", tag = "verification", params(Part),
    responses((status = 200, body = Page<Verified>), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn devices(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<Verified>>, ApiError> {
    let level: Option<Level> = part.state.as_deref().map(str::parse).transpose().map_err(ApiError::invalid)?;
    let views = console.authorizer()?.views(part.after.as_deref(), part.limit(), level);
    let items = views.into_iter().filter_map(|view| {
        let assessment = view.assessment?;
        let serial = console.world.store.find::<DomainDevice>(assessment.device.as_str()).ok().flatten();
        let serial = serial.map(|found| found.record.identity.serial_number.to_string());
        Some(Verified::of(&assessment, view.background.tier.to_string(), serial))
    });
    Ok(Json(Page::of(items.collect(), part.limit(), |device: &Verified| device.device.clone())))
}

/// One device: what is known of it, how it stands, and what policy says now.
#[utoipa::path(
    get, path = "/v1/verification/devices/{device}", tag = "verification", params(("device" = String, Path)),
    responses((status = 200, body = Examined), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn device(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Result<Json<Examined>, ApiError> {
    let authorizer = console.authorizer()?;
    let id = who(&console, &authorizer, &name)?;
    let view = authorizer.view(&id).ok_or_else(|| ApiError::not_found(format_args!("device {name:?} here")))?;
    let (ruling, _) = authorizer.rule(&id, Question::Stay);
    Ok(Json(Examined { view, ruling, software: authorizer.sbom_of(&id) }))
}

/// Whether a device may do something that not every device may; the answer goes to the log.
#[utoipa::path(
    post, path = "/v1/verification/devices/{device}/operate", tag = "verification", request_body = Operation,
    params(("device" = String, Path)),
    responses((status = 200, body = Ruled), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn operate(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Json(wanted): Json<Operation>,
) -> Result<Json<Ruled>, ApiError> {
    let authorizer = console.authorizer()?;
    if !(1..=128).contains(&wanted.operation.len()) {
        return Err(ApiError::invalid("an operation has a name of 1 to 128 octets"));
    }
    let id = who(&console, &authorizer, &name)?;
    let ruling = authorizer.rule_for_good(&id, Question::Operate(wanted.operation)).await.map_err(refused)?;
    Ok(Json(Ruled { ruling, policy: authorizer.policy().0 }))
}

/// Whether a device may join, by what is known here and by what whoever asks has found out: another authorizer, before which this one
/// stands (SP 1800-36B 4.5, step 5b). The answer goes to the log; `level` says how far, and below `remediation` it does not join. Served
/// at `[authorizer.questions]` too, and nothing else there.
#[utoipa::path(
    post, path = "/v1/verification/join", tag = "verification", request_body = Joining,
    responses(
        (status = 200, body = Ruled), (status = 422, body = Problem), (status = 503, body = Problem),
        (status = 508, description = "The question has been here before", body = Problem)
    )
)]
pub(super) async fn join(
    State(console): State<Arc<Console>>,
    caller: Option<Extension<Caller>>,
    Json(mut joining): Json<Joining>,
) -> Result<Json<Ruled>, ApiError> {
    let caller = caller.map_or_else(|| OPERATOR.to_owned(), |Extension(Caller(name))| name);
    // Nobody speaks for a source of our own: of several sources the worst counts.
    for fact in &mut joining.facts {
        fact.source = format!("{caller}: {}", fact.source);
    }
    let ruled = console.authorizer()?.join_after(joining).await;
    let (ruling, policy) = ruled.map_err(|why| match why.check.as_ref() {
        "network-layer-loop" => ApiError::new(StatusCode::LOOP_DETECTED, why),
        _ => refused(why),
    })?;
    Ok(Json(Ruled { ruling, policy }))
}

/// The decisions, the oldest first, with their facts; `after` is a number.
#[utoipa::path(
    get, path = "/v1/verification/decisions", tag = "verification", params(Part),
    responses((status = 200, body = Page<Decided>), (status = 503, body = Problem))
)]
pub(super) async fn decisions(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<Decided>>, ApiError> {
    console.authorizer()?;
    let lines = lines(&console, DECISION_LOG, &part)?;
    let items = lines.items.into_iter().map(|line| {
        serde_json::from_value(line.entry).map(|decision| Decided { decision }).map_err(ApiError::internal)
    });
    Ok(Json(Page { items: items.collect::<Result<_, _>>()?, next: lines.next }))
}

/// The policy in force, and the versions that were.
#[utoipa::path(
    get, path = "/v1/verification/policy", tag = "verification",
    responses((status = 200, body = PolicyInForce), (status = 503, body = Problem))
)]
pub(super) async fn policy(State(console): State<Arc<Console>>) -> Result<Json<PolicyInForce>, ApiError> {
    let authorizer = console.authorizer()?;
    let (version, text) = authorizer.policy();
    Ok(Json(PolicyInForce { version, text, versions: authorizer.versions().map_err(refused)? }))
}

/// Puts a policy into force: one that fits the schema, is signed if it has to be, and does not lock everyone out.
#[utoipa::path(
    post, path = "/v1/verification/policy", tag = "verification", request_body = ProposedPolicy,
    responses((status = 200, body = PolicyTrial), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(super) async fn put_policy(
    State(console): State<Arc<Console>>,
    Json(proposed): Json<ProposedPolicy>,
) -> Result<Json<PolicyTrial>, ApiError> {
    let ProposedPolicy { text, signature, reason } = proposed;
    let signature = signature.map(hex::decode).transpose().map_err(ApiError::invalid)?;
    let put = console.authorizer()?.put_policy(&text, signature, OPERATOR.into(), reason).await;
    let (version, trial) = put.map_err(refused)?;
    let locks_everyone_out = trial.locks_everyone_out();
    Ok(Json(PolicyTrial { trial, locks_everyone_out, version: Some(version.version) }))
}

/// What a policy would make of the devices that there are; nothing changes.
#[utoipa::path(
    post, path = "/v1/verification/policy/test", tag = "verification", request_body = ProposedPolicy,
    responses((status = 200, body = PolicyTrial), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn test_policy(
    State(console): State<Arc<Console>>,
    Json(proposed): Json<ProposedPolicy>,
) -> Result<Json<PolicyTrial>, ApiError> {
    let trial = console.authorizer()?.try_policy(&proposed.text).map_err(refused)?;
    let locks_everyone_out = trial.locks_everyone_out();
    Ok(Json(PolicyTrial { trial, locks_everyone_out, version: None }))
}

/// What a policy would have made of every fact on record; nothing changes.
#[utoipa::path(
    post, path = "/v1/verification/policy/replay", tag = "verification", request_body = ProposedPolicy,
    responses((status = 200, body = PolicyReplay), (status = 422, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn replay_policy(
    State(console): State<Arc<Console>>,
    Json(proposed): Json<ProposedPolicy>,
) -> Result<Json<PolicyReplay>, ApiError> {
    console.authorizer()?.replay(&proposed.text).await.map(|replay| Json(PolicyReplay { replay })).map_err(refused)
}

/// Puts a version into force again that was before.
#[utoipa::path(
    post, path = "/v1/verification/policy/rollback", tag = "verification", request_body = RollBack,
    responses((status = 200, body = PolicyInForce), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn roll_back(
    State(console): State<Arc<Console>>,
    Json(to): Json<RollBack>,
) -> Result<Json<PolicyInForce>, ApiError> {
    console.authorizer()?.roll_back(to.version, OPERATOR.into()).await.map_err(refused)?;
    policy(State(console)).await
}

/// The sources that have put too many devices out of action, and wait for a person.
#[utoipa::path(
    get, path = "/v1/verification/brake", tag = "verification",
    responses((status = 200, body = Vec<BrakedSource>), (status = 503, body = Problem))
)]
pub(super) async fn brake(State(console): State<Arc<Console>>) -> Result<Json<Vec<BrakedSource>>, ApiError> {
    Ok(Json(console.authorizer()?.braked().into_iter().map(|waits| BrakedSource { waits }).collect()))
}

/// Lets such a source go on, or has what it told forgotten.
#[utoipa::path(
    post, path = "/v1/verification/brake", tag = "verification", request_body = SourceJudged,
    responses((status = 200, body = LookedAt), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(super) async fn judge_source(
    State(console): State<Arc<Console>>,
    Json(judged): Json<SourceJudged>,
) -> Result<Json<LookedAt>, ApiError> {
    let SourceJudged { source, believe } = judged;
    let looked_at = console.authorizer()?.judge_source(&source, believe).await;
    let devices =
        looked_at.ok_or_else(|| ApiError::not_found(format_args!("source {source:?} that waits for a person")))?;
    Ok(Json(LookedAt { devices }))
}

/// The device of that id, known by facts alone perhaps, or the only one with that serial number.
pub(super) fn who(console: &Console, authorizer: &Authorizer, name: &str) -> Result<DeviceId, ApiError> {
    match name.parse::<DeviceId>() {
        Ok(id) if authorizer.view(&id).is_some() => Ok(id),
        _ => find(console, name),
    }
}

pub(super) fn refused(why: Refusal) -> ApiError {
    match (why.check.as_ref(), why.fault) {
        ("policy-version", _) => ApiError::new(StatusCode::NOT_FOUND, why),
        (_, Fault::Malformed | Fault::Incompatible | Fault::Peer) => ApiError::invalid(why),
        (_, Fault::Denied) => ApiError::conflict(why),
        _ => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
