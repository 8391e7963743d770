//! Access (SP 1800-36B 4.3 steps 7 and 8, 7.3): access points and switches ask by RADIUS whether a device may be let in,
//! and the device shows the certificate that it was given, by EAP-TLS.
//!
//! Each time it does, its certificate is checked against the domain's CA, and against the records of certificate and
//! device as they are at that moment: no revocation list and no session of before stands in between. Who is taken off
//! the records while inside is put out at once, and who is to be elsewhere is moved (RFC 5176), also after a restart.

mod client;
pub mod freeradius;
mod guest;
mod judge;
mod orders;
mod password;
mod place;
mod radsec;
mod session;
mod talk;
mod usage;
mod watch;
mod web;

pub use client::Client;
pub use place::Places;
pub use session::Session;
pub use talk::ACCOUNTING_LOG;
pub use web::AUTHORIZE_PATH;

use crate::{
    Identity, RoleError, World,
    enforcer::Enforcer,
    identity::anchors,
    role::{RoleName, Shutdown, Task},
    settings::{AccessSettings, Settings},
};
use judge::Remembered;
use landfall_brski::registrar::Vendors;
use landfall_eap::radius::Desk;
use landfall_net::tls::{ClientAuth, ServerTls};
use landfall_pki::{Anchors, SignatureMemo};
use radsec::Radsec;
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU8},
    time::Duration,
};
use talk::Talk;
use tokio::{net::UdpSocket, sync::Semaphore};
use web::Web;

/// So many signatures of certificates are remembered, at about a hundred octets.
const REMEMBERED: usize = 65_536;
/// After the end of its time an access point may still be asking for a device.
const GRACE: Duration = Duration::from_secs(30);

/// How access is set up.
#[derive(Debug)]
pub struct Config {
    /// Where access points and switches ask.
    pub listen: SocketAddr,
    /// The EAP server's certificate.
    pub identity: Identity,
    /// What the certificates of this domain lead to.
    pub anchors: Anchors,
    /// The access points and switches.
    pub clients: Vec<Client>,
    /// Where devices are to be.
    pub places: Places,
    /// How many requests are answered at a time.
    pub at_once: usize,
    /// Who guards the ports of this machine, if it has any.
    pub enforcer: Option<Arc<Enforcer>>,
}

/// Who else may ask, and who else may come.
#[derive(Debug, Default)]
pub struct Options {
    /// Where access points ask over TLS, and what their certificates lead to (RFC 6614).
    pub radsec: Option<(SocketAddr, Anchors)>,
    /// Where RADIUS servers of others ask by HTTPS.
    pub web: Option<SocketAddr>,
    /// Whose devices may be guests.
    pub vendors: Option<Vendors>,
}

impl Options {
    /// What `access` means in `settings`; whose devices may be guests is for the registrar to say.
    pub fn from_settings(access: &AccessSettings, settings: &Settings) -> Result<Self, RoleError> {
        let radsec = access.radsec.as_ref().map(|radsec| {
            let anchors = anchors(&radsec.anchors, |path| settings.resolve(path))?;
            Ok::<_, RoleError>((radsec.listen, anchors))
        });
        Ok(Self { radsec: radsec.transpose()?, web: access.web.as_ref().map(|web| web.listen), vendors: None })
    }
}

impl Config {
    /// What `access` means in `settings`, with every file that it names opened.
    pub fn from_settings(access: &AccessSettings, settings: &Settings, world: &World) -> Result<Self, RoleError> {
        Ok(Self {
            listen: access.listen,
            identity: Identity::load(&access.identity, |path| settings.resolve(path), world.element.as_ref())?,
            anchors: anchors(&access.anchors, |path| settings.resolve(path))?,
            clients: access.client.iter().map(|client| Client::load(client, settings)).collect::<Result<_, _>>()?,
            places: Places::of(&access.place)
                .with_quarantine(access.quarantine.clone())
                .with_remediation(access.remediation.clone())
                .with_guests(access.guest.clone()),
            at_once: access.at_once,
            enforcer: None,
        })
    }

    /// Binds the listener.
    pub async fn build(self, world: World, shutdown: Shutdown) -> Result<(Task, Arc<Access>), RoleError> {
        self.build_with(Options::default(), world, shutdown).await
    }

    /// Binds all listeners.
    pub async fn build_with(
        self,
        options: Options,
        world: World,
        shutdown: Shutdown,
    ) -> Result<(Task, Arc<Access>), RoleError> {
        let what = format!("listening on {} (access.listen)", self.listen);
        let socket = UdpSocket::bind(self.listen).await.map_err(RoleError::while_(&*what))?;
        let address = socket.local_addr().map_err(RoleError::while_(&*what))?;
        let identity = self.identity.into();
        let shows = |clients| {
            let what = "the EAP server's certificate (access.identity)";
            ServerTls::new(&identity, clients).map_err(RoleError::while_(what))
        };
        let tls = shows(ClientAuth::Required)?;
        let radsec = match options.radsec {
            Some((address, anchors)) => Some(Radsec::bind(address, tls.clone(), anchors).await?),
            None => None,
        };
        let web = match options.web {
            Some(address) => Some(Web::bind(address, shows(ClientAuth::None)?).await?),
            None => None,
        };
        let access = Arc::new(Access {
            world,
            web: web.as_ref().and_then(Web::address),
            socket,
            radsec: radsec.as_ref().and_then(Radsec::address),
            tls,
            anchors: self.anchors,
            clients: self.clients,
            places: self.places,
            memo: Arc::new(SignatureMemo::new(REMEMBERED)),
            on_record: Remembered::default(),
            enforcer: self.enforcer,
            vendors: options.vendors,
            desk: Mutex::default(),
            busy: Mutex::default(),
            orders: AtomicU8::default(),
        });
        let (served, watching, hearing) = (access.clone(), access.clone(), access.clone());
        if let Some(radsec) = radsec {
            tokio::spawn(radsec.serve(access.clone(), shutdown.clone()));
        }
        if let Some(web) = web {
            tokio::spawn(web.serve(access.clone(), shutdown.clone()));
        }
        let work = async move {
            tokio::select! {
                () = shutdown.begun() => Ok(()),
                broken = served.serve(self.at_once) => Err(broken),
                () = watching.watch() => Ok(()),
                () = hearing.hear() => Ok(()),
            }
        };
        Ok((Task::new(RoleName::Access, address, work), access))
    }
}

/// Access as it runs.
#[derive(Debug)]
pub struct Access {
    world: World,
    socket: UdpSocket,
    radsec: Option<SocketAddr>,
    web: Option<SocketAddr>,
    tls: ServerTls,
    anchors: Anchors,
    clients: Vec<Client>,
    places: Places,
    /// Signatures that were checked before: devices come again with the same certificates.
    memo: Arc<SignatureMemo>,
    on_record: Remembered,
    enforcer: Option<Arc<Enforcer>>,
    vendors: Option<Vendors>,
    desk: Mutex<Desk<Talk>>,
    /// The sessions about which access points are being told something.
    busy: Mutex<HashSet<String>>,
    /// Numbers orders.
    orders: AtomicU8,
}

impl Access {
    async fn serve(self: Arc<Self>, at_once: usize) -> RoleError {
        let turns = Arc::new(Semaphore::new(at_once.max(1)));
        let mut datagram = vec![0; landfall_eap::bounds::RADIUS];
        loop {
            match self.socket.recv_from(&mut datagram).await {
                Ok((length, from)) => {
                    let bytes = datagram.get(..length).unwrap_or_default();
                    // While all turns are taken the socket's buffer fills, and access points ask again.
                    let Ok(turn) = turns.clone().acquire_owned().await else { continue };
                    let (access, bytes) = (self.clone(), bytes.to_vec());
                    tokio::spawn(async move {
                        access.receive(from, &bytes).await;
                        drop(turn);
                    });
                }
                // What an earlier answer met with on its way; nothing is wrong with the socket.
                Err(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(why) => return RoleError::new("receiving requests (access.listen)", why),
            }
        }
    }

    /// Where access points ask over TLS, if they may.
    pub const fn radsec(&self) -> Option<SocketAddr> {
        self.radsec
    }

    /// Where RADIUS servers of others ask by HTTPS, if they may.
    pub const fn web(&self) -> Option<SocketAddr> {
        self.web
    }

    fn client_named(&self, name: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.name == name)
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn desk(&self) -> MutexGuard<'_, Desk<Talk>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
