//! A configurator on loopback, with its book of devices.

use super::device::Device;
use landfall_lifecycle::{
    network::{DomainDevice, Identity},
    transfer::{Bootstrapping, DppRole, Held, Via},
};
use landfall_pki::{Algorithm, AltName};
use landfall_server::{
    Clock, RoleName, Server, Settings, Trigger, World, access,
    admin::{
        Address, Client,
        view::{AuditEvent, ConfiguratorView, Device as DeviceView, Page, Unanswered},
    },
    domain::NewDomain,
    open, shutdown,
};
use landfall_store::Store;
use landfall_types::{Changes, Model, Outcome, OwnerId, Time};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// What settings begin with.
const BASE: &str = r#"
[metrics]
listen = ""
[configurator]
listen = "127.0.0.1:0"
announce = false
"#;

/// One network with connectors.
pub(crate) const CONNECTOR: &str = "[[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\n";

/// A configurator that runs.
pub(crate) struct Ground {
    folder: TempDir,
    settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) store: Store,
    trigger: Trigger,
    task: JoinHandle<()>,
}

impl Ground {
    /// With one network that is joined by connector.
    pub(crate) async fn new() -> Self {
        Self::with(CONNECTOR).await
    }

    /// With `more` in the settings behind the table of the configurator.
    pub(crate) async fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::parse(&format!("{BASE}{more}")).unwrap_or_else(|why| panic!("{why:?}"));
        settings.data = folder.path().to_owned();
        let element = open::element(&settings).unwrap();
        let names = vec![AltName::Dns("localhost".into())];
        NewDomain { organization: "Net".into(), names, algorithm: Algorithm::EcdsaP256 }
            .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
            .unwrap();
        Self::start(folder, settings).await
    }

    /// With a registrar beside it, if the settings have one that listens.
    async fn start(folder: TempDir, settings: Settings) -> Self {
        let (trigger, shutdown) = shutdown();
        let beside = settings.registrar.as_ref().is_some_and(|registrar| registrar.listen.port() == 0);
        let roles = &[RoleName::Configurator, RoleName::Registrar][..1 + usize::from(beside)];
        // One that ran here before gives the store free a moment after it has stopped.
        let building = async {
            loop {
                match Server::build(&settings, roles, shutdown.clone()).await {
                    Ok(server) => return server,
                    Err(why) => println!("not yet: {why}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let server = tokio::time::timeout(Duration::from_secs(30), building).await.expect("a configurator");
        let at = server.addresses().into_iter().find(|(role, _)| *role == RoleName::Configurator);
        let (_, address) = at.unwrap_or_else(|| panic!("{:?}", server.addresses()));
        let store = server.world().store.clone();
        let task = tokio::spawn(async move { server.run().await.unwrap() });
        let client = Client::new(Address::Local(settings.admin_socket()));
        Self { folder, settings, address, client, store, trigger, task }
    }

    /// Stops it and starts it anew.
    pub(crate) async fn restarted(self) -> Self {
        self.trigger.pull();
        self.task.await.unwrap();
        drop(self.store);
        Self::start(self.folder, self.settings).await
    }

    /// The same with other settings behind the table of the configurator.
    pub(crate) async fn restarted_with(self, more: &str) -> Self {
        let data = self.settings.data.clone();
        let settings = Settings::parse(&format!("{BASE}{more}")).unwrap_or_else(|why| panic!("{why:?}"));
        Self { settings: Settings { data, ..settings }, ..self }.restarted().await
    }

    /// An access server over the same records, for an access point of `tenant` that asks from here with the secret.
    pub(crate) async fn access(&self, tenant: &str, secret: &str) -> (SocketAddr, Trigger) {
        self.access_with(tenant, secret, 3799, None).await
    }

    /// The same for access points that take orders at that port, by that clock.
    pub(crate) async fn access_with(
        &self,
        tenant: &str,
        secret: &str,
        orders: u16,
        clock: Option<Clock>,
    ) -> (SocketAddr, Trigger) {
        let file = self.settings.resolve("secret".as_ref());
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let access = format!(
            "[access]\nlisten = \"127.0.0.1:0\"\n[[access.client]]\nname = \"ap\"\naddresses = [\"127.0.0.1\"]\n\
             secret-file = \"secret\"\ntenant = {tenant:?}\norders = {orders}\n[[access.place]]\nvlan = \"30\"\nreauthenticate = \"1h\"\n"
        );
        let mut settings = Settings::parse(&access).unwrap_or_else(|why| panic!("{why:?}"));
        settings.data.clone_from(&self.settings.data);
        let mut world = World::new(self.store.clone(), open::element(&settings).unwrap());
        world.clock = clock.unwrap_or(world.clock);
        let config = access::Config::from_settings(settings.access.as_ref().unwrap(), &settings, &world).unwrap();
        let (trigger, shutdown) = shutdown();
        let (task, _) = config.build(world, shutdown).await.unwrap();
        let address = task.address.unwrap();
        tokio::spawn(task.run());
        (address, trigger)
    }

    /// Where its operator comes in.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.settings.admin_socket()
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.trigger.pull();
        self.task.await.unwrap();
    }

    /// Takes the device into the book of the owner of the service.
    pub(crate) async fn own(&self, device: &Device) {
        self.enter(device, "home", |_| {}).await;
    }

    /// Takes the device into the book of `tenant`, with what `change` does to the entry.
    pub(crate) async fn enter(&self, device: &Device, tenant: &str, change: impl FnOnce(&mut Bootstrapping)) {
        let tenant: OwnerId = tenant.parse().unwrap();
        let key = device.key.public();
        let mut entry = Bootstrapping {
            tenant,
            bootstrap_hash: key.bootstrap_hash(),
            chirp_hash: key.chirp_hash(),
            uri: device.uri().to_string(),
            serial_number: Some(device.serial.parse().unwrap()),
            model: Some("bulb".parse().unwrap()),
            device: None,
            role: Some(DppRole::Sta),
            configurator: None,
            received: Time::now(),
            via: Via::Uri,
            state: Held::Held,
        };
        change(&mut entry);
        self.store.commit(Changes::new().put(&entry).unwrap()).await.unwrap();
    }

    /// What the operator sees of the device.
    pub(crate) async fn shown(&self, device: &Device) -> DeviceView {
        self.client.get(&format!("/v1/network/devices/{}", device.serial)).await.unwrap()
    }

    /// What an operator does to it.
    pub(crate) async fn judge(&self, device: &Device, verb: &str) -> DeviceView {
        let note = serde_json::json!({ "reason": "test" });
        self.client.post(&format!("/v1/network/devices/{}/{verb}", device.serial), &note).await.unwrap()
    }

    /// The record of the device in the book of `tenant`.
    pub(crate) fn record(&self, device: &Device, tenant: &str) -> Option<DomainDevice> {
        let id = Identity::bootstrapped_id(&tenant.parse().unwrap(), &device.key.public().bootstrap_hash()).unwrap();
        self.store.find::<DomainDevice>(id.as_str()).unwrap().map(|found| found.record)
    }

    /// The checks that were failed by those that got no answer, the latest first.
    pub(crate) async fn unanswered(&self) -> Vec<Unanswered> {
        self.client.get("/v1/network/configurator/refused").await.unwrap()
    }

    /// The only check that was failed so far.
    pub(crate) async fn refusal(&self) -> String {
        match self.unanswered().await.as_slice() {
            [only] => only.check.clone(),
            others => panic!("{others:?}"),
        }
    }

    /// The checks that stand in the audit log as failed, in its order.
    pub(crate) async fn audited(&self) -> Vec<String> {
        let audit: Page<AuditEvent> = self.client.get("/v1/audit?limit=1000").await.unwrap();
        let checks = audit.items.into_iter().filter_map(|event| match event.outcome {
            Outcome::Refused(refusal) => Some(refusal.check.to_string()),
            _ => None,
        });
        checks.collect()
    }

    /// The configurator as its owner sees it.
    pub(crate) async fn view(&self) -> ConfiguratorView {
        let views: Vec<ConfiguratorView> = self.client.get("/v1/network/configurator").await.unwrap();
        views.into_iter().find(|view| view.tenant == "home").unwrap()
    }

    pub(crate) fn model(name: &str) -> Option<Model> {
        Some(name.parse().unwrap())
    }
}
