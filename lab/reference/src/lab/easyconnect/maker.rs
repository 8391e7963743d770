//! The manufacturer: a factory that makes bootstrapping keys, and the supply chain service that hands them on.

use super::{device::Device, owner::Owner};
use crate::{
    lab::{party::Party, place::Place},
    port::free_port,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_dpp::Curve;
use landfall_lifecycle::factory::{BundleForm, DppProduct, Product, SerialScheme};
use landfall_net::tls::{ClientTls, TlsIdentity};
use landfall_pki::{Algorithm, AltName, Anchors, Certificate};
use landfall_server::{
    Identity, RoleName, Settings,
    admin::view::{NewTenant, TenantView},
    factory::{Factory, ListFormat, NewManufacturer, Order, Which},
    labels::Format,
    open,
    settings::IdentitySettings,
    supply_chain::ServiceClient,
};
use landfall_store::Store;
use landfall_types::{Redacted, Time};
use std::{
    fs,
    net::Ipv4Addr,
    num::NonZero,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A manufacturer.
pub(super) struct Maker {
    /// The root of its birth credentials.
    pub(super) root: Certificate,
    /// Its factory.
    pub(super) factory: Factory,
    /// What its servers show of themselves.
    pub(super) server: TlsIdentity,
    /// Where it puts labels.
    labels: PathBuf,
    orders: AtomicU32,
}

/// A supply chain service, with what its tenants need to be known there.
pub(super) struct SupplyChain {
    party: Party,
    /// Host and port.
    pub(super) place: String,
    /// What its certificate leads to.
    pub(super) anchor: PathBuf,
    folder: PathBuf,
}

impl Maker {
    /// Makes one, which tells devices apart from those of other sites by the letters that their serial numbers begin with.
    pub(super) fn found(place: &Place, organization: &str) -> Result<Self> {
        let folder = place.new_folder("kestrel")?;
        fs::write(folder.join("landfall.toml"), "data = \"data\"\n")?;
        let settings = Settings::load(&folder.join("landfall.toml"))?;
        let element = open::element(&settings)?;
        let home = settings.data.join("manufacturer");
        let new = NewManufacturer {
            organization: organization.into(),
            masa_names: vec![AltName::Dns("localhost".into())],
            masa_url: None,
            algorithm: Algorithm::EcdsaP256,
        };
        let made = new.make(&home, &*element, Time::now())?;
        let store = Store::sqlite(settings.data.join("factory.db"))?;
        let factory = Factory::open(&home, &*element, store, &folder.join("bundles"))?;
        let labels = folder.join("labels");
        let shown = IdentitySettings::at("masa-tls.pem");
        let server = Identity::load(&shown, |name| home.join(name), &*element)?.into();
        Ok(Self { root: made.root, factory, server, labels, orders: AtomicU32::new(1) })
    }

    /// Makes a device of that kind.
    pub(super) fn make(&self, place: &Place, product: &Product) -> Result<Device> {
        let order = Order { product: product.clone(), count: NonZero::<u32>::MIN, bundles: BundleForm::File };
        let made = tokio::task::block_in_place(|| self.factory.provision(&order, &|_| ()))?;
        let bundle = fs::read_dir(&made.folder)?.next().context("the factory made nothing")??;
        Device::unpack(place, &bundle.path())
    }

    /// What is told of devices to those who get them: a line each.
    pub(super) fn list(&self, device: &Device) -> Result<Vec<u8>> {
        let (mut lines, which) = (Vec::new(), Which::Serials(vec![device.serial.parse()?]));
        self.factory.write_uris(&which, ListFormat::JsonLines, &mut lines)?;
        Ok(lines)
    }

    /// The QR code on a device's label, as a picture.
    pub(super) fn label(&self, device: &Device) -> Result<PathBuf> {
        let which = Which::Serials(vec![device.serial.parse()?]);
        self.factory.write_pictures(&which, &self.labels, Format::Png, &|_| ())?;
        Ok(self.labels.join(format!("{}.png", device.serial)))
    }

    /// The number of the next order.
    pub(super) fn order(&self) -> String {
        format!("order-{}", self.orders.fetch_add(1, Ordering::Relaxed))
    }
}

/// A kind of device: its model, the letters of its serial numbers, and the curve of its bootstrapping key.
pub(super) fn product(model: &str, prefix: &str, curve: Curve) -> Result<Product> {
    Ok(Product {
        model: model.parse()?,
        serials: SerialScheme { prefix: prefix.into(), digits: 6 },
        algorithm: Algorithm::EcdsaP256,
        masa_url: None,
        mud_url: Some(format!("https://kestrel.example/mud/{model}.json")),
        dpp: Some(DppProduct { curve, version: Some(3), channels: Some("81/6".into()), ..DppProduct::default() }),
    })
}

/// The same for devices whose radios have addresses that their labels say.
pub(super) fn with_radio(product: Product, mac_base: &str) -> Product {
    let dpp = product.dpp.map(|dpp| DppProduct { mac_base: Some(mac_base.into()), ..dpp });
    Product { dpp, ..product }
}

/// The same for devices that take one configurator only.
pub(super) fn only_for(product: Product, owner: &str) -> Product {
    let dpp = product.dpp.map(|dpp| DppProduct { configurator: Some(owner.into()), ..dpp });
    Product { dpp, ..product }
}

impl SupplyChain {
    /// Starts one, with the tenants that it serves.
    pub(super) async fn start(place: &Place, tenants: &[&str]) -> Result<Self> {
        let (folder, port) = (place.new_folder("supply-chain")?, free_port()?);
        let text = format!(
            "data = \"data\"\n[metrics]\nlisten = \"\"\n[supply-chain]\nlisten = \"127.0.0.1:{port}\"\n\
             identity = {{ certificate = \"manufacturer/masa-tls.pem\" }}\n"
        );
        fs::write(folder.join("landfall.toml"), text)?;
        let settings = Settings::load(&folder.join("landfall.toml"))?;
        let element = open::element(&settings)?;
        let home = settings.data.join("manufacturer");
        let names = vec![AltName::Dns("localhost".into()), AltName::Ip(Ipv4Addr::LOCALHOST.into())];
        let (organization, algorithm) = ("Chandler Supply".into(), Algorithm::EcdsaP256);
        let new = NewManufacturer { organization, masa_names: names, masa_url: None, algorithm };
        new.make(&home, &*element, Time::now())?;
        let party = Party::start(&folder, &[RoleName::SupplyChain]).await?;
        let service = Self { party, place: format!("localhost:{port}"), anchor: home.join("masa-ca.pem"), folder };
        for tenant in tenants {
            service.enrol(tenant).await?;
        }
        Ok(service)
    }

    async fn enrol(&self, tenant: &str) -> Result<()> {
        let new = NewTenant { tenant: tenant.into(), token: true, ..NewTenant::default() };
        let view: TenantView = self.party.admin.post("/v1/transfer/tenants", &new).await?;
        let token = view.token.context("there is no token")?;
        let path = self.token_file(tenant);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(std::io::Write::write_all(&mut file, token.as_bytes())?)
    }

    /// The file with the token of a tenant.
    pub(super) fn token_file(&self, tenant: &str) -> PathBuf {
        self.folder.join(format!("{tenant}.token"))
    }

    /// The lines of a configurator's settings by which it takes in what that tenant has bought.
    pub(super) fn intake(&self, tenant: &str) -> String {
        format!(
            "[[intake]]\nservice = {:?}\nanchors = [{:?}]\ntoken-file = {:?}\ntenant = {tenant:?}\n",
            self.place,
            self.anchor,
            self.token_file(tenant)
        )
    }

    /// Speaks to the service as that tenant.
    pub(super) fn client(&self, tenant: &str) -> Result<ServiceClient> {
        let anchors = Anchors::of(Certificate::chain_from_pem(&fs::read_to_string(&self.anchor)?)?);
        let token = Redacted::new(fs::read_to_string(self.token_file(tenant))?);
        Ok(ServiceClient::new(self.place.parse()?, ClientTls::named(anchors, None)?, Some(&token)))
    }

    /// Registers a device for `tenant`: a line as the factory writes it.
    pub(super) async fn upload(&self, tenant: &str, line: Vec<u8>) -> Result<()> {
        for result in self.client(tenant)?.upload(line).await? {
            ensure!(result.ok, "it was not registered: {}", result.error.unwrap_or_default());
        }
        Ok(())
    }

    /// Hands a device over from one tenant to another.
    pub(super) async fn sell(&self, from: &str, to: &str, order: &str, device: &Device) -> Result<()> {
        let results = self.client(from)?.sell(&to.parse()?, order, &[device.hash().to_string()]).await?;
        match results.into_iter().next().context("the service did not answer")? {
            result if result.ok => Ok(()),
            result => bail!("{}", result.error.unwrap_or_default()),
        }
    }

    /// Where its settings are.
    pub(super) fn settings(&self) -> &Path {
        &self.party.settings
    }

    /// Stops it.
    pub(super) async fn stop(self) {
        self.party.stop().await;
    }
}

/// Reads the label of a device with a camera, by the program, into the owner's book.
pub(super) async fn scan(place: &Place, owner: &Owner, picture: &Path) -> Result<String> {
    operate(place, owner, &["transfer", "add", "--qr"], picture).await
}

/// What the owner has the program do with a file.
pub(super) async fn operate(place: &Place, owner: &Owner, what: &[&str], file: &Path) -> Result<String> {
    let mut command = tokio::process::Command::new(&place.program);
    command.args(what).arg(file).args(["--tenant", owner.tenant]);
    command.arg("--config").arg(&owner.party.settings).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("running {}", place.program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{}", said.lines().next_back().unwrap_or("it says nothing"));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
