//! A factory's bundle on disk, and a registrar that listens.

use super::registrar::Registrar;
use landfall_device::{Config, Discovery};
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{Certificate, pem};
use landfall_testkit::{Domain, Identity, Manufacturer, temp_dir};
use landfall_types::{
    Redacted, Time,
    bundle::{BundleKey, DeviceBundle, FORMAT},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{net::TcpListener, sync::watch};

pub(crate) struct World {
    pub(crate) device: Identity,
    pub(crate) domain: Domain,
    pub(crate) dir: tempfile::TempDir,
    registrar: Arc<Mutex<Registrar>>,
    address: String,
    _stop: watch::Sender<bool>,
}

impl World {
    /// A device with its bundle, and a registrar that is ready to take it.
    pub(crate) async fn new() -> Self {
        let (maker, domain) = (Manufacturer::new(), Domain::new());
        let device = maker.device("SN-0001");
        let registrar = Arc::new(Mutex::new(Registrar::new(&maker, &domain)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let identity = TlsIdentity { chain: domain.registrar.chain(), signer: domain.registrar.signer() };
        let tls = ServerTls::new(&identity, ClientAuth::Required).unwrap();
        let (stop, stopped) = watch::channel(false);
        let answers = Arc::clone(&registrar);
        let serve = move |request, _| {
            let response = answers.lock().unwrap().answer(request, Time::now());
            async move { response }
        };
        tokio::spawn(Server::new(listener).tls(tls).run(serve, stopped));
        let world = Self { device, domain, dir: temp_dir(), registrar, address, _stop: stop };
        world.write_bundle(&maker);
        world
    }

    fn write_bundle(&self, maker: &Manufacturer) {
        let pkcs8 = self.device.key.to_pkcs8_der();
        let bundle = DeviceBundle {
            format: FORMAT,
            serial_number: "SN-0001".parse().unwrap(),
            model: "Test Model".parse().unwrap(),
            idevid: self.device.certificate.to_pem(),
            chain: self.device.intermediates.iter().map(Certificate::to_pem).collect(),
            key: Some(BundleKey(Redacted::new(pem::encode("PRIVATE KEY", pkcs8.expose())))),
            masa_anchors: maker.root.authority.certificate.to_pem(),
            masa_url: Some(maker.masa_url.clone()),
            attestation: None,
            dpp: None,
        };
        fs::write(self.path("bundle.json"), serde_json::to_vec(&bundle).unwrap()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn registrar(&self) -> MutexGuard<'_, Registrar> {
        self.registrar.lock().unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            bundle: Some(self.path("bundle.json")),
            state: self.path("state"),
            evidence: Some(self.path("evidence")),
            discovery: Discovery {
                mdns: false,
                grasp: false,
                registrars: vec![self.address.clone()],
                ..Discovery::default()
            },
            ..Config::default()
        }
    }

    /// The agent's program, told where everything is.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall-device"));
        command.args(arguments).args(["--no-discovery", "--registrar", &self.address]);
        command.arg("--bundle").arg(self.path("bundle.json")).arg("--state").arg(self.path("state"));
        command
    }

    /// Runs the program on a thread of its own, as the registrar needs this one.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The LDevID keys in the element.
    pub(crate) fn ldevid_keys(&self) -> Vec<String> {
        names(&self.path("state/keys"))
            .into_iter()
            .filter(|n| n.starts_with("ldevid-") && n.ends_with(".key"))
            .collect()
    }
}

/// What is in a folder, in order; nothing if there is none.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
