//! Packets of real hosts, through bridges and rules of a real kernel.

use landfall_element::MemoryElement;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity},
};
use landfall_nft::Kernel;
use landfall_server::{
    Clock, Settings, Trigger, World,
    enforcer::{Config, Enforcer, Plug},
};
use landfall_store::Store;
use landfall_testkit::{Hosts, temp_dir, tool};
use landfall_types::{Changes, DeviceId, Fingerprint, Time};
use std::{
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// What has not come by then does not come: there is nothing between the hosts but this machine's memory.
const SILENCE: Duration = Duration::from_millis(150);
/// What is to come may take so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const SETTINGS: &str = r#"
[enforcer]
namespace = "NAMESPACE"
[[enforcer.segment]]
name = "new"
kind = "onboarding"
[[enforcer.segment]]
name = "cameras"
kind = "production"
vlan = "30"
[[enforcer.segment]]
name = "lab"
kind = "production"
vlan = "40"
lateral = true
[[enforcer.segment]]
name = "clinic"
kind = "quarantine"
vlan = "99"
reach = ["udp fd00::fe 53"]
[[enforcer.port]]
interface = "lan1"
[[enforcer.port]]
interface = "lan2"
authenticator = "port-2"
"#;
const BRIDGES: [&str; 4] = ["br-new", "br-cameras", "br-lab", "br-clinic"];
/// Every bridge has the same address, so that devices find it wherever they are.
const HERE: &str = "02:00:00:00:00:fe";

/// A switch with two devices behind its ports.
struct Ground {
    hosts: Hosts,
    world: World,
    seconds: Arc<AtomicU64>,
    folder: TempDir,
    service: UdpSocket,
    remedy: UdpSocket,
    _proxy: [TcpListener; 2],
    devices: [UdpSocket; 2],
}

fn mac(number: usize) -> String {
    format!("02:00:00:00:00:0{number}")
}

fn device(number: usize) -> DeviceId {
    format!("aa.D-{number}").parse().unwrap()
}

impl Ground {
    fn new() -> Option<Self> {
        tool("nft")?;
        let hosts = Hosts::new(&["switch", "device1", "device2"])?;
        for bridge in BRIDGES {
            hosts.set("switch", &format!("link add {bridge} type bridge stp_state 0 forward_delay 0"));
            hosts.set("switch", &format!("link set {bridge} address {HERE} up"));
            hosts.set("switch", &format!("address add fd00::fe/64 dev {bridge} nodad"));
            hosts.set("switch", &format!("address add fe80::fe/64 dev {bridge} nodad"));
        }
        for number in [1, 2] {
            let name = format!("device{number}");
            hosts.cable(("switch", &format!("lan{number}")), (&name, "eth0"));
            hosts.set(&name, &format!("link set eth0 address {}", mac(number)));
            hosts.address(&name, "eth0", &format!("fd00::{number}/64"));
            // Nobody has to be asked for: what arrives or not is the packet itself.
            for (address, mac) in [("fd00::fe", HERE.to_owned()), ("fe80::fe", HERE.to_owned())]
                .into_iter()
                .chain([("fd00::1", mac(1)), ("fd00::2", mac(2))])
            {
                hosts.set(&name, &format!("neighbour replace {address} lladdr {mac} dev eth0 nud permanent"));
            }
        }
        let seconds = Arc::new(AtomicU64::new(0));
        let (at, start) = (seconds.clone(), Time::now());
        let mut world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        world.clock = Clock::of(move || start + Duration::from_secs(at.load(Ordering::Relaxed)));
        let bind = |host: &str, port: u16| {
            let socket = hosts.inside(host, || UdpSocket::bind(("::", port)).unwrap());
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            socket
        };
        let listen = |port: u16| hosts.inside("switch", || TcpListener::bind(("::", port)).unwrap());
        Some(Self {
            service: bind("switch", 5000),
            remedy: bind("switch", 53),
            _proxy: [listen(8444), listen(8445)],
            devices: [bind("device1", 5000), bind("device2", 5000)],
            world,
            seconds,
            folder: temp_dir(),
            hosts,
        })
    }

    fn config(&self) -> Config {
        let settings = Settings::parse(&SETTINGS.replace("NAMESPACE", &self.hosts.namespace("switch"))).unwrap();
        Config::from_settings(settings.enforcer.as_ref().unwrap(), &settings).unwrap()
    }

    async fn enforcer(&self) -> (Arc<Enforcer>, Trigger) {
        let (trigger, shutdown) = landfall_server::shutdown();
        // Its task is not run: the tests look and expire when they want it.
        let (_, enforcer) = self.config().build(self.world.clone(), shutdown).await.unwrap();
        (enforcer, trigger)
    }

    /// The same with an `nft` that can be made to fail.
    async fn fragile(&self) -> (Arc<Enforcer>, Trigger) {
        let program = self.folder.path().join("nft");
        let broken = self.folder.path().join("broken");
        let real = tool("nft").unwrap();
        let script = format!(
            "#!/bin/sh\n[ -e {} ] && {{ echo broken >&2; exit 1; }}\nexec {} \"$@\"\n",
            broken.display(),
            real.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let kernel = Kernel::with(program, Some(&self.hosts.namespace("switch"))).unwrap();
        let (trigger, shutdown) = landfall_server::shutdown();
        let (_, enforcer) = Config { kernel, ..self.config() }.build(self.world.clone(), shutdown).await.unwrap();
        (enforcer, trigger)
    }

    fn break_nft(&self, broken: bool) {
        let path = self.folder.path().join("broken");
        match broken {
            true => std::fs::write(path, "").unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }

    /// Whether a datagram of the device arrives at `receiver` under that address.
    fn arrives(&self, from: usize, to: &str, port: u16, receiver: &UdpSocket, expected: bool) -> bool {
        static MARK: AtomicU64 = AtomicU64::new(0);
        let mark = MARK.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let to: SocketAddr = format!("[{to}]:{port}").parse().unwrap();
        let _ = self.devices[from - 1].send_to(&mark, to);
        receiver.set_read_timeout(Some(if expected { PATIENCE } else { SILENCE })).unwrap();
        let mut datagram = [0; 64];
        while let Ok((length, _)) = receiver.recv_from(&mut datagram) {
            if datagram[..length] == mark {
                return true;
            }
        }
        false
    }

    /// What the device reaches: the service at the switch, the remedy there, and the other device.
    #[track_caller]
    fn reaches(&self, from: usize, service: bool, remedy: bool, other: bool) {
        let neighbour = 3 - from;
        let to = format!("fd00::{neighbour}");
        assert_eq!(
            self.arrives(from, "fd00::fe", 5000, &self.service, service),
            service,
            "device {from} to the service"
        );
        assert_eq!(self.arrives(from, "fd00::fe", 53, &self.remedy, remedy), remedy, "device {from} to the remedy");
        let there = &self.devices[neighbour - 1];
        assert_eq!(self.arrives(from, &to, 5000, there, other), other, "device {from} to {neighbour}");
    }

    fn connects(&self, from: usize, port: u16, expected: bool) -> bool {
        self.hosts.inside(&format!("device{from}"), || {
            let index = nix_index();
            let to: SocketAddr = format!("[fe80::fe%{index}]:{port}").parse().unwrap();
            TcpStream::connect_timeout(&to, if expected { PATIENCE } else { SILENCE }).is_ok()
        })
    }

    fn plug(&self, number: usize) -> Plug {
        let name = if number == 1 { "lan1" } else { "port-2" };
        let (names, mac) = (vec![name.into()], Some(mac(number).parse().unwrap()));
        Plug { names, mac, session: Some(format!("session-{number}")) }
    }

    async fn admit(&self, enforcer: &Enforcer, number: usize, vlan: &str) {
        let until = self.world.clock.now() + Duration::from_secs(3600);
        enforcer.admit(&device(number), &self.plug(number), Some(vlan), until).await.unwrap().unwrap();
    }

    /// The device is on record, in that state.
    async fn record(&self, number: usize, state: State) {
        let identity = Identity {
            device: device(number),
            serial_number: format!("D-{number}").parse().unwrap(),
            vendor: None,
            model: None,
            birth: Birth::IDevId { idevid: Fingerprint([7; 32]), birth_key: None, hardware_backed: false },
        };
        let device = DomainDevice { state, ..DomainDevice::seen(identity, Time::now()) };
        self.world.store.commit(Changes::new().put(&device).unwrap()).await.unwrap();
    }
}

/// The number of the device's one interface beside loopback, in the namespace of this thread.
fn nix_index() -> u32 {
    let list = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap();
    let line = list.lines().find(|line| line.split_whitespace().nth(1) == Some("eth0")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_new_device_reaches_the_join_proxy_and_nothing_else() {
    let Some(ground) = Ground::new() else { return };
    let (_enforcer, _trigger) = ground.enforcer().await;
    for number in [1, 2] {
        assert!(ground.connects(number, 8444, true), "the join proxy");
        assert!(!ground.connects(number, 8445, false), "another port there");
        ground.reaches(number, false, false, false);
    }
}

#[tokio::test]
async fn who_was_let_in_reaches_its_segment_and_nobody_else_does() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    ground.admit(&enforcer, 1, "30").await;
    ground.reaches(1, true, true, false);
    ground.reaches(2, false, false, false);
    // Another device at its port.
    ground.hosts.set("device1", "link set eth0 address 02:00:00:00:00:77");
    ground.reaches(1, false, false, false);
    ground.hosts.set("device1", &format!("link set eth0 address {}", mac(1)));
    ground.hosts.set("device1", &format!("neighbour replace fd00::fe lladdr {HERE} dev eth0 nud permanent"));
    ground.reaches(1, true, true, false);
    // In the same segment, apart; in another one, together.
    ground.admit(&enforcer, 2, "30").await;
    ground.reaches(1, true, true, false);
    ground.admit(&enforcer, 1, "40").await;
    ground.reaches(1, true, true, false);
    ground.admit(&enforcer, 2, "40").await;
    ground.reaches(1, true, true, true);
    ground.reaches(2, true, true, true);
}

#[tokio::test]
async fn quarantine_keeps_devices_apart_from_each_other_too() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    for number in [1, 2] {
        ground.admit(&enforcer, number, "40").await;
    }
    ground.reaches(1, true, true, true);
    for number in [1, 2] {
        assert!(enforcer.relocate(&device(number), Some("99")).await);
    }
    ground.reaches(1, false, true, false);
    ground.reaches(2, false, true, false);
    assert!(enforcer.relocate(&device(1), Some("40")).await);
    ground.reaches(1, true, true, false);
    // Where there is no place for it, it is out.
    assert!(enforcer.relocate(&device(2), None).await);
    ground.reaches(2, false, false, false);
    assert!(!enforcer.relocate(&device(2), Some("99")).await, "it is nowhere");
}

#[tokio::test]
async fn who_is_put_out_leaves_or_overstays_reaches_nothing() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    ground.admit(&enforcer, 1, "40").await;
    assert!(enforcer.put_out(&device(1)).await);
    ground.reaches(1, false, false, false);
    assert!(!enforcer.put_out(&device(1)).await, "it is out already");

    ground.admit(&enforcer, 1, "40").await;
    // The end of another session, and what another port says, is not its end.
    enforcer.left(&Plug { session: Some("before".into()), ..ground.plug(1) }).await;
    enforcer.left(&Plug { names: vec!["lan9".into()], ..ground.plug(1) }).await;
    ground.reaches(1, true, true, false);
    enforcer.left(&ground.plug(1)).await;
    ground.reaches(1, false, false, false);

    ground.admit(&enforcer, 1, "40").await;
    ground.seconds.store(3600, Ordering::Relaxed);
    enforcer.expire().await;
    ground.reaches(1, true, true, false);
    ground.seconds.store(3631, Ordering::Relaxed);
    enforcer.expire().await;
    ground.reaches(1, false, false, false);
}

#[tokio::test]
async fn who_has_no_segment_or_no_address_is_not_let_in() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    let until = Time::now() + Duration::from_secs(60);
    for (plug, vlan, check) in [
        (ground.plug(1), Some("31"), "segment"),
        (ground.plug(1), None, "segment"),
        (Plug { mac: None, ..ground.plug(1) }, Some("30"), "segment-address"),
    ] {
        let refusal = enforcer.admit(&device(1), &plug, vlan, until).await.unwrap_err();
        assert_eq!(refusal.check, check);
        ground.reaches(1, false, false, false);
    }
    // At another machine's port it is not ours to say.
    let elsewhere = Plug { names: vec!["lan7".into()], ..ground.plug(1) };
    assert_eq!(enforcer.admit(&device(1), &elsewhere, Some("31"), until).await.unwrap(), None);
}

#[tokio::test]
async fn where_rules_fail_the_old_ones_stay_and_who_is_to_be_out_is_out() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.fragile().await;
    ground.admit(&enforcer, 1, "40").await;
    ground.break_nft(true);
    let until = Time::now() + Duration::from_secs(60);
    let refusal = enforcer.admit(&device(2), &ground.plug(2), Some("40"), until).await.unwrap_err();
    assert_eq!(refusal.check, "segment-rules");
    ground.reaches(1, true, true, false);
    ground.reaches(2, false, false, false);
    // Its port's link goes, since its rules cannot.
    assert!(enforcer.put_out(&device(1)).await);
    ground.reaches(1, false, false, false);
    assert!(enforcer.check().await.is_err());
    ground.break_nft(false);
    assert!(enforcer.check().await.unwrap(), "what was left undone is done");
    ground.reaches(1, false, false, false);
    ground.admit(&enforcer, 2, "40").await;
    ground.reaches(2, true, true, false);
    assert!(!enforcer.check().await.unwrap());
}

#[tokio::test]
async fn what_others_change_is_put_right() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    let nft = |words: &str| {
        let done = ground.hosts.command("switch", "nft").args(words.split_whitespace()).status().unwrap();
        assert!(done.success(), "{words}");
    };
    ground.admit(&enforcer, 1, "30").await;
    assert!(!enforcer.check().await.unwrap(), "all is well");
    for meddling in [
        "delete table bridge landfall",
        "delete table inet landfall",
        "insert rule bridge landfall prerouting accept",
        "flush chain bridge landfall from-clinic",
        "add element bridge landfall doors { lan1 : goto from-lab }",
        "flush map bridge landfall outward",
        "flush set bridge landfall generation",
        "add chain bridge landfall mine",
    ] {
        nft(meddling);
        assert!(enforcer.check().await.unwrap(), "{meddling}");
        assert!(!enforcer.check().await.unwrap(), "{meddling}");
        ground.reaches(1, true, true, false);
        ground.reaches(2, false, false, false);
    }
    ground.hosts.set("switch", "link set lan2 master br-lab");
    ground.hosts.set("switch", "link set lan1 nomaster");
    assert!(enforcer.check().await.unwrap(), "ports are where they belong");
    ground.reaches(1, true, true, false);
    assert!(enforcer.view().await.repairs >= 9);
}

#[tokio::test]
async fn after_a_restart_those_are_inside_who_still_may_be() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, trigger) = ground.enforcer().await;
    for number in [1, 2] {
        ground.record(number, State::Connected).await;
        ground.admit(&enforcer, number, "30").await;
    }
    drop((enforcer, trigger));
    // Its rules stay while it is away; what was decided meanwhile counts when it is back.
    ground.reaches(1, true, true, false);
    ground.record(2, State::Revoked).await;
    let (enforcer, trigger) = ground.enforcer().await;
    ground.reaches(1, true, true, false);
    ground.reaches(2, false, false, false);
    let ports = enforcer.view().await.ports;
    assert_eq!(ports[0].device.as_deref(), Some("D-1"));
    assert_eq!((ports[1].device.as_deref(), ports[1].segment.as_deref()), (None, Some("new")));
    drop((enforcer, trigger));
    ground.seconds.store(4000, Ordering::Relaxed);
    let (_enforcer, _trigger) = ground.enforcer().await;
    ground.reaches(1, false, false, false);
}

#[tokio::test]
async fn an_enforcer_that_cannot_shut_everything_does_not_start() {
    let Some(ground) = Ground::new() else { return };
    ground.break_nft(true);
    let kernel = Kernel::with("/bin/false".into(), Some(&ground.hosts.namespace("switch"))).unwrap();
    let (_trigger, shutdown) = landfall_server::shutdown();
    let failed = Config { kernel, ..ground.config() }.build(ground.world.clone(), shutdown).await.unwrap_err();
    assert_eq!(failed.what, "shutting every port");
}

/// Nothing of a device is let through by what was there before: not even while it is being taken into quarantine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_talks_without_end_is_cut_off() {
    let Some(ground) = Ground::new() else { return };
    let (enforcer, _trigger) = ground.enforcer().await;
    ground.admit(&enforcer, 1, "30").await;
    let sender = ground.devices[0].try_clone().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let talk = std::thread::spawn(move || {
        let to: SocketAddr = "[fd00::fe]:5000".parse().unwrap();
        while stopped
            .recv_timeout(Duration::from_millis(1))
            .is_err_and(|why| why == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let _ = sender.send_to(b"words", to);
        }
    });
    let mut datagram = [0; 64];
    ground.service.set_read_timeout(Some(PATIENCE)).unwrap();
    ground.service.recv_from(&mut datagram).unwrap();
    assert!(enforcer.put_out(&device(1)).await);
    // What had come in by then is read, and then there is silence while it goes on talking.
    ground.service.set_read_timeout(Some(SILENCE)).unwrap();
    let mut late = 0;
    while ground.service.recv_from(&mut datagram).is_ok() {
        late += 1;
        assert!(late < 10_000, "it is still heard");
    }
    drop(stop);
    talk.join().unwrap();
}
