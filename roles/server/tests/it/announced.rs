//! What multicast DNS says of the services of Wi-Fi Easy Connect, asked from another host (DPP s12).

use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_net::discovery::Interface;
use landfall_pki::{Algorithm, AltName};
use landfall_server::{
    Server, Settings,
    admin::{Address, Client, view::ConfiguratorView},
    domain::NewDomain,
    open, shutdown,
};
use landfall_testkit::Hosts;
use landfall_types::{Fingerprint, Time};
use nix::sched::{CloneFlags, setns};
use std::{fs::File, future::Future, net::SocketAddrV6, path::Path, thread::JoinHandle, time::Duration};
use tokio::{net::UdpSocket, sync::oneshot, time::timeout};

/// Runs `work` on a thread that lives in the host's network.
fn on<F, T>(hosts: &Hosts, host: &str, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let namespace = File::open(Path::new("/run/netns").join(hosts.namespace(host))).unwrap();
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { timeout(Duration::from_secs(60), work()).await.expect("the other host is well") })
    })
}

/// The host's only interface, as soon as the kernel has given it an address that may be used.
async fn interface() -> Interface {
    loop {
        let interfaces = Interface::select(&[]).unwrap();
        if let [interface] = interfaces.as_slice()
            && let Some(address) = interface.link_local_socket(0)
            && std::net::UdpSocket::bind(address).is_ok()
        {
            return interface.clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The answer to a question for the PTR records of a subtype of `_dpp._tcp`, as text (RFC 1035 s4.1, RFC 6762 s6.7).
async fn ask(subtype: &str, interface: &Interface) -> String {
    let labels = [subtype, "_sub", "_dpp", "_tcp", "local", ""];
    let name: Vec<u8> =
        labels.iter().flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    let question = [&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 12, 0, 1]].concat();
    let socket = UdpSocket::bind(interface.link_local_socket(0).unwrap()).await.unwrap();
    let group = SocketAddrV6::new("ff02::fb".parse().unwrap(), 5353, 0, interface.index);
    let mut answer = [0; 9000];
    loop {
        socket.send_to(&question, group).await.unwrap();
        if let Ok(length) = timeout(Duration::from_secs(1), socket.recv(&mut answer)).await {
            return String::from_utf8_lossy(&answer[..length.unwrap()]).into_owned();
        }
    }
}

#[test]
fn a_controller_tells_its_key_and_a_supply_chain_service_where_to_register() {
    const SETTINGS: &str = r#"
[metrics]
listen = ""
[supply-chain]
listen = "[::]:9445"
identity = { certificate = "domain/admin.pem" }
announce = true
[configurator]
listen = "[::]:8908"
organization = "Orchard House"
[[configurator.network]]
ssid = "Home"
kind = "connector"
"#;
    let Some(hosts) = Hosts::new(&["device", "server"]) else { return };
    hosts.cable(("device", "eth0"), ("server", "eth1"));
    let (asked, wait) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel::<Fingerprint>();
    let server = on(&hosts, "server", move || async move {
        interface().await;
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::parse(SETTINGS).unwrap();
        settings.data = folder.path().to_owned();
        let element = open::element(&settings).unwrap();
        let names = vec![AltName::Dns("localhost".into())];
        NewDomain { organization: "Orchard Works".into(), names, algorithm: Algorithm::EcdsaP256 }
            .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
            .unwrap();
        let (trigger, shutdown) = shutdown();
        let server = Server::build(&settings, &[], shutdown).await.unwrap();
        let running = tokio::spawn(server.run());
        let client = Client::new(Address::Local(settings.admin_socket()));
        let views: Vec<ConfiguratorView> = client.get("/v1/network/configurator").await.unwrap();
        tell.send(views[0].keys[0].hash.parse().unwrap()).unwrap();
        wait.await.unwrap();
        trigger.pull();
        running.await.unwrap().unwrap();
    });
    let device = on(&hosts, "device", move || async move {
        let interface = interface().await;
        let hash = STANDARD.encode(told.await.unwrap().0);
        let controller = ask("_controller", &interface).await;
        for text in ["landfall-configurator-", "txtversion=1", "organization=Orchard House"] {
            assert!(controller.contains(text), "{text} in {controller:?}");
        }
        assert!(controller.contains(&format!("bskeyhash={hash}")), "{hash} in {controller:?}");
        let service = ask("_bootstrapping", &interface).await;
        for text in ["landfall-supply-chain-", "txtversion=1", "organization=Orchard Works"] {
            assert!(service.contains(text), "{text} in {service:?}");
        }
        assert!(!service.contains("bskeyhash"), "{service:?}");
        asked.send(()).unwrap();
    });
    device.join().unwrap();
    server.join().unwrap();
}
