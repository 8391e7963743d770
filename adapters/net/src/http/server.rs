//! An HTTP/1.1 server whose every connection is bounded.

use super::body::{BodyError, receive};
use super::convert::{body_out, headers_in, headers_out};
use super::guard::Guarded;
use crate::NetError;
use crate::listen::{self, Accept, Bounds, stopped};
use crate::tls::ServerTls;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use landfall_brski::TlsPeer;
use landfall_types::http::{Method, Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// What clients may use of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a connection may take until a whole request head is there, counted from the end of the last request:
    /// for slow and for idle clients alike, a byte now and then does not help.
    pub head: Duration,
    /// Longest request head in bytes; longer ones are answered with 431.
    pub head_bytes: usize,
    /// How long a request may take from its head on until there is a response. A body that is not there by then is
    /// answered with 408, a handler that is not done with 503.
    pub request: Duration,
    /// Longest body in bytes; longer ones are answered with 413.
    pub body_bytes: usize,
    /// How long a client may take none of what is sent to it.
    pub stall: Duration,
    /// Requests on one connection.
    pub requests: usize,
    /// How long requests may go on when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    /// For devices: small messages, from anywhere, over links that may be slow.
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            head_bytes: 16 * 1024,
            request: Duration::from_secs(60),
            body_bytes: 256 * 1024,
            stall: Duration::from_secs(15),
            requests: 1000,
            drain: Duration::from_secs(30),
        }
    }
}

/// Where requests come from: one for all requests of a connection.
#[derive(Clone, Debug)]
pub struct ConnInfo {
    /// The other end's address, unless the connection came over a Unix socket.
    pub remote: Option<SocketAddr>,
    /// What the TLS handshake proved, if there was one. Its chain is empty if the client showed no certificate.
    pub tls: Option<TlsPeer>,
}

/// What a server has just seen, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A connection was accepted.
    Connection,
    /// Every place was taken: whoever comes next has to wait.
    Full,
    /// A connection ended without a handshake: it failed, took too long, or brought a certificate that cannot be read.
    BadHandshake,
    /// A connection was cut: it was too slow, or what it sent is not HTTP.
    Cut,
    /// A request was answered, with this status.
    Answer(u16),
}

/// A server that is about to run.
///
/// ```no_run
/// use landfall_net::http::Server;
/// use landfall_net::tls::{ClientAuth, ServerTls, TlsIdentity};
/// use landfall_types::http::Response;
/// # async fn example(identity: TlsIdentity) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("[::]:8443").await?;
/// let (stop, stopped) = tokio::sync::watch::channel(false);
/// let server = Server::new(listener).tls(ServerTls::new(&identity, ClientAuth::Optional)?);
/// let running = tokio::spawn(server.run(|_request, _from| async { Response::text(404, "nothing here") }, stopped));
/// // until it is time to stop
/// stop.send(true)?;
/// running.await?;
/// # Ok(())
/// # }
/// ```
pub struct Server<A> {
    listener: A,
    tls: Option<ServerTls>,
    limits: Limits,
    observe: Box<dyn Fn(Seen) + Send + Sync>,
}

impl<A: Accept> Server<A> {
    /// A server without TLS that accepts from `listener`: a TCP or a Unix listener.
    pub fn new(listener: A) -> Self {
        Self { listener, tls: None, limits: Limits::default(), observe: Box::new(|_| {}) }
    }

    /// Speaks TLS.
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Calls `observe` whenever there is something to count.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(Seen) + Send + Sync + 'static) -> Self {
        self.observe = Box::new(observe);
        self
    }

    /// Answers requests by `handler` until `stop` becomes true (or its sender is gone), then accepts nothing more and
    /// ends when the requests under way are answered, or when [`Limits::drain`] is over.
    ///
    /// The handler's future is dropped if its client goes away or its time is over, so whatever must be done once begun
    /// belongs into a task of its own.
    pub async fn run<H, F>(self, handler: H, stop: watch::Receiver<bool>)
    where
        H: Fn(Request, Arc<ConnInfo>) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let Self { listener, tls, limits, observe } = self;
        let bounds = Bounds { connections: limits.connections, drain: limits.drain };
        let shared = Arc::new(Shared { tls, limits, observe, handler });
        let draining = stop.clone();
        let full = || (shared.observe)(Seen::Full);
        listen::run(listener, bounds, stop, full, |stream, remote| {
            shared.clone().connection(stream, remote, draining.clone())
        })
        .await;
    }
}

struct Shared<H> {
    tls: Option<ServerTls>,
    limits: Limits,
    observe: Box<dyn Fn(Seen) + Send + Sync>,
    handler: H,
}

impl<H, F> Shared<H>
where
    H: Fn(Request, Arc<ConnInfo>) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn connection<S>(self: Arc<Self>, stream: S, remote: Option<SocketAddr>, stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        (self.observe)(Seen::Connection);
        let stream = Guarded::new(stream, self.limits.stall);
        let Some(tls) = &self.tls else {
            return self.http(stream, ConnInfo { remote, tls: None }, stop).await;
        };
        let limit = self.limits.handshake;
        let handshake = timeout(limit, tls.accept(stream)).await;
        match handshake.unwrap_or(Err(NetError::Timeout { step: "TLS handshake", limit })) {
            Ok((stream, peer)) => self.http(stream, ConnInfo { remote, tls: Some(peer) }, stop).await,
            Err(error) => {
                (self.observe)(Seen::BadHandshake);
                tracing::debug!(?remote, %error, "no TLS connection");
            }
        }
    }

    async fn http<S>(&self, stream: S, from: ConnInfo, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let from = Arc::new(from);
        let requests = AtomicUsize::new(0);
        let service = service_fn(|request| {
            let last = requests.fetch_add(1, Ordering::Relaxed) + 1 >= self.limits.requests;
            let from = from.clone();
            async move {
                let mut response = self.answer(request, from).await;
                (self.observe)(Seen::Answer(response.status().as_u16()));
                if last {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(self.limits.head_bytes.max(8192))
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            (self.observe)(Seen::Cut);
            tracing::debug!(remote = ?from.remote, %error, "connection cut");
        }
    }

    async fn answer(&self, request: http::Request<Incoming>, from: Arc<ConnInfo>) -> http::Response<Full<Bytes>> {
        let deadline = Instant::now() + self.limits.request;
        let (head, body) = request.into_parts();
        let body = match timeout_at(deadline, receive(body, self.limits.body_bytes)).await {
            Ok(Ok(body)) => body,
            Ok(Err(BodyError::TooLarge)) => return last_words(413),
            Ok(Err(BodyError::Broken(error))) => {
                tracing::debug!(remote = ?from.remote, %error, "broken body");
                return last_words(400);
            }
            Err(_too_slow) => return last_words(408),
        };
        let request = Request {
            method: match head.method {
                http::Method::GET => Method::Get,
                http::Method::POST => Method::Post,
                http::Method::PATCH => Method::Patch,
                _ => Method::Other,
            },
            path: head.uri.path().to_owned(),
            headers: headers_in(&head.headers),
            body,
        };
        match timeout_at(deadline, (self.handler)(request, from)).await {
            Ok(response) => outgoing(response),
            Err(_too_slow) => last_words(503),
        }
    }
}

fn outgoing(response: Response) -> http::Response<Full<Bytes>> {
    let (Ok(status), Some(headers)) = (http::StatusCode::from_u16(response.status), headers_out(&response.headers))
    else {
        tracing::error!(status = response.status, "a response that HTTP cannot carry");
        return last_words(500);
    };
    let mut outgoing = http::Response::new(body_out(response.body));
    *outgoing.status_mut() = status;
    *outgoing.headers_mut() = headers;
    outgoing
}

/// A status without a body, after which the connection ends.
fn last_words(status: u16) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::default());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
