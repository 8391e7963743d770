//! A manufacturer, a domain and a server over loopback, in a folder that goes away.

use landfall_device::{Agent, Config as DeviceConfig, Outcome};
use landfall_lifecycle::factory::{BundleForm, Product, SerialScheme};
use landfall_pki::{Algorithm, AltName};
use landfall_server::{
    RoleName, Server, Settings, Trigger,
    admin::{Address, Client, view::Count},
    domain::NewDomain,
    factory::{Factory, NewManufacturer, Order},
    open, shutdown,
};
use landfall_store::Store;
use landfall_types::Time;
use std::{net::SocketAddr, num::NonZero, path::PathBuf};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// What the settings begin with; each test may add to it.
const SETTINGS: &str = r#"
[metrics]
listen = "127.0.0.1:0"
[masa]
listen = "127.0.0.1:MASA"
[registrar]
listen = "127.0.0.1:0"
announce = false
retry-after = "1s"
masa-timeout = "2s"
[registrar.acceptance]
others = "OTHERS"
[[registrar.vendor]]
id = "maker"
anchors = ["manufacturer/root.pem"]
"#;

/// Everything that one test needs.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) settings: Settings,
    pub(crate) serials: Vec<String>,
    bundles: PathBuf,
}

/// A server that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) world: landfall_server::World,
    pub(crate) addresses: Vec<(RoleName, SocketAddr)>,
    pub(crate) health: SocketAddr,
    trigger: Trigger,
    task: JoinHandle<()>,
}

impl World {
    /// A world with `devices` devices; devices that no list names are `others`: permit, deny or ask.
    pub(crate) fn new(devices: u32, others: &str) -> Self {
        Self::with_mud(devices, others, None)
    }

    /// The same with devices whose certificates say where their MUD file is.
    pub(crate) fn with_mud(devices: u32, others: &str, mud_url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let masa = landfall_testkit::free_port();
        let text = SETTINGS.replace("MASA", &masa.to_string()).replace("OTHERS", others);
        let mut settings = Settings::parse(&text).unwrap();
        settings.data = folder.path().to_owned();
        let element = open::element(&settings).unwrap();
        let localhost = || vec![AltName::Dns("localhost".into())];
        NewDomain { organization: "Net".into(), names: localhost(), algorithm: Algorithm::EcdsaP256 }
            .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
            .unwrap();
        let new = NewManufacturer {
            organization: "Maker".into(),
            masa_names: localhost(),
            masa_url: Some(format!("localhost:{masa}")),
            algorithm: Algorithm::EcdsaP256,
        };
        new.make(&settings.resolve("manufacturer".as_ref()), element.as_ref(), Time::now()).unwrap();
        let factory = Factory::open(
            &settings.resolve("manufacturer".as_ref()),
            element.as_ref(),
            Store::sqlite(settings.resolve("factory.db".as_ref())).unwrap(),
            &settings.resolve("bundles".as_ref()),
        )
        .unwrap();
        let product = Product {
            model: "sensor".parse().unwrap(),
            serials: SerialScheme { prefix: "T-".into(), digits: 6 },
            algorithm: Algorithm::EcdsaP256,
            masa_url: None,
            mud_url,
            dpp: None,
        };
        let order = Order { product, count: NonZero::new(devices).unwrap(), bundles: BundleForm::File };
        // It blocks, which a thread of a runtime must not.
        let made = std::thread::scope(|scope| scope.spawn(|| factory.provision(&order, &|_| {})).join().unwrap());
        let made = made.unwrap();
        let mut records = Vec::new();
        factory.export(&mut records).unwrap();
        std::fs::write(folder.path().join("records"), &records).unwrap();
        let serials = made.batch.range.serials().map(|serial| serial.unwrap().to_string()).collect();
        Self { folder, settings, serials, bundles: made.folder }
    }

    /// Runs roles; all of them if none is named.
    pub(crate) async fn run(&self, roles: &[RoleName]) -> Running {
        self.run_in(&self.settings, roles).await
    }

    /// The same on a machine of its own: with another store and another admin socket.
    pub(crate) async fn run_apart(&self, name: &str, roles: &[RoleName]) -> Running {
        let mut settings = self.settings.clone();
        settings.store.url = format!("sqlite:{name}.db");
        settings.admin.socket = format!("{name}.sock").into();
        self.run_in(&settings, roles).await
    }

    /// The same with other settings.
    pub(crate) async fn run_in(&self, settings: &Settings, roles: &[RoleName]) -> Running {
        let (trigger, shutdown) = shutdown();
        let server = Server::build(settings, roles, shutdown).await.unwrap();
        let (addresses, health) = (server.addresses(), server.health_address().unwrap());
        let world = server.world().clone();
        let task = tokio::spawn(async move { server.run().await.unwrap() });
        let client = Client::new(Address::Local(settings.admin_socket()));
        Running { client, world, addresses, health, trigger, task }
    }

    /// The factory's records, as `landfall factory publish` sends them.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("records")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn pem(&self, path: &str) -> String {
        std::fs::read_to_string(self.settings.resolve(path.as_ref())).unwrap()
    }

    /// The agent of the device with that number.
    pub(crate) fn device(&self, number: usize, registrar: SocketAddr) -> Agent {
        self.device_with(number, registrar, |_| ())
    }

    /// The same with one thing otherwise.
    pub(crate) fn device_with(
        &self,
        number: usize,
        registrar: SocketAddr,
        change: impl FnOnce(&mut DeviceConfig),
    ) -> Agent {
        let mut config = DeviceConfig {
            bundle: Some(self.bundles.join(format!("{}.json", self.serials[number]))),
            state: self.folder.path().join(format!("device-{number}")),
            ..DeviceConfig::default()
        };
        config.discovery.mdns = false;
        config.discovery.grasp = false;
        config.discovery.registrars = vec![registrar.to_string()];
        change(&mut config);
        Agent::open(config).unwrap()
    }
}

impl Running {
    pub(crate) fn address(&self, role: RoleName) -> SocketAddr {
        self.addresses.iter().find(|(name, _)| *name == role).unwrap().1
    }

    /// Brings the records to the MASA, and makes `net` a customer who bought all devices.
    pub(crate) async fn sell(&self, world: &World) {
        let records = world.records();
        let taken: Count = self.client.post("/v1/factory/devices", &records).await.unwrap();
        assert_eq!(taken.count, records.len() as u64);
        let certificates = [world.pem("domain/root.pem"), world.pem("domain/issuing.pem")];
        let customer = serde_json::json!({ "owner": "net", "certificates": certificates, "nonceless": true });
        let _: serde_json::Value = self.client.post("/v1/transfer/customers", &customer).await.unwrap();
        let sale = serde_json::json!({ "owner": "net", "serial_numbers": world.serials });
        let sold: serde_json::Value = self.client.post("/v1/transfer/sales", &sale).await.unwrap();
        assert_eq!(sold["failed"], serde_json::json!([]));
    }

    /// Tells it to drain.
    pub(crate) fn drain(&self) {
        self.trigger.pull();
    }

    /// Drains it, and waits until that is done.
    pub(crate) async fn stop(self) {
        self.drain();
        self.task.await.unwrap();
    }
}

/// One attempt to onboard: whether it worked, and if not, the check that failed.
pub(crate) async fn onboard(agent: &Agent) -> Result<(), String> {
    match agent.onboard(Some(1), None, &mut |_| {}).await.unwrap() {
        Outcome::Onboarded(_) => Ok(()),
        Outcome::Refused(refusal) => Err(refusal.to_string()),
    }
}
