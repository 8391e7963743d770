//! An owner of networks: a tenant of a configurator, and the access points that relay to it.

use super::{access_point::AccessPoint, device::Device};
use crate::lab::{party::Party, place::Place};
use anyhow::{Context, Result, bail};
use landfall_dpp::{connector::SignedConnector, curve::PublicKey};
use landfall_lifecycle::network::Identity;
use landfall_pki::{Algorithm, AltName};
use landfall_server::{
    RoleName, Settings,
    admin::{
        escape,
        view::{
            AccessPointFile, BookDevice, BootstrapKey, ConfiguratorView, Device as Seen, DevicesAdded, DevicesReleased,
            Introduced, NewAccessPoint, NewDevices, Note, Page, PerDevice, PushButton, Rotation, Unanswered,
        },
    },
    domain::NewDomain,
    open,
};
use landfall_types::{Refusal, Time};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// How often something is looked for that another party is about to do.
const LOOKS: u32 = 400;
const BETWEEN: Duration = Duration::from_millis(25);

/// An owner.
pub(super) struct Owner {
    /// What people call it.
    pub(super) name: &'static str,
    /// Its name at the configurator.
    pub(super) tenant: &'static str,
    /// The configurator, which others may use too.
    pub(super) party: Arc<Party>,
    /// Its access point.
    pub(super) access_point: AccessPoint,
}

/// Starts a configurator, with a domain for certificates; `settings` come after `data` and `metrics`.
pub(super) async fn configurator(place: &Place, name: &str, organization: &str, settings: &str) -> Result<Arc<Party>> {
    beside(place, name, organization, settings, &[RoleName::Configurator]).await
}

/// The same beside other roles.
pub(super) async fn beside(
    place: &Place,
    name: &str,
    organization: &str,
    settings: &str,
    roles: &[RoleName],
) -> Result<Arc<Party>> {
    let folder: PathBuf = place.new_folder(name)?;
    fs::write(folder.join("landfall.toml"), format!("data = \"data\"\n[metrics]\nlisten = \"\"\n{settings}"))?;
    let settings = Settings::load(&folder.join("landfall.toml"))?;
    let domain = NewDomain {
        organization: organization.into(),
        names: vec![AltName::Dns("localhost".into())],
        algorithm: Algorithm::EcdsaP256,
    };
    domain.make(&settings.data.join("domain"), &*open::element(&settings)?, Time::now())?;
    Ok(Arc::new(Party::start(&folder, roles).await?))
}

impl Owner {
    /// The tenant of that name at the configurator; its access point has the address `own`.
    pub(super) async fn of(
        party: &Arc<Party>,
        name: &'static str,
        tenant: &'static str,
        own: Ipv4Addr,
    ) -> Result<Self> {
        let party = Arc::clone(party);
        let access_point = AccessPoint::open(own, party.address(RoleName::Configurator)?).await?;
        Ok(Self { name, tenant, party, access_point })
    }

    /// Closes down; a configurator that others use too runs on.
    pub(super) async fn leave(self) {
        if let Some(party) = Arc::into_inner(self.party) {
            party.stop().await;
        }
    }

    /// Where its configurator listens.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.party.address(RoleName::Configurator)
    }

    /// The configurator as this owner sees it.
    pub(super) async fn view(&self) -> Result<ConfiguratorView> {
        let views: Vec<ConfiguratorView> = self.party.admin.get("/v1/network/configurator").await?;
        let own = views.into_iter().find(|view| view.tenant == self.tenant);
        own.with_context(|| format!("{} is no tenant of the configurator", self.tenant))
    }

    /// Its bootstrapping key on P-256: what a device has to know to authenticate it.
    pub(super) async fn key(&self) -> Result<BootstrapKey> {
        let found = self.view().await?.keys.into_iter().find(|key| key.curve == "P-256");
        found.context("the configurator has no key on P-256")
    }

    /// The device in its book, if it is there.
    pub(super) async fn booked(&self, device: &Device) -> Result<Option<BookDevice>> {
        let query = [("tenant", Some(self.tenant)), ("limit", Some("1000"))];
        let page: Page<BookDevice> = self.party.admin.list("/v1/transfer/devices", &query).await?;
        let hash = device.hash().to_string();
        Ok(page.items.into_iter().find(|booked| booked.bootstrap_hash == hash))
    }

    /// Waits until its book says that it holds the device, or does not any more.
    pub(super) async fn awaits(&self, device: &Device, held: bool) -> Result<BookDevice> {
        for _ in 0..LOOKS {
            match self.booked(device).await? {
                Some(booked) if booked.held == held => return Ok(booked),
                _ => sleep(BETWEEN).await,
            }
        }
        bail!("the book of {} does not say of {} that it is held: {held}", self.name, device.serial)
    }

    /// Brings a device into its book by the text of its URI.
    pub(super) async fn enter(&self, device: &Device) -> Result<()> {
        let entry = serde_json::json!({ "dppUri": device.uri.to_string() });
        let new = NewDevices { tenant: Some(self.tenant.into()), via: "uri".into(), devices: vec![entry] };
        let added: DevicesAdded = self.party.admin.post("/v1/transfer/devices", &new).await?;
        match added.failed.first() {
            Some(failure) => bail!("{}", failure.error),
            None => Ok(()),
        }
    }

    /// Pushes the configurator's button for a device that stands beside it; what came of it.
    pub(super) async fn push_button(&self, device: &Device, model: &str) -> Result<()> {
        let push = PushButton {
            tenant: Some(self.tenant.into()),
            serial_number: Some(device.serial.clone()),
            model: Some(model.into()),
            ..PushButton::default()
        };
        let _: Introduced = self.party.admin.post("/v1/network/configurator/push-button", &push).await?;
        Ok(())
    }

    /// Takes a device out of its book.
    pub(super) async fn release(&self, device: &Device) -> Result<()> {
        let devices = vec![device.hash().to_string()];
        let gone = DevicesReleased { tenant: Some(self.tenant.into()), devices };
        let result: PerDevice = self.party.admin.post("/v1/transfer/devices/release", &gone).await?;
        match result.failed.first() {
            Some(failure) => bail!("{}", failure.error),
            None => Ok(()),
        }
    }

    /// A device as the operator sees it.
    pub(super) async fn device(&self, device: &Device) -> Result<Seen> {
        Ok(self.party.admin.get(&self.path_of(device)?).await?)
    }

    /// What an operator does to a device: approve, deny, revoke, delete-credentials, forget.
    pub(super) async fn judge(&self, device: &Device, verb: &str, reason: &str) -> Result<Seen> {
        let (path, note) = (format!("{}/{verb}", self.path_of(device)?), Note { reason: reason.into() });
        for _ in 1..LOOKS {
            match self.party.admin.post(&path, &note).await {
                // What came of the device's exchange is being written at this very moment.
                Err(why) if why.to_string().contains("has changed") => sleep(BETWEEN).await,
                judged => return Ok(judged?),
            }
        }
        Ok(self.party.admin.post(&path, &note).await?)
    }

    fn path_of(&self, device: &Device) -> Result<String> {
        let id = Identity::bootstrapped_id(&self.tenant.parse()?, &device.hash())?;
        Ok(format!("/v1/network/devices/{}", escape(id.as_str())))
    }

    /// Why a device heard nothing at this owner's access point, as the operator reads it.
    pub(super) async fn unanswered(&self, device: &Device) -> Result<Unanswered> {
        let all: Vec<Unanswered> = self.party.admin.get("/v1/network/configurator/refused?limit=1000").await?;
        let chirp = device.uri.key.chirp_hash().to_string();
        let own = |one: &Unanswered| one.tenant.as_deref().is_none_or(|tenant| tenant == self.tenant);
        let found = all.into_iter().find(|one| own(one) && (one.device == device.serial || one.device == chirp));
        found
            .with_context(|| format!("nothing tells the operator of {} why {} heard nothing", self.name, device.serial))
    }

    /// What was refused to a device last, once that is written.
    pub(super) async fn refusal(&self, device: &Device) -> Result<Refusal> {
        for _ in 1..LOOKS {
            match self.party.refusal(&device.serial).await {
                Ok(refusal) => return Ok(refusal),
                Err(_) => sleep(BETWEEN).await,
            }
        }
        self.party.refusal(&device.serial).await
    }

    /// Puts a new key in the place of the one that signs connectors.
    pub(super) async fn rotate(&self) -> Result<()> {
        let rotation = Rotation { tenant: Some(self.tenant.into()) };
        let _: ConfiguratorView = self.party.admin.post("/v1/network/configurator/rotate", &rotation).await?;
        Ok(())
    }

    /// The settings of its access points, as they are now: secrets that nobody is to see.
    pub(super) async fn hostapd(&self) -> Result<Hostapd> {
        let new = NewAccessPoint {
            tenant: Some(self.tenant.into()),
            name: "lab".into(),
            interface: "wlan0".into(),
            controller: Ipv4Addr::LOCALHOST.to_string(),
            radius: None,
            days: None,
            folder: "/etc/hostapd".into(),
        };
        let path = "/v1/network/configurator/access-point";
        Ok(Hostapd(self.party.admin.post(path, &new).await?))
    }
}

/// The settings of an access point.
pub(super) struct Hostapd(Vec<AccessPointFile>);

impl Hostapd {
    /// Whether the password is in any of its files.
    pub(super) fn has(&self, password: &str) -> bool {
        self.0.iter().any(|file| file.content.contains(password))
    }

    /// A setting of the network of that name.
    pub(super) fn value(&self, ssid: &str, name: &str) -> Result<&str> {
        let settings = self.0.first().context("there are no settings")?;
        let begin = format!("ssid2={}\n", hex::encode(ssid));
        let (_, block) = settings.content.split_once(&begin).with_context(|| format!("no network {ssid}"))?;
        let lines = block.lines().take_while(|line| !line.starts_with("ssid2="));
        let found = lines.filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| value).with_context(|| format!("{ssid} has no {name}"))
    }

    /// The access point's connector for that network, and the key that signs those of devices.
    pub(super) fn connector(&self, ssid: &str) -> Result<(SignedConnector, PublicKey)> {
        let connector = SignedConnector::parse(self.value(ssid, "dpp_connector")?)?;
        Ok((connector, PublicKey::from_spki(&hex::decode(self.value(ssid, "dpp_csign")?)?)?))
    }
}

/// Network introduction as device and access point do it (DPP s6.6): each believes the other's connector by the signing
/// key that it was given, and both are in one group.
pub(super) fn introduced(
    (device, device_knows): &(SignedConnector, PublicKey),
    (access_point, access_point_knows): &(SignedConnector, PublicKey),
) -> Result<(), Refusal> {
    let now = Time::now();
    let device = device.verify(access_point_knows, now)?;
    access_point.verify(device_knows, now)?.matches(device)?;
    Ok(())
}
