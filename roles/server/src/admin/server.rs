//! The server as a whole: what runs, what it depends on, and its logs.

use super::{
    ApiError, Console, Problem,
    view::{AuditEvent, Dependency, LogLine, LogVerified, Page, Part, Reachability, RoleStatus, Status},
};
use crate::{RoleName, authorizer, observe::AUDIT_LOG};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use landfall_brski::registrar::PrefetchedVoucher;
use landfall_lifecycle::{device, factory, network, transfer};
use std::sync::Arc;

/// The logs that can be read and verified, each hash-chained.
const LOGS: [&str; 10] = [
    AUDIT_LOG,
    factory::LOG,
    transfer::ISSUED_LOG,
    transfer::OWNERSHIP_LOG,
    network::LOG,
    network::CERTIFICATE_LOG,
    network::CREDENTIAL_LOG,
    authorizer::FACT_LOG,
    authorizer::DECISION_LOG,
    authorizer::POLICY_LOG,
];

/// What runs here, whether it is ready, and what depends on whom (SP 1800-36B 6.2.1).
#[utoipa::path(get, path = "/v1/status", tag = "server", responses((status = 200, body = Status)))]
pub(super) async fn status(State(console): State<Arc<Console>>) -> Result<Json<Status>, ApiError> {
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        since: console.since,
        roles: console
            .roles
            .iter()
            .map(|(role, address)| RoleStatus {
                role: *role,
                address: address.map_or_else(String::new, |address| address.to_string()),
            })
            .collect(),
        not_ready: console.readiness.missing(),
        dependencies: dependencies(&console)?,
    }))
}

fn dependencies(console: &Console) -> Result<Vec<Dependency>, ApiError> {
    let Some(registrar) = &console.registrar else { return Ok(Vec::new()) };
    let states = registrar.masas.states().into_iter();
    states
        .map(|(vendor, state)| {
            let ahead = console.world.store.count_by::<PrefetchedVoucher>("vendor", vendor.as_str())?;
            Ok(Dependency {
                role: RoleName::Registrar,
                needs: "masa".into(),
                consequence: format!(
                    "without it, of {vendor}'s new devices only those with a voucher fetched ahead can join ({ahead}); \
                     devices that have joined are not affected"
                ),
                vendor: vendor.to_string(),
                address: state.address.unwrap_or_else(|| "as its devices' certificates say".into()),
                state: match (state.since, &state.error) {
                    (None, _) => Reachability::Unknown,
                    (Some(_), None) => Reachability::Up,
                    (Some(_), Some(_)) => Reachability::Down,
                },
                since: state.since,
                error: state.error,
                vouchers_ahead: ahead,
            })
        })
        .collect()
}

/// The end of every exchange, the oldest first; `after` is a number.
#[utoipa::path(get, path = "/v1/audit", tag = "server", params(Part), responses((status = 200, body = Page<AuditEvent>)))]
pub(super) async fn audit(
    State(console): State<Arc<Console>>,
    Query(part): Query<Part>,
) -> Result<Json<Page<AuditEvent>>, ApiError> {
    console.world.recorder.flush().await;
    let lines = lines(&console, AUDIT_LOG, &part)?;
    let next = lines.next;
    let read = |line: LogLine| serde_json::from_value(line.entry).map_err(ApiError::internal);
    Ok(Json(Page { items: lines.items.into_iter().map(read).collect::<Result<_, _>>()?, next }))
}

/// Checks every hash of a log: an entry that was changed, removed or moved is found.
#[utoipa::path(
    get, path = "/v1/logs/{log}/verify", tag = "server",
    params(("log" = String, Path, description = "audit, factory-devices, masa-issued, masa-ownership, network-devices or network-certificates")),
    responses((status = 200, body = LogVerified), (status = 404, body = Problem))
)]
pub(super) async fn verify_log(
    State(console): State<Arc<Console>>,
    Path(log): Path<String>,
) -> Result<Json<LogVerified>, ApiError> {
    let name =
        LOGS.into_iter().find(|name| *name == log).ok_or_else(|| ApiError::not_found(format_args!("log {log:?}")))?;
    console.world.recorder.flush().await;
    let store = console.world.store.clone();
    // Reading a long log takes seconds: not on the threads that serve devices.
    let verified = tokio::task::spawn_blocking(move || (store.verify_log(name), store.log_head(name)));
    let (verified, head) = verified.await.map_err(ApiError::internal)?;
    let head = head?;
    Ok(Json(LogVerified {
        log: name.into(),
        intact: verified.is_ok(),
        entries: head.seq,
        head: head.hash.to_string(),
        error: verified.err().map(|why| why.to_string()),
    }))
}

/// Part of a log.
pub(super) fn lines(console: &Console, log: &str, part: &Part) -> Result<Page<LogLine>, ApiError> {
    let after = match &part.after {
        None => 0,
        Some(after) => after.parse().map_err(|_| ApiError::invalid("`after` must be the number of an entry"))?,
    };
    let found = console.world.store.log(log, after, part.limit())?;
    let items = found.into_iter().map(|line| LogLine { seq: line.seq, entry: line.entry, hash: line.hash.to_string() });
    Ok(Page::of(items.collect(), part.limit(), |line| line.seq.to_string()))
}

/// The states that a device can be in, for whoever asks for one that does not exist.
pub(super) fn state(text: &str) -> Result<device::State, ApiError> {
    serde_json::from_value(serde_json::Value::String(text.into()))
        .map_err(|_| ApiError::invalid(format_args!("there is no state {text:?}; one is awaiting-approval")))
}
