//! The device's own agent goes into the network by 802.1X with what it was given by BRSKI and EST: Debian's wpa_supplicant does
//! as it says, Debian's hostapd asks our RADIUS server.

use super::{
    hostap::installed,
    lab::{Lab, identity},
};
use landfall_device::{Agent, Config, ConnectConfig, Outcome};
use landfall_eap::radius::Secret;
use landfall_element::SecureElement;
use landfall_lifecycle::network::Revocation;
use landfall_pki::Anchors;
use landfall_reference::peers::Peer;
use landfall_server::{
    access::{Client, Config as AccessConfig, Places},
    registrar::CertificateRecord,
    settings::PlaceSettings,
};
use landfall_testkit::{Hosts, Identity};
use landfall_types::{Changes, Redacted, Time};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const SECRET: &str = "a-secret-of-ours";
/// A step of a real peer takes seconds at the most; a busy machine may take longer.
const LIMIT: Duration = Duration::from_secs(60);

static PORTS: AtomicU32 = AtomicU32::new(0);

/// A port with a hostapd, a cable, and a device with a wpa_supplicant that knows nothing yet.
struct Port {
    lab: Lab,
    device: Identity,
    switch: Peer,
    supplicant: Peer,
    _hosts: Hosts,
    _running: landfall_server::Trigger,
}

impl Port {
    async fn new() -> Option<Self> {
        if !installed() {
            return None;
        }
        let hosts = Hosts::new(&["device"])?;
        let lab = Lab::start().await;
        let access = AccessConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            identity: identity(&lab.domain.registrar),
            anchors: Anchors::of([lab.domain.root.authority.certificate.clone()]),
            clients: vec![Client::new(
                "test",
                vec!["127.0.0.1".parse().unwrap()],
                Secret::new(Redacted::new(SECRET.into())).unwrap(),
                None,
            )],
            places: Places::of(&[PlaceSettings {
                reauthenticate: Some("2s".parse().unwrap()),
                ..PlaceSettings::default()
            }]),
            at_once: 8,
            enforcer: None,
        };
        let (trigger, shutdown) = landfall_server::shutdown();
        let (task, _) = access.build(lab.registrar_world.clone(), shutdown).await.unwrap();
        let radius = task.address.unwrap().port();
        tokio::spawn(task.run());
        let port = format!("lfc{}-{}", std::process::id(), PORTS.fetch_add(1, Ordering::Relaxed));
        hosts.plug(("device", "eth0"), &port);
        let settings = format!(
            "own_ip_addr=127.0.0.1\nnas_identifier=port-1\nauth_server_addr=127.0.0.1\nauth_server_port={radius}\n\
             auth_server_shared_secret={SECRET}\n"
        );
        let switch = Peer::switch_port(&port, &settings).await.unwrap();
        let supplicant = Peer::wired_supplicant(hosts.command("device", "env"), "eth0").await.unwrap();
        let device = lab.manufacturer.device("A-1");
        Some(Self { lab, device, switch, supplicant, _hosts: hosts, _running: trigger })
    }

    /// Takes one certificate of a device off the record, and no other.
    async fn withdraw(&self, serial: &str) {
        let store = &self.lab.registrar_world.store;
        let mut found = store.find::<CertificateRecord>(serial).unwrap().unwrap();
        let (by, why) = ("operator".into(), "it was renewed".into());
        found.record.revoked = Some(Revocation { at: Time::now(), by, why });
        store.commit(Changes::new().put_if(&found.record, found.version).unwrap()).await.unwrap();
    }

    fn config(&self) -> Config {
        let control = self.supplicant.socket().map(Path::to_owned);
        Config { connect: ConnectConfig { control, ..ConnectConfig::default() }, ..self.lab.config(&self.device) }
    }
}

async fn onboard(agent: &Agent) {
    let outcome = agent.onboard(Some(1), Some(LIMIT), &mut |_| {}).await.unwrap();
    assert!(matches!(outcome, Outcome::Onboarded(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onboarded_inside_renewed_without_interruption_and_forgotten() {
    let Some(mut port) = Port::new().await else { return };
    let agent = Agent::open(port.config()).unwrap();
    onboard(&agent).await;
    let shown = agent.connect(LIMIT).await.unwrap().unwrap();
    port.switch.event(&["AP-STA-CONNECTED"], LIMIT).await.unwrap();
    let told = port.supplicant.request("GET_NETWORK 0 client_cert").await.unwrap();
    assert!(told.contains(&shown.serial), "{told}");

    let Outcome::Onboarded(renewed) = agent.renew(true, Some(LIMIT), &mut |_| {}).await.unwrap() else { panic!() };
    assert_ne!(renewed.credential.serial, shown.serial);
    let told = port.supplicant.request("GET_NETWORK 0 client_cert").await.unwrap();
    assert!(told.contains(&renewed.credential.serial), "{told}");
    // The old certificate is good for nothing any more; who is inside still has shown the new one. One authentication may
    // have begun before.
    port.withdraw(&shown.serial).await;
    for _ in 0..2 {
        port.switch.event(&["CTRL-EVENT-EAP-SUCCESS2"], LIMIT).await.unwrap();
    }
    let log = port.switch.log().await.unwrap();
    let gone = |event: &str| port_events(&log, event);
    assert_eq!((gone("AP-STA-CONNECTED"), gone("AP-STA-DISCONNECTED"), gone("CTRL-EVENT-EAP-FAILURE")), (1, 0, 0));

    // The key went into its memory, and neither into a file nor into its log.
    let key = agent_key(&port.config(), &renewed.credential.key);
    let digits = hex::encode(key.expose());
    let log = port.supplicant.log().await.unwrap();
    assert!(log.contains("Set blob") || log.contains("CTRL-EVENT-EAP-STARTED"), "it is talkative");
    assert!(!log.contains(&digits), "the key is in its log");
    let folder = port.config().state.join("connect");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pem") {
            let content = fs::read_to_string(&path).unwrap();
            assert!(!content.contains("PRIVATE"), "{}", path.display());
            assert!(!path.to_string_lossy().contains(&shown.serial), "the old certificate is still there");
        }
    }

    assert!(agent.reset().await.unwrap());
    let networks = port.supplicant.request("LIST_NETWORKS").await.unwrap();
    assert_eq!(networks.lines().count(), 1, "{networks}");
    assert!(
        fs::read_dir(&folder).unwrap().all(|entry| entry.unwrap().path().extension().is_none_or(|end| end != "pem"))
    );
    assert!(agent.connect(LIMIT).await.is_err(), "a device without a credential has none to show");
}

fn port_events(log: &str, event: &str) -> usize {
    log.lines().filter(|line| line.contains(event)).count()
}

fn agent_key(config: &Config, key: &str) -> Redacted<Vec<u8>> {
    let source = landfall_element::KeySource::KeyFile(config.state.join("keys.key"));
    let element = landfall_element::SoftwareElement::open(&config.state.join("keys"), source).unwrap();
    element.lend(&key.parse().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_the_one_is_not_taken() {
    let Some(port) = Port::new().await else { return };
    let mut config = port.config();
    onboard(&Agent::open(config.clone()).unwrap()).await;
    config.connect.server_name = Some("elsewhere.example".into());
    let refusal = Agent::open(config.clone()).unwrap().connect(LIMIT).await.unwrap().unwrap_err();
    assert!(refusal.check == "connect-refused" && refusal.detail.contains("server"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplicant_that_is_not_there_is_said() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let mut config = lab.config(&device);
    config.connect.control = Some("/nowhere/eth0".into());
    let agent = Agent::open(config.clone()).unwrap();
    onboard(&agent).await;
    agent.connect(LIMIT).await.unwrap_err();
    // What it does besides goes on.
    let renewed = agent.renew(true, Some(LIMIT), &mut |_| {}).await.unwrap();
    assert!(matches!(renewed, Outcome::Onboarded(_)), "{renewed:?}");
    assert!(agent.reset().await.unwrap());
}
