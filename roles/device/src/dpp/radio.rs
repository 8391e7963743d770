//! The radio: joining what was received, and telling truthfully how that went.

use super::networks::Networks;
use crate::{DeviceError, file};
use landfall_dpp::{
    Status,
    config::{Akms, ConfigObject, ConnectionStatus, Credential, Enterprise},
    connector::SignedConnector,
    curve::PublicKey,
};
use landfall_net::wpa::{Control, Event};
use landfall_pki::{Certificate, cms};
use landfall_types::Redacted;
use std::{fs, future::Future, io::ErrorKind, path::PathBuf, pin::Pin, time::Duration};
use tokio::time::Instant;

/// Joins networks.
pub trait Join: Send + Sync {
    /// Tries to join one of the networks, the first that can be, and tells how it went (DPP s6.4.5).
    fn join<'a>(&'a self, networks: &'a Networks) -> Pin<Box<dyn Future<Output = ConnectionStatus> + Send + 'a>>;
}

/// A device without a radio: it finds no access point.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRadio;

impl Join for NoRadio {
    fn join<'a>(&'a self, networks: &'a Networks) -> Pin<Box<dyn Future<Output = ConnectionStatus> + Send + 'a>> {
        Box::pin(async { status(Status::NoAp, networks) })
    }
}

/// A radio that a wpa_supplicant has.
#[derive(Clone, Debug)]
pub struct Supplicant {
    /// Its control socket, such as `/run/wpa_supplicant/wlan0`.
    pub control: PathBuf,
    /// A folder for our end of that, and for the certificates that it reads from files.
    pub folder: PathBuf,
    /// How long joining may take.
    pub patience: Duration,
}

/// What marks the networks that are ours, among those that somebody else has put there.
const MARK: &str = "landfall";
/// The name of the key for 802.1X in wpa_supplicant's memory.
const BLOB: &str = "landfall-dpp";
/// What wpa_supplicant may say often before it means it.
const NOT_FOUND: u32 = 4;

impl Join for Supplicant {
    fn join<'a>(&'a self, networks: &'a Networks) -> Pin<Box<dyn Future<Output = ConnectionStatus> + Send + 'a>> {
        Box::pin(async move {
            match self.try_join(networks).await {
                Ok(result) => status(result, networks),
                Err(error) => {
                    tracing::warn!(%error, "the network cannot be joined");
                    status(Status::NoAp, networks)
                }
            }
        })
    }
}

fn status(result: Status, networks: &Networks) -> ConnectionStatus {
    let ssid = networks.objects.first().map(|object| object.discovery.ssid.clone());
    ConnectionStatus { result, ssid, channels: Vec::new() }
}

impl Supplicant {
    /// Opens its control interface.
    pub(super) async fn attach(&self) -> Result<Control, DeviceError> {
        file::make_folder(&self.folder)?;
        Ok(Control::attach(&self.control, self.folder.join("control")).await?)
    }

    /// Takes our networks out of it, and removes the files that it read.
    pub(crate) async fn forget(&self) -> Result<(), DeviceError> {
        let mut control = self.attach().await?;
        remove_ours(&mut control).await?;
        // It forgets no blob, and takes another in its place.
        control.order(&format!("SET blob {BLOB} 00")).await?;
        self.remove_files()
    }

    /// Removes the files that it reads, and the key that earlier versions left beside them.
    pub(crate) fn remove_files(&self) -> Result<(), DeviceError> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(DeviceError::io(&self.folder)(error)),
        };
        for found in files {
            let path = found.map_err(DeviceError::io(&self.folder))?.path();
            if path.extension().is_some_and(|end| end == "pem") {
                file::remove(&path)?;
            }
        }
        Ok(())
    }

    /// The same, and why it could not even be tried.
    ///
    /// # Errors
    /// If wpa_supplicant is not there, or does not take what it is told.
    pub async fn try_join(&self, networks: &Networks) -> Result<Status, DeviceError> {
        let mut control = self.attach().await?;
        let ids = self.lay(&mut control, networks).await?;
        control.forget();
        enable(&mut control, &ids).await?;
        self.outcome(&mut control).await
    }

    /// Puts the networks in the place of those of ours that are there, for later: their ids.
    pub(super) async fn lay(&self, control: &mut Control, networks: &Networks) -> Result<Vec<u32>, DeviceError> {
        remove_ours(control).await?;
        if networks.objects.iter().any(|object| object.credential.akm.dot1x) {
            lend(control, networks).await?;
        }
        self.remove_files()?;
        let (mut ids, priorities) = (Vec::new(), (1..=networks.objects.len()).rev());
        for (object, priority) in networks.objects.iter().zip(priorities) {
            let id = control.number("ADD_NETWORK").await?;
            let fields = self.fields(id, object, networks)?;
            for (field, value) in &fields {
                let line = Redacted::new(format!("SET_NETWORK {id} {field} {}", value.expose()));
                control.order(line.expose()).await?;
            }
            control.order(&format!("SET_NETWORK {id} priority {priority}")).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Waits for the end of joining (DPP s6.4.5, table 23).
    async fn outcome(&self, control: &mut Control) -> Result<Status, DeviceError> {
        let until = Instant::now() + self.patience;
        let (mut not_found, mut last) = (0, Status::NoAp);
        while let Some(event) = control.event(until).await? {
            tracing::debug!(event = event.name, "wpa_supplicant");
            match meaning(&event) {
                Some(Status::Ok) => return Ok(Status::Ok),
                Some(Status::NoAp) => {
                    not_found += 1;
                    if not_found == NOT_FOUND && last == Status::NoAp {
                        return Ok(Status::NoAp);
                    }
                }
                Some(status @ (Status::InvalidConnector | Status::NoMatch)) => return Ok(status),
                Some(status) => last = status,
                None => {}
            }
        }
        Ok(last)
    }

    /// The network block for an object: its fields with their values, in wpa_supplicant's words.
    fn fields(&self, id: u32, object: &ConfigObject, networks: &Networks) -> Result<Vec<Field>, DeviceError> {
        let credential = &object.credential;
        let mut fields = vec![
            field("ssid", hex::encode(&object.discovery.ssid)),
            field("id_str", format!("\"{MARK}\"")),
            field("scan_ssid", "1"),
            field("key_mgmt", key_management(credential.akm)),
            field(
                "ieee80211w",
                if credential.akm == (Akms { selectors: credential.akm.selectors, ..Akms::DPP }) { "2" } else { "1" },
            ),
        ];
        if let Some((connector, csign)) = credential.connector.as_ref().zip(credential.csign.as_ref()) {
            let key = networks.key.to_ec_private_key().map_err(|e| DeviceError::Config(e.to_string()))?;
            // Of what makes a JWS nothing needs to be escaped.
            fields.push(field("dpp_connector", format!("\"{connector}\"")));
            fields.push(field("dpp_csign", hex::encode(csign.key.spki())));
            fields.push(field("dpp_netaccesskey", hex::encode(key.expose())));
            if let Some(privacy) = &credential.privacy_key {
                fields.push(field("dpp_pp_key", hex::encode(privacy.key.spki())));
            }
            if let Some(expiry) = expiry(connector) {
                fields.push(field("dpp_netaccesskey_expiry", expiry.to_string()));
            }
        }
        personal(credential, &mut fields)?;
        if let Some(enterprise) = credential.enterprise.as_ref().filter(|_| credential.akm.dot1x) {
            self.enterprise(id, enterprise, networks, &mut fields)?;
        }
        Ok(fields)
    }

    /// EAP-TLS with the certificate for our key. wpa_supplicant reads certificates from files that its user may read.
    fn enterprise(
        &self,
        id: u32,
        enterprise: &Enterprise,
        networks: &Networks,
        fields: &mut Vec<Field>,
    ) -> Result<(), DeviceError> {
        let Certificates { chain, anchors } = Certificates::of(enterprise, networks.key.public())?;
        let subject = chain.first().map(Certificate::subject).unwrap_or_default();
        // Each network may have certificates of its own, for the one key.
        let put = |name: &str, content: &str| {
            let path = self.folder.join(format!("{name}-{id}.pem"));
            file::replace(&path, content.as_bytes()).map(|()| format!("\"{}\"", path.display()))
        };
        fields.push(field("eap", "TLS"));
        fields.push(field("identity", hex::encode(common_name(&subject))));
        fields.push(field("client_cert", put("client", &crate::state::pem(&chain))?));
        fields.push(field("private_key", format!("\"blob://{BLOB}\"")));
        fields.push(field("ca_cert", put("ca", &crate::state::pem(&anchors))?));
        if let Some(name) = &enterprise.server_name {
            fields.push(field("domain_suffix_match", hex::encode(name)));
        }
        Ok(())
    }
}

/// Lets wpa_supplicant join the best of the networks that were laid.
pub(super) async fn enable(control: &mut Control, ids: &[u32]) -> Result<(), DeviceError> {
    for id in ids {
        control.order(&format!("ENABLE_NETWORK {id}")).await?;
    }
    // A wpa_supplicant that is connected elsewhere looks at the new networks only when told so.
    Ok(control.order("REASSOCIATE").await?)
}

/// Gives wpa_supplicant the key into its memory: what is kept encrypted is not to lie beside it in a file.
async fn lend(control: &mut Control, networks: &Networks) -> Result<(), DeviceError> {
    let key = networks.key.to_pkcs8().map_err(|e| DeviceError::Config(e.to_string()))?;
    let digits = Redacted::new(hex::encode(key.expose()));
    control.unlogged(&Redacted::new(format!("SET blob {BLOB} {}", digits.expose()))).await?;
    Ok(())
}

/// A field of a network block; some hold secrets.
type Field = (&'static str, Redacted<String>);

fn field(name: &'static str, value: impl Into<String>) -> Field {
    (name, Redacted::new(value.into()))
}

fn key_management(akm: Akms) -> String {
    let methods = [
        (akm.dpp, "DPP"),
        (akm.sae, "SAE"),
        (akm.psk, "WPA-PSK WPA-PSK-SHA256"),
        (akm.dot1x, "WPA-EAP WPA-EAP-SHA256"),
    ];
    let words: Vec<&str> = methods.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
    words.join(" ")
}

fn personal(credential: &Credential, fields: &mut Vec<Field>) -> Result<(), DeviceError> {
    let Akms { psk, sae, .. } = credential.akm;
    if let Some(passphrase) = &credential.passphrase {
        let passphrase = passphrase.expose();
        if passphrase.chars().any(char::is_control) {
            return Err(DeviceError::Config("a passphrase with control characters cannot be used".into()));
        }
        if sae {
            fields.push(field("sae_password", hex::encode(passphrase)));
        }
        if psk {
            fields.push(field("psk", format!("\"{passphrase}\"")));
        }
        if let Some(id) = credential.password_id.as_ref().filter(|_| sae) {
            fields.push(field("sae_password_id", hex::encode(id)));
        }
    } else if let Some(key) = credential.psk.as_ref().filter(|_| psk) {
        fields.push(field("psk", hex::encode(key.expose())));
    }
    Ok(())
}

fn expiry(connector: &str) -> Option<i64> {
    SignedConnector::parse(connector).ok()?.unverified().expiry.map(|expiry| expiry.as_unix())
}

/// The certificates of a bag, in their order.
pub(super) struct Certificates {
    /// The device's own first.
    pub(super) chain: Vec<Certificate>,
    /// What the EAP server's certificate has to lead to.
    anchors: Vec<Certificate>,
}

impl Certificates {
    /// Finds the certificate for `key`, what leads from it to a root, and the anchors for the server.
    pub(super) fn of(enterprise: &Enterprise, key: &PublicKey) -> Result<Self, DeviceError> {
        let bag = cms::parse_certs_only(&enterprise.cert_bag)?;
        let ours = |certificate: &&Certificate| {
            PublicKey::from_spki(certificate.public_key().spki_der()).is_ok_and(|found| found == *key)
        };
        let wrong = |why: &str| DeviceError::Config(format!("the certificates for 802.1X: {why}"));
        let leaf = bag.iter().find(ours).ok_or_else(|| wrong("none is for our key"))?;
        let mut chain = vec![leaf.clone()];
        while let Some(last) = chain.last().filter(|last| last.issuer_der() != last.subject_der())
            && let Some(issuer) = bag.iter().find(|other| other.subject_der() == last.issuer_der())
            && chain.len() <= bag.len()
        {
            chain.push(issuer.clone());
        }
        let anchors = match &enterprise.ca_cert {
            Some(der) => match Certificate::from_der(der) {
                Ok(certificate) => vec![certificate],
                Err(_) => cms::parse_certs_only(der)?,
            },
            // Without another word the server is trusted as far as we are: to the root of the bag (DPP s4.5.3).
            None => bag.iter().filter(|found| found.issuer_der() == found.subject_der()).cloned().collect(),
        };
        match anchors.is_empty() {
            true => Err(wrong("nothing says which server to trust")),
            false => Ok(Self { chain, anchors }),
        }
    }
}

/// What stands after CN=, which is what a RADIUS server calls a device that authenticates by certificate.
fn common_name(subject: &str) -> &str {
    let name = subject.split(['+', ',']).find_map(|part| part.trim().strip_prefix("CN="));
    name.unwrap_or(subject)
}

async fn remove_ours(control: &mut Control) -> Result<(), DeviceError> {
    let list = control.request("LIST_NETWORKS").await?;
    let ids = list.expose().lines().skip(1).filter_map(|line| line.split('\t').next()?.parse::<u32>().ok());
    for id in ids.collect::<Vec<_>>() {
        // One without a mark has none to give.
        let mark = control.request(&format!("GET_NETWORK {id} id_str")).await;
        if mark.is_ok_and(|mark| mark.expose().trim_matches('"') == MARK) {
            control.order(&format!("REMOVE_NETWORK {id}")).await?;
        }
    }
    Ok(())
}

/// What an event says of joining.
fn meaning(event: &Event) -> Option<Status> {
    match event.name.as_str() {
        "CTRL-EVENT-CONNECTED" => Some(Status::Ok),
        "CTRL-EVENT-NETWORK-NOT-FOUND" => Some(Status::NoAp),
        "CTRL-EVENT-EAP-FAILURE" | "CTRL-EVENT-ASSOC-REJECT" | "CTRL-EVENT-AUTH-REJECT" => Some(Status::AuthFailure),
        "CTRL-EVENT-SSID-TEMP-DISABLED" => Some(Status::AuthFailure),
        // The access point's answer to our connector (DPP s6.6.2).
        "DPP-INTRO" => match event.field("status")?.parse::<u8>().ok()? {
            0 => None,
            7 => Some(Status::InvalidConnector),
            8 => Some(Status::NoMatch),
            _ => Some(Status::AuthFailure),
        },
        _ => None,
    }
}
