//! Access points and stations in the machine, each with a radio of its own.

use super::{Machine, machine::ORDERS};
use crate::peers::{Event, Peer};
use anyhow::{Context, Result, ensure};
use landfall_types::Redacted;
use std::{collections::VecDeque, fmt::Write, net::SocketAddr, sync::Arc};
use tokio::time::Instant;

/// How stations may authenticate at an access point.
#[derive(Clone, Debug)]
pub enum Security {
    /// By connectors (AKM 50-6F-9A:2). The access point has its own.
    Dpp {
        /// Its connector.
        connector: String,
        /// The configurator's signing key: hex of a SubjectPublicKeyInfo.
        c_sign_key: String,
        /// The private key of its connector: hex of an ECPrivateKey.
        net_access_key: String,
    },
    /// By a password (WPA3).
    Sae(String),
    /// By a pre-shared key (WPA2).
    Psk(String),
    /// By certificates, through hostapd's own EAP server.
    Eap(Eap),
    /// By certificates, through a RADIUS server.
    EapBy(Radius),
    /// By the pre-shared keys (WPA2) of single devices, which a RADIUS server is asked for by their addresses.
    PskBy(Radius),
}

/// A RADIUS server on loopback outside of the machine, whose orders the access point obeys ([`Machine::orders`]).
#[derive(Clone, Debug)]
pub struct Radius {
    /// Its port.
    pub port: u16,
    /// What it shares with the access point.
    pub secret: Redacted<String>,
}

impl Radius {
    fn settings(&self) -> String {
        let (port, secret) = (self.port, self.secret.expose());
        format!(
            "own_ip_addr=10.0.2.15\nnas_identifier=rig\nauth_server_addr=10.0.2.2\nauth_server_port={port}\n\
             auth_server_shared_secret={secret}\nacct_server_addr=10.0.2.2\nacct_server_port={port}\n\
             acct_server_shared_secret={secret}\nradius_das_port={ORDERS}\nradius_das_client=10.0.2.2 {secret}\n\
             radius_das_require_message_authenticator=1\n"
        )
    }
}

/// An EAP server's certificates, in PEM.
#[derive(Clone, Debug)]
pub struct Eap {
    /// Those that stations' certificates have to lead to.
    pub ca: String,
    /// The server's own, and what it sends with it.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// To whom an access point relays Wi-Fi Easy Connect.
#[derive(Clone, Debug)]
pub struct Relay {
    /// The controller, on loopback outside of the machine.
    pub controller: SocketAddr,
    /// The SHA-256 of its bootstrapping key, in hex.
    pub key_hash: String,
}

/// A hostapd with a radio.
#[derive(Debug)]
pub struct AccessPoint {
    /// What it can be asked.
    pub peer: Peer,
    site: Site,
}

/// A wpa_supplicant with a radio, in a network namespace of its own.
#[derive(Debug)]
pub struct Station {
    /// What it can be asked.
    pub peer: Peer,
    site: Site,
}

/// Named by its path, since the machine's shell takes its own `ip` first, which knows less.
const IP: &str = "/usr/sbin/ip";

/// A program's place in the machine.
#[derive(Clone, Debug)]
pub(super) struct Site {
    machine: Arc<Machine>,
    radio: usize,
    folder: String,
}

impl Site {
    async fn take(machine: &Arc<Machine>, kind: &str) -> Result<Self> {
        let radio = machine.take_radio().await?;
        Ok(Self { machine: Arc::clone(machine), radio, folder: format!("/run/{kind}{radio}") })
    }

    fn interface(&self) -> String {
        format!("wlan{}", self.radio)
    }

    /// What is written before a command that runs where the radio is.
    fn within(&self, own: bool) -> String {
        if own { format!("{IP} netns exec radio{} ", self.radio) } else { String::new() }
    }
}

impl Machine {
    /// Starts an access point on a channel of the 2.4 GHz band. It has the address 192.168.N.1 of its network.
    ///
    /// # Errors
    /// If no radio is free, or hostapd does not like it.
    pub async fn access_point(
        self: &Arc<Self>,
        ssid: &str,
        channel: u8,
        security: &[Security],
        relays: &[Relay],
    ) -> Result<AccessPoint> {
        let site = Site::take(self, "ap").await?;
        let (interface, folder, n) = (site.interface(), site.folder.clone(), site.radio);
        let mut conf = format!(
            "interface={interface}\ndriver=nl80211\nctrl_interface={folder}/ctrl\nssid2={}\nhw_mode=g\nchannel={channel}\n",
            hex::encode(ssid)
        );
        conf += &self.secure(&folder, security).await?;
        let mut routes = String::new();
        if !relays.is_empty() {
            // The element by which devices see that announcing themselves here is of use.
            conf += "dpp_configurator_connectivity=1\n";
        }
        for (number, relay) in relays.iter().enumerate() {
            // hostapd's relay knows no port but 8908; every controller has an address of its own here.
            let address = format!("10.0.2.{}", 100 + 10 * n + number);
            let _ = writeln!(conf, "dpp_controller=ipaddr={address} pkhash={}", relay.key_hash);
            let _ = writeln!(
                routes,
                "nft add rule ip relay{n} out ip daddr {address} tcp dport 8908 dnat to 10.0.2.2:{}",
                relay.controller.port()
            );
        }
        self.put(&format!("{folder}/conf"), conf.as_bytes()).await?;
        let script = format!(
            "set -e\nnft add table ip relay{n}\n\
             nft add chain ip relay{n} out '{{ type nat hook output priority -100; }}'\n{routes}\
             hostapd -B -t -P {folder}/pid -f {folder}/log {folder}/conf\n\
             {IP} address replace 192.168.{n}.1/24 dev {interface}"
        );
        self.start(&site, &script).await?;
        Ok(AccessPoint { peer: Peer::there(Window::of(&site, "hostapd_cli")), site })
    }

    async fn secure(&self, folder: &str, security: &[Security]) -> Result<String> {
        let (mut akms, mut conf) = (Vec::new(), String::new());
        for one in security {
            match one {
                Security::Dpp { connector, c_sign_key, net_access_key } => {
                    akms.push("DPP");
                    let _ = writeln!(conf, "dpp_connector={connector}");
                    let _ = writeln!(conf, "dpp_csign={c_sign_key}\ndpp_netaccesskey={net_access_key}");
                }
                Security::Sae(password) => {
                    akms.push("SAE");
                    let _ = writeln!(conf, "sae_password={password}\nsae_require_mfp=1");
                }
                Security::Psk(password) => {
                    akms.push("WPA-PSK");
                    let _ = writeln!(conf, "wpa_passphrase={password}");
                }
                Security::EapBy(radius) => {
                    akms.push("WPA-EAP WPA-EAP-SHA256");
                    conf += "ieee8021x=1\n";
                    conf += &radius.settings();
                }
                Security::PskBy(radius) => {
                    akms.push("WPA-PSK");
                    // IEEE 802.1X has no part in it: hostapd asks about the address before the handshake.
                    conf += "wpa_psk_radius=2\nmacaddr_acl=2\n";
                    conf += &radius.settings();
                }
                Security::Eap(eap) => {
                    akms.push("WPA-EAP WPA-EAP-SHA256");
                    for (name, pem) in [("ca", &eap.ca), ("certificate", &eap.certificate), ("key", &eap.key)] {
                        self.put(&format!("{folder}/{name}.pem"), pem.as_bytes()).await?;
                    }
                    self.put(&format!("{folder}/users"), b"* TLS\n").await?;
                    let _ = writeln!(
                        conf,
                        "ieee8021x=1\neap_server=1\neap_user_file={folder}/users\nca_cert={folder}/ca.pem\n\
                         server_cert={folder}/certificate.pem\nprivate_key={folder}/key.pem"
                    );
                }
            }
        }
        if !akms.is_empty() {
            let protected = security.iter().all(|one| matches!(one, Security::Dpp { .. } | Security::Sae(_)));
            let _ = writeln!(conf, "wpa=2\nrsn_pairwise=CCMP\nwpa_key_mgmt={}", akms.join(" "));
            let _ = writeln!(conf, "ieee80211w={}", if protected { 2 } else { 1 });
        }
        Ok(conf)
    }

    /// Starts a station. It configures itself by what it is told through Wi-Fi Easy Connect; `networks` may hold what it
    /// knows before, as `network={…}` of wpa_supplicant's settings, and `channels` the frequencies where it looks, in MHz.
    ///
    /// # Errors
    /// If no radio is free, or wpa_supplicant does not like it.
    pub async fn station(self: &Arc<Self>, networks: &str, channels: &[u16]) -> Result<Station> {
        let site = Site::take(self, "sta").await?;
        let (folder, n) = (site.folder.clone(), site.radio);
        let channels: Vec<String> = channels.iter().map(u16::to_string).collect();
        let mut conf = format!("ctrl_interface={folder}/ctrl\ndpp_config_processing=2\n");
        if !channels.is_empty() {
            let _ = writeln!(conf, "freq_list={}", channels.join(" "));
        }
        self.put(&format!("{folder}/conf"), (conf + networks).as_bytes()).await?;
        let (interface, within) = (site.interface(), site.within(true));
        let script = format!(
            "set -e\n{IP} netns add radio{n}\niw phy phy{n} set netns name radio{n}\n\
             {within}wpa_supplicant -B -t -P {folder}/pid -f {folder}/log -Dnl80211 -i{interface} -c {folder}/conf"
        );
        self.start(&site, &script).await?;
        Ok(Station { peer: Peer::there(Window::of(&site, "wpa_cli")), site })
    }

    async fn start(&self, site: &Site, script: &str) -> Result<()> {
        let output = self.run(script).await?;
        if output.status != 0 {
            let log = self.run(&format!("tail -n 20 {}/log", site.folder)).await?;
            self.give_back(site.radio).await;
            anyhow::bail!("{} does not start: {} {}", site.folder, output.text().trim(), log.text().trim());
        }
        Ok(())
    }
}

impl AccessPoint {
    /// Its address in its network.
    pub fn address(&self) -> String {
        format!("192.168.{}.1", self.site.radio)
    }

    /// Stops it, and frees its radio.
    pub async fn stop(self) -> Result<()> {
        self.site.stop(&format!("nft delete table ip relay{}; {IP} address flush dev", self.site.radio), "").await
    }
}

impl Station {
    /// Whether it can be heard: sends packets to an access point's address, and waits for the answers.
    pub async fn reaches(&self, access_point: &AccessPoint) -> Result<bool> {
        let (within, interface, n) = (self.site.within(true), self.site.interface(), access_point.site.radio);
        let script = format!(
            "{within}{IP} address replace 192.168.{n}.2/24 dev {interface}\n{within}ping -c 3 -i 0.2 -w 10 192.168.{n}.1"
        );
        Ok(self.site.machine.run(&script).await?.status == 0)
    }

    /// What `iw` counts of its link: octets and packets in both directions.
    pub(super) async fn counts(&self) -> Result<String> {
        let (within, interface) = (self.site.within(true), self.site.interface());
        self.site.machine.sh(&format!("{within}iw dev {interface} station dump")).await
    }

    /// Its hardware address.
    pub fn mac(&self) -> String {
        // mac80211_hwsim numbers them so.
        format!("02:00:00:00:{:02x}:00", self.site.radio)
    }

    /// Stops it, and frees its radio.
    pub async fn stop(self) -> Result<()> {
        let back = format!(
            "{}iw phy phy{} set netns 1; {IP} netns delete radio{}; true",
            self.site.within(true),
            self.site.radio,
            self.site.radio
        );
        self.site.stop("", &back).await
    }
}

impl Site {
    async fn stop(&self, first: &str, then: &str) -> Result<()> {
        let (folder, interface) = (&self.folder, self.interface());
        let first = if first.is_empty() { String::new() } else { format!("{first} {interface}\n") };
        let script = format!(
            "{first}pid=$(cat {folder}/pid)\nkill $pid\n\
             i=0; while kill -0 $pid 2>/dev/null && [ $i -lt 100 ]; do i=$((i+1)); sleep 0.1; done\n\
             {then}\nrm -rf {folder}"
        );
        let output = self.machine.run(&script).await?;
        ensure!(output.status == 0, "{folder}: {}", output.text().trim());
        self.machine.give_back(self.radio).await;
        Ok(())
    }
}

/// The control interface of a program in the machine: requests by its command line tool, events from its log.
#[derive(Debug)]
pub(crate) struct Window {
    site: Site,
    tool: &'static str,
    /// How much of the log has been read.
    read: usize,
    /// The line that was not complete yet.
    rest: Vec<u8>,
    events: VecDeque<Event>,
}

impl Window {
    fn of(site: &Site, tool: &'static str) -> Self {
        Self { site: site.clone(), tool, read: 0, rest: Vec::new(), events: VecDeque::new() }
    }

    pub(crate) async fn request(&self, request: &str) -> Result<String> {
        let (folder, interface) = (&self.site.folder, self.site.interface());
        // The tool joins its arguments with blanks, so one argument keeps those that are there.
        let quoted = request.replace('\'', r"'\''");
        let script = format!("{} -p {folder}/ctrl -i {interface} raw '{quoted}'", self.tool);
        let output = self.site.machine.run(&script).await?;
        let answer = output.text().trim_end().to_owned();
        // A request may carry a password or a key: what was asked is its first word.
        let asked = request.split(' ').next().unwrap_or_default();
        ensure!(!matches!(answer.as_str(), "FAIL" | "UNKNOWN COMMAND" | "-1"), "{asked}: {answer}");
        Ok(answer)
    }

    pub(crate) async fn event(&mut self, until: Instant) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Waits in the machine until the log has grown, in small pieces so that others get their turn.
            let (folder, from) = (&self.site.folder, self.read);
            let pieces = (left.as_millis() / 100).clamp(1, 10);
            let script = format!(
                "i=0; while [ $(stat -c %s {folder}/log) -le {from} ] && [ $i -lt {pieces} ]; do i=$((i+1)); sleep 0.1; done\n\
                 tail -c +{} {folder}/log",
                from + 1
            );
            let output = self.site.machine.run(&script).await?;
            ensure!(output.status == 0, "{folder}/log: {}", output.text().trim());
            self.take(&output.bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.read += bytes.len();
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines = self.rest.drain(..=end).collect::<Vec<u8>>();
        let interface = self.site.interface();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        self.events.extend(lines.lines().filter_map(|line| Event::of_log(line, &interface)));
    }

    pub(crate) async fn log(&self) -> Result<String> {
        let log = self.site.machine.get(&format!("{}/log", self.site.folder)).await.context("its log")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }
}
