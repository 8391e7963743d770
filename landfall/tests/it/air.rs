//! BRSKI over Wi-Fi (SP 1800-36B G.2.1) in the radio rig's machine: a device finds the network for new devices, is onboarded there
//! through a join proxy, and goes into the network of its owner with the certificate that EST gave it minutes before.
//! Debian's hostapd has the settings that `landfall network ap-config` writes, and asks the access server outside.

use crate::ground::{Ground, Role, name};
use landfall_reference::rig::{Machine, Rig};
use landfall_testkit::{Running, current_test, skip, temp_dir, tool};
use serde_json::Value;
use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
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
    air.machine.sh(STATION).await.unwrap();
    let inside = air.device_comes(&first, NAMED).await;
    assert!(inside.contains("key_mgmt=WPA2-EAP") && inside.contains(&format!("ssid={CLOSED}\n")), "{inside}");
    assert!(inside.contains("eap_tls_version=TLSv1.3") && inside.contains("wpa_state=COMPLETED"), "{inside}");
    let log = air.machine.sh("cat /run/wpa.log").await.unwrap();
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
    let log = air.machine.sh("cat /run/wpa.log").await.unwrap();
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

/// A wpa_supplicant that knows nothing yet, where the device is. The machine's shell has an `ip` of its own, which knows less.
const STATION: &str = "set -e\n/usr/sbin/ip netns add device\niw phy phy1 set netns name device\n\
    printf 'ctrl_interface=/run/wpa\\nfreq_list=2437\\n' >/run/wpa.conf\n\
    /usr/sbin/ip netns exec device wpa_supplicant -B -t -f /run/wpa.log -Dnl80211 -iwlan1 -c /run/wpa.conf\n";

impl Air {
    async fn new() -> Option<Self> {
        let rig = rig()?;
        let folder = temp_dir();
        let program = put_program(folder.path())?;
        let ground = Ground::lay(3);
        let free = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (radius, orders) = (free(), free());
        let more = format!(
            "[access]\nlisten = \"127.0.0.1:{radius}\"\n[[access.client]]\nname = \"ap\"\naddresses = [\"127.0.0.1\"]\n\
             secret-file = \"ap.secret\"\norders = {orders}\n"
        );
        ground.change(Role::Registrar, "[registrar]", "[registrar]", &more);
        fs::write(ground.data(Role::Registrar).join("ap.secret"), "a secret of the access point\n").unwrap();
        let servers = [ground.serve(Role::Masa), network(&ground)];
        let machine = rig.boot_with(&program).await.unwrap();
        Some(Self { ground, machine, radius, _servers: servers })
    }

    /// An access point with those settings, and a join proxy behind its network for new devices, in the place of those before.
    async fn access_point(&self, folder: &str, options: &[&str]) {
        let (radius, there) = (format!("10.0.2.2:{}", self.radius), format!("/opt/{folder}"));
        let written = ["network", "ap-config", "ap", "--radius", &radius, "--out", folder, "--folder", &there];
        self.ground.does(Role::Registrar, &[&written[..], options].concat());
        for entry in fs::read_dir(self.ground.of(Role::Registrar).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            self.machine.put(&format!("{there}/{name}"), &fs::read(&path).unwrap()).await.unwrap();
        }
        let registrar = self.ground.address(Role::Registrar).replace("127.0.0.1", "10.0.2.2");
        let proxy = format!(
            "[metrics]\nlisten = \"\"\n[proxy]\nlisten = \"[::]:8444\"\nregistrar = \"{registrar}\"\nannounce = true\n\
             interfaces = [\"wlan0_new\"]\n"
        );
        self.machine.put("/run/proxy/landfall.toml", proxy.as_bytes()).await.unwrap();
        let script = format!(
            "mkdir -p /var/run\ncd /run/proxy\n\
             for old in /run/hostapd.pid /run/proxy.pid; do\n\
             [ ! -f $old ] || {{ pid=$(cat $old); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done; rm -f $old; }}\ndone\n\
             hostapd -B -t -P /run/hostapd.pid -f /run/hostapd.log {there}/hostapd.conf || {{ cat /run/hostapd.log; exit 1; }}\n\
             soon() {{ i=0; until \"$@\"; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done; }}\n\
             addressed() {{ /usr/sbin/ip -6 address show dev wlan0_new scope link | grep inet6 | grep -qv tentative; }}\n\
             soon addressed\n\
             [ -d data ] || /opt/landfall network init >/dev/null || exit 1\n\
             /opt/landfall run proxy --json >out 2>log </dev/null & echo $! >/run/proxy.pid\n\
             soon grep -q '}}' out || {{ cat log; exit 1; }}\n"
        );
        self.machine.sh(&script).await.unwrap();
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
        let access_point = "fe80::ff:fe00:0";
        self.machine.sh(&format!("/usr/sbin/ip netns exec device ping -c 3 -w 30 {access_point}%wlan1")).await.unwrap();
        self.machine.sh("wpa_cli -p /run/wpa -i wlan1 status").await.unwrap()
    }

    /// A device that knows nothing but its bundle, and by what it finds networks for new ones, begins.
    async fn begin(&self, bundle: &Path, by: &str, command: &str) -> Value {
        let folder = format!("/run/{}", name(bundle));
        let config = "bundle = \"bundle.json\"\nstate = \"state\"\n[discovery]\ninterfaces = [\"wlan1\"]\n\
            [connect]\ncontrol = \"/run/wpa/wlan1\"\nmedium = \"wifi\"\nserver-name = \"localhost\"\n";
        self.machine.put(&format!("{folder}/bundle.json"), &fs::read(bundle).unwrap()).await.unwrap();
        self.machine.put(&format!("{folder}/device.toml"), format!("{config}{by}").as_bytes()).await.unwrap();
        self.device(bundle, command).await
    }

    /// What the device's agent answers.
    async fn device(&self, bundle: &Path, command: &str) -> Value {
        let script = format!(
            "cd /run/{}\n/usr/sbin/ip netns exec device /opt/landfall device {command} --json --config device.toml 2>/run/said\n\
             [ $? -lt 2 ] || cat /run/said",
            name(bundle)
        );
        let said = self.machine.sh(&script).await.unwrap();
        serde_json::from_str(&said).unwrap_or_else(|why| panic!("{command}: {why}: {said}"))
    }
}

/// The rig, or a skip.
pub(crate) fn rig() -> Option<Rig> {
    Rig::find().map_err(|missing| skip(&current_test(), &missing.to_string())).ok()
}

/// This program as it goes into a machine: what debuggers want would fill its memory.
pub(crate) fn put_program(folder: &Path) -> Option<PathBuf> {
    let (strip, _) = (tool("strip")?, tool("busybox")?);
    let program = folder.join("landfall");
    let stripped = Command::new(strip).arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_landfall")).status().unwrap();
    assert!(stripped.success());
    Some(program)
}

/// The registrar, and the access server beside it.
fn network(ground: &Ground) -> Running {
    let mut running = ground.start_with(Role::Registrar, &["access"]);
    running.until("}");
    running
}
