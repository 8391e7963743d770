//! The operator's two doors: a Unix socket for this machine, mutual TLS for others. By one like the latter other authorizers ask.

use crate::{
    role::{RoleError, Shutdown},
    world::Clock,
};
use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use landfall_net::tls::ServerTls;
use landfall_pki::{Anchors, Certificate, PathPolicy, oid};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

/// How many connections are served at a time, at each door.
const CONNECTIONS: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(10);

/// Who asks from elsewhere, as the certificate that was shown calls him.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) String);

/// The door on this machine.
#[derive(Debug)]
pub struct LocalDoor {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl LocalDoor {
    /// Binds the socket at `path` with mode 0600, replacing one that a server left which no longer runs.
    pub fn bind(path: &Path) -> Result<Self, RoleError> {
        let failed = |why: &dyn std::fmt::Display| RoleError::new(format!("the admin socket {}", path.display()), why);
        crate::open::make_folder_of(path)?;
        if path.exists() {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(failed(&"is in use: a server runs here already")),
                Err(_) => fs::remove_file(path).map_err(|why| failed(&why))?,
            }
        }
        let listener = UnixListener::bind(path).map_err(|why| failed(&why))?;
        let private = || -> io::Result<u32> {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            Ok(fs::metadata(path)?.uid())
        };
        let owner = private().map_err(|why| failed(&why))?;
        Ok(Self { listener, path: path.to_owned(), owner })
    }

    /// Serves `app` to the user who runs this server and to root, until the shutdown.
    pub async fn serve(self, app: Router, shutdown: Shutdown) {
        let door = Door::new(shutdown);
        while let Some(accepted) = door.open(self.listener.accept()).await {
            let Ok((stream, _)) = accepted else { continue };
            // The mode of the socket keeps others out already; what the kernel says of the peer holds even if someone
            // changes the mode.
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => {
                    let app = app.clone();
                    door.spawn(async { Some((stream, app)) });
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "an admin connection of another user was refused"),
                Err(why) => tracing::warn!(%why, "an admin connection was refused: its user is unknown"),
            }
        }
        door.drain().await;
        let _ = fs::remove_file(&self.path);
    }
}

/// The door for other machines.
#[derive(Debug)]
pub struct RemoteDoor {
    name: &'static str,
    listener: TcpListener,
    tls: ServerTls,
    anchors: Anchors,
    clock: Clock,
}

impl RemoteDoor {
    /// Binds `address`, which is that of `name` in the settings; who may come shows a certificate below `anchors`.
    pub async fn bind(
        name: &'static str,
        address: SocketAddr,
        tls: ServerTls,
        anchors: Anchors,
        clock: Clock,
    ) -> Result<Self, RoleError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(RoleError::while_(format!("listening on {address} ({name}.listen)")))?;
        Ok(Self { name, listener, tls, anchors, clock })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves `app` to those who may come until the shutdown.
    pub async fn serve(self, app: Router, shutdown: Shutdown) {
        let door = Door::new(shutdown);
        let (name, tls, anchors, clock) = (self.name, Arc::new(self.tls), Arc::new(self.anchors), self.clock);
        while let Some(accepted) = door.open(self.listener.accept()).await {
            let Ok((stream, from)) = accepted else { continue };
            let (app, tls, anchors, clock) = (app.clone(), tls.clone(), anchors.clone(), clock.clone());
            door.spawn(async move {
                let (stream, peer) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await.ok()?.ok()?;
                match caller(&peer.chain, &anchors, &clock) {
                    Ok(caller) => {
                        tracing::info!(caller, %from, "{name} connection");
                        Some((stream, app.layer(Extension(Caller(caller)))))
                    }
                    Err(why) => {
                        tracing::warn!(%from, why, "an {name} connection was refused");
                        None
                    }
                }
            });
        }
        door.drain().await;
    }
}

/// Whether the certificate that was shown is of somebody who may come. For operators the anchor is the domain's CA for them,
/// which issues nothing else: a device's certificate of the same domain does not lead to it.
fn caller(chain: &[Certificate], anchors: &Anchors, clock: &Clock) -> Result<String, String> {
    let (leaf, above) = chain.split_first().ok_or("no certificate was shown")?;
    let policy = PathPolicy::at(clock.now()).require_eku(oid::CLIENT_AUTH);
    landfall_pki::validate(leaf, above, anchors, &policy).map_err(|refusal| refusal.to_string())?;
    Ok(leaf.subject())
}

/// What both doors do with a connection.
struct Door {
    shutdown: Shutdown,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Door {
    fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, places: Arc::new(Semaphore::new(CONNECTIONS)), graceful: GracefulShutdown::new() }
    }

    /// The next connection, or `None` once the shutdown has begun.
    async fn open<T>(&self, accept: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
        tokio::select! {
            () = self.shutdown.clone().begun() => None,
            accepted = accept => {
                if let Err(why) = &accepted {
                    tracing::warn!(%why, "an admin connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Some(accepted)
            }
        }
    }

    fn spawn<S>(&self, opened: impl Future<Output = Option<(S, Router)>> + Send + 'static)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return };
        let watcher = self.graceful.watcher();
        tokio::spawn(async move {
            let _place = place;
            let Some((stream, app)) = opened.await else { return };
            let service = TowerToHyperService::new(app);
            let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
            server.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
            let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(why) = watcher.watch(connection).await {
                tracing::debug!(why, "an admin connection broke");
            }
        });
    }

    async fn drain(self) {
        let _ = tokio::time::timeout(DRAIN, self.graceful.shutdown()).await;
    }
}
