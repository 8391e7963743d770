//! A manufacturer, a network and a factory in this process, for measuring: real sockets, durable records, real keys.

use super::device::Device;
use anyhow::{Context, Result, ensure};
use landfall_device::{Agent, Config, Discovery};
use landfall_element::{MemoryElement, SecureElement};
use landfall_lifecycle::{
    factory::{BundleForm, Product, SerialScheme},
    transfer::Mode,
};
use landfall_net::tls::TlsIdentity;
use landfall_pki::{Algorithm, AltName, Certificate};
use landfall_policy::{Verdict, acceptance::Acceptance};
use landfall_server::{
    Settings, Shutdown, Trigger, World,
    domain::NewDomain,
    factory::{Factory, NewManufacturer, Order},
    masa,
    registrar::{self, Registrar},
    settings::{MasaSettings, RegistrarSettings, VendorSettings},
    shutdown,
};
use landfall_store::Store;
use landfall_types::{Time, bundle::DeviceBundle, record::Record};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

const LOOPBACK: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// The parties, until dropped.
pub struct Ground {
    folder: TempDir,
    /// The MASA's address.
    pub masa: SocketAddr,
    /// The registrar's address.
    pub registrar: SocketAddr,
    /// What the registrar keeps.
    pub domain: World,
    /// The registrar itself.
    pub role: Arc<Registrar>,
    factory: Factory,
    product: Product,
    _trigger: Trigger,
}

impl Ground {
    /// Makes the parties in a new folder and starts the servers.
    pub async fn lay() -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the benchmark")?;
        let (trigger, shutdown) = shutdown();
        let (now, algorithm) = (Time::now(), Algorithm::EcdsaP256);
        let names = || -> Result<Vec<AltName>> {
            Ok(vec![AltName::Dns("localhost".into()), AltName::Ip(Ipv4Addr::LOCALHOST.into())])
        };

        let (manufacturer, made) = party(folder.path(), "manufacturer")?;
        let new = NewManufacturer { organization: "Bench".into(), masa_names: names()?, masa_url: None, algorithm };
        new.make(&manufacturer.data.join("manufacturer"), &*made.element, now)?;
        let masa = start_masa(&manufacturer, &made, shutdown.clone()).await?;

        let (mut owner, domain) = party(folder.path(), "owner")?;
        let new = NewDomain { organization: "Bench domain".into(), names: names()?, algorithm };
        new.make(&owner.data.join("domain"), &*domain.element, now)?;
        owner.registrar = Some(RegistrarSettings {
            listen: LOOPBACK,
            announce: false,
            acceptance: Acceptance { others: Verdict::Permit, ..Acceptance::default() },
            vendor: vec![vendor(&manufacturer)?],
            ..RegistrarSettings::default()
        });
        let (role, registrar) = start_registrar(&owner, &domain, shutdown).await?;

        let bundles = folder.path().join("bundles");
        let factory =
            Factory::open(&manufacturer.data.join("manufacturer"), &*made.element, made.store.clone(), &bundles)?;
        let product = Product {
            model: "BENCH-1".parse()?,
            serials: SerialScheme { prefix: "B".into(), digits: 8 },
            algorithm,
            masa_url: Some(format!("localhost:{}", masa.port())),
            mud_url: None,
            dpp: None,
        };
        Ok(Self { folder, masa, registrar, domain, role, factory, product, _trigger: trigger })
    }

    /// Makes `count` devices, each of which has taken in what the factory gave it.
    pub fn devices(&self, count: u32) -> Result<Vec<Device>> {
        let count = NonZero::new(count).context("no devices")?;
        let order = Order { product: self.product.clone(), count, bundles: BundleForm::File };
        let made = tokio::task::block_in_place(|| self.factory.provision(&order, &|_| ()))?;
        let paths = fs::read_dir(&made.folder)?.map(|entry| entry.map(|entry| entry.path()));
        let mut bundles: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
        bundles.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        ensure!(bundles.len() as u64 == u64::from(count.get()), "{} bundles for {count} devices", bundles.len());
        bundles.iter().map(|bundle| self.device(bundle)).collect()
    }

    fn device(&self, bundle: &Path) -> Result<Device> {
        let name = bundle.file_stem().context("a bundle without a name")?;
        let config = Config {
            bundle: Some(bundle.into()),
            state: self.devices_folder().join(name),
            discovery: Discovery {
                mdns: false,
                grasp: false,
                interfaces: Vec::new(),
                registrars: vec![self.registrar.to_string()],
            },
            ..Config::default()
        };
        let element = Arc::new(MemoryElement::new());
        let agent = Agent::with_element(config, element.clone())?;
        let key = element.list()?.pop().context("the device has no key")?;
        let given: DeviceBundle = serde_json::from_slice(&fs::read(bundle)?)?;
        let mut chain = vec![Certificate::from_pem(&given.idevid)?];
        chain.extend(Certificate::chain_from_pem(&given.chain)?);
        Ok(Device { agent, birth: TlsIdentity { chain, signer: element.signer(&key)? } })
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn devices_folder(&self) -> PathBuf {
        self.folder.path().join("devices")
    }

    /// Where the domain's certificates are.
    pub fn domain_folder(&self) -> PathBuf {
        self.folder.path().join("owner/domain")
    }

    /// How many records of a kind the registrar keeps.
    pub fn kept<R: Record>(&self) -> Result<u64> {
        Ok(self.domain.store.count::<R>()?)
    }
}

fn party(folder: &Path, name: &str) -> Result<(Settings, World)> {
    let data = folder.join(name);
    fs::create_dir_all(&data)?;
    let store = Store::sqlite(data.join("landfall.db"))?;
    let element: Arc<dyn SecureElement> = Arc::new(MemoryElement::new());
    Ok((Settings { data, ..Settings::default() }, World::new(store, element)))
}

async fn start_masa(settings: &Settings, world: &World, shutdown: Shutdown) -> Result<SocketAddr> {
    let mut masa = MasaSettings { listen: LOOPBACK, ..MasaSettings::default() };
    masa.transfer.ownership = Mode::TrustOnFirstUse;
    let config = masa::Config::from_settings(&masa, settings, world)?;
    let (task, _) = config.build(world.clone(), shutdown).await?;
    let address = task.address.context("it listens")?;
    tokio::spawn(task.run());
    Ok(address)
}

async fn start_registrar(
    settings: &Settings,
    world: &World,
    shutdown: Shutdown,
) -> Result<(Arc<Registrar>, SocketAddr)> {
    let of = settings.registrar.as_ref().context("no registrar in the settings")?;
    let config = registrar::Config::from_settings(of, settings, world)?;
    let (task, role) = config.build(world.clone(), shutdown).await?;
    let address = task.address.context("it listens")?;
    tokio::spawn(task.run());
    Ok((role, address))
}

fn vendor(manufacturer: &Settings) -> Result<VendorSettings> {
    Ok(VendorSettings::new("bench".parse()?, manufacturer.data.join("manufacturer/root.pem")))
}
