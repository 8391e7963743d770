//! Connections, pools, and what they do about servers that misbehave.

use super::support::{Running, echo};
use landfall_net::NetError;
use landfall_net::http::{ClientLimits, Connection, Endpoint, Limits, Pool, Seen};
use landfall_types::http::{Request, Response};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(50);

/// Answers every connection with these bytes, whatever is asked.
async fn says(answer: &'static str) -> Endpoint {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = listener.local_addr().unwrap().into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    endpoint
}

async fn ask(endpoint: &Endpoint, limits: ClientLimits) -> Result<Response, NetError> {
    Connection::open(endpoint, None, limits).await.unwrap().send(Request::get("/")).await
}

#[tokio::test]
async fn huge_responses_are_refused() {
    let limits = ClientLimits { body_bytes: 10, ..ClientLimits::default() };
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n01234567890",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
    ] {
        let refused = ask(&says(answer).await, limits).await;
        assert!(matches!(refused, Err(NetError::TooLarge { limit: 10 })));
    }
    let fits = ask(&says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").await, limits).await.unwrap();
    assert_eq!(fits.body, b"0123456789");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let limits = ClientLimits { exchange: SHORT, ..ClientLimits::default() };
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let late = ask(&silent.local_addr().unwrap().into(), limits).await;
    assert!(matches!(late, Err(NetError::Timeout { step: "HTTP exchange", .. })));
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let error = ask(&says("SSH-2.0-OpenSSH\r\n").await, ClientLimits::default()).await;
    assert!(matches!(error, Err(NetError::Http(_))));
}

#[tokio::test]
async fn names_are_looked_up() {
    let server = Running::echo(Limits::default()).await;
    let endpoint: Endpoint = format!("localhost:{}", server.address.port()).parse().unwrap();
    assert_eq!(ask(&endpoint, ClientLimits::default()).await.unwrap().status, 200);
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let closed = landfall_testkit::free_port();
    let endpoint = Endpoint::from(std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, closed)));
    let error = Connection::open(&endpoint, None, ClientLimits::default()).await;
    assert!(matches!(error, Err(NetError::Io { step: "connecting", .. })));
}

#[test]
fn endpoints_are_read_as_in_uris() {
    for (text, printed) in [
        ("masa.example", "masa.example:443"),
        ("masa.example:9443", "masa.example:9443"),
        ("192.0.2.1:8443", "192.0.2.1:8443"),
        ("[2001:db8::1]", "[2001:db8::1]:443"),
        ("[fe80::1%3]:8443", "[fe80::1%3]:8443"),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), printed);
    }
    for text in ["", ":443", "masa.example:", "masa.example:port", "masa.example:70000", "a b"] {
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_pool_uses_connections_again() {
    let mut server = Running::echo(Limits::default()).await;
    let pool = Pool::new(ClientLimits::default());
    for _ in 0..5 {
        pool.send(&server.endpoint(), None, Request::get("/")).await.unwrap();
    }
    server.end().await;
    assert_eq!(server.count(Seen::Connection), 1);
}

#[tokio::test]
async fn a_pool_opens_as_many_connections_as_there_are_requests_at_once() {
    let server = Running::echo(Limits::default()).await;
    let (pool, endpoint) = (Pool::new(ClientLimits::default()), server.endpoint());
    let send = || pool.send(&endpoint, None, Request::get("/"));
    let (a, b, c) = tokio::join!(send(), send(), send());
    assert!([a, b, c].iter().all(Result::is_ok));
    assert!((1..=3).contains(&server.count(Seen::Connection)));
}

#[tokio::test]
async fn a_pool_does_not_stumble_over_connections_that_were_closed() {
    let server = Running::start(None, Limits { requests: 1, ..Limits::default() }, echo).await;
    let pool = Pool::new(ClientLimits::default());
    for _ in 0..5 {
        let request = Request::post("/", "a/b", b"once".to_vec());
        assert_eq!(pool.send(&server.endpoint(), None, request).await.unwrap().body, b"once");
    }
    assert_eq!(server.count(Seen::Connection), 5);
}
