//! Devices that write the address of somebody else into their packets.

use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
};
use landfall_nft::Kernel;
use landfall_server::{
    Settings, Trigger, World,
    enforcer::{Config, Enforcer, Plug},
};
use landfall_store::Store;
use landfall_testkit::{Hosts, temp_dir, tool};
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use serde_json::json;
use std::{fs, net::UdpSocket, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const LAMP: &str = include_str!("../../../../../fuzz/corpus/mud-file/good-plain");
const SILENCE: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);
/// The lamp's file permits this one, within the local networks.
const PORT: u16 = 5683;
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
bind-addresses = true
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.port]]
interface = "lan1"
[[enforcer.port]]
interface = "lan2"
[[enforcer.intent]]
file = "FOLDER/lamp.json"
[enforcer.members]
local-networks = ["10.9.0.0/24", "fd00:9::/64"]
"urn:ietf:params:mud:dns" = ["10.9.0.253"]
"#;

/// Two devices at a switch, which has a service.
struct Ground {
    hosts: Hosts,
    service: UdpSocket,
    enforcer: Arc<Enforcer>,
    settings: Settings,
    world: World,
    running: (Trigger, JoinHandle<()>),
    _folder: TempDir,
}

async fn start(settings: &Settings, world: &World) -> (Arc<Enforcer>, (Trigger, JoinHandle<()>)) {
    let (trigger, shutdown) = landfall_server::shutdown();
    let config = Config::from_settings(settings.enforcer.as_ref().unwrap(), settings).unwrap();
    let (task, enforcer) = config.build(world.clone(), shutdown).await.unwrap();
    (enforcer, (trigger, tokio::spawn(async move { drop(task.run().await) })))
}

fn device(number: usize) -> DeviceId {
    format!("aa.lamp-{number}").parse().unwrap()
}

impl Ground {
    async fn new() -> Option<Self> {
        tool("nft")?;
        let hosts = Hosts::new(&["switch", "device1", "device2"])?;
        hosts.set("switch", "link add br-things type bridge stp_state 0 forward_delay 0");
        hosts.set("switch", "link set br-things up");
        hosts.address("switch", "br-things", "10.9.0.254/24");
        let world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        for number in [1, 2] {
            let host = format!("device{number}");
            hosts.cable(("switch", &format!("lan{number}")), (&host, "eth0"));
            hosts.set(&host, &format!("link set eth0 address 02:00:00:00:00:0{number}"));
            hosts.address(&host, "eth0", &format!("10.9.0.{number}/24"));
            let birth =
                Birth::IDevId { idevid: Fingerprint([number as u8; 32]), birth_key: None, hardware_backed: false };
            let serial_number = format!("lamp-{number}").parse().unwrap();
            let identity = Identity { device: device(number), serial_number, vendor: None, model: None, birth };
            let record = DomainDevice { state: State::Connected, ..DomainDevice::seen(identity, Time::now()) };
            world.store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
        }
        let folder = temp_dir();
        fs::write(folder.path().join("lamp.json"), LAMP).unwrap();
        let text = SETTINGS.replace("NAMESPACE", &hosts.namespace("switch"));
        let settings = Settings::parse(&text.replace("FOLDER", &folder.path().to_string_lossy())).unwrap();
        let (enforcer, running) = start(&settings, &world).await;
        let service = hosts.inside("switch", || UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
        let ground = Self { hosts, service, enforcer, settings, world, running, _folder: folder };
        for number in [1, 2] {
            ground.admit(number).await;
        }
        Some(ground)
    }

    async fn restart(&mut self) {
        self.running.0.pull();
        (&mut self.running.1).await.unwrap();
        (self.enforcer, self.running) = start(&self.settings, &self.world).await;
    }

    async fn admit(&self, number: usize) {
        let mac = Some(format!("02:00:00:00:00:0{number}").parse().unwrap());
        let plug = Plug { names: vec![format!("lan{number}")], mac, session: None };
        let until = Time::now() + Duration::from_secs(3600);
        self.enforcer.admit(&device(number), &plug, Some("30"), until).await.unwrap().unwrap();
    }

    /// Whether what a device says as that address comes to the service.
    fn reaches(&self, number: usize, address: &str, expected: bool) {
        let host = format!("device{number}");
        let socket = self.hosts.inside(&host, || UdpSocket::bind((address, 0)).unwrap());
        socket.send_to(address.as_bytes(), ("10.9.0.254", PORT)).unwrap();
        self.service.set_read_timeout(Some(if expected { PATIENCE } else { SILENCE })).unwrap();
        let mut datagram = [0; 64];
        let came = self.service.recv_from(&mut datagram).map(|(length, from)| (length, from.ip().to_string()));
        match expected {
            true => assert_eq!(came.unwrap(), (address.len(), address.to_owned())),
            false => assert!(came.is_err(), "{number} came through as {address}: {came:?}"),
        }
    }
}

/// RFC 6620 s3.2: who used an address first has it for as long as it is there; those of the network's own machines nobody has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_with_the_address_of_another() {
    let Some(mut ground) = Ground::new().await else { return };
    // They have found the switch, so that what is missing below was not lost for that.
    for number in [1, 2] {
        ground.reaches(number, &format!("10.9.0.{number}"), true);
    }
    for address in ["10.9.0.1", "10.9.0.253", "10.9.0.22"] {
        ground.hosts.address("device2", "eth0", &format!("{address}/24"));
    }
    ground.reaches(2, "10.9.0.1", false);
    ground.reaches(2, "10.9.0.253", false);
    // It may have another one that is nobody's.
    ground.reaches(2, "10.9.0.22", true);
    let told = async {
        loop {
            let all = ground.enforcer.violations().await.violations;
            if all.iter().any(|one| one.why == "10.9.0.1 is the address of somebody else") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(!ground.enforcer.check().await.unwrap(), "what the kernel learns is nothing to be put right");

    // What was learnt is known also when everything is loaded anew.
    let kernel = Kernel::new(Some(&ground.hosts.namespace("switch"))).unwrap();
    let stray = json!({ "add": { "chain": { "family": "bridge", "table": "landfall", "name": "stray" } } });
    kernel.apply(&[stray]).await.unwrap();
    assert!(ground.enforcer.check().await.unwrap(), "a chain too many is put right");
    ground.reaches(2, "10.9.0.1", false);
    ground.reaches(1, "10.9.0.1", true);

    // Nor does a restart make it the address of who speaks first.
    ground.restart().await;
    ground.reaches(2, "10.9.0.1", false);
    ground.reaches(2, "10.9.0.22", true);
    ground.reaches(1, "10.9.0.1", true);

    // It goes, and its address is free.
    assert!(ground.enforcer.put_out(&device(1)).await);
    ground.reaches(2, "10.9.0.1", true);
    ground.admit(1).await;
    ground.reaches(1, "10.9.0.1", false);
    assert!(!ground.enforcer.check().await.unwrap());
}
