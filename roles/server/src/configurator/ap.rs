//! What an access point needs: hostapd's settings for relaying to us and for the networks that devices are configured for.

use super::{
    Configurator, Network, Tenant,
    credential::{Password, Unreadable},
    keys::{Held, random},
};
use landfall_dpp::{
    NetRole,
    connector::{Connector, Group, SignedConnector},
    curve::PrivateKey,
};
use landfall_types::{Redacted, Time};
use std::{fmt::Write, net::IpAddr, time::Duration};

/// What an operator says of an access point.
#[derive(Clone, Debug)]
pub(crate) struct AccessPoint {
    /// Its name, for people.
    pub(crate) name: String,
    /// The wireless interface.
    pub(crate) interface: String,
    /// The address at which it reaches us: hostapd takes no names.
    pub(crate) controller: IpAddr,
    /// Its RADIUS server, for networks with 802.1X.
    pub(crate) radius: Option<(IpAddr, u16)>,
    /// How long its connectors last, if they end.
    pub(crate) lasting: Option<Duration>,
}

/// A file for an access point.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) content: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("its connector could not be made: {0}")]
    Connector(String),
}

impl Configurator {
    /// The files for an access point of `tenant`: `hostapd.conf`, and passwords in files beside it, below `folder`.
    pub(crate) fn access_point(
        &self,
        tenant: &Tenant,
        access_point: &AccessPoint,
        folder: &str,
        now: Time,
    ) -> Result<Vec<File>, Unmade> {
        let mut files = Vec::new();
        let mut text = format!(
            "# hostapd settings of the access point {}, made by `landfall network ap-config`.\n\
             # Keep it from others: it holds the access point's own keys, and passwords stand in the files beside it.\n\
             interface={}\ndriver=nl80211\nctrl_interface=/var/run/hostapd\nhw_mode=g\nchannel=6\n",
            access_point.name, access_point.interface
        );
        for (index, network) in tenant.networks.iter().enumerate() {
            let block = Block { configurator: self, tenant, access_point, network, folder, now };
            text.push_str(&block.text(index, &mut files)?);
        }
        files.insert(0, File { name: "hostapd.conf".into(), content: text });
        Ok(files)
    }
}

struct Block<'a> {
    configurator: &'a Configurator,
    tenant: &'a Tenant,
    access_point: &'a AccessPoint,
    network: &'a Network,
    folder: &'a str,
    now: Time,
}

impl Block<'_> {
    fn text(&self, index: usize, files: &mut Vec<File>) -> Result<String, Unmade> {
        let (akm, ssid) = (self.network.akm, &self.network.ssid);
        let mut text = String::from("\n");
        if index > 0 {
            let _ = writeln!(text, "bss={}_{index}", self.access_point.interface);
        }
        // Octets rather than characters: an SSID may hold any.
        let _ = writeln!(text, "ssid2={}\nwpa=2\nrsn_pairwise=CCMP", hex::encode(ssid));
        let methods = [(akm.dpp, "DPP"), (akm.psk, "WPA-PSK"), (akm.sae, "SAE"), (akm.dot1x, "WPA-EAP")];
        let methods: Vec<_> = methods.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        let _ = writeln!(text, "wpa_key_mgmt={}", methods.join(" "));
        // WPA3 asks for protected management frames, WPA2 lets devices do without.
        let _ = writeln!(text, "ieee80211w={}", if akm.psk || akm.dot1x { 1 } else { 2 });
        if index == 0 {
            text.push_str(&self.relay());
        }
        if akm.dpp {
            text.push_str(&self.connector()?);
        }
        if akm.is_personal() {
            let passwords = self.configurator.passwords(self.tenant, ssid)?;
            text.push_str(&self.passwords(index, &passwords, files));
        }
        if akm.dot1x {
            text.push_str("ieee8021x=1\n");
            match self.access_point.radius {
                Some((address, port)) => {
                    let _ = writeln!(text, "auth_server_addr={address}\nauth_server_port={port}");
                    text.push_str("# auth_server_shared_secret=...\n");
                }
                None => text.push_str("# auth_server_addr=...\n# auth_server_shared_secret=...\n"),
            }
        }
        Ok(text)
    }

    /// hostapd relays what devices announce to us, and tells devices in its beacons that it does.
    fn relay(&self) -> String {
        let mut text = String::from("dpp_configurator_connectivity=1\n");
        for hash in self.tenant.bootstrap_hashes() {
            let _ = writeln!(text, "dpp_controller=ipaddr={} pkhash={hash}", self.access_point.controller);
        }
        text
    }

    /// The access point's own connector, for introduction (DPP s6.6): issued here, as its devices' are.
    fn connector(&self) -> Result<String, Unmade> {
        let failed = |why: String| Unmade::Connector(why);
        let csign = self.tenant.keys.csign();
        // Devices and access points meet on one curve; P-256 is the one that all of them have.
        let key = PrivateKey::generate(landfall_dpp::Curve::P256, &mut random);
        let groups = self.network.all_groups().map(|id| Group { id: id.to_owned(), role: NetRole::Ap }).collect();
        let expiry = self.access_point.lasting.map(|lasting| self.now + lasting);
        let connector = Connector { groups, key: key.public().clone(), expiry, version: None };
        let signed = sign(&csign, &connector).map_err(failed)?;
        let mut text = String::new();
        let _ = writeln!(text, "dpp_connector={}", signed.as_str());
        let _ = writeln!(text, "dpp_netaccesskey={}", hex::encode(ec_private_key(&key).expose()));
        let _ = writeln!(text, "dpp_csign={}", hex::encode(csign.public().spki()));
        if let Some(expiry) = expiry {
            let _ = writeln!(text, "dpp_netaccesskey_expiry={}", expiry.as_unix());
        }
        Ok(text)
    }

    /// Passwords for WPA2 stand in a file, one a line; hostapd has those for WPA3 in its settings.
    fn passwords(&self, index: usize, passwords: &[Password], files: &mut Vec<File>) -> String {
        let mut text = String::new();
        if self.network.akm.psk {
            let name = format!("wpa-psk-{index}");
            let _ = writeln!(text, "wpa_psk_file={}", [self.folder, &name].join("/"));
            let mut content =
                String::from("# One line for each device: its address, 00:00:00:00:00:00 if it is not known.\n");
            for one in passwords.iter().filter(|one| one.methods.contains("psk") || one.methods.contains("000FAC02")) {
                let mac = one.mac.as_deref().unwrap_or("00:00:00:00:00:00");
                let _ = writeln!(content, "keyid={} {mac} {}", one.name, one.password.expose());
            }
            files.push(File { name, content });
        }
        if self.network.akm.sae {
            for one in passwords.iter().filter(|one| one.methods.contains("sae") || one.methods.contains("000FAC08")) {
                let mac = one.mac.as_ref().map(|mac| format!("|mac={mac}")).unwrap_or_default();
                let id = one.identifier.as_ref().map(|id| format!("|id={id}")).unwrap_or_default();
                let _ = writeln!(text, "sae_password={}{mac}{id}", one.password.expose());
            }
        }
        text
    }
}

/// ECPrivateKey of RFC 5915 on P-256, with the curve's name and the public key, as hostapd reads it.
fn ec_private_key(key: &PrivateKey) -> Redacted<Vec<u8>> {
    let secret = key.to_bytes();
    let parts: [&[u8]; 4] = [
        b"\x30\x77\x02\x01\x01\x04\x20",
        secret.expose(),
        b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00",
        key.public().sec1(),
    ];
    Redacted::new(parts.concat())
}

pub(super) fn sign(csign: &Held, connector: &Connector) -> Result<SignedConnector, String> {
    let input = connector.signing_input(csign.public());
    let signature = csign.sign(input.as_bytes()).map_err(|why| why.to_string())?;
    SignedConnector::attach(&input, &signature).map_err(|why| why.to_string())
}
