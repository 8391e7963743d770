//! The listener for machines that watch: `/metrics`, `/healthz`, `/readyz`.

use crate::role::{RoleError, Shutdown};
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio::net::TcpListener;

/// What must be true before traffic should come, by name. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, bool>>>);

impl Readiness {
    /// Says whether `what` is ready.
    pub fn set(&self, what: impl Into<String>, ready: bool) {
        self.lock().insert(what.into(), ready);
    }

    /// What is not ready.
    pub fn missing(&self) -> Vec<String> {
        self.lock().iter().filter(|(_, ready)| !**ready).map(|(what, _)| what.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds: an exchange takes milliseconds, or as long as another server takes.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

/// The process's metrics; the first call installs the recorder.
fn metrics() -> Result<&'static PrometheusHandle, RoleError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|why| why.to_string())
    };
    HANDLE.get_or_init(install).as_ref().map_err(|why| RoleError::new("metrics", why))
}

/// A bound listener for metrics and health.
#[derive(Debug)]
pub struct Health {
    listener: TcpListener,
    readiness: Readiness,
    metrics: &'static PrometheusHandle,
}

impl Health {
    /// Binds `address`.
    pub async fn bind(address: SocketAddr, readiness: Readiness) -> Result<Self, RoleError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(RoleError::while_(format!("listening on {address} (metrics.listen)")))?;
        Ok(Self { listener, readiness, metrics: metrics()? })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers for as long as it is polled; from the beginning of the shutdown on, `/readyz` says no.
    pub async fn run(self, shutdown: Shutdown) {
        let app = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .with_state((self.readiness, shutdown))
            .route("/metrics", get(move || scrape(self.metrics)));
        if let Err(why) = axum::serve(self.listener, app).await {
            tracing::error!(%why, "metrics and health are no longer served");
        }
    }
}

async fn scrape(metrics: &'static PrometheusHandle) -> impl IntoResponse {
    metrics.run_upkeep();
    ([("content-type", "text/plain; version=0.0.4")], metrics.render())
}

async fn ready(State((readiness, shutdown)): State<(Readiness, Shutdown)>) -> (StatusCode, String) {
    match (shutdown.has_begun(), readiness.missing()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into()),
        (false, missing) if missing.is_empty() => (StatusCode::OK, "ready\n".into()),
        (false, missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", "))),
    }
}
