//! The join proxy's circuits.

use super::support::{Running, echo, tls, who};
use landfall_net::http::{ClientLimits, Connection, Limits};
use landfall_net::proxy::{Proxy, ProxyLimits, ProxyStats};
use landfall_net::tls::{ClientAuth, ClientTls, ServerTls};
use landfall_testkit::{Domain, Manufacturer};
use landfall_types::http::Request;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Circuits {
    address: SocketAddr,
    stats: Arc<ProxyStats>,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

impl Circuits {
    async fn start(registrar: Option<SocketAddr>, limits: ProxyLimits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy::new(listener, watch::channel(registrar).1, limits);
        let stats = proxy.stats();
        let (stop, stopped) = watch::channel(false);
        Self { address, stats, stop, ended: tokio::spawn(proxy.run(stopped)) }
    }

    async fn end(self) -> Arc<ProxyStats> {
        self.stop.send(true).unwrap();
        self.ended.await.unwrap();
        self.stats
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn tls_goes_through_from_end_to_end() {
    let (manufacturer, domain) = (Manufacturer::new(), Domain::new());
    let server_tls = ServerTls::new(&tls(&domain.registrar), ClientAuth::Optional).unwrap();
    let registrar = Running::start(Some(server_tls), Limits::default(), who).await;
    let proxy = Circuits::start(Some(registrar.address), ProxyLimits::default()).await;
    let client = ClientTls::provisional(Some(&tls(&manufacturer.device("SN-1")))).unwrap();
    let mut connection = Connection::open(&proxy.address.into(), Some(&client), ClientLimits::default()).await.unwrap();
    assert_eq!(connection.peer().unwrap().chain, domain.registrar.chain());
    assert_eq!(connection.send(Request::get("/")).await.unwrap().status, 200);
    drop(connection);
    let stats = proxy.end().await;
    assert_eq!(stats.opened.load(Ordering::Relaxed), 1);
    assert_eq!(stats.open.load(Ordering::Relaxed), 0);
    assert!(stats.to_registrar.load(Ordering::Relaxed) > 1000 && stats.to_pledge.load(Ordering::Relaxed) > 1000);
}

#[tokio::test]
async fn a_pledge_that_has_said_all_still_hears_the_answer() {
    let registrar = Running::start(None, Limits::default(), echo).await;
    let proxy = Circuits::start(Some(registrar.address), ProxyLimits::default()).await;
    let mut pledge = proxy.connect().await;
    pledge.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    pledge.shutdown().await.unwrap();
    let mut answer = String::new();
    pledge.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn one_source_has_only_so_many_circuits() {
    let registrar = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let limits = ProxyLimits { per_source: 2, drain: Duration::ZERO, ..ProxyLimits::default() };
    let proxy = Circuits::start(Some(registrar.local_addr().unwrap()), limits).await;
    let first = proxy.connect().await;
    let (at_registrar, _) = registrar.accept().await.unwrap();
    let _second = proxy.connect().await;
    registrar.accept().await.unwrap();
    assert!(is_closed(&mut proxy.connect().await).await);
    assert_eq!(proxy.stats.refused.load(Ordering::Relaxed), 1);
    // When one ends, there is room for another.
    drop((first, at_registrar));
    loop {
        let mut next = proxy.connect().await;
        tokio::select! {
            _ = registrar.accept() => break,
            closed = is_closed(&mut next) => assert!(closed),
        }
    }
    // Whatever ends a circuit, it is not counted any more.
    assert_eq!(proxy.end().await.open.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn circuits_that_carry_nothing_end() {
    let registrar = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let limits = ProxyLimits { idle: Duration::from_millis(50), ..ProxyLimits::default() };
    let proxy = Circuits::start(Some(registrar.local_addr().unwrap()), limits).await;
    let mut pledge = proxy.connect().await;
    pledge.write_all(b"hello").await.unwrap();
    assert!(is_closed(&mut pledge).await);
    let stats = proxy.end().await;
    assert_eq!(stats.timed_out.load(Ordering::Relaxed), 1);
    assert_eq!(stats.to_registrar.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn circuits_do_not_last_for_ever() {
    let registrar = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let limits = ProxyLimits { total: Duration::from_millis(50), ..ProxyLimits::default() };
    let proxy = Circuits::start(Some(registrar.local_addr().unwrap()), limits).await;
    let mut pledge = proxy.connect().await;
    let chatting = async { while pledge.write_all(b"chat").await.is_ok() {} };
    let (mut at_registrar, _) = registrar.accept().await.unwrap();
    let hearing = async { at_registrar.read_to_end(&mut Vec::new()).await };
    let _ = tokio::join!(chatting, hearing);
    assert_eq!(proxy.end().await.timed_out.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_a_registrar_pledges_are_sent_away() {
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, landfall_testkit::free_port()));
    for registrar in [None, Some(closed)] {
        let proxy = Circuits::start(registrar, ProxyLimits::default()).await;
        assert!(is_closed(&mut proxy.connect().await).await);
        assert_eq!(proxy.end().await.unreachable.load(Ordering::Relaxed), 1);
    }
}
