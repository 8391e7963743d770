//! RADIUS over TLS (RFC 6614): access points are known by their certificates.

use super::{Access, client::Client, judge::denied};
use crate::{RoleError, role::Shutdown};
use landfall_eap::{bounds, radius::Secret};
use landfall_net::tls::ServerTls;
use landfall_pki::{Anchors, Certificate, PathPolicy, oid, path};
use landfall_types::{Fault, Refusal};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore},
};

/// Connections at a time.
const CONNECTIONS: usize = 512;
/// Requests of one connection at a time.
const AT_ONCE: usize = 64;
/// For the handshake, for a packet that has begun, and for an answer to be taken.
const STEP: Duration = Duration::from_secs(10);
/// For the next packet. Access points that want to keep a connection ask for a sign of life (RFC 6614 s2.6).
const IDLE: Duration = Duration::from_secs(600);
/// Code, identifier and length (RFC 2865 s3).
const BEGINNING: usize = 4;
const HEADER: usize = 20;

/// Where access points connect.
#[derive(Debug)]
pub(super) struct Radsec {
    listener: TcpListener,
    tls: Arc<ServerTls>,
    anchors: Arc<Anchors>,
}

impl Radsec {
    pub(super) async fn bind(address: SocketAddr, tls: ServerTls, anchors: Anchors) -> Result<Self, RoleError> {
        let what = format!("listening on {address} (access.radsec.listen)");
        let listener = TcpListener::bind(address).await.map_err(RoleError::while_(what))?;
        Ok(Self { listener, tls: Arc::new(tls), anchors: Arc::new(anchors) })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    pub(super) async fn serve(self, access: Arc<Access>, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = shutdown.clone().begun() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    tracing::warn!(role = "access", %why, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let (access, tls, anchors, shutdown) =
                (access.clone(), self.tls.clone(), self.anchors.clone(), shutdown.clone());
            tokio::spawn(async move {
                let ended = tokio::select! {
                    () = shutdown.begun() => Ok(()),
                    ended = access.connection(stream, from, &tls, &anchors) => ended,
                };
                if let Err(why) = ended {
                    access.ignored(from, &why);
                }
                drop(place);
            });
        }
    }
}

impl Access {
    async fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        from: SocketAddr,
        tls: &ServerTls,
        anchors: &Anchors,
    ) -> Result<(), Refusal> {
        let broken = |why: &dyn std::fmt::Display| refusal("radsec-handshake", "RFC 6614 s2.3", why.to_string());
        let accepted =
            tokio::time::timeout(STEP, tls.accept(stream)).await.map_err(|_| broken(&"it takes too long"))?;
        let (stream, peer) = accepted.map_err(|why| broken(&why))?;
        let client = self.certified(&peer.chain, anchors)?;
        tracing::info!(role = "access", client = client.name, %from, "an access point has connected");
        let secret = Secret::over_tls();
        let (mut reading, writing) = tokio::io::split(stream);
        let writing = Arc::new(Mutex::new(writing));
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(bytes) = packet(&mut reading).await? {
            let Ok(turn) = turns.clone().acquire_owned().await else { return Ok(()) };
            // RFC 6613 s2.6.4: who sends what is not genuine loses the connection. It is opened before the next is read.
            let Some(asked) = self.open(&secret, from, &bytes)? else { continue };
            let (access, writing, client) = (self.clone(), writing.clone(), client.clone());
            tokio::spawn(async move {
                if let Some(answer) = access.reply(&client, asked).await {
                    let written = tokio::time::timeout(STEP, send(&writing, &answer)).await;
                    if !matches!(written, Ok(Ok(()))) {
                        tracing::debug!(role = "access", %from, "an answer to an access point could not be sent");
                    }
                }
                drop(turn);
            });
        }
        Ok(())
    }

    /// The access point whose certificate that is.
    fn certified(&self, chain: &[Certificate], anchors: &Anchors) -> Result<&Client, Refusal> {
        let Some((leaf, above)) = chain.split_first() else {
            return Err(refusal("radsec-certificate", "RFC 6614 s2.3", "it has shown no certificate".into()));
        };
        let now = self.world.clock.now();
        if let Some(client) = self.clients.iter().find(|client| client.has_pinned(leaf)) {
            return match leaf.not_before() <= now && now <= leaf.not_after() {
                true => Ok(client),
                false => Err(refusal("radsec-certificate", "RFC 6614 s2.3", "its pinned certificate has ended".into())),
            };
        }
        let policy = PathPolicy::at(now).require_eku(oid::CLIENT_AUTH);
        path::validate(leaf, above, anchors, &policy)
            .map_err(|why| refusal("radsec-certificate", "RFC 6614 s2.3", format!("{}: {why}", leaf.subject())))?;
        self.clients.iter().find(|client| client.has_name_of(leaf)).ok_or_else(|| {
            let detail = format!("no access point has a name of {} (access.client.certificate-names)", leaf.subject());
            denied("access-client", "RFC 6614 s2.3", detail)
        })
    }
}

/// The next packet; nothing if there comes none.
async fn packet(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, Refusal> {
    let malformed = |detail: &str| refusal("radius-packet", "RFC 6613 s2.6.4", detail.into());
    let mut beginning = [0; BEGINNING];
    match tokio::time::timeout(IDLE, stream.read(&mut beginning[..1])).await {
        Ok(Ok(1)) => {}
        _ => return Ok(None),
    }
    let rest = async {
        stream.read_exact(&mut beginning[1..]).await?;
        let [_, _, high, low] = beginning;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(HEADER..=bounds::RADIUS).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = beginning.to_vec();
        bytes.resize(length, 0);
        stream.read_exact(bytes.get_mut(BEGINNING..).unwrap_or_default()).await?;
        Ok::<_, io::Error>(bytes)
    };
    match tokio::time::timeout(STEP, rest).await {
        Ok(Ok(bytes)) => Ok(Some(bytes)),
        Ok(Err(why)) if why.kind() == io::ErrorKind::InvalidData => Err(malformed("its length cannot be")),
        Ok(Err(_)) => Err(malformed("the connection ends in the middle of it")),
        Err(_) => Err(malformed("it does not come to its end")),
    }
}

async fn send(writing: &Mutex<impl AsyncWrite + Unpin>, bytes: &[u8]) -> io::Result<()> {
    let mut writing = writing.lock().await;
    writing.write_all(bytes).await?;
    writing.flush().await
}

fn refusal(check: &'static str, section: &'static str, detail: String) -> Refusal {
    Refusal::new(Fault::Peer, check, section, detail)
}
