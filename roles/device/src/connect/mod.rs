//! Into the network with the LDevID, by EAP-TLS: at a wired port by ourselves ([`Port`]), or through the wpa_supplicant that
//! has the interface: 802.1X by wire, WPA2- and WPA3-Enterprise over Wi-Fi.
//!
//! What wpa_supplicant is told is not kept by it, so the agent tells it again when it has forgotten. Certificates it reads
//! from files. The private key it gets as a blob in its memory, and never in a file: what the element keeps encrypted is
//! not to lie beside it in the clear. It logs what it is told if it logs everything (`-d`), so for that moment it does not.

mod config;
mod port;
mod scan;

pub use config::{Config, Medium};
pub(crate) use port::Port;

use crate::{DeviceError, dpp::unescaped as name_of, file};
use landfall_brski::pledge::Credential;
use landfall_element::{ElementError, SecureElement};
use landfall_net::{
    discovery::Interface,
    wpa::{Control, Event},
};
use landfall_types::{Fault, Redacted, Refusal};
use scan::{Access, Seen, is_named, strongest};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// What marks our networks among those that somebody else has put there: with the LDevID, and for new devices.
const INSIDE: &str = "landfall-ldevid";
const OUTSIDE: &str = "landfall-onboarding";
/// What the names of our blobs and files begin with.
const PREFIX: &str = "landfall-";
/// A network for new devices may take so long to let us in, and the kernel to have an address there.
const JOIN: Duration = Duration::from_secs(40);
const ADDRESS: Duration = Duration::from_secs(15);
/// How often the kernel is asked for the address.
const GLANCE: Duration = Duration::from_millis(100);

/// How many ends of control sockets there were.
static ENDS: AtomicU32 = AtomicU32::new(0);

/// The way into a network: an interface's wpa_supplicant.
pub(crate) struct Door<'a> {
    config: &'a Config,
    control: &'a Path,
    folder: PathBuf,
}

/// What the agent's wpa_supplicant had to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: it has our credential.
    Nothing,
    /// The credential, in the place of one that it had.
    Renewed,
    /// Everything.
    All,
}

impl<'a> Door<'a> {
    /// The way that `config` knows, if it knows one.
    pub(crate) fn of(config: &'a crate::Config) -> Option<Self> {
        let control = config.connect.control.as_deref()?;
        // wpa_supplicant reads files and answers there, from another folder than ours.
        let folder = config.state.join("connect");
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Some(Self { config: &config.connect, control, folder })
    }

    /// Whether there are Wi-Fi networks to look for before there is a credential.
    pub(crate) fn looks_for_networks(&self) -> bool {
        let looked_for = [&self.config.onboarding, &self.config.realms];
        self.config.medium == Medium::Wifi && looked_for.iter().any(|names| !names.is_empty())
    }

    async fn attach(&self) -> Result<Control, DeviceError> {
        file::make_folder(&self.folder)?;
        // Others may be at it at the same time: an agent that runs, and one that is asked something meanwhile.
        let own = format!("control-{}-{}", std::process::id(), ENDS.fetch_add(1, Ordering::Relaxed));
        Ok(Control::attach(self.control, self.folder.join(own)).await?)
    }

    /// Makes sure that wpa_supplicant has the credential, and does not disturb a connection that there is: by what it has
    /// now the next authentication goes (SP 1800-36B 7.5).
    pub(crate) async fn hand_over(&self, held: &Credential, element: &dyn SecureElement) -> Result<Told, DeviceError> {
        let mut control = self.attach().await?;
        self.provide(&mut control, held, element).await
    }

    async fn provide(
        &self,
        control: &mut Control,
        held: &Credential,
        element: &dyn SecureElement,
    ) -> Result<Told, DeviceError> {
        let shown = Shown::of(&self.folder, held);
        let ours = networks(control, INSIDE).await?;
        let mut stale = Vec::new();
        for id in &ours {
            match control.request(&format!("GET_NETWORK {id} client_cert")).await {
                Ok(path) if path.expose().trim_matches('"') == shown.certificate.display().to_string() => {}
                _ => stale.push(*id),
            }
        }
        if !ours.is_empty() && stale.is_empty() {
            return Ok(Told::Nothing);
        }
        self.lend(control, held, &shown, element).await?;
        let told = match ours.is_empty() {
            false => {
                for id in stale {
                    set(control, id, &shown.fields()).await?;
                }
                Told::Renewed
            }
            true => {
                self.add(control, &shown).await?;
                Told::All
            }
        };
        self.tidy(control, Some(&shown)).await?;
        Ok(told)
    }

    /// Gives wpa_supplicant the key, and writes what it reads.
    async fn lend(
        &self,
        control: &mut Control,
        held: &Credential,
        shown: &Shown,
        element: &dyn SecureElement,
    ) -> Result<(), DeviceError> {
        let key = match element.lend(&held.key) {
            Ok(key) => key,
            Err(ElementError::Unsupported(_)) => {
                let why = "the LDevID's key stays in its element, and wpa_supplicant cannot use it there: at a wired port \
                           name the interface ([connect] interface) in the place of its control socket";
                return Err(DeviceError::Config(why.into()));
            }
            Err(error) => return Err(error.into()),
        };
        file::replace(&shown.certificate, crate::state::pem(&held.presented()).as_bytes())?;
        file::replace(&shown.anchors, crate::state::pem(&held.anchors).as_bytes())?;
        let digits = Redacted::new(hex::encode(key.expose()));
        control.unlogged(&Redacted::new(format!("SET blob {} {}", shown.name, digits.expose()))).await?;
        Ok(())
    }

    /// Adds the networks that may be ours, and lets wpa_supplicant look for them.
    async fn add(&self, control: &mut Control, shown: &Shown) -> Result<(), DeviceError> {
        let mut own = shown.fields();
        own.push(("eap", "TLS".into()));
        own.push(("identity", hex::encode(&self.config.identity)));
        // hostap leaves TLS 1.3 off unless it is told otherwise.
        own.push(("phase1", "\"tls_disable_tlsv1_3=0\"".into()));
        if let Some(name) = &self.config.server_name {
            own.push(("domain_match", hex::encode(name)));
        }
        if self.config.medium == Medium::Wire {
            control.order("AP_SCAN 0").await?;
            own.push(("key_mgmt", "IEEE8021X".into()));
            own.push(("eapol_flags", "0".into()));
            return enable(control, INSIDE, &own).await.map(drop);
        }
        own.push(("key_mgmt", "WPA-EAP WPA-EAP-SHA256".into()));
        own.push(("ieee80211w", "1".into()));
        own.push(("scan_ssid", "1".into()));
        for ssid in self.candidates(control).await? {
            let mut fields = own.clone();
            fields.push(("ssid", hex::encode(ssid)));
            enable(control, INSIDE, &fields).await?;
        }
        // One that is connected elsewhere looks at new networks only when told so.
        Ok(control.order("REASSOCIATE").await?)
    }

    /// The names of the networks that may be ours. Which one is, its server proves.
    async fn candidates(&self, control: &mut Control) -> Result<Vec<Vec<u8>>, DeviceError> {
        if let Some(ssid) = &self.config.ssid {
            return Ok(vec![ssid.clone().into_bytes()]);
        }
        let seen = self.look(control).await?.into_iter().filter(|seen| seen.access == Access::Enterprise);
        Ok(strongest(seen).into_iter().map(|seen| seen.ssid).collect())
    }

    /// Goes in with the credential, as if for the first time: by wire, wpa_supplicant does not know whether it is still
    /// inside. Says why not, after `limit` if nobody answers.
    pub(crate) async fn enter(
        &self,
        held: &Credential,
        element: &dyn SecureElement,
        limit: Duration,
    ) -> Result<Result<(), Refusal>, DeviceError> {
        let until = Instant::now() + limit;
        let mut control = self.attach().await?;
        remove(&mut control, INSIDE).await?;
        self.provide(&mut control, held, element).await?;
        let (mut why, mut given_up) = (UNANSWERED.to_owned(), BTreeSet::new());
        let ours = networks(&mut control, INSIDE).await?;
        while let Some(event) = control.event(until).await? {
            tracing::debug!(event = event.name, "wpa_supplicant");
            match meaning(&event) {
                Meaning::Inside => return Ok(Ok(())),
                Meaning::Doubt(said) => why = said,
                Meaning::Out(said) => {
                    if why == UNANSWERED {
                        why = said;
                    }
                    if is_over(&ours, &mut given_up, &event) {
                        break;
                    }
                }
                Meaning::Nothing => {}
            }
        }
        Ok(Err(refused(why)))
    }

    /// Networks for new devices, the strongest first.
    pub(crate) async fn onboarding(&self) -> Result<Vec<Seen>, DeviceError> {
        let mut control = self.attach().await?;
        let seen = self.look(&mut control).await?.into_iter().filter(|seen| seen.access != Access::Other);
        let (mut found, others): (Vec<_>, Vec<_>) =
            seen.partition(|seen| is_named(&seen.ssid, &self.config.onboarding));
        if !self.config.realms.is_empty() {
            for other in strongest(others.into_iter()) {
                if self.lets_in(&mut control, &other).await? {
                    found.push(other);
                }
            }
        }
        Ok(strongest(found.into_iter()))
    }

    /// Comes into a network for new devices, and waits for a link-local address there; false if it does not let us in.
    /// Nothing that is heard there is believed without a voucher.
    pub(crate) async fn visit(&self, seen: &Seen) -> Result<bool, DeviceError> {
        let mut control = self.attach().await?;
        remove(&mut control, OUTSIDE).await?;
        let mut fields = vec![("ssid", hex::encode(&seen.ssid)), ("scan_ssid", "1".into())];
        match seen.access {
            // SP 1800-36B G.2.1: EAP-TLS in which the device shows nothing (RFC 5216 s2.1.1); it only encrypts.
            Access::Enterprise => fields.extend([
                ("key_mgmt", "WPA-EAP WPA-EAP-SHA256".into()),
                ("eap", "WFA-UNAUTH-TLS".into()),
                ("identity", hex::encode(&self.config.identity)),
                ("ieee80211w", "1".into()),
            ]),
            _ => fields.push(("key_mgmt", "NONE".into())),
        }
        control.forget();
        enable(&mut control, OUTSIDE, &fields).await?;
        control.order("REASSOCIATE").await?;
        let until = Instant::now() + JOIN;
        while let Some(event) = control.event(until).await? {
            match meaning(&event) {
                Meaning::Inside => return Ok(self.has_address().await),
                Meaning::Out(why) => {
                    tracing::info!(process = "network", role = "device", why, "the network for new devices is closed");
                    break;
                }
                Meaning::Doubt(_) | Meaning::Nothing => {}
            }
        }
        self.leave().await?;
        Ok(false)
    }

    /// Leaves the network for new devices.
    pub(crate) async fn leave(&self) -> Result<(), DeviceError> {
        remove(&mut self.attach().await?, OUTSIDE).await
    }

    /// The kernel first asks whether another has its link-local address (RFC 4862 s5.4), and tells nobody that it is done.
    async fn has_address(&self) -> bool {
        let Some(name) = self.control.file_name().and_then(|name| name.to_str()) else { return false };
        let found = async {
            while !Interface::named(name).is_ok_and(|interface| is_usable(&interface)) {
                sleep(GLANCE).await;
            }
        };
        timeout_at(Instant::now() + ADDRESS, found).await.is_ok()
    }

    /// Takes everything of ours out of wpa_supplicant, and removes the files.
    pub(crate) async fn forget(&self) -> Result<(), DeviceError> {
        let mut control = self.attach().await?;
        remove(&mut control, INSIDE).await?;
        remove(&mut control, OUTSIDE).await?;
        self.tidy(&mut control, None).await
    }

    /// Removes the files of other credentials than `kept`, and wipes the keys in wpa_supplicant.
    async fn tidy(&self, control: &mut Control, kept: Option<&Shown>) -> Result<(), DeviceError> {
        for name in names(&self.folder)? {
            let Some(stem) = name.strip_suffix(".pem").filter(|stem| stem.starts_with(PREFIX)) else { continue };
            if kept.is_some_and(|kept| kept.name == stem) {
                continue;
            }
            // It forgets no blob, and takes another in its place.
            control.order(&format!("SET blob {stem} 00")).await?;
            file::remove(&self.folder.join(&name))?;
        }
        if kept.is_none() {
            file::remove(&self.folder.join(ANCHORS))?;
        }
        Ok(())
    }
}

const UNANSWERED: &str = "nobody let us in, and nobody refused";

fn unanswered() -> Refusal {
    refused(UNANSWERED.to_owned())
}

fn refused(why: String) -> Refusal {
    Refusal::new(Fault::Peer, "connect-refused", "RFC 5216 s2.1", why)
}

const ANCHORS: &str = "anchors.pem";

/// What is shown to the network, in names that are the certificate's own.
struct Shown {
    name: String,
    certificate: PathBuf,
    anchors: PathBuf,
}

impl Shown {
    fn of(folder: &Path, held: &Credential) -> Self {
        let name = format!("{PREFIX}{}", held.ldevid.serial_hex());
        Self { certificate: folder.join(format!("{name}.pem")), anchors: folder.join(ANCHORS), name }
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("ca_cert", format!("\"{}\"", self.anchors.display())),
            ("client_cert", format!("\"{}\"", self.certificate.display())),
            ("private_key", format!("\"blob://{}\"", self.name)),
        ]
    }
}

/// A field of a network, and its value in wpa_supplicant's words. None is a secret.
type Field = (&'static str, String);

async fn set(control: &mut Control, id: u32, fields: &[Field]) -> Result<(), DeviceError> {
    for (field, value) in fields {
        control.order(&format!("SET_NETWORK {id} {field} {value}")).await?;
    }
    Ok(())
}

async fn enable(control: &mut Control, mark: &str, fields: &[Field]) -> Result<u32, DeviceError> {
    let id = control.number("ADD_NETWORK").await?;
    set(control, id, &[("id_str", format!("\"{mark}\""))]).await?;
    set(control, id, fields).await?;
    control.forget();
    control.order(&format!("ENABLE_NETWORK {id}")).await?;
    Ok(id)
}

/// The networks that bear that mark.
async fn networks(control: &mut Control, mark: &str) -> Result<Vec<u32>, DeviceError> {
    let list = control.request("LIST_NETWORKS").await?;
    let ids = list.expose().lines().skip(1).filter_map(|line| line.split('\t').next()?.parse::<u32>().ok());
    let mut ours = Vec::new();
    for id in ids.collect::<Vec<_>>() {
        // One without a mark has none to give.
        let found = control.request(&format!("GET_NETWORK {id} id_str")).await;
        if found.is_ok_and(|found| found.expose().trim_matches('"') == mark) {
            ours.push(id);
        }
    }
    Ok(ours)
}

async fn remove(control: &mut Control, mark: &str) -> Result<(), DeviceError> {
    for id in networks(control, mark).await? {
        control.order(&format!("REMOVE_NETWORK {id}")).await?;
    }
    Ok(())
}

/// What an event says of coming in.
enum Meaning {
    Inside,
    /// Not yet the end, and why it may become one.
    Doubt(String),
    Out(String),
    Nothing,
}

fn meaning(event: &Event) -> Meaning {
    match event.name.as_str() {
        "CTRL-EVENT-CONNECTED" => Meaning::Inside,
        "CTRL-EVENT-EAP-TLS-CERT-ERROR" => Meaning::Doubt(format!(
            "the server's certificate does not lead to our domain, or is not for it: {}",
            event.text
        )),
        "CTRL-EVENT-EAP-FAILURE" => Meaning::Out("the network refused our LDevID".into()),
        "CTRL-EVENT-ASSOC-REJECT" | "CTRL-EVENT-AUTH-REJECT" | "CTRL-EVENT-SSID-TEMP-DISABLED" => {
            Meaning::Out(format!("{} {}", event.name, event.text))
        }
        _ => Meaning::Nothing,
    }
}

/// Whether none of our networks is left that might let us in. With several the next one may be ours, and of one that is given up
/// several events tell.
fn is_over(ours: &[u32], given_up: &mut BTreeSet<u32>, event: &Event) -> bool {
    let id = event.field("id").and_then(|id| id.parse().ok());
    given_up.extend(id.filter(|id| ours.contains(id)));
    ours.len() <= 1 || given_up.len() >= ours.len()
}

/// Whether something can be sent from there to its neighbours.
fn is_usable(interface: &Interface) -> bool {
    // One that is being asked for cannot be bound to.
    interface.link_local_socket(0).is_some_and(|address| std::net::UdpSocket::bind(address).is_ok())
}

/// What is in a folder; nothing if there is none.
fn names(folder: &Path) -> Result<Vec<String>, DeviceError> {
    let entries = std::fs::read_dir(folder).map_err(DeviceError::io(folder))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Event {
        Event { name: name.into(), text: "reason=1".into() }
    }

    #[test]
    fn each_network_is_given_up_before_all_are() {
        let disabled = |id| Event {
            name: "CTRL-EVENT-SSID-TEMP-DISABLED".into(),
            text: format!("id={id} ssid=\"Fir Court\" auth_failures=1 duration=10 reason=AUTH_FAILED"),
        };
        let mut given_up = BTreeSet::new();
        let mut over = |event: &Event| is_over(&[1, 2], &mut given_up, event);
        assert!(!over(&event("CTRL-EVENT-EAP-FAILURE")) && !over(&disabled(1)));
        // The same again, and one of somebody else.
        assert!(!over(&event("CTRL-EVENT-EAP-FAILURE")) && !over(&disabled(1)) && !over(&disabled(0)));
        assert!(over(&disabled(2)));
        assert!(is_over(&[1], &mut BTreeSet::new(), &event("CTRL-EVENT-EAP-FAILURE")));
    }

    #[test]
    fn events_mean_what_they_say() {
        assert!(matches!(meaning(&event("CTRL-EVENT-CONNECTED")), Meaning::Inside));
        assert!(matches!(meaning(&event("CTRL-EVENT-EAP-FAILURE")), Meaning::Out(_)));
        assert!(
            matches!(meaning(&event("CTRL-EVENT-EAP-TLS-CERT-ERROR")), Meaning::Doubt(why) if why.contains("reason=1"))
        );
        assert!(matches!(meaning(&event("CTRL-EVENT-EAP-SUCCESS")), Meaning::Nothing));
    }
}
