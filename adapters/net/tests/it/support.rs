//! A server on a loopback port, and what tests say to it.

use landfall_brski::TlsPeer;
use landfall_net::http::{ClientLimits, ConnInfo, Connection, Endpoint, Limits, Seen, Server};
use landfall_net::tls::{ServerTls, TlsIdentity};
use landfall_testkit::Identity;
use landfall_types::http::{Request, Response};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) fn tls(identity: &Identity) -> TlsIdentity {
    TlsIdentity { chain: identity.chain(), signer: identity.signer() }
}

/// A server that runs until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) ended: JoinHandle<()>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Running {
    pub(crate) async fn start<H, F>(tls: Option<ServerTls>, limits: Limits, handler: H) -> Self
    where
        H: Fn(Request, Arc<ConnInfo>) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let sight = seen.clone();
        let server = Server::new(listener).limits(limits).observe(move |one| sight.lock().unwrap().push(one));
        let server = match tls {
            Some(tls) => server.tls(tls),
            None => server,
        };
        let (stop, stopped) = watch::channel(false);
        Self { address, stop, ended: tokio::spawn(server.run(handler, stopped)), seen }
    }

    /// Answers with the request's body.
    pub(crate) async fn echo(limits: Limits) -> Self {
        Self::start(None, limits, echo).await
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.address.into()
    }

    pub(crate) fn count(&self, what: Seen) -> usize {
        self.seen.lock().unwrap().iter().filter(|one| **one == what).count()
    }

    /// Stops it and waits until it has ended, so that everything it saw has been counted.
    pub(crate) async fn end(&mut self) {
        self.stop.send(true).unwrap();
        (&mut self.ended).await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.endpoint(), None, ClientLimits::default()).await.unwrap()
    }

    /// Sends bytes as they are, and returns all that comes back until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

pub(crate) async fn echo(request: Request, _from: Arc<ConnInfo>) -> Response {
    Response::with(200, "application/octet-stream", request.body)
}

/// Answers with what the client's handshake proved: common names, tls-unique, and tls-exporter.
pub(crate) async fn who(_request: Request, from: Arc<ConnInfo>) -> Response {
    let TlsPeer { chain, binding } = from.tls.as_ref().unwrap();
    let names: Vec<String> = chain.iter().filter_map(|certificate| certificate.common_name()).collect();
    let unique = binding.tls_unique.as_deref().map(hex).unwrap_or_default();
    let exporter = binding.tls_exporter.as_ref().map(|bytes| hex(bytes)).unwrap_or_default();
    Response::text(200, &format!("chain={};unique={unique};exporter={exporter};", names.join(",")))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
