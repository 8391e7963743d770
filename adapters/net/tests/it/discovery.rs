//! A pledge that has nothing but a link-local IPv6 address finds a proxy and, through it, the registrar.

use super::support::{Running, tls, who};
use landfall_brski::proxy::{Host, Source};
use landfall_net::discovery::{Announcement, Announcer, Browser, Interface, Service};
use landfall_net::http::{ClientLimits, Connection, Endpoint, Limits};
use landfall_net::proxy::{Proxy, ProxyLimits};
use landfall_net::tls::{ClientAuth, ClientTls, ServerTls};
use landfall_testkit::{Domain, Hosts, Manufacturer};
use landfall_types::http::Request;
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::net::SocketAddrV6;
use std::path::Path;
use std::slice;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

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
        // If one host fails, the others would wait for it for ever.
        runtime.block_on(async { timeout(Duration::from_secs(60), work()).await.expect("the other hosts are well") })
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
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_pledge_without_configuration_reaches_the_registrar() {
    let Some(hosts) = Hosts::new(&["pledge", "proxy"]) else { return };
    hosts.cable(("pledge", "eth0"), ("proxy", "eth1"));
    let domain = Domain::new();
    let registrar_chain = domain.registrar.chain();
    let (done, wait) = oneshot::channel::<()>();

    let proxy = on(&hosts, "proxy", move || async move {
        let server = ServerTls::new(&tls(&domain.registrar), ClientAuth::Optional).unwrap();
        let registrar = Running::start(Some(server), Limits::default(), who).await;
        let interface = interface().await;
        assert!(!interface.loopback && interface.name == "eth1");
        let listener = TcpListener::bind(interface.link_local_socket(0).unwrap()).await.unwrap();
        let announcement = Announcement {
            service: Service::Proxy,
            name: "Test Proxy".into(),
            port: listener.local_addr().unwrap().port(),
            link_local_only: true,
        };
        // Repeated quickly, as the pledge may begin to listen after the first.
        let period = Duration::from_millis(100);
        let announcer = Announcer::start_every(&announcement, &[interface], period).unwrap();
        let (stop, stopped) = watch::channel(false);
        let proxy = Proxy::to(listener, registrar.address, ProxyLimits::default());
        let running = tokio::spawn(proxy.run(stopped));
        wait.await.unwrap();
        drop(announcer);
        stop.send(true).unwrap();
        running.await.unwrap();
    });

    let pledge = on(&hosts, "pledge", move || async move {
        let interface = interface().await;
        let mut browser = Browser::start(Service::Proxy, slice::from_ref(&interface)).unwrap();
        let mut heard = BTreeMap::new();
        while heard.len() < 2 {
            let offer = browser.next().await.unwrap();
            heard.insert(offer.source.as_str(), offer);
        }
        let client = ClientTls::provisional(Some(&tls(&Manufacturer::new().device("SN-1")))).unwrap();
        for offer in heard.values() {
            let Host::V6 { address, scope } = offer.address else { panic!("{offer}") };
            assert!(address.is_unicast_link_local() && scope == interface.index);
            assert!(offer.source != Source::Mdns || offer.name == "Test Proxy", "{offer:?}");
            let endpoint = Endpoint::from(offer);
            let mut connection = Connection::open(&endpoint, Some(&client), ClientLimits::default()).await.unwrap();
            assert_eq!(connection.peer().unwrap().chain, registrar_chain);
            assert_eq!(connection.send(Request::get("/")).await.unwrap().status, 200);
        }
        done.send(()).unwrap();
        heard.into_keys().collect::<Vec<_>>()
    });

    assert_eq!(pledge.join().unwrap(), ["grasp", "mdns"]);
    proxy.join().unwrap();
}

#[test]
fn a_proxy_finds_the_registrar_but_no_pledge_does() {
    let Some(hosts) = Hosts::new(&["proxy", "registrar"]) else { return };
    hosts.cable(("proxy", "eth1"), ("registrar", "eth0"));
    hosts.address("registrar", "eth0", "fd00::1/64");
    let (done, wait) = oneshot::channel::<()>();
    let registrar = on(&hosts, "registrar", move || async move {
        let announcement =
            Announcement { service: Service::Registrar, name: "Registrar".into(), port: 8443, link_local_only: false };
        let _announcer =
            Announcer::start_every(&announcement, &[interface().await], Duration::from_millis(100)).unwrap();
        wait.await.unwrap();
    });
    let proxy = on(&hosts, "proxy", move || async move {
        let interfaces = [interface().await];
        let mut proxies = Browser::start(Service::Proxy, &interfaces).unwrap();
        let mut registrars = Browser::start(Service::Registrar, &interfaces).unwrap();
        let mut sources = BTreeMap::new();
        while sources.len() < 2 {
            tokio::select! {
                offer = registrars.next() => {
                    let offer = offer.unwrap();
                    assert_eq!(offer.port, 8443);
                    sources.insert(offer.source.as_str(), ());
                }
                offer = proxies.next() => panic!("there is no proxy, but {offer:?}"),
            }
        }
        done.send(()).unwrap();
    });
    proxy.join().unwrap();
    registrar.join().unwrap();
}

/// DPP s12: among other services of Wi-Fi Easy Connect, and by a question for the subtype, as others' tools ask for it.
#[test]
fn a_device_finds_the_controller_and_what_is_said_of_it() {
    const TEXT: [(&str, &str); 3] = [
        ("txtversion", "1"),
        ("organization", "Orchard House"),
        ("bskeyhash", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ];
    let Some(hosts) = Hosts::new(&["device", "controller"]) else { return };
    hosts.cable(("device", "eth0"), ("controller", "eth1"));
    let (done, wait) = oneshot::channel::<()>();
    let controller = on(&hosts, "controller", move || async move {
        let interfaces = [interface().await];
        let announced = |service, name: &str, port| {
            let announcement = Announcement { service, name: name.into(), port, link_local_only: false };
            Announcer::by_mdns(&announcement, &TEXT, &interfaces).unwrap()
        };
        let _other = announced(Service::Bootstrapping, "Keys 1", 9445);
        let _announcer = announced(Service::Controller, "Controller 1", 8908);
        wait.await.unwrap();
    });
    let device = on(&hosts, "device", move || async move {
        let interface = interface().await;
        let offer = Browser::start(Service::Controller, slice::from_ref(&interface)).unwrap().next().await.unwrap();
        assert_eq!((offer.port, offer.source, offer.name.as_str()), (8908, Source::Mdns, "Controller 1"));
        // DNS as it is (RFC 1035 s4.1): one question, for the PTR records of the subtype, from a port of our own, so that
        // the answer comes straight back (RFC 6762 s6.7).
        let labels = ["_controller", "_sub", "_dpp", "_tcp", "local", ""];
        let name: Vec<u8> = labels
            .iter()
            .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
            .collect();
        let question = [&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 12, 0, 1]].concat();
        let socket = UdpSocket::bind(interface.link_local_socket(0).unwrap()).await.unwrap();
        let group = SocketAddrV6::new("ff02::fb".parse().unwrap(), 5353, 0, interface.index);
        let mut answer = [0; 9000];
        let length = loop {
            socket.send_to(&question, group).await.unwrap();
            if let Ok(length) = timeout(Duration::from_secs(1), socket.recv(&mut answer)).await {
                break length.unwrap();
            }
        };
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.contains("Controller 1") && !text.contains("Keys 1"), "{text:?}");
        for (key, value) in TEXT {
            assert!(text.contains(&format!("{key}={value}")), "{key} in {text:?}");
        }
        done.send(()).unwrap();
    });
    device.join().unwrap();
    controller.join().unwrap();
}

#[test]
fn interfaces_are_chosen_by_name() {
    let all = Interface::all().unwrap();
    let loopback = all.iter().find(|interface| interface.loopback).unwrap();
    assert_eq!(Interface::select(slice::from_ref(&loopback.name)).unwrap().as_slice(), slice::from_ref(loopback));
    assert!(!Interface::select(&[]).unwrap().contains(loopback));
    assert!(Interface::named("no-such-interface").is_err());
}
