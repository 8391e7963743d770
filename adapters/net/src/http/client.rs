//! One connection to an HTTP/1.1 server.

use super::body::{BodyError, receive};
use super::convert::{body_out, headers_in, headers_out};
use crate::NetError;
use crate::tls::ClientTls;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use landfall_brski::TlsPeer;
use landfall_brski::proxy::{Host, Offer};
use landfall_types::http::{Method, Request, Response};
use rustls::pki_types::{DnsName, ServerName};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What a server may use of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// How long looking up, connecting and the TLS handshake may take each, for one address.
    pub connect: Duration,
    /// How long an exchange may take, from the first byte of the request to the last of the response.
    pub exchange: Duration,
    /// Longest response body in bytes.
    pub body_bytes: usize,
}

impl Default for ClientLimits {
    /// RFC 8995 s5.1: a pledge drops a connection that makes no progress for five seconds; an answer may take longer.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), exchange: Duration::from_secs(30), body_bytes: 1024 * 1024 }
    }
}

/// A host and a port, as in a URI: `masa.example:9443`, `192.0.2.1`, `[fe80::1%3]:8443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host, by name or by address.
    pub host: Host,
    /// The TCP port.
    pub port: u16,
}

impl Endpoint {
    /// What the Host field says (RFC 9110 s7.2): no scope, which means nothing to others (RFC 6874 s1), and no port
    /// that goes without saying.
    pub(super) fn host_field(&self, tls: bool) -> Result<HeaderValue, NetError> {
        let host = match &self.host {
            Host::V6 { address, .. } => format!("[{address}]"),
            other => other.to_string(),
        };
        let text = match (self.port, tls) {
            (443, true) | (80, false) => host,
            (port, _) => format!("{host}:{port}"),
        };
        HeaderValue::try_from(text).map_err(|_| NetError::Misuse(format!("{self} cannot stand in a Host field")))
    }

    fn server_name(&self) -> Result<ServerName<'static>, NetError> {
        Ok(match &self.host {
            Host::V4(address) => ServerName::IpAddress((*address).into()),
            Host::V6 { address, .. } => ServerName::IpAddress((*address).into()),
            Host::Name(name) => ServerName::DnsName(
                DnsName::try_from(name.clone()).map_err(|_| NetError::Misuse(format!("{name:?} is not a DNS name")))?,
            ),
        })
    }

    /// Where it is, each address once or more.
    ///
    /// # Errors
    /// [`NetError::Timeout`], [`NetError::Io`].
    pub async fn addresses(&self, limit: Duration) -> Result<Vec<SocketAddr>, NetError> {
        match (&self.host, self.host.socket(self.port)) {
            (Host::Name(name), _) => {
                Ok(within(limit, "name lookup", lookup_host((name.as_str(), self.port))).await?.collect())
            }
            (_, address) => Ok(address.into_iter().collect()),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.into(), port: address.port() }
    }
}

impl From<&Offer> for Endpoint {
    fn from(offer: &Offer) -> Self {
        Self { host: offer.address.clone(), port: offer.port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::V6 { .. } => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The text is not a host with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host and port such as masa.example:443 or [2001:db8::1]:443")]
pub struct NotAnEndpoint(String);

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    /// Without a port it is 443, that of HTTPS.
    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        Self::parse(text, 443)
    }
}

impl Endpoint {
    /// Reads it; `port` goes without saying.
    ///
    /// # Errors
    /// If it is not a host with or without a port.
    pub fn parse(text: &str, port: u16) -> Result<Self, NotAnEndpoint> {
        let default = port;
        let error = || NotAnEndpoint(text.chars().take(80).collect());
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| error())?),
            _ => (text, default),
        };
        Ok(Self { host: host.parse().map_err(|_| error())?, port })
    }
}

/// A connection that can carry one request after the other. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What moves its bytes, until it ends.
    driver: Option<JoinHandle<hyper::Result<()>>>,
    host: HeaderValue,
    peer: Option<TlsPeer>,
    limits: ClientLimits,
}

impl Connection {
    /// Connects to the first of the endpoint's addresses that answers, with TLS or, without `tls`, in the clear.
    ///
    /// # Errors
    /// What went wrong with the last address: [`NetError::Timeout`], [`NetError::Io`], and those of
    /// [`ClientTls::connect`].
    pub async fn open(endpoint: &Endpoint, tls: Option<&ClientTls>, limits: ClientLimits) -> Result<Self, NetError> {
        let mut last = NetError::Io { step: "name lookup", source: io::ErrorKind::NotFound.into() };
        for address in endpoint.addresses(limits.connect).await? {
            match within(limits.connect, "connecting", TcpStream::connect(address)).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|source| NetError::Io { step: "connecting", source })?;
                    return Self::over(stream, endpoint, tls, limits).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to a Unix socket, in the clear.
    ///
    /// # Errors
    /// [`NetError::Io`], [`NetError::Timeout`].
    pub async fn unix(path: &Path, limits: ClientLimits) -> Result<Self, NetError> {
        let stream = within(limits.connect, "connecting", UnixStream::connect(path)).await?;
        let localhost = Endpoint { host: Host::Name("localhost".into()), port: 80 };
        Self::over(stream, &localhost, None, limits).await
    }

    /// The same over a transport that is connected already.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn over<S>(
        transport: S,
        endpoint: &Endpoint,
        tls: Option<&ClientTls>,
        limits: ClientLimits,
    ) -> Result<Self, NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let host = endpoint.host_field(tls.is_some())?;
        let ((sender, driver), peer) = match tls {
            None => (http(transport).await?, None),
            Some(tls) => {
                let handshake = tls.connect(transport, endpoint.server_name()?);
                let limit = limits.connect;
                let handshake = timeout(limit, handshake).await;
                let (stream, peer) = handshake.unwrap_or(Err(NetError::Timeout { step: "TLS handshake", limit }))?;
                (http(stream).await?, Some(peer))
            }
        };
        Ok(Self { sender, driver: Some(driver), host, peer, limits })
    }

    /// What the TLS handshake proved of the server, if there was one.
    pub fn peer(&self) -> Option<&TlsPeer> {
        self.peer.as_ref()
    }

    /// Whether, as far as is known, it can carry another request.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and receives its response. `request.path` may have a query.
    ///
    /// # Errors
    /// [`NetError::Timeout`], [`NetError::TooLarge`], [`NetError::Http`], [`NetError::Tls`] (as when the server refuses
    /// the client's certificate), [`NetError::Misuse`] for a request that HTTP cannot carry. After any of them the
    /// connection is of no more use.
    pub async fn send(&mut self, request: Request) -> Result<Response, NetError> {
        self.try_send(outgoing(request, self.host.clone())?).await.map_err(|unsent| unsent.error)
    }

    /// The same with a request as hyper has it, which comes back if it certainly never left.
    pub(super) async fn try_send(&mut self, request: http::Request<Full<Bytes>>) -> Result<Response, Unsent> {
        let limit = self.limits.exchange;
        let done = timeout(limit, self.exchange(request)).await;
        done.unwrap_or_else(|_late| Err(NetError::Timeout { step: "HTTP exchange", limit }.into()))
    }

    async fn exchange(&mut self, request: http::Request<Full<Bytes>>) -> Result<Response, Unsent> {
        if let Err(error) = self.sender.ready().await {
            // It has ended while nobody waited for a response. Why, it says itself: a TLS alert, perhaps.
            let ended = match self.driver.take() {
                Some(driver) => driver.await.ok().and_then(Result::err),
                None => None,
            };
            return Err(Unsent { request: Some(Box::new(request)), error: ended.unwrap_or(error).into() });
        }
        let response = self.sender.try_send_request(request).await.map_err(|mut failed| {
            let request = failed.take_message().map(Box::new);
            Unsent { request, error: failed.into_error().into() }
        })?;
        let (head, body) = response.into_parts();
        let body = receive(body, self.limits.body_bytes).await.map_err(|error| match error {
            BodyError::TooLarge => NetError::TooLarge { limit: self.limits.body_bytes },
            BodyError::Broken(error) => error.into(),
        })?;
        Ok(Response { status: head.status.as_u16(), headers: headers_in(&head.headers), body })
    }
}

/// Why there is no response, and the request if it certainly never left.
pub(super) struct Unsent {
    pub(super) request: Option<Box<http::Request<Full<Bytes>>>>,
    pub(super) error: NetError,
}

impl From<NetError> for Unsent {
    fn from(error: NetError) -> Self {
        Self { request: None, error }
    }
}

async fn http<S>(stream: S) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>), NetError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the sender is dropped; what goes wrong in it is told to whoever waits for a response.
    Ok((sender, tokio::spawn(connection)))
}

pub(super) fn outgoing(request: Request, host: HeaderValue) -> Result<http::Request<Full<Bytes>>, NetError> {
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Patch => http::Method::PATCH,
        Method::Other => return Err(NetError::Misuse("only GET, POST and PATCH are sent".into())),
    };
    let uri = request.path.parse().map_err(|_| NetError::Misuse(format!("{:?} is not a path", request.path)))?;
    let headers = headers_out(&request.headers)
        .ok_or_else(|| NetError::Misuse("a header field that HTTP cannot carry".into()))?;
    let mut outgoing = http::Request::new(body_out(request.body));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    outgoing.headers_mut().insert(HOST, host);
    Ok(outgoing)
}

async fn within<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, NetError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|source| NetError::Io { step, source }),
        Err(_) => Err(NetError::Timeout { step, limit }),
    }
}
