//! The parties: a manufacturer with its factory and MASA, and networks with registrar and join proxy.
//!
//! Each has a folder with a landfall.toml and runs as `landfall run` would run it, in this process; what an operator
//! does goes through its admin API.

use super::place::Place;
use crate::port::free_port;
use anyhow::{Context, Result, bail};
use landfall_lifecycle::factory::{BundleForm, FactoryDevice, Product, SerialScheme};
use landfall_net::tls::TlsIdentity;
use landfall_pki::{Algorithm, AltName, Certificate};
use landfall_server::{
    Identity, RoleName, Settings, Trigger,
    admin::{
        Address, Client, escape,
        view::{AuditEvent, Count, CustomerView, Device, NewCustomer, NewSale, Note, Page, PerDevice, Resale},
    },
    domain::NewDomain,
    factory::{Factory, NewManufacturer, Order},
    open,
    server::Server,
    settings::IdentitySettings,
    shutdown,
};
use landfall_store::Store;
use landfall_types::{Outcome, Refusal, Time};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// A server with its folder, its admin API and its store.
pub(crate) struct Party {
    /// Where its landfall.toml is.
    pub(crate) settings: PathBuf,
    /// Its admin API.
    pub(crate) admin: Client,
    /// What it keeps.
    pub(crate) store: Store,
    addresses: Vec<(RoleName, SocketAddr)>,
    trigger: Trigger,
    running: JoinHandle<()>,
}

impl Party {
    /// Starts what the landfall.toml in `folder` says of `roles`.
    pub(crate) async fn start(folder: &Path, roles: &[RoleName]) -> Result<Self> {
        let path = folder.join("landfall.toml");
        let settings = Settings::load(&path)?;
        let (trigger, shutdown) = shutdown();
        let server = Server::build(&settings, roles, shutdown).await.with_context(|| path.display().to_string())?;
        let (addresses, store) = (server.addresses(), server.world().store.clone());
        let running = tokio::spawn(async move {
            if let Err(why) = server.run().await {
                tracing::error!(%why, "a server of the lab stopped");
            }
        });
        let admin = Client::new(Address::Local(settings.admin_socket()));
        Ok(Self { settings: path, admin, store, addresses, trigger, running })
    }

    /// Where a role listens.
    pub(crate) fn address(&self, role: RoleName) -> Result<SocketAddr> {
        let found = self.addresses.iter().find(|(name, _)| *name == role);
        found.map(|(_, address)| *address).with_context(|| format!("no {role} runs here"))
    }

    /// Drains it and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.trigger.pull();
        let _ = self.running.await;
    }

    /// What was written about a device, the oldest first.
    pub(crate) async fn audit(&self, serial: &str) -> Result<Vec<AuditEvent>> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let query = [("limit", Some("1000")), ("after", after.as_deref())];
            let page: Page<AuditEvent> = self.admin.list("/v1/audit", &query).await?;
            found.extend(page.items.into_iter().filter(|event| event.device == serial));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// The refusal that the operator finds last about a device.
    pub(crate) async fn refusal(&self, serial: &str) -> Result<Refusal> {
        let refused = self.audit(serial).await?.into_iter().rev().find_map(|event| match event.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        });
        refused.with_context(|| format!("nothing was refused to {serial}"))
    }

    /// An action of that name that went well for a device.
    pub(crate) async fn done(&self, serial: &str, action: &str) -> Result<AuditEvent> {
        let events = self.audit(serial).await?.into_iter();
        let mut done = events.filter(|event| event.outcome == Outcome::Done && event.action == action);
        done.next_back().with_context(|| format!("there is no {action} of {serial}"))
    }
}

/// A manufacturer.
pub(crate) struct Manufacturer {
    /// What operators call it.
    pub(crate) vendor: &'static str,
    /// Its root certificate: what registrars check IDevIDs with.
    pub(crate) root: Certificate,
    /// The root in a file.
    pub(crate) root_file: PathBuf,
    /// Its MASA, if it runs.
    pub(crate) masa: Option<Party>,
    /// Its factory.
    pub(crate) factory: Arc<Factory>,
    folder: PathBuf,
    /// Where its devices find its MASA.
    pub(crate) masa_url: String,
}

/// How a manufacturer's MASA is to behave.
#[derive(Clone, Debug, Default)]
pub(crate) struct MasaManners {
    /// Vouches for whoever comes first, and for whoever's devices.
    pub(crate) for_anyone: bool,
    /// Other manufacturers whose IDevIDs it takes for its own.
    pub(crate) also: Vec<PathBuf>,
    /// The `[est]` of its factory's settings, if not its own CA issues its IDevIDs.
    pub(crate) est: String,
}

impl Manufacturer {
    /// Makes one and starts its MASA.
    pub(crate) async fn found(
        place: &Place,
        vendor: &'static str,
        organization: &str,
        manners: &MasaManners,
    ) -> Result<Self> {
        let folder = place.new_folder(vendor)?;
        let port = free_port()?;
        let masa_url = format!("localhost:{port}");
        let anchors: Vec<String> = manners.also.iter().map(|path| format!("{path:?}")).collect();
        let text = format!(
            "data = \"data\"\n[metrics]\nlisten = \"\"\n[masa]\nlisten = \"127.0.0.1:{port}\"\n\
             idevid-anchors = [{}]\nmade-here-only = {}\n[masa.transfer]\nownership = \"{}\"\n",
            std::iter::once("\"manufacturer/root.pem\"".to_owned()).chain(anchors).collect::<Vec<_>>().join(", "),
            !manners.for_anyone,
            if manners.for_anyone { "trust-on-first-use" } else { "sales-record" },
        );
        fs::write(folder.join("landfall.toml"), text)?;
        let settings = Settings::load(&folder.join("landfall.toml"))?;
        let element = open::element(&settings)?;
        let new = NewManufacturer {
            organization: organization.into(),
            masa_names: vec![AltName::Dns("localhost".into()), AltName::Ip(Ipv4Addr::LOCALHOST.into())],
            masa_url: Some(masa_url.clone()),
            algorithm: Algorithm::EcdsaP256,
        };
        let home = settings.data.join("manufacturer");
        let made = new.make(&home, &*element, Time::now())?;
        let told = home.join("factory.toml");
        fs::write(&told, fs::read_to_string(&told)? + &manners.est)?;
        // The factory has a database of its own; its records go to the MASA as they would from another site.
        let store = Store::sqlite(settings.data.join("factory.db"))?;
        let factory = Factory::open(&home, &*element, store, &folder.join("bundles"))?.into();
        let masa = Some(Party::start(&folder, &[RoleName::Masa]).await?);
        Ok(Self { vendor, root: made.root, root_file: home.join("root.pem"), masa, factory, folder, masa_url })
    }

    /// The MASA, which has to run.
    pub(crate) fn masa(&self) -> Result<&Party> {
        self.masa.as_ref().context("the MASA does not run")
    }

    /// What its servers show.
    pub(crate) fn tls_identity(&self) -> Result<TlsIdentity> {
        let settings = Settings::load(&self.folder.join("landfall.toml"))?;
        let home = settings.data.join("manufacturer");
        let shown = IdentitySettings::at("masa-tls.pem");
        Ok(Identity::load(&shown, |name| home.join(name), &*open::element(&settings)?)?.into())
    }

    /// Stops the MASA, as an outage does.
    pub(crate) async fn masa_goes_away(&mut self) {
        if let Some(masa) = self.masa.take() {
            masa.stop().await;
        }
    }

    /// Starts the MASA again.
    pub(crate) async fn masa_comes_back(&mut self) -> Result<()> {
        self.masa = Some(Party::start(&self.folder, &[RoleName::Masa]).await?);
        Ok(())
    }

    /// A kind of device.
    pub(crate) fn product(&self, model: &str, prefix: &str, algorithm: Algorithm) -> Result<Product> {
        Ok(Product {
            model: model.parse()?,
            serials: SerialScheme { prefix: prefix.into(), digits: 6 },
            algorithm,
            masa_url: None,
            mud_url: Some(format!("https://{}.example/mud/{model}.json", self.vendor)),
            dpp: None,
        })
    }

    /// Makes devices with keys from the factory (H.1.1 method 3); gives their bundles.
    pub(crate) fn make(&self, product: &Product, count: u32) -> Result<Vec<PathBuf>> {
        let count = NonZero::new(count).context("no devices")?;
        let order = Order { product: product.clone(), count, bundles: BundleForm::File };
        let made = tokio::task::block_in_place(|| self.factory.provision(&order, &|_| ()))?;
        let entries = fs::read_dir(&made.folder)?.collect::<std::io::Result<Vec<_>>>()?;
        let mut bundles: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        bundles.sort();
        Ok(bundles)
    }

    /// Brings the factory's records to the MASA (the guide's 4.1 step 5); says how many were new there.
    pub(crate) async fn record(&self) -> Result<u64> {
        let mut lines = Vec::new();
        tokio::task::block_in_place(|| self.factory.export(&mut lines))?;
        let records = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records: Vec<FactoryDevice> = records.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        let imported: Count = self.masa()?.admin.post("/v1/factory/devices", &records).await?;
        Ok(imported.count)
    }

    /// Makes a network owner known to the sales records.
    pub(crate) async fn customer(&self, owner: &Owner) -> Result<()> {
        let new =
            NewCustomer { owner: owner.name.into(), certificates: vec![owner.root.to_pem()], nonceless: Some(true) };
        let _: CustomerView = self.masa()?.admin.post("/v1/transfer/customers", &new).await?;
        Ok(())
    }

    /// Records a sale.
    pub(crate) async fn sell(&self, serials: &[&str], owner: &str) -> Result<()> {
        let sale = NewSale {
            serial_numbers: serials.iter().map(|&serial| serial.into()).collect(),
            owner: owner.into(),
            seller: None,
            order: None,
        };
        settled(self.masa()?.admin.post("/v1/transfer/sales", &sale).await?)
    }

    /// Records that an owner gives devices up.
    pub(crate) async fn release(&self, serials: &[&str], by: &str) -> Result<()> {
        let resale =
            Resale { serial_numbers: serials.iter().map(|&serial| serial.into()).collect(), by: Some(by.into()) };
        settled(self.masa()?.admin.post("/v1/transfer/resale", &resale).await?)
    }
}

fn settled(result: PerDevice) -> Result<()> {
    match result.failed.first() {
        Some(failure) => bail!("{}: {}", failure.serial_number, failure.error),
        None => Ok(()),
    }
}

/// What a network has beside its registrar.
pub(crate) struct More {
    /// More lines of its settings.
    pub(crate) settings: String,
    /// What runs in one process with the registrar, that included.
    pub(crate) roles: &'static [RoleName],
    /// Its join proxy's port and interface, if it is not to be on the link of all devices.
    pub(crate) proxy: Option<(u16, &'static str)>,
}

/// A network and its owner.
pub(crate) struct Owner {
    /// Its name in the sales records.
    pub(crate) name: &'static str,
    /// The root of its domain.
    pub(crate) root: Certificate,
    /// Its registrar.
    pub(crate) registrar: Party,
    proxy: Party,
}

/// A vendor as a network's settings know it.
#[derive(Clone, Debug)]
pub(crate) struct KnownVendor {
    /// What the operator calls it.
    pub(crate) id: &'static str,
    /// What its IDevIDs lead to.
    pub(crate) anchors: PathBuf,
    /// Another MASA than the one that its devices name, and what that leads to.
    pub(crate) masa: Option<(String, PathBuf)>,
}

impl Manufacturer {
    /// This manufacturer as a network's settings know it.
    pub(crate) fn known(&self) -> KnownVendor {
        KnownVendor { id: self.vendor, anchors: self.root_file.clone(), masa: None }
    }
}

impl Owner {
    /// Makes a domain, and starts its registrar and a join proxy on the link. Devices of `models` are welcome, and about
    /// others a person is asked.
    pub(crate) async fn settle(
        place: &Place,
        name: &'static str,
        organization: &str,
        vendors: &[KnownVendor],
        models: &[&str],
    ) -> Result<Self> {
        let more = More { settings: String::new(), roles: &[RoleName::Registrar], proxy: None };
        Self::settle_with(place, name, organization, vendors, models, more).await
    }

    /// The same with more than a registrar.
    pub(crate) async fn settle_with(
        place: &Place,
        name: &'static str,
        organization: &str,
        vendors: &[KnownVendor],
        models: &[&str],
        more: More,
    ) -> Result<Self> {
        let (folder, port) = (place.new_folder(name)?, free_port()?);
        let settings = registrar_settings(port, vendors, models) + &more.settings;
        fs::write(folder.join("landfall.toml"), settings)?;
        let settings = Settings::load(&folder.join("landfall.toml"))?;
        let new = NewDomain {
            organization: organization.into(),
            names: vec![AltName::Dns("localhost".into())],
            algorithm: Algorithm::EcdsaP256,
        };
        let domain = new.make(&settings.data.join("domain"), &*open::element(&settings)?, Time::now())?;
        let registrar = Party::start(&folder, more.roles).await?;
        // The join proxy is a machine of its own, and knows nothing but where the registrar is.
        let folder = place.new_folder(&format!("{name}-proxy"))?;
        let (listen, announce, interfaces) = match more.proxy {
            Some((port, interface)) => (format!("[::]:{port}"), true, vec![interface]),
            None => place.proxy_settings(),
        };
        let text = format!(
            "data = \"data\"\n[metrics]\nlisten = \"\"\n[proxy]\nlisten = \"{listen}\"\nregistrar = \"127.0.0.1:{port}\"\n\
             announce = {announce}\ninterfaces = {interfaces:?}\nconnections-per-source = 64\n"
        );
        fs::write(folder.join("landfall.toml"), text)?;
        open::element(&Settings::load(&folder.join("landfall.toml"))?)?;
        let proxy = Party::start(&folder, &[RoleName::Proxy]).await?;
        place.proxy_opened(name, proxy.address(RoleName::Proxy)?);
        Ok(Self { name, root: domain.root, registrar, proxy })
    }

    /// Closes down.
    pub(crate) async fn leave(self, place: &Place) {
        place.proxy_closed(self.name);
        self.proxy.stop().await;
        self.registrar.stop().await;
    }

    /// A device as the operator sees it.
    pub(crate) async fn device(&self, serial: &str) -> Result<Device> {
        Ok(self.registrar.admin.get(&format!("/v1/network/devices/{}", escape(serial))).await?)
    }

    /// What an operator does to a device: approve, deny, revoke, reinstate, forget.
    pub(crate) async fn judge(&self, serial: &str, verb: &str, reason: &str) -> Result<Device> {
        let path = format!("/v1/network/devices/{}/{verb}", escape(serial));
        Ok(self.registrar.admin.post(&path, &Note { reason: reason.into() }).await?)
    }

    /// Where the registrar itself listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        self.registrar.address(RoleName::Registrar)
    }
}

fn registrar_settings(port: u16, vendors: &[KnownVendor], models: &[&str]) -> String {
    let mut text = format!(
        "data = \"data\"\n[metrics]\nlisten = \"\"\n[registrar]\nlisten = \"127.0.0.1:{port}\"\nannounce = false\n\
         retry-after = \"1s\"\nmasa-timeout = \"5s\"\n[registrar.enrolment]\nlifetime = \"30d\"\n\
         [registrar.acceptance]\nmodels = {models:?}\nlisted = \"permit\"\nothers = \"ask\"\n"
    );
    for vendor in vendors {
        text.push_str(&format!("[[registrar.vendor]]\nid = {:?}\nanchors = [{:?}]\n", vendor.id, vendor.anchors));
        if let Some((masa, anchors)) = &vendor.masa {
            text.push_str(&format!("masa = {masa:?}\nmasa-anchors = [{anchors:?}]\nvoucher-anchors = [{anchors:?}]\n"));
        }
    }
    text
}
