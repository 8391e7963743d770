//! Connections that are kept for the next request, as a registrar keeps those to its MASAs.

use super::client::{ClientLimits, Connection, Endpoint, Unsent, outgoing};
use crate::NetError;
use crate::tls::ClientTls;
use landfall_types::http::{Request, Response};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections by endpoint. Requests that find none open another, so there is no queue.
#[derive(Debug)]
pub struct Pool {
    limits: ClientLimits,
    idle: Mutex<HashMap<Endpoint, Vec<Idle>>>,
}

/// How long a connection is kept for another request: less than servers usually keep theirs.
const KEEP: Duration = Duration::from_secs(10);
/// How many idle connections to one endpoint are kept: fewer than there are requests at once in a rush, and each of the
/// others costs a handshake.
const KEEP_COUNT: usize = 64;

#[derive(Debug)]
struct Idle {
    connection: Connection,
    tls: Option<ClientTls>,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: ClientLimits) -> Self {
        Self { limits, idle: Mutex::default() }
    }

    /// Sends a request to `endpoint` over a kept connection that was made with the same `tls`, or a new one. Redirects
    /// are responses like any other: following them is the caller's decision.
    ///
    /// # Errors
    /// As [`Connection::open`] and [`Connection::send`]. A request is sent a second time only if it certainly never
    /// left.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        tls: Option<&ClientTls>,
        request: Request,
    ) -> Result<Response, NetError> {
        let mut request = outgoing(request, endpoint.host_field(tls.is_some())?)?;
        while let Some(mut kept) = self.take(endpoint, tls) {
            match kept.try_send(request).await {
                Ok(response) => {
                    self.keep(endpoint, tls, kept);
                    return Ok(response);
                }
                Err(Unsent { request: Some(back), .. }) => request = *back,
                Err(Unsent { request: None, error }) => return Err(error),
            }
        }
        let mut connection = Connection::open(endpoint, tls, self.limits).await?;
        let response = connection.try_send(request).await.map_err(|unsent| unsent.error)?;
        self.keep(endpoint, tls, connection);
        Ok(response)
    }

    fn take(&self, endpoint: &Endpoint, tls: Option<&ClientTls>) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(endpoint)?;
        kept.retain(Idle::is_fresh);
        // The one used last is the least likely to be gone.
        let position = kept.iter().rposition(|one| one.serves(tls))?;
        Some(kept.remove(position).connection)
    }

    fn keep(&self, endpoint: &Endpoint, tls: Option<&ClientTls>, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(Idle::is_fresh);
            !kept.is_empty()
        });
        let kept = idle.entry(endpoint.clone()).or_default();
        if kept.len() < KEEP_COUNT && connection.is_open() {
            kept.push(Idle { connection, tls: tls.cloned(), since: Instant::now() });
        }
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        self.connection.is_open() && self.since.elapsed() < KEEP
    }

    fn serves(&self, tls: Option<&ClientTls>) -> bool {
        match (&self.tls, tls) {
            (Some(made_with), Some(wanted)) => made_with.same(wanted),
            (made_with, wanted) => made_with.is_none() && wanted.is_none(),
        }
    }
}
