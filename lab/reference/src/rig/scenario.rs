//! What is shown over the air, as functions that a test or the lab calls.

use super::{AccessPoint, Machine, Relay, Security, Station};
use crate::peers::{
    Event, Peer,
    dpp::{AuthInit, Configured, NetRole},
};
use anyhow::{Context, Result, ensure};
use landfall_dpp::Curve;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Under emulation an exchange over the air may take so long, with rounds of announcements 30 s apart.
const LIMIT: Duration = Duration::from_secs(100);

/// How a station is associated, in the words of its wpa_supplicant.
#[derive(Clone, Debug)]
pub struct Association {
    /// `COMPLETED` when it is.
    pub state: String,
    /// `DPP`, `SAE`, `WPA2/IEEE 802.1X/EAP`.
    pub key_mgmt: String,
    /// The network's name.
    pub ssid: String,
    /// The access point's address.
    pub bssid: String,
    /// The EAP method, with certificates: `13 (EAP-TLS)`.
    pub eap: Option<String>,
    /// Packets that it sent and received over the air.
    pub packets: (u64, u64),
    /// Whether the access point answered through the network.
    pub reached: bool,
    /// What was configured, if that was by Wi-Fi Easy Connect.
    pub configured: Option<Configured>,
    /// All that the station said.
    pub events: Vec<Event>,
}

/// A device as it leaves the factory.
#[derive(Clone, Debug)]
pub struct Enrollee<'a> {
    /// The curve of its bootstrapping key.
    pub curve: Curve,
    /// The key: hex of an ECPrivateKey in DER.
    pub key: &'a str,
}

/// An access point of the network that a device is to join.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Its name.
    pub ssid: &'a str,
    /// How stations authenticate.
    pub security: &'a [Security],
    /// The controllers to which it relays.
    pub relays: &'a [Relay],
}

/// The channel of all scenarios, and its frequency in MHz: one of those on which devices announce themselves and begin
/// PKEX without being told.
pub const CHANNEL: (u8, u16) = (6, 2437);

/// A device announces its presence over the air, an access point relays it to the controller outside, which configures the
/// device; and the device joins that access point with what it was given.
///
/// # Errors
/// If it does not come to that, with what the station saw instead.
pub async fn chirp_and_join(
    machine: &Arc<Machine>,
    network: &Network<'_>,
    device: &Enrollee<'_>,
) -> Result<Association> {
    let access_point = machine.access_point(network.ssid, CHANNEL.0, network.security, network.relays).await?;
    let mut station = machine.station("", &[CHANNEL.1]).await?;
    let associated = async {
        let configured = chirp(&mut station, device).await?;
        let mut association = joined(&mut station, &access_point).await?;
        association.configured = Some(configured);
        Ok(association)
    };
    let associated = associated.await;
    station.stop().await?;
    access_point.stop().await?;
    associated
}

/// A device that [`chirp_and_join`] has brought into the network comes again: it announces itself to the configurator that
/// signed its connector, gets another one, and joins with that. What it was given first, and how it is associated then.
///
/// # Errors
/// If it does not come to that, with what the station saw instead.
pub async fn chirp_join_and_come_again(
    machine: &Arc<Machine>,
    network: &Network<'_>,
    device: &Enrollee<'_>,
) -> Result<(Configured, Association)> {
    let access_point = machine.access_point(network.ssid, CHANNEL.0, network.security, network.relays).await?;
    let mut station = machine.station("", &[CHANNEL.1]).await?;
    let again = async {
        let before = chirp(&mut station, device).await?;
        joined(&mut station, &access_point).await?;
        let networks = station.peer.request("LIST_NETWORKS").await?;
        let id =
            networks.lines().nth(1).and_then(|line| line.split('\t').next()).context("the station has no network")?;
        station.peer.reconfigure(id, 3).await?;
        let configured = station.peer.configured(LIMIT).await?;
        let _ = station.peer.stop_chirp().await;
        let mut association = joined(&mut station, &access_point).await?;
        association.configured = Some(configured);
        Ok((before, association))
    };
    let again = again.await;
    station.stop().await?;
    access_point.stop().await?;
    again
}

/// Announces the device until it is configured.
async fn chirp(station: &mut Station, device: &Enrollee<'_>) -> Result<Configured> {
    let own = station.peer.bootstrap_gen(device.curve, Some(device.key), "chan=81/6").await?;
    station.peer.chirp(own, 3).await?;
    let configured = station.peer.configured(LIMIT).await?;
    // Its announcements would go on, and take the radio away from the network.
    let _ = station.peer.stop_chirp().await;
    Ok(configured)
}

/// A station that knows the network already joins it: `network` is as in wpa_supplicant's settings.
///
/// # Errors
/// If it does not come to that.
pub async fn join(machine: &Arc<Machine>, network: &Network<'_>, known: &str) -> Result<Association> {
    let access_point = machine.access_point(network.ssid, CHANNEL.0, network.security, network.relays).await?;
    let mut station = machine.station(known, &[CHANNEL.1]).await?;
    let associated = joined(&mut station, &access_point).await;
    station.stop().await?;
    access_point.stop().await?;
    associated
}

/// Waits until a station is associated and reaches the access point through the network, and looks at how.
///
/// # Errors
/// If it does not come to an association in time.
pub async fn joined(station: &mut Station, access_point: &AccessPoint) -> Result<Association> {
    let until = Instant::now() + LIMIT;
    connected(station, until).await?;
    // Where emulation is slow, the two sides of a handshake may disagree on its end, and begin again.
    loop {
        let reached = station.reaches(access_point).await?;
        let status = fields(&station.peer.request("STATUS").await?, '=');
        let text = |key: &str| status.get(key).cloned().unwrap_or_default();
        if (!reached || text("wpa_state") != "COMPLETED") && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(200)).await;
            station.peer.request("REASSOCIATE").await?;
            continue;
        }
        let counts = fields(&station.counts().await?, ':');
        let count = |key: &str| counts.get(key).and_then(|count| count.parse().ok()).unwrap_or(0);
        return Ok(Association {
            state: text("wpa_state"),
            key_mgmt: text("key_mgmt"),
            ssid: text("ssid"),
            bssid: text("bssid"),
            eap: status.get("selectedMethod").cloned(),
            packets: (count("tx packets"), count("rx packets")),
            reached,
            configured: None,
            events: station.peer.passed().to_vec(),
        });
    }
}

async fn connected(station: &mut Station, until: Instant) -> Result<()> {
    if station.peer.passed().iter().any(|event| event.name == CONNECTED) {
        return Ok(());
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let event = station.peer.event(&[CONNECTED, "CTRL-EVENT-SSID-TEMP-DISABLED"], left).await?;
        if event.name == CONNECTED {
            return Ok(());
        }
        // It takes a timeout for a wrong password, and would wait longer each time.
        station.peer.request("ENABLE_NETWORK all").await?;
    }
}

const CONNECTED: &str = "CTRL-EVENT-CONNECTED";

fn fields(text: &str, sign: char) -> BTreeMap<String, String> {
    let fields = text.lines().filter_map(|line| line.split_once(sign));
    fields.map(|(key, value)| (key.trim().into(), value.trim().into())).collect()
}

/// An access point becomes an enrollee of the controller over TCP, and gets the connector that it needs for
/// [`Security::Dpp`]: `uri` is the controller's, which listens at `controller`.
///
/// # Errors
/// If the controller does not configure it.
pub async fn enrol_access_point(uri: &str, controller: SocketAddr) -> Result<Security> {
    let mut hostapd = Peer::hostapd().await?;
    let peer = hostapd.qr_code(uri).await?;
    hostapd.auth_init(&AuthInit { net_role: NetRole::Ap, ..AuthInit::enrollee(peer).to(controller) }).await?;
    let configured = hostapd.configured(LIMIT).await?;
    let part =
        |part: Option<&str>, name: &str| Ok::<_, anyhow::Error>(part.with_context(|| format!("no {name}"))?.to_owned());
    ensure!(
        configured.akm().is_some_and(|akm| akm.contains("dpp")),
        "the access point is to use {:?}",
        configured.akm()
    );
    Ok(Security::Dpp {
        connector: part(configured.connector(), "connector")?,
        c_sign_key: part(configured.c_sign_key(), "signing key")?,
        net_access_key: part(configured.net_access_key(), "network access key")?,
    })
}
