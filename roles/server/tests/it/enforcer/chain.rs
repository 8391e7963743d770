//! The whole chain: a factory writes into a certificate where the device's file is and who signs it, a registrar reads it there, the
//! manager fetches the file and finds it good, and a real kernel lets through what it permits and nothing else.

use super::manager::{Page, Web, web_server};
use crate::world::{World as Network, onboard};
use landfall_element::MemoryElement;
use landfall_lifecycle::network::{DomainDevice, Learnt, MudSource};
use landfall_server::{
    Clock, RoleName, Settings, World,
    admin::view::DeviceUsage,
    enforcer::{Config, Enforcer, Plug},
    factory::Factory,
    open,
};
use landfall_store::Store;
use landfall_testkit::{Hosts, Running, tool};
use landfall_types::{DeviceId, Time};
use serde_json::{Value, json};
use std::{
    fs,
    net::UdpSocket,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const LAMP: &str = include_str!("../../../../../fuzz/corpus/mud-file/good-plain");
const SILENCE: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);
const MAC: &str = "02:00:00:00:00:01";
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
[enforcer.members]
local-networks = ["10.9.0.0/24"]
[enforcer.mud]
private = ["127.0.0.0/8", "::1"]
claims = true
[[enforcer.mud.maker]]
name = "maker"
manufacturers = ["maker"]
anchors = ["manufacturer/mud-anchors.pem"]
web-anchors = ["web.pem"]
[[enforcer.segment]]
name = "things"
kind = "production"
vlan = "30"
[[enforcer.port]]
interface = "lan1"
"#;

/// A device behind a port, and two services at the bridge: at the port that the lamp's file names, and at another.
struct Link {
    hosts: Hosts,
    device: UdpSocket,
    named: UdpSocket,
    other: UdpSocket,
}

impl Link {
    fn new() -> Option<Self> {
        tool("nft")?;
        let hosts = Hosts::new(&["switch", "device"])?;
        hosts.set("switch", "link add br-things type bridge stp_state 0 forward_delay 0");
        hosts.set("switch", "link set br-things up");
        hosts.address("switch", "br-things", "10.9.0.254/24");
        hosts.cable(("switch", "lan1"), ("device", "eth0"));
        hosts.set("device", &format!("link set eth0 address {MAC}"));
        hosts.address("device", "eth0", "10.9.0.1/24");
        let bind = |host: &str, port: u16| hosts.inside(host, || UdpSocket::bind(("0.0.0.0", port)).unwrap());
        let (device, named, other) = (bind("device", 5000), bind("switch", 5683), bind("switch", 5000));
        Some(Self { hosts, device, named, other })
    }

    /// Which of the services a datagram of the device reaches.
    fn reached(&self, expected: (bool, bool)) -> (bool, bool) {
        let arrives = |port: u16, receiver: &UdpSocket, expected: bool| {
            static MARK: AtomicU64 = AtomicU64::new(0);
            let mark = MARK.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let _ = self.device.send_to(&mark, ("10.9.0.254", port));
            receiver.set_read_timeout(Some(if expected { PATIENCE } else { SILENCE })).unwrap();
            let mut datagram = [0; 64];
            while let Ok((length, _)) = receiver.recv_from(&mut datagram) {
                if datagram[..length] == mark {
                    return true;
                }
            }
            false
        };
        (arrives(5683, &self.named, expected.0), arrives(5000, &self.other, expected.1))
    }
}

/// A store with a device that came in by BRSKI, and its manufacturer's folder. The server that took it in has an enforcer, which asks for the
/// device's file as soon as it has joined, before it is let in anywhere.
async fn onboarded(web: &Web, web_root: &str, enforcer: &Settings) -> (Network, Store, DeviceId) {
    let network = Network::with_mud(1, "permit", Some(web.url("/lamp.json")));
    fs::write(network.folder.path().join("web.pem"), web_root).unwrap();
    let settings = Settings { enforcer: enforcer.enforcer.clone(), ..network.settings.clone() };
    let server = network.run_in(&settings, &[]).await;
    server.sell(&network).await;
    assert_eq!(web.asked(), 0);
    onboard(&network.device(0, server.address(RoleName::Registrar))).await.unwrap();
    let asked = async {
        while web.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    server.stop().await;
    // What still ends in the server may hold it for a moment.
    let released = async {
        loop {
            match open::store(&network.settings) {
                Ok(store) => return store,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let store = tokio::time::timeout(PATIENCE, released).await.unwrap();
    let device = store.scan::<DomainDevice>(None, 10).unwrap().remove(0).record;
    let source = device.mud_source().unwrap();
    assert_eq!((source.url, source.learnt), (web.url("/lamp.json"), Learnt::Idevid));
    assert_eq!(source.signer.as_deref(), Some("CN=Maker MUD signer,O=Maker"));
    (network, store, device.identity.device)
}

/// The lamp's file at that server, signed as `landfall factory sign-mud` does it.
pub(crate) fn publish(network: &Network, web: &Web, change: impl FnOnce(&mut Value)) {
    let mut file: Value = serde_json::from_str(LAMP).unwrap();
    file["ietf-mud:mud"]["mud-url"] = json!(web.url("/lamp.json"));
    change(&mut file);
    let file = file.to_string().into_bytes();
    let element = open::existing_element(&network.settings).unwrap();
    let folder = network.settings.resolve("manufacturer".as_ref());
    let bundles = network.settings.resolve("bundles".as_ref());
    let factory = Factory::open(&folder, element.as_ref(), Store::memory(), &bundles).unwrap();
    web.put("/lamp.p7s", Page::Body(factory.sign_mud(&file).unwrap()));
    web.put("/lamp.json", Page::Body(file));
}

async fn until(enforcer: &Enforcer, is_so: impl Fn(&DeviceUsage) -> bool) -> DeviceUsage {
    let waited = async {
        loop {
            match enforcer.usage().await.devices.pop() {
                Some(usage) if is_so(&usage) => return usage,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap()
}

/// What the device says of itself, as soon as that is kept.
async fn heard(world: &World, device: &DeviceId, is_it: impl Fn(&MudSource) -> bool) -> MudSource {
    let waited = async {
        loop {
            let record = world.store.find::<DomainDevice>(device.as_str()).unwrap().unwrap().record;
            match record.mud_claim.filter(&is_it) {
                Some(claim) => return claim,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_factory_wrote_into_a_certificate_becomes_rules_of_the_kernel() {
    let Some(link) = Link::new() else { return };
    let (web_root, identity) = web_server();
    let web = Web::new(&identity).await;
    let mut settings = Settings::parse(&SETTINGS.replace("NAMESPACE", &link.hosts.namespace("switch"))).unwrap();
    let (network, store, device) = onboarded(&web, &web_root, &settings).await;
    settings.data = network.folder.path().to_owned();

    let seconds = Arc::new(AtomicU64::new(0));
    let (at, start) = (seconds.clone(), Time::now());
    let mut world = World::new(store, Arc::new(MemoryElement::new()));
    world.clock = Clock::of(move || start + Duration::from_secs(at.load(Ordering::Relaxed)));
    let (trigger, shutdown) = landfall_server::shutdown();
    let config = Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).unwrap();
    let (task, enforcer) = config.build(world.clone(), shutdown).await.unwrap();
    let running = tokio::spawn(task.run());
    let plug = Plug { names: vec!["lan1".into()], mac: Some(MAC.parse().unwrap()), session: None };
    let admit = async || {
        let until = world.clock.now() + Duration::from_secs(36_000);
        enforcer.admit(&device, &plug, Some("30"), until).await.unwrap().unwrap();
    };

    // Nobody has put the file there yet: names and time, and neither of these services.
    admit().await;
    let usage = until(&enforcer, |usage| usage.trouble.is_some()).await;
    assert_eq!(usage.in_force, "the owner's preset");
    assert!(usage.is_proven && usage.trouble.unwrap().starts_with("mud-fetch: "));
    assert_eq!(link.reached((false, false)), (false, false));

    // Now it is there, and asked for again when it is time.
    publish(&network, &web, |_| {});
    seconds.fetch_add(61, Ordering::Relaxed);
    enforcer.revise().await;
    let usage = until(&enforcer, |usage| usage.in_force == "the manufacturer's file").await;
    assert_eq!(usage.signer.as_deref(), Some("CN=Maker MUD signer,O=Maker"));
    assert_eq!(usage.learnt.as_deref(), Some("its manufacturer's certificate"));
    assert!(usage.says.iter().any(|talk| talk.with == "cloud.lamp.example" && talk.is_allowed));
    assert_eq!(link.reached((true, false)), (true, false));

    // It goes, and so does what was opened for it; it comes again, and is where it was at once.
    assert!(enforcer.put_out(&device).await);
    assert_eq!(link.reached((false, false)), (false, false));
    web.put("/lamp.json", Page::Status(500));
    admit().await;
    assert_eq!(until(&enforcer, |_| true).await.in_force, "the manufacturer's file");
    assert_eq!(link.reached((true, false)), (true, false));
    assert!(!enforcer.check().await.unwrap(), "the kernel has what it should have");

    // It asks for an address and says by the way where the file of its new firmware is; udhcpc puts option 161 into its messages.
    if let Some(busybox) = tool("busybox") {
        let newer = web.url("/lamp-2.json");
        let option = format!("0xa1:{}", hex::encode(&newer));
        let mut asking = link.hosts.command("device", busybox.to_str().unwrap());
        asking.args([
            "udhcpc",
            "-i",
            "eth0",
            "-f",
            "-n",
            "-q",
            "-t",
            "20",
            "-T",
            "1",
            "-s",
            "/bin/true",
            "-x",
            &option,
        ]);
        asking.stdout(Stdio::null()).stderr(Stdio::null());
        let asking = Running::start(&mut asking);
        let claim = heard(&world, &device, |claim| claim.learnt == Learnt::Dhcp).await;
        assert_eq!(claim.url, newer);
        drop(asking);
        // It is only a claim: what the certificate says stays in force.
        assert_eq!(until(&enforcer, |_| true).await.url, Some(web.url("/lamp.json")));
    }
    // ISC's client does the same, with option 161 and, for IPv6, option 112.
    if let Some(dhclient) = tool("dhclient") {
        for (version, option) in [("-4", "mud-url code 161"), ("-6", "dhcp6.mud-url code 112")] {
            let newer = web.url(&format!("/lamp{version}.json"));
            let path = |name: &str| network.folder.path().join(name).to_string_lossy().into_owned();
            let name = option.split(' ').next().unwrap();
            let text = format!("option {option} = text;\nsend {name} \"{newer}\";\n");
            fs::write(path("dhclient.conf"), text).unwrap();
            fs::write(path(&format!("leases{version}")), "").unwrap();
            let mut asking = link.hosts.command("device", &dhclient.to_string_lossy());
            asking.args([version, "-d", "-cf", &path("dhclient.conf"), "-lf", &path(&format!("leases{version}"))]);
            asking.args(["-pf", &path("dhclient.pid"), "-sf", "/bin/true", "eth0"]).stderr(Stdio::null());
            let asking = Running::start(&mut asking);
            let claim = heard(&world, &device, |claim| claim.url == newer).await;
            assert_eq!(claim.learnt, Learnt::Dhcp);
            drop(asking);
        }
    }

    // It tells its neighbour too, by Debian's lldpd.
    if let (Some(lldpd), Some(lldpcli)) = (tool("lldpd"), tool("lldpcli")) {
        let newer = web.url("/lamp-3.json");
        let socket = network.folder.path().join("lldpd").to_string_lossy().into_owned();
        let mut telling = link.hosts.command("device", "sh");
        let script = r#"exec "$0" -d -u "$1" -I eth0 2>&1"#;
        let mut telling = Running::start(telling.args(["-c", script, &lldpd.to_string_lossy(), &socket]));
        telling.until("lldpd should resume operations");
        let octets: Vec<String> = newer.bytes().map(|octet| format!("{octet:02x}")).collect();
        let tlv = format!("configure lldp custom-tlv add oui 00,00,5e subtype 1 oui-info {}", octets.join(","));
        for line in [tlv.as_str(), "update"] {
            let mut asking = link.hosts.command("device", &lldpcli.to_string_lossy());
            let done = asking.args(["-u", &socket]).args(line.split(' ')).output().unwrap();
            assert!(done.status.success(), "lldpcli {line}: {done:?}");
        }
        let claim = heard(&world, &device, |claim| claim.learnt == Learnt::Lldp).await;
        assert_eq!(claim.url, newer);
        assert_eq!(until(&enforcer, |_| true).await.url, Some(web.url("/lamp.json")));
        telling.signal("TERM");
        telling.wait();
    }
    assert!(!enforcer.check().await.unwrap(), "the kernel has what it should have");
    trigger.pull();
    running.await.unwrap().unwrap();
}
