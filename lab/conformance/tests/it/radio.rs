//! The radio rig: Debian's access points and stations over simulated air, and a controller outside of their machine.

use super::{
    controller::Configurator,
    hostap::{Ca, Controller, dot1x, installed},
};
use landfall_dpp::{Curve, curve::PrivateKey, jwk::kid};
use landfall_reference::{
    peers::{
        Peer,
        dpp::{Akm, AuthInit, Configuration, NetRole, Pkex, Role},
    },
    rig::{
        Eap, Machine, Radius, Relay, Rig, Security,
        scenario::{
            Association, CHANNEL, Enrollee, Network, chirp_and_join, chirp_join_and_come_again, enrol_access_point,
            join, joined,
        },
    },
};
use landfall_testkit::{current_test, free_port, skip, temp_dir};
use landfall_types::Redacted;
use std::{fs, sync::Arc, time::Duration};

const PASSWORD: &str = "a long password";
const LIMIT: Duration = Duration::from_secs(60);

/// The machine, booted once for all that is tried in it. Without the rig the test is reported as skipped.
async fn machine() -> Option<Arc<Machine>> {
    match Rig::find() {
        Ok(rig) => Some(Arc::new(rig.boot().await.unwrap())),
        Err(missing) => {
            skip(&current_test(), &missing.to_string());
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_join_over_the_air() {
    let Some(ca) = Ca::new() else { return };
    if !installed() {
        return;
    }
    let Some(machine) = machine().await else { return };
    passwords(&machine).await;
    certificates(&machine, &ca).await;
    by_code_or_word(&machine).await;
    certified(&machine, &ca).await;
    relayed(&machine).await;
    again(&machine).await;
    handed_over(&machine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_is_put_out_over_the_air_and_stays_out() {
    let Some(machine) = machine().await else { return };
    for (kind, key_mgmt) in [("dot1x", "WPA2-EAP-SHA256"), ("psk", "WPA2-PSK")] {
        let_in_and_put_out(&machine, kind, key_mgmt).await;
    }
}

/// Our access server has hostapd let a device in by the certificate or the password of its own that our configurator gave it, and
/// put it out with a Disconnect-Request (RFC 5176) once it is revoked. Then it does not come in again.
async fn let_in_and_put_out(machine: &Arc<Machine>, kind: &str, key_mgmt: &str) {
    let secret = "a secret of the access point".to_owned();
    let (folder, port) = (temp_dir(), free_port());
    let file = folder.path().join("secret");
    fs::write(&file, &secret).unwrap();
    let orders = machine.orders();
    let beside = format!(
        "[access]\nlisten = \"127.0.0.1:{port}\"\n[[access.client]]\nname = \"ap\"\naddresses = [\"127.0.0.1\"]\n\
         secret-file = {file:?}\norders = {orders}\n"
    );
    let named = if kind == "dot1x" { "eap-server = \"localhost\"\n" } else { "" };
    let ours = Configurator::start_beside(kind, "", &format!("{named}{beside}")).await;
    let radius = Radius { port, secret: Redacted::new(secret) };
    let security = [if kind == "dot1x" { Security::EapBy(radius) } else { Security::PskBy(radius) }];
    let relays = [Relay { controller: ours.address(), key_hash: ours.key_hash(Curve::P256).await }];
    let mut access_point = machine.access_point("Home", CHANNEL.0, &security, &relays).await.unwrap();
    let mut station = machine.station("", &[CHANNEL.1]).await.unwrap();
    let place = format!("chan=81/{} mac={}", CHANNEL.0, station.mac().replace(':', ""));
    let own = station.peer.bootstrap_gen(Curve::P256, None, &place).await.unwrap();
    ours.own(&station.peer.uri(own).await.unwrap(), "S-1").await;
    station.peer.chirp(own, 3).await.unwrap();
    assert_eq!(station.peer.configured(LIMIT).await.unwrap().akm(), Some(kind));
    let _ = station.peer.stop_chirp().await;
    completed(&joined(&mut station, &access_point).await.unwrap(), "Home", key_mgmt);
    assert!(ours.ended("device-put-out").await.is_empty());

    ours.revoke("S-1").await;
    station.peer.event(&["CTRL-EVENT-DISCONNECTED"], LIMIT).await.unwrap();
    // hostapd remembers for half a minute which password a device has, and lets it in by that without asking; then it is told again, and
    // nobody has the address any more.
    let check = if kind == "psk" { "access-address" } else { "access-revoked" };
    let refused = async {
        while ours.ended("device-admitted").await.last().is_none_or(|ended| ended != check) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    if tokio::time::timeout(2 * LIMIT, refused).await.is_err() {
        let (orders, admitted) = (ours.ended("device-put-out").await, ours.ended("device-admitted").await);
        panic!("{kind}: {orders:?} {admitted:?}: {}", access_point.peer.log().await.unwrap());
    }
    assert!(!station.reaches(&access_point).await.unwrap(), "{kind}: {}", access_point.peer.log().await.unwrap());
    let orders = ours.ended("device-put-out").await;
    assert!(!orders.is_empty() && orders.iter().all(|ended| ended == "done"), "{kind}: {orders:?}");
    station.stop().await.unwrap();
    access_point.stop().await.unwrap();
}

/// A station that knows the password joins by SAE.
async fn passwords(machine: &Arc<Machine>) {
    let security = [Security::Sae(PASSWORD.into())];
    let network = Network { ssid: "lab-sae", security: &security, relays: &[] };
    let known = format!("network={{\nssid=\"lab-sae\"\nkey_mgmt=SAE\nieee80211w=2\nsae_password=\"{PASSWORD}\"\n}}\n");
    let association = join(machine, &network, &known).await.unwrap();
    completed(&association, "lab-sae", "SAE");
}

fn eap(ca: &Ca) -> Security {
    Security::Eap(Eap { ca: ca.take("ca.pem"), certificate: ca.take("server.pem"), key: ca.take("server.key") })
}

/// A station that has a certificate joins by EAP-TLS.
async fn certificates(machine: &Arc<Machine>, ca: &Ca) {
    for name in ["ca.pem", "device.pem", "device.key"] {
        machine.put(&format!("/run/{name}"), ca.take(name).as_bytes()).await.unwrap();
    }
    let security = [eap(ca)];
    let network = Network { ssid: "lab-eap", security: &security, relays: &[] };
    let known = "network={\nssid=\"lab-eap\"\nkey_mgmt=WPA-EAP\neap=TLS\nidentity=\"device\"\nca_cert=\"/run/ca.pem\"\n\
        client_cert=\"/run/device.pem\"\nprivate_key=\"/run/device.key\"\n}\n";
    let association = join(machine, &network, known).await.unwrap();
    completed(&association, "lab-eap", "WPA2/IEEE 802.1X/EAP");
    assert!(association.eap.is_some_and(|method| method.contains("TLS")));
}

/// An access point that is itself the configurator configures one station by its code, another by a word that both know
/// (PKEX v1), over the air.
async fn by_code_or_word(machine: &Arc<Machine>) {
    let security = [Security::Sae(PASSWORD.into())];
    let mut access_point = machine.access_point("lab-own", CHANNEL.0, &security, &[]).await.unwrap();
    let by = access_point.peer.configurator_add(Curve::P256, None).await.unwrap();
    let configuration = Configuration::sta(Akm::Sae, "lab-own").pass(PASSWORD);

    let mut station = machine.station("", &[CHANNEL.1]).await.unwrap();
    let place = format!("chan=81/{} mac={}", CHANNEL.0, station.mac().replace(':', ""));
    let own = station.peer.bootstrap_gen(Curve::P256, None, &place).await.unwrap();
    station.peer.listen(CHANNEL.1, Role::Enrollee).await.unwrap();
    let uri = station.peer.uri(own).await.unwrap();
    let peer = access_point.peer.qr_code(&uri).await.unwrap();
    let init = AuthInit::configurator(peer, by, std::slice::from_ref(&configuration));
    access_point.peer.auth_init(&init).await.unwrap();
    assert_eq!(station.peer.configured(LIMIT).await.unwrap().pass().as_deref(), Some(PASSWORD));
    completed(&joined(&mut station, &access_point).await.unwrap(), "lab-own", "SAE");
    station.stop().await.unwrap();

    let mut station = machine.station("", &[CHANNEL.1]).await.unwrap();
    access_point.peer.hand_out(by, std::slice::from_ref(&configuration)).await.unwrap();
    let pkex = |own, begin, handed_out| Pkex {
        own,
        identifier: Some("door".into()),
        code: "a word that both know".into(),
        begin,
        handed_out,
    };
    let own = access_point.peer.bootstrap_gen_pkex(Curve::P256).await.unwrap();
    access_point.peer.pkex_add(&pkex(own, None, Some((by, configuration)))).await.unwrap();
    let own = station.peer.bootstrap_gen_pkex(Curve::P256).await.unwrap();
    station.peer.pkex_add(&pkex(own, Some(Role::Enrollee), None)).await.unwrap();
    assert_eq!(station.peer.configured(LIMIT).await.unwrap().pass().as_deref(), Some(PASSWORD));
    station.stop().await.unwrap();
    access_point.stop().await.unwrap();
}

/// A device announces itself, the access point relays that to the controller outside, and the device joins: one by the
/// connector that it gets, another by a password.
async fn relayed(machine: &Arc<Machine>) {
    let dpp = Configuration::sta(Akm::Dpp, "lab-dpp");
    let sae = Configuration::sta(Akm::Sae, "lab-dpp").pass(PASSWORD);
    let mut outside = Controller::start(Curve::P256, &[dpp.clone().ap()]).await;
    let connector = enrol_access_point(&outside.uri, outside.address).await.unwrap();
    let security = [connector, Security::Sae(PASSWORD.into())];
    let relays = [Relay { controller: outside.address, key_hash: outside.peer.key_hash(outside.own).await.unwrap() }];
    let network = Network { ssid: "lab-dpp", security: &security, relays: &relays };
    for (configuration, key_mgmt) in [(dpp, "DPP"), (sae, "SAE")] {
        outside.hand_out(&[configuration]).await;
        let (key, uri) = device_key().await;
        outside.peer.qr_code(&uri).await.unwrap();
        let device = Enrollee { curve: Curve::P256, key: &key };
        let association = chirp_and_join(machine, &network, &device).await.unwrap();
        completed(&association, "lab-dpp", key_mgmt);
        outside.peer.event(&["DPP-CONF-SENT"], Duration::from_secs(20)).await.unwrap();
    }
}

/// A device that has a connector comes to the controller again by DPP_RECONFIG, through the access point, and gets another.
async fn again(machine: &Arc<Machine>) {
    let dpp = Configuration::sta(Akm::Dpp, "lab-again");
    let mut outside = Controller::start(Curve::P256, &[dpp.clone().ap()]).await;
    let connector = enrol_access_point(&outside.uri, outside.address).await.unwrap();
    let relays = [Relay { controller: outside.address, key_hash: outside.peer.key_hash(outside.own).await.unwrap() }];
    let network = Network { ssid: "lab-again", security: &[connector], relays: &relays };
    outside.hand_out(&[dpp]).await;
    let (key, uri) = device_key().await;
    outside.peer.qr_code(&uri).await.unwrap();
    let device = Enrollee { curve: Curve::P256, key: &key };
    let (before, association) = chirp_join_and_come_again(machine, &network, &device).await.unwrap();
    completed(&association, "lab-again", "DPP");
    let after = association.configured.as_ref().and_then(|configured| configured.connector());
    assert!(after.is_some() && after != before.connector(), "the connector is the same");
}

/// Debian's wpa_supplicant as a configurator-to-be asks ours for its keys through an access point: it opens our envelope, once
/// an operator has allowed it.
async fn handed_over(machine: &Arc<Machine>) {
    let ours = Configurator::start_with("connector", "exportable = true\n").await;
    let uri = ours.uri(Curve::P256).await;
    let relays = [Relay { controller: ours.address(), key_hash: ours.key_hash(Curve::P256).await }];
    let security = [Security::Sae(PASSWORD.into())];
    let access_point = machine.access_point("lab-keys", CHANNEL.0, &security, &relays).await.unwrap();
    let mut station = machine.station("", &[CHANNEL.1]).await.unwrap();
    let own = station.peer.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    ours.own_configurator(&station.peer.uri(own).await.unwrap(), "S-9").await;
    let peer = station.peer.qr_code(&uri).await.unwrap();
    let asks = AuthInit { net_role: NetRole::Configurator, ..AuthInit::enrollee(peer).own(own) };
    station.peer.auth_init(&asks).await.unwrap();
    station.peer.event(&["DPP-CONF-FAILED"], LIMIT).await.unwrap();
    ours.allow_hand_over("S-9").await;
    station.peer.auth_init(&asks).await.unwrap();
    let id = station.peer.event(&["DPP-CONFIGURATOR-ID"], LIMIT).await.unwrap().text;
    let key = station.peer.request(&format!("DPP_CONFIGURATOR_GET_KEY {id}")).await.unwrap();
    let key = PrivateKey::from_pkcs8(&hex::decode(key).unwrap()).unwrap();
    assert_eq!(vec![kid(key.public())], ours.signers().await);
    station.stop().await.unwrap();
    access_point.stop().await.unwrap();
}

/// A station configures another over the air, with a certificate for which the other asks; that joins by it.
async fn certified(machine: &Arc<Machine>, ca: &Ca) {
    let access_point = machine.access_point("lab-ent", CHANNEL.0, &[eap(ca)], &[]).await.unwrap();
    let mut device = machine.station("", &[CHANNEL.1]).await.unwrap();
    let mut configurator = machine.station("", &[CHANNEL.1]).await.unwrap();
    let place = format!("chan=81/{} mac={}", CHANNEL.0, device.mac().replace(':', ""));
    let own = device.peer.bootstrap_gen(Curve::P256, None, &place).await.unwrap();
    device.peer.listen(CHANNEL.1, Role::Enrollee).await.unwrap();
    let uri = device.peer.uri(own).await.unwrap();
    let by = configurator.peer.configurator_add(Curve::P256, None).await.unwrap();
    let peer = configurator.peer.qr_code(&uri).await.unwrap();
    configurator.peer.auth_init(&AuthInit::configurator(peer, by, &[dot1x("lab-ent")])).await.unwrap();
    let asked = configurator.peer.event(&["DPP-CSR"], LIMIT).await.unwrap();
    let bag = ca.certify(asked.field("csr").unwrap());
    configurator.peer.ca_set_cert_bag(&asked, &bag).await.unwrap();
    assert!(device.peer.configured(LIMIT).await.unwrap().cert_bag().is_some());
    configurator.stop().await.unwrap();
    let association = joined(&mut device, &access_point).await.unwrap();
    completed(&association, "lab-ent", "WPA2-EAP-SHA256");
    device.stop().await.unwrap();
    access_point.stop().await.unwrap();
}

/// A device's bootstrapping key, and the URI that goes with it.
async fn device_key() -> (String, String) {
    let mut factory = Peer::supplicant().await.unwrap();
    // hostap shows the private keys of configurators only.
    let id = factory.configurator_add(Curve::P256, None).await.unwrap();
    let key = factory.configurator_key(id).await.unwrap();
    let own = factory.bootstrap_gen(Curve::P256, Some(&key), "").await.unwrap();
    (key, factory.uri(own).await.unwrap())
}

fn completed(association: &Association, ssid: &str, key_mgmt: &str) {
    let got = (association.state.as_str(), association.ssid.as_str(), association.key_mgmt.as_str());
    assert_eq!(got, ("COMPLETED", ssid, key_mgmt), "{association:?}");
    assert!(association.reached && association.packets.0 > 0 && association.packets.1 > 0, "{association:?}");
}
