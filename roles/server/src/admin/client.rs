//! The other end of the admin API, for the command line and for tests.

use super::error::Problem;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use landfall_net::tls::ClientTls;
use rustls::pki_types::ServerName;
use serde::{Serialize, de::DeserializeOwned};
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// The most that an answer may hold: a thousand records with their certificates.
const LARGEST: usize = 16 * 1024 * 1024;
/// The longest that an answer may take: fetching a thousand vouchers ahead is slow.
const PATIENCE: Duration = Duration::from_secs(300);
const JSON: &str = "application/json";

/// Where the admin API is.
#[derive(Clone, Debug)]
pub enum Address {
    /// The Unix socket at this path.
    Local(PathBuf),
    /// `HOST:PORT`, by mutual TLS.
    Remote {
        /// The server, `HOST:PORT`.
        authority: String,
        /// Whom to believe, and the operator's own certificate.
        tls: ClientTls,
    },
}

/// A client of the admin API. Each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client(Address);

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("the server does not answer at {address}: {why}; is `landfall run` running?")]
    Away {
        /// Where.
        address: String,
        /// What the system says.
        why: String,
    },
    /// The server says no.
    #[error("{error}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What the server says.
        error: String,
    },
    /// The answer is not one that this version understands.
    #[error("the server's answer is not understood: {0}")]
    Garbled(String),
}

impl ClientError {
    /// Whether it is an answer, a negative one, rather than a failure to get one.
    pub fn is_negative_answer(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(status.as_u16(), 404 | 409 | 422))
    }
}

impl Client {
    /// A client of the server at `address`.
    pub const fn new(address: Address) -> Self {
        Self(address)
    }

    /// Reads `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.call(Method::GET, path, None).await?)
    }

    /// Reads `path` with a query; what is `None` in it is left out.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<&str>)],
    ) -> Result<T, ClientError> {
        self.get(&with_query(path, query)).await
    }

    /// Sends `body` to `path`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|why| ClientError::Garbled(why.to_string()))?;
        read(&self.call(Method::POST, path, Some((JSON, body))).await?)
    }

    /// Sends `body` as it is to `path` with a query; what is `None` in that is left out.
    pub async fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<&str>)],
        media: &'static str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        read(&self.call(Method::POST, &with_query(path, query), Some((media, body))).await?)
    }

    /// Reads `path` as it is.
    pub async fn bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        self.call(Method::GET, path, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Bytes, ClientError> {
        let attempt = async {
            match &self.0 {
                Address::Local(socket) => {
                    let stream = UnixStream::connect(socket).await.map_err(|why| self.away(&why))?;
                    self.exchange(stream, "localhost", method, path, body).await
                }
                Address::Remote { authority, tls } => {
                    let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
                    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                        .map_err(|why| self.away(&why))?;
                    let tcp = TcpStream::connect(authority).await.map_err(|why| self.away(&why))?;
                    let (stream, _) = tls.connect(tcp, name).await.map_err(|why| self.away(&why))?;
                    self.exchange(stream, authority, method, path, body).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, attempt).await.map_err(|why| self.away(&why))?
    }

    async fn exchange<S>(
        &self,
        stream: S,
        host: &str,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Bytes, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|why| self.away(&why))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if let Some((media, _)) = &body {
            request = request.header("content-type", *media);
        }
        let body = body.map(|(_, body)| body).unwrap_or_default();
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|why| ClientError::Garbled(why.to_string()))?;
        let response = sender.send_request(request).await.map_err(|why| self.away(&why))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|why| ClientError::Garbled(why.to_string()))?
            .to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => {
                let error = serde_json::from_slice::<Problem>(&body)
                    .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |problem| problem.error);
                Err(ClientError::Refused { status, error })
            }
        }
    }

    fn away(&self, why: &dyn std::fmt::Display) -> ClientError {
        let address = match &self.0 {
            Address::Local(socket) => socket.display().to_string(),
            Address::Remote { authority, .. } => authority.clone(),
        };
        ClientError::Away { address, why: why.to_string() }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|why| ClientError::Garbled(why.to_string()))
}

fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    for (name, value) in query.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        let separator = if text.contains('?') { '&' } else { '?' };
        text = format!("{text}{separator}{name}={}", escape(value));
    }
    text
}

/// `text` as one segment of a path, or one value of a query (RFC 3986 s2.3).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_path() {
        assert_eq!(escape("ab12.SN 1/2"), "ab12.SN%201%2F2");
    }
}
