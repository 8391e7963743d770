//! The servers.

use super::{
    super::{ground::Ground, load},
    Server,
    device::{SECRET, roots},
};
use crate::{
    peers::{process::Process, program},
    port::free_port,
};
use anyhow::{Context, Result, anyhow};
use landfall_eap::radius::Secret;
use landfall_pki::{
    Algorithm, AltName, Authority, Certificate, CertificateSerial, Name, PkiError, Prepared, Signer, SoftwareKey,
    Validity, pem,
    profile::{self, Ca},
};
use landfall_server::{
    Identity, Shutdown, Trigger,
    access::{Access, Client, Config, Places},
    enforcer::Enforcer,
    settings::IdentitySettings,
    shutdown,
};
use landfall_types::{Redacted, Time};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// What other servers show, and whom they trust.
pub(super) struct Foreign {
    /// What their certificate leads to.
    pub(super) root: Certificate,
    leaf: Certificate,
    key: SoftwareKey,
    /// What the devices' certificates lead to.
    pub(super) devices: RootCertStore,
    domain: Certificate,
}

impl Foreign {
    pub(super) fn new(ground: &Ground) -> Result<Self> {
        let (above, key) = (SoftwareKey::generate(Algorithm::EcdsaP256)?, SoftwareKey::generate(Algorithm::EcdsaP256)?);
        let validity = Validity::lasting(Time::now() - Duration::from_secs(60), Duration::from_secs(86_400));
        let root = Ca::root(Name::common("Bench servers"));
        let root = issue(root.prepare_root(above.public_key(), CertificateSerial::random()?, validity), &above)?;
        let authority = Authority { certificate: root.clone(), chain: Vec::new() };
        let server =
            profile::Server { subject: Name::common("localhost"), alt_names: vec![AltName::Dns("localhost".into())] };
        let leaf = server.prepare(&authority, key.public_key(), CertificateSerial::random()?, validity);
        let leaf = issue(leaf, &above)?;
        let domain = fs::read_to_string(ground.domain_folder().join("root.pem")).context("the domain's root")?;
        let domain = Certificate::from_pem(&domain)?;
        Ok(Self { root, leaf, key, devices: roots(&[&domain])?, domain })
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.leaf.der().to_vec())]
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_pkcs8_der().expose().clone()).into()
    }

    fn write(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("server.pem"), self.leaf.to_pem())?;
        fs::write(folder.join("server.key"), pem::encode("PRIVATE KEY", self.key.to_pkcs8_der().expose()))?;
        fs::write(folder.join("domain.pem"), self.domain.to_pem())?;
        Ok(())
    }
}

fn issue(prepared: Result<Prepared, PkiError>, key: &dyn Signer) -> Result<Certificate> {
    let linted = prepared?.lint().map_err(|findings| anyhow!("{findings:?}"))?;
    Ok(linted.issue(key)?)
}

/// A server as it runs, until dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    process: Option<(Process, TempDir)>,
    _trigger: Option<Trigger>,
}

impl Running {
    pub(super) async fn start(server: Server, ground: &Ground, foreign: &Foreign) -> Result<Self> {
        match server {
            Server::Landfall => Self::ours(ground).await,
            Server::FreeRadius => Self::theirs("freeradius", foreign, |folder, port| {
                fs::write(folder.join("dictionary"), "$INCLUDE /usr/share/freeradius/dictionary\n")?;
                fs::write(folder.join("radiusd.conf"), free_radius(folder, port))?;
                Ok(vec!["-f".into(), "-d".into(), folder.display().to_string()])
            }),
            Server::Hostapd => Self::theirs("hostapd", foreign, |folder, port| {
                fs::write(folder.join("clients"), format!("127.0.0.1/32 {SECRET}\n"))?;
                fs::write(folder.join("users"), "* TLS\n")?;
                fs::write(folder.join("hostapd.conf"), hostapd(folder, port))?;
                Ok(vec![folder.join("hostapd.conf").display().to_string()])
            }),
        }
    }

    async fn ours(ground: &Ground) -> Result<Self> {
        let (trigger, shutdown) = shutdown();
        let (_, address) = access(ground, Places::default(), None, shutdown).await?;
        Ok(Self { address, process: None, _trigger: Some(trigger) })
    }

    fn theirs(name: &str, foreign: &Foreign, settings: impl FnOnce(&Path, u16) -> Result<Vec<String>>) -> Result<Self> {
        let program = program(name).with_context(|| format!("{name} is not installed"))?;
        let folder = tempfile::tempdir().context("no folder for the server")?;
        foreign.write(folder.path())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let arguments = settings(folder.path(), address.port())?;
        let process = Process::start(Command::new(program).args(arguments), &folder.path().join("log"))?;
        Ok(Self { address, process: Some((process, folder)), _trigger: None })
    }

    /// The CPU time that the server has taken, if it is another process than this one.
    pub(super) fn cpu_time(&self) -> Duration {
        self.process.as_ref().map_or(Duration::ZERO, |(process, _)| load::cpu_time_of(process.id()))
    }
}

/// Ours, and where it listens.
pub(super) async fn access(
    ground: &Ground,
    places: Places,
    enforcer: Option<Arc<Enforcer>>,
    shutdown: Shutdown,
) -> Result<(Arc<Access>, SocketAddr)> {
    let element = ground.domain.element.clone();
    let certificate = ground.domain_folder().join("registrar.pem");
    let identity = IdentitySettings { certificate, key: None };
    let config = Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        identity: Identity::load(&identity, Path::to_owned, element.as_ref())?,
        anchors: super::super::device::anchors(ground)?,
        clients: vec![Client::new(
            "bench",
            vec!["127.0.0.1".parse()?],
            Secret::new(Redacted::new(SECRET.as_bytes().to_vec()))?,
            None,
        )],
        places,
        at_once: 64,
        enforcer,
    };
    let (task, access) = config.build(ground.domain.clone(), shutdown).await?;
    let address = task.address.context("it listens")?;
    tokio::spawn(task.run());
    Ok((access, address))
}

fn free_radius(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "prefix = /usr
localstatedir = {folder}
name = bench
logdir = {folder}
run_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {{
    destination = files
    file = {folder}/radius.log
    auth = no
}}
security {{
    allow_core_dumps = no
}}
thread pool {{
    start_servers = 4
    max_servers = 8
    min_spare_servers = 2
    max_spare_servers = 8
    max_requests_per_server = 0
}}
client bench {{
    ipaddr = 127.0.0.1
    secret = \"{SECRET}\"
    require_message_authenticator = yes
}}
modules {{
    eap {{
        default_eap_type = tls
        timer_expire = 60
        max_sessions = 65536
        tls-config common {{
            private_key_file = {folder}/server.key
            certificate_file = {folder}/server.pem
            ca_file = {folder}/domain.pem
            tls_min_version = \"1.2\"
            tls_max_version = \"1.3\"
            fragment_size = 1200
            cache {{
                enable = no
            }}
        }}
        tls {{
            tls = common
        }}
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        eap
    }}
    authenticate {{
        eap
    }}
}}
"
    )
}

fn hostapd(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "interface=lo
driver=none
eap_server=1
eap_user_file={folder}/users
ca_cert={folder}/domain.pem
server_cert={folder}/server.pem
private_key={folder}/server.key
tls_flags=[ENABLE-TLSv1.3]
radius_server_clients={folder}/clients
radius_server_auth_port={port}
"
    )
}
