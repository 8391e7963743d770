//! BRSKI over Wi-Fi (SP 1800-36B G.2.1) in the radio rig's machine: a device finds the network for new devices, is onboarded there
//! through a join proxy, and goes into the network of its owner with the certificate that EST gave it minutes before.
//! Debian's hostapd has the settings that `landfall network ap-config` writes, and asks the access server outside.

use crate::ground::{Ground, Role, name};
use landfall_reference::rig::{Machine, Rig};
use landfall_testkit::{Running, current_test, free_port, skip, tool};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const NEW: &str = "BRSKI new devices";
const CLOSED: &str = "Orchard House";

/// The machine with an access point and a device in it, and the servers outside.
struct Air {
    ground: Ground,
    machine: Machine,
    radius: u16,
    _servers: [Running; 2],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_onboarded_over_the_air_and_goes_into_the_closed_network() {
    let Some(air) = Air::new().await else { return };
    let [first, second, third] = <[PathBuf; 3]>::try_from(air.ground.devices()).unwrap();

    air.access_point("open", &["--closed", CLOSED, "--onboarding", NEW]).await;
    air.machine.turn_on().await.unwrap();
    let inside = air.device_comes(&first, NAMED).await;
    assert!(inside.contains("key_mgmt=WPA2-EAP") && inside.contains(&format!("ssid={CLOSED}\n")), "{inside}");
    assert!(inside.contains("eap_tls_version=TLSv1.3") && inside.contains("wpa_state=COMPLETED"), "{inside}");
    let log = air.machine.heard().await.unwrap();
    assert!(log.contains(&format!("SSID='{NEW}'")) && !log.contains("WFA-UNAUTH-TLS"), "{log}");

    // Who is thrown out does not come in again.
    air.ground.does(Role::Registrar, &["network", "revoke", &name(&first)]);
    let refused = air.device(&first, "connect --timeout 60").await;
    assert_eq!(
        (refused["connected"].as_bool(), refused["refusal"]["check"].as_str()),
        (Some(false), Some("connect-refused"))
    );
    assert_eq!(air.device(&first, "reset").await["forgot"], true);

    // WPA3 alone, and a network for new devices that is encrypted.
    air.access_point("encrypted", &["--closed", CLOSED, "--wpa3", "--onboarding", NEW, "--encrypted"]).await;
    let inside = air.device_comes(&second, NAMED).await;
    assert!(inside.contains("pmf=2") && inside.contains("key_mgmt=WPA2-EAP-SHA256"), "{inside}");
    let log = air.machine.heard().await.unwrap();
    assert!(log.contains("WFA-UNAUTH-TLS"), "{log}");

    assert_eq!(air.device(&second, "reset").await["forgot"], true);

    // A network of any name, by the realm that the access point tells of; not by another realm.
    air.access_point("realm", &["--closed", CLOSED, "--onboarding", "Wisteria 7", "--realm", "new.orchard.example"])
        .await;
    let lost = air.begin(&third, "realms = [\"new.kestrel.example\"]\n", "onboard --attempts 1 --timeout 15").await;
    assert_eq!(lost["onboarded"], false, "{lost}");
    let inside = air.device_comes(&third, "realms = [\"New.Orchard.example\"]\n").await;
    assert!(inside.contains("wpa_state=COMPLETED") && inside.contains(&format!("ssid={CLOSED}\n")), "{inside}");
}

/// How devices find the network for new ones.
const NAMED: &str = "onboarding = [\"BRSKI*\"]\n";

impl Air {
    async fn new() -> Option<Self> {
        let rig = rig()?;
        tool("busybox")?;
        let ground = Ground::lay(3);
        let (radius, orders) = (free_port(), free_port());
        let more = format!(
            "[access]\nlisten = \"127.0.0.1:{radius}\"\n[[access.client]]\nname = \"ap\"\naddresses = [\"127.0.0.1\"]\n\
             secret-file = \"ap.secret\"\norders = {orders}\n"
        );
        ground.change(Role::Registrar, "[registrar]", "[registrar]", &more);
        fs::write(ground.data(Role::Registrar).join("ap.secret"), "a secret of the access point\n").unwrap();
        let servers = [ground.serve(Role::Masa), network(&ground)];
        let machine = rig.boot_with(Path::new(env!("CARGO_BIN_EXE_landfall"))).await.unwrap();
        Some(Self { ground, machine, radius, _servers: servers })
    }

    /// An access point with those settings, and a join proxy behind its network for new devices, in the place of those before.
    async fn access_point(&self, folder: &str, options: &[&str]) {
        let (radius, there) = (format!("10.0.2.2:{}", self.radius), format!("/opt/{folder}"));
        let written = ["network", "ap-config", "ap", "--radius", &radius, "--out", folder, "--folder", &there];
        self.ground.does(Role::Registrar, &[&written[..], options].concat());
        let registrar = self.ground.address(Role::Registrar).parse().unwrap();
        self.machine.welcome(0, &self.ground.of(Role::Registrar).join(folder), &there, registrar).await.unwrap();
    }

    /// A device that knows nothing but its bundle comes all the way; what its wpa_supplicant says in the end.
    async fn device_comes(&self, bundle: &Path, by: &str) -> String {
        let onboarded = self.begin(bundle, by, "onboard --attempts 3 --timeout 150").await;
        let log = "grep -v 'nl80211\\|hexdump' /run/wpa.log | tail -n 60; cat /run/said";
        assert_eq!(onboarded["onboarded"], true, "{onboarded}: {}", self.machine.sh(log).await.unwrap());
        // It had nothing but a link-local address, and met the join proxy there.
        let address = onboarded["result"]["credential"]["address"].as_str().unwrap();
        assert!(address.starts_with("[fe80::"), "{address}");
        let connected = self.device(bundle, "connect --timeout 100").await;
        assert_eq!(connected["connected"], true, "{connected}");
        assert_eq!(connected["credential"]["serial"], onboarded["result"]["credential"]["serial"]);
        self.machine.whereabouts().await.unwrap()
    }

    /// A device that knows nothing but its bundle, and by what it finds networks for new ones, begins.
    async fn begin(&self, bundle: &Path, by: &str, command: &str) -> Value {
        self.machine.unpack(&name(bundle), &fs::read(bundle).unwrap(), by).await.unwrap();
        self.device(bundle, command).await
    }

    /// What the device's agent answers.
    async fn device(&self, bundle: &Path, command: &str) -> Value {
        self.machine.agent(&name(bundle), command).await.unwrap()
    }
}

/// The rig, or a skip.
pub(crate) fn rig() -> Option<Rig> {
    Rig::find().map_err(|missing| skip(&current_test(), &missing.to_string())).ok()
}

/// The registrar, and the access server beside it.
fn network(ground: &Ground) -> Running {
    let mut running = ground.start_with(Role::Registrar, &["access"]);
    running.until("}");
    running
}
