//! Debian's wpa_supplicant as the configurator, over TCP.

use super::{Device, endpoint, exchange::enrolled};
use landfall_device::dpp::{Networks, Outcome, Session, Succession, TakeOver};
use landfall_dpp::{
    Channel, Curve, NetRole, Uri, backup, config::Akms, connector::SignedConnector, crypto::Secret, curve::PrivateKey,
    nfc::handover,
};
use landfall_net::{dpp::Link, wpa::Control};
use landfall_testkit::{Running, current_test, free_port, skip, temp_dir, tool};
use landfall_types::{Redacted, Time};
use std::{fs, net::SocketAddr, process::Command, time::Duration};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

/// A wpa_supplicant without a radio that configures devices. It says what it does on its control interface.
struct Hostap {
    control: Control,
    uri: Uri,
    own: u32,
    configurator: u32,
    address: SocketAddr,
    _running: Running,
    _dir: tempfile::TempDir,
}

impl Hostap {
    async fn start(curve: Curve) -> Option<Self> {
        let program = tool("wpa_supplicant")?;
        let dir = temp_dir();
        let (conf, ctrl) = (dir.path().join("conf"), dir.path().join("ctrl"));
        fs::write(&conf, format!("ctrl_interface={}\n", ctrl.display())).unwrap();
        let mut command = Command::new(program);
        command.args(["-Dnone", "-ilo", "-c"]).arg(&conf);
        let mut running = Running::start(&mut command);
        running.until("Successfully initialized");
        while !ctrl.join("lo").exists() {
            tokio::task::yield_now().await;
        }
        let mut control = Control::attach(&ctrl.join("lo"), dir.path().join("own")).await.unwrap();
        let own = control.number(&format!("DPP_BOOTSTRAP_GEN type=qrcode curve={curve}")).await.unwrap();
        let uri = control.request(&format!("DPP_BOOTSTRAP_GET_URI {own}")).await.unwrap();
        let uri = uri.expose().parse().unwrap();
        let configurator = control.number(&format!("DPP_CONFIGURATOR_ADD curve={curve}")).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Some(Self { control, uri, own, configurator, address, _running: running, _dir: dir })
    }

    /// Listens for those who begin, and gives them that.
    async fn listen(&mut self, what: &str, mutual: bool) {
        let mutual = if mutual { " qr=mutual" } else { "" };
        let params = format!("SET dpp_configurator_params  {what} configurator={}", self.configurator);
        self.control.order(&params).await.unwrap();
        let port = self.address.port();
        self.control.order(&format!("DPP_CONTROLLER_START tcp_port={port} role=configurator{mutual}")).await.unwrap();
    }

    /// Makes the device's URI known; the number by which it is known.
    async fn scan(&mut self, device: &Device) -> u32 {
        self.control.number(&format!("DPP_QR_CODE {}", device.enrollee.identity.uri)).await.unwrap()
    }

    /// Waits for an event.
    async fn hears(&mut self, name: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while let Some(event) = self.control.event(until).await.unwrap() {
            println!("  hostap: {event:?}");
            if event.name == name {
                return;
            }
        }
        panic!("wpa_supplicant did not say {name}");
    }
}

const DPP: &str = "conf=sta-dpp ssid=6c6162206e6574";
/// "lab net", with "a secret of eight".
const SAE: &str = "conf=sta-sae ssid=6c6162206e6574 pass=6120736563726574206f66206569676874";
const PSK: &str = "conf=sta-psk ssid=6c6162206e6574 pass=6120736563726574206f66206569676874";

fn check(networks: &Networks, curve: Curve, akm: Akms) {
    let object = networks.objects.first().unwrap();
    assert_eq!((object.discovery.ssid.as_slice(), object.credential.akm), (&b"lab net"[..], akm));
    assert_eq!(networks.release, 2, "Debian's release");
    if !akm.dpp {
        assert_eq!(object.credential.passphrase.as_ref().unwrap().expose(), "a secret of eight");
        return;
    }
    let connector = SignedConnector::parse(object.credential.connector.as_ref().unwrap()).unwrap();
    let csign = &object.credential.csign.as_ref().unwrap().key;
    assert_eq!((csign.curve(), networks.key.curve()), (curve, curve));
    connector.verify(csign, Time::now()).unwrap().is_about(networks.key.public()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_asks() {
    for (seed, curve) in (401..).zip(Curve::ALL) {
        let Some(mut hostap) = Hostap::start(curve).await else { return skip(&current_test(), "no wpa_supplicant") };
        let mut device = Device::new(curve, seed, Some(hostap.uri.clone()));
        hostap.scan(&device).await;
        hostap.listen(DPP, true).await;
        let at = endpoint(hostap.address);
        let networks = enrolled(device.enrollee.ask(&hostap.uri, &at, device.session()).await.unwrap());
        assert!(networks.authenticated);
        check(&networks, curve, Akms::DPP);
        hostap.hears("DPP-CONF-SENT").await;
        device.enrollee.identity.configurator = None;
        device.enrollee.wishes.mutual = landfall_dpp::exchange::Mutual::IfKnown;
        check(&enrolled(device.enrollee.announce(&at, device.session()).await.unwrap()), curve, Akms::DPP);
        hostap.hears("DPP-CONF-SENT").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostap_begins() {
    for (seed, (curve, (what, akm))) in (411..).zip(Curve::ALL.into_iter().zip([
        (DPP, Akms::DPP),
        (SAE, Akms::SAE),
        (PSK, Akms::PSK),
        (DPP, Akms::DPP),
        (SAE, Akms::SAE),
        (DPP, Akms::DPP),
    ])) {
        let Some(mut hostap) = Hostap::start(curve).await else { return skip(&current_test(), "no wpa_supplicant") };
        // Where the device knows the configurator, both prove who they are.
        for known in [None, Some(hostap.uri.clone())] {
            let device = Device::new(curve, seed, known.clone());
            let peer = hostap.scan(&device).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let line = format!(
                "DPP_AUTH_INIT peer={peer} own={} role=configurator configurator={} {what} neg_freq=2412 tcp_addr={} tcp_port={}",
                hostap.own,
                hostap.configurator,
                at.ip(),
                at.port(),
            );
            hostap.control.order(&line).await.unwrap();
            let (stream, _) = timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
            let outcome = device.enrollee.answer(Link::of(stream).unwrap(), device.session()).await.unwrap();
            let networks = enrolled(outcome);
            assert_eq!(networks.authenticated, known.is_some());
            check(&networks, curve, akm);
            hostap.hears("DPP-CONF-SENT").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_answered() {
    let Some(mut hostap) = Hostap::start(Curve::P256).await else { return skip(&current_test(), "no wpa_supplicant") };
    let other = Device::new(Curve::P256, 421, None);
    let mut device = Device::new(Curve::P256, 422, Some(other.enrollee.identity.uri.clone()));
    device.enrollee.wishes.patience = Duration::from_millis(500);
    hostap.scan(&device).await;
    hostap.listen(DPP, false).await;
    let outcome = device.enrollee.announce(&endpoint(hostap.address), device.session()).await.unwrap();
    let Outcome::Refused(refusal) = outcome else { panic!("taken by a stranger") };
    assert_eq!(refusal.check, "dpp-mutual", "{refusal}");
    assert!(device.store.networks().is_none());
}

/// The envelope of Debian's wpa_supplicant opens with the password of the exchange, and holds its key.
#[tokio::test(flavor = "multi_thread")]
async fn it_hands_its_keys_over() {
    const PASSPHRASE: &str = "a passphrase that is long";
    for (seed, curve) in (461..).zip(Curve::ALL) {
        let Some(mut hostap) = Hostap::start(curve).await else { return skip(&current_test(), "no wpa_supplicant") };
        let mut device = Device::new(curve, seed, Some(hostap.uri.clone()));
        device.enrollee.wishes.request.net_role = NetRole::Configurator;
        hostap.scan(&device).await;
        hostap.listen("conf=configurator", true).await;
        let dir = temp_dir();
        let keys_to =
            TakeOver { envelope: dir.path().join("keys.p7"), passphrase: Redacted::new(PASSPHRASE.to_owned()) };
        let session = Session { keep: &keys_to, ..device.session() };
        let at = endpoint(hostap.address);
        let outcome = device.enrollee.ask(&hostap.uri, &at, session).await.unwrap();
        let taken = Succession { keys: 1, authenticated: true, told: true };
        assert!(matches!(&outcome, Outcome::TakenOver(succession) if *succession == taken), "{curve}: {outcome:?}");
        let envelope = fs::read(&keys_to.envelope).unwrap();
        let opened = backup::open(&envelope, &Secret::new(PASSPHRASE.into())).unwrap();
        let key = hostap.control.request(&format!("DPP_CONFIGURATOR_GET_KEY {}", hostap.configurator)).await.unwrap();
        let key = PrivateKey::from_pkcs8(&hex::decode(key.expose()).unwrap()).unwrap();
        assert_eq!(opened[0].csign.public(), key.public(), "{curve}");
        assert_eq!(opened[0].privacy_key.curve(), curve);
        // A station is given none.
        device.enrollee.wishes.request.net_role = NetRole::Sta;
        let refused = device.enrollee.ask(&hostap.uri, &at, device.session()).await.unwrap();
        assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
    }
}

/// What it answers to our Handover Request, and asks with its own, is among what was offered; both sides know each other then.
#[tokio::test(flavor = "multi_thread")]
async fn it_touches_the_device() {
    for (seed, curve) in (471..).zip(Curve::ALL) {
        let Some(mut hostap) = Hostap::start(Curve::P256).await else {
            return skip(&current_test(), "no wpa_supplicant");
        };
        let channels = vec![Channel { class: 81, channel: 1 }, Channel { class: 81, channel: 6 }];
        let mut device = Device::new(curve, seed, None);
        device.enrollee.identity.uri.channels = channels;
        let own = hostap.control.number("DPP_BOOTSTRAP_GEN type=nfc-uri chan=81/6,81/11").await.unwrap();
        // The device asks; hostap goes over to its curve, and to the channel that both have.
        let request = format!("DPP_NFC_HANDOVER_REQ own={own} uri={}", device.enrollee.identity.uri);
        hostap.control.number(&request).await.unwrap();
        let selected = hostap.control.request(&format!("DPP_BOOTSTRAP_GET_URI {own}")).await.unwrap();
        let selected: Uri = selected.expose().parse().unwrap();
        assert_eq!(handover::selected(&device.enrollee.identity.uri, &selected), Ok(()), "{curve}");
        hostap.listen(DPP, false).await;
        device.enrollee.identity.configurator = Some(selected.clone());
        device.enrollee.wishes.mutual = landfall_dpp::exchange::Mutual::Required;
        let at = endpoint(hostap.address);
        let networks = enrolled(device.enrollee.ask(&selected, &at, device.session()).await.unwrap());
        assert!(networks.authenticated, "{curve}");
        // hostap asks; ours is its curve already.
        let answer = handover::select(&selected, device.enrollee.identity.uri.clone()).unwrap();
        assert_eq!(answer.channels, selected.channels);
        hostap.control.number(&format!("DPP_NFC_HANDOVER_SEL own={own} uri={answer}")).await.unwrap();
    }
}
