//! What an access point or switch needs to ask `[access]`: hostapd's settings for the Wi-Fi network of devices with
//! certificates, for that of new devices, and for wired ports.

use super::configurator::{AccessPoint, write_secret};
use crate::{
    output::{Answer, Output, Table},
    run::Server,
};
use anyhow::{Context, bail, ensure};
use landfall_pki::{
    Algorithm, Authority, CertificateSerial, Name, Signer, SoftwareKey, Validity, pem,
    profile::{self, Ca},
};
use landfall_server::{Settings, settings::AccessClientSettings};
use landfall_types::{Redacted, Time};
use std::{fmt::Write, fs, net::SocketAddr};

#[derive(Debug, clap::Args)]
#[group(id = "served", multiple = true, conflicts_with = "controller")]
pub(super) struct Options {
    /// The Wi-Fi network in which devices show their certificates (WPA2- and WPA3-Enterprise).
    #[arg(long, value_name = "SSID", required_unless_present_any = ["controller", "onboarding", "wired"])]
    closed: Option<String>,
    /// Lets in nobody who does not protect management frames (WPA3-Enterprise alone).
    #[arg(long, requires = "closed")]
    wpa3: bool,
    /// The interface in whose VLANs the devices of the closed network are to be, as `[[access.place]]` says; without it they
    /// are in the network of the access point.
    #[arg(long, value_name = "INTERFACE", requires = "closed")]
    vlans_on: Option<String>,
    /// The open Wi-Fi network for new devices.
    #[arg(long, value_name = "SSID")]
    onboarding: Option<String>,
    /// A realm by which the access point tells devices of the network for new ones, whatever it is called (ANQP); may be repeated.
    #[arg(long = "realm", value_name = "REALM", requires = "onboarding")]
    realms: Vec<String>,
    /// Encrypts the network for new devices, by EAP-TLS in which they show nothing (WFA-UNAUTH-TLS).
    #[arg(long, requires = "onboarding")]
    encrypted: bool,
    /// The bridge that the network for new devices is part of, with a join proxy behind it.
    #[arg(long, value_name = "INTERFACE", requires = "onboarding")]
    onboarding_bridge: Option<String>,
    /// A wired port where devices show their certificates (IEEE 802.1X); may be repeated.
    #[arg(long, value_name = "INTERFACE")]
    wired: Vec<String>,
    /// The channel of its radio, in the band of 2.4 GHz.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=13))]
    channel: u8,
    /// Replaces files that are there.
    #[arg(long)]
    force: bool,
}

/// Where an access point asks, and with what.
struct Desk<'a> {
    client: &'a AccessClientSettings,
    secret: Redacted<String>,
    address: SocketAddr,
}

/// What is to be written.
struct File {
    name: String,
    content: Redacted<String>,
}

impl File {
    fn new(name: &str, content: String) -> Self {
        Self { name: name.to_owned(), content: Redacted::new(content) }
    }
}

pub(super) fn write(server: &Server, access_point: &AccessPoint, output: &Output) -> anyhow::Result<Answer> {
    let options = &access_point.access;
    let settings = server.settings()?;
    let desk = Desk::of(&settings, access_point)?;
    let (out, folder) = access_point.folders()?;
    let folder = folder.to_str().context("the folder's name is not text")?;
    let words = [&access_point.interface].into_iter().chain(&options.wired);
    let words = words.chain(options.vlans_on.iter()).chain(options.onboarding_bridge.iter()).map(String::as_str);
    // These go into lines of hostapd's settings, each of which must stay one.
    for word in words.chain([folder]) {
        ensure!(!word.is_empty() && !word.chars().any(char::is_control), "{word:?} cannot stand in hostapd's settings");
    }
    ensure!(options.wired.iter().all(|port| !port.contains('/')), "an interface has no / in its name");
    let mut files = Vec::new();
    if options.closed.is_some() || options.onboarding.is_some() {
        files.extend(radio(access_point, &desk, folder)?);
    }
    for port in &options.wired {
        files.push(File::new(&format!("wired-{port}.conf"), wired(port, options.wired.len() == 1, &desk)));
    }
    if let Some(there) = files.iter().map(|file| out.join(&file.name)).find(|path| path.exists() && !options.force) {
        bail!("{} is there already (it is not replaced without --force)", there.display());
    }
    let written = files.iter().map(|file| write_secret(out, &file.name, file.content.expose().as_bytes()));
    let written = written.collect::<anyhow::Result<Vec<_>>>()?;
    output.show_as(&serde_json::json!({ "files": written }), || {
        let mut table = Table::new(&["file"], "");
        for file in &written {
            table.row([file.display().to_string()]);
        }
        format!(
            "{table}\nThe secret that {} shares with the server is in them: they are for hostapd alone.",
            desk.client.name
        )
    })?;
    Ok(Answer::Yes)
}

impl<'a> Desk<'a> {
    fn of(settings: &'a Settings, access_point: &AccessPoint) -> anyhow::Result<Self> {
        let access = settings.access.as_ref().context("[access] is missing: there is nobody to ask")?;
        let name = access_point.name();
        let client = access.client.iter().find(|client| client.name == name);
        let client = client.with_context(|| format!("there is no [[access.client]] called {name}"))?;
        let path = settings.resolve(&client.secret_file);
        let text = fs::read_to_string(&path).map(Redacted::new).with_context(|| path.display().to_string())?;
        let secret = Redacted::new(text.expose().lines().next().unwrap_or_default().to_owned());
        ensure!(!secret.expose().is_empty(), "{} is empty", path.display());
        let address = match &access_point.radius {
            Some(text) => text.parse().with_context(|| format!("{text} is no ADDRESS:PORT"))?,
            None => access.listen,
        };
        ensure!(!address.ip().is_unspecified(), "[access] listens everywhere: say by --radius where {name} reaches it");
        Ok(Self { client, secret, address })
    }

    /// RFC 3579, RFC 2866, and RFC 5176 for the orders to put a device out.
    fn lines(&self, orders: bool) -> String {
        let (address, port, secret) = (self.address.ip(), self.address.port(), self.secret.expose());
        let mut text = format!(
            "auth_server_addr={address}\nauth_server_port={port}\nauth_server_shared_secret={secret}\n\
             acct_server_addr={address}\nacct_server_port={port}\nacct_server_shared_secret={secret}\n"
        );
        if let Some(port) = self.client.orders.filter(|_| orders) {
            let _ = writeln!(
                text,
                "radius_das_port={port}\nradius_das_client={address} {secret}\nradius_das_require_event_timestamp=1\n\
                 radius_das_require_message_authenticator=1"
            );
        }
        text
    }
}

/// The networks of the radio: the closed one first, for hostapd takes orders for that one.
fn radio(access_point: &AccessPoint, desk: &Desk<'_>, folder: &str) -> anyhow::Result<Vec<File>> {
    let (options, interface, name) = (&access_point.access, &access_point.interface, &desk.client.name);
    let mut files = Vec::new();
    let mut text = format!(
        "# hostapd settings of {name}, made by `landfall network ap-config`. The secret of the RADIUS server is in them.\n\
         interface={interface}\ndriver=nl80211\nctrl_interface=/var/run/hostapd\nhw_mode=g\nchannel={}\n",
        options.channel
    );
    if let Some(ssid) = &options.closed {
        let (akm, protected) = if options.wpa3 { ("WPA-EAP-SHA256", 2) } else { ("WPA-EAP WPA-EAP-SHA256", 1) };
        let _ = writeln!(
            text,
            "\n# Devices show their certificates.\n{}ieee8021x=1\nwpa=2\nwpa_key_mgmt={akm}\nrsn_pairwise=CCMP\n\
             ieee80211w={protected}\nnas_identifier={name}\n\
             # Who was put out comes in by a whole authentication or not at all.\ndisable_pmksa_caching=1",
            network(ssid)?
        );
        text.push_str(&desk.lines(true));
        if let Some(trunk) = &options.vlans_on {
            let _ = writeln!(
                text,
                "# Nobody is let in without a VLAN.\ndynamic_vlan=2\nvlan_tagged_interface={trunk}\nvlan_naming=1\n\
                 vlan_file={folder}/hostapd.vlan"
            );
            files.push(File::new("hostapd.vlan", format!("*\t{interface}.#\n")));
        }
    }
    if let Some(ssid) = &options.onboarding {
        text.push_str("\n# New devices reach the join proxy here, and not each other.\n");
        if options.closed.is_some() {
            let _ = writeln!(text, "bss={interface}_new");
        }
        let _ = writeln!(text, "{}ap_isolate=1", network(ssid)?);
        if let Some(bridge) = &options.onboarding_bridge {
            let _ = writeln!(text, "bridge={bridge}");
        }
        if !options.realms.is_empty() {
            text.push_str("interworking=1\n");
        }
        for realm in &options.realms {
            let _ = writeln!(text, "nai_realm=0,{}", good_realm(realm)?);
        }
        if options.encrypted {
            // hostapd answers these itself: there is nothing to ask about a device that shows nothing.
            let _ = writeln!(
                text,
                "ieee8021x=1\nwpa=2\nwpa_key_mgmt=WPA-EAP WPA-EAP-SHA256\nrsn_pairwise=CCMP\nieee80211w=1\n\
                 eap_server=1\neap_user_file={folder}/onboarding.users\nserver_cert={folder}/onboarding.pem\n\
                 private_key={folder}/onboarding.key"
            );
            files.push(File::new("onboarding.users", "*\tWFA-UNAUTH-TLS\n".into()));
            files.extend(nobodys_certificate(name)?);
        }
    }
    files.insert(0, File::new("hostapd.conf", text));
    Ok(files)
}

/// RFC 7542 s2.2: labels and dots. What hostapd would take for the end of it is in none.
fn good_realm(realm: &str) -> anyhow::Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    ensure!((1..=253).contains(&realm.len()) && realm.chars().all(plain), "{realm:?} is no realm (RFC 7542 s2.2)");
    Ok(realm)
}

/// Octets rather than characters: an SSID may hold any.
fn network(ssid: &str) -> anyhow::Result<String> {
    ensure!((1..=32).contains(&ssid.len()), "{ssid:?} is no SSID: those have 1 to 32 octets");
    Ok(format!("ssid2={}\n", hex::encode(ssid)))
}

/// A key and a certificate that no device believes; EAP-TLS needs some.
fn nobodys_certificate(name: &str) -> anyhow::Result<[File; 2]> {
    let (above, key) = (SoftwareKey::generate(Algorithm::EcdsaP256)?, SoftwareKey::generate(Algorithm::EcdsaP256)?);
    let validity = Validity::forever(Time::now());
    let root = Ca::root(Name::common(&format!("{name} for new devices")));
    let root =
        root.prepare_root(above.public_key(), CertificateSerial::random()?, validity)?.checked()?.issue(&above)?;
    let issuer = Authority { certificate: root, chain: Vec::new() };
    let server = profile::Server { subject: Name::common(name), alt_names: Vec::new() };
    let leaf = server.prepare(&issuer, key.public_key(), CertificateSerial::random()?, validity)?;
    let leaf = leaf.checked()?.issue(&above)?;
    let key = pem::encode("PRIVATE KEY", key.to_pkcs8_der().expose());
    Ok([File::new("onboarding.pem", leaf.to_pem()), File::new("onboarding.key", key)])
}

/// hostapd's wired driver authenticates and blocks nothing: that is for a bridge or `[enforcer]`.
fn wired(port: &str, only: bool, desk: &Desk<'_>) -> String {
    let mut text = format!(
        "# hostapd settings of the port {port}, made by `landfall network ap-config`. The secret of the RADIUS server is in them.\n\
         # hostapd says who is authenticated; what blocks the others is [enforcer], or the switch.\n\
         interface={port}\ndriver=wired\nctrl_interface=/var/run/hostapd\nieee8021x=1\nuse_pae_group_addr=1\n\
         nas_identifier={port}\nown_ip_addr=127.0.0.1\n{}",
        desk.lines(only)
    );
    if !only {
        text.push_str("# One port takes orders at a time, so none does: [enforcer] shuts ports by itself.\n");
    }
    text
}
