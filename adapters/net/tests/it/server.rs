//! What a server bears, and where it draws the line.

use super::support::{Running, echo};
use landfall_net::http::{ClientLimits, Connection, Limits, Seen, Server};
use landfall_types::http::{Method, Request, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn requests_and_responses_arrive_as_they_were_sent() {
    let server = Running::start(None, Limits::default(), |request, from| async move {
        assert!(from.remote.unwrap().ip().is_loopback() && from.tls.is_none());
        let asked = format!("{:?} {} {:?}", request.method, request.path, request.headers.first("x-asked"));
        Response::with(201, "text/plain", request.body).header("X-Heard", asked)
    })
    .await;
    let mut connection = server.connect().await;
    for body in [vec![], vec![7; 100_000]] {
        let mut request = Request::post("/.well-known/est/simpleenroll?ignored=1", "application/pkcs10", body.clone());
        request.headers.add("X-Asked", "yes");
        let response = connection.send(request).await.unwrap();
        assert_eq!((response.status, response.body), (201, body));
        assert_eq!(response.headers.first("x-heard"), Some("Post /.well-known/est/simpleenroll Some(\"yes\")"));
    }
    assert_eq!(server.count(Seen::Answer(201)), 2);
    assert_eq!(server.count(Seen::Connection), 1);
}

#[tokio::test]
async fn other_methods_reach_the_handler_as_such() {
    let server = Running::start(None, Limits::default(), |request, _| async move {
        Response::new(match request.method {
            Method::Other => 405,
            Method::Patch => 204,
            Method::Get | Method::Post => 200,
        })
    })
    .await;
    for (method, status) in [("DELETE", 405), ("PATCH", 204), ("POST", 200)] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method}: {answer}");
    }
}

#[tokio::test]
async fn huge_bodies_are_refused_whether_announced_or_not() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let server = Running::echo(limits).await;
    let fits = server.connect().await.send(Request::post("/", "a/b", vec![1; 1000])).await.unwrap();
    assert_eq!(fits.body.len(), 1000);
    // Long enough that the server closes with some of it unread: the answer must come through all the same.
    for length in [1001, 500_000] {
        let refused = server.connect().await.send(Request::post("/", "a/b", vec![1; length])).await.unwrap();
        assert_eq!(refused.status, 413);
        assert_eq!(refused.headers.first("connection"), Some("close"));
    }
    let chunk = "400\r\n".to_owned() + &"x".repeat(0x400) + "\r\n0\r\n\r\n";
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
    assert!(server.raw(request.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(server.count(Seen::Answer(413)), 3);
}

#[tokio::test]
async fn a_head_that_drips_is_cut() {
    let mut server = Running::echo(Limits { head: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x')) {
            tokio::time::sleep(SHORT / 20).await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        // The server may reset the connection, for there are bytes on their way that it does not read any more.
        _end = read.read_to_end(&mut answer) => {}
    }
    server.end().await;
    assert_eq!(server.count(Seen::Cut), 1);
    assert!(answer.is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Running::echo(Limits { head: SHORT, ..Limits::default() }).await;
    assert_eq!(server.raw(b"").await, "");
    assert!(server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let server = Running::echo(Limits { request: SHORT, ..Limits::default() }).await;
    let answer = server.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").await;
    assert!(answer.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_handler_that_does_not_end_is_answered_for() {
    let limits = Limits { request: SHORT, ..Limits::default() };
    let server = Running::start(None, limits, |_, _| std::future::pending()).await;
    assert_eq!(server.connect().await.send(Request::get("/")).await.unwrap().status, 503);
}

#[tokio::test]
async fn a_head_too_long_is_refused() {
    let server = Running::echo(Limits::default()).await;
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    assert!(server.raw(head.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let mut server = Running::echo(Limits::default()).await;
    assert!(server.raw(b"\x16\x03\x01\x00\xa5 this is TLS\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    server.end().await;
    assert_eq!(server.count(Seen::Cut), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = Limits { stall: SHORT, ..Limits::default() };
    let large = Arc::new(vec![0; 64 * 1024 * 1024]);
    let begun = Arc::new(Semaphore::new(0));
    let gate = begun.clone();
    let mut server = Running::start(None, limits, move |_, _| {
        gate.add_permits(1);
        let large = large.to_vec();
        async move { Response::with(200, "a/b", large) }
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    begun.acquire().await.unwrap().forget();
    server.end().await;
    assert_eq!(server.count(Seen::Cut), 1);
    drop(stream);
}

#[tokio::test]
async fn a_connection_carries_only_so_many_requests() {
    let server = Running::echo(Limits { requests: 2, ..Limits::default() }).await;
    let mut connection = server.connect().await;
    assert_eq!(connection.send(Request::get("/")).await.unwrap().headers.first("connection"), None);
    assert_eq!(connection.send(Request::get("/")).await.unwrap().headers.first("connection"), Some("close"));
    assert!(connection.send(Request::get("/")).await.is_err());
}

#[tokio::test]
async fn one_connection_more_waits_for_a_place() {
    let server = Running::echo(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.send(Request::get("/")).await.unwrap();
    let mut second = server.connect().await;
    let waiting = tokio::spawn(async move { second.send(Request::get("/")).await.unwrap().status });
    first.send(Request::get("/")).await.unwrap();
    assert_eq!((server.count(Seen::Connection), server.count(Seen::Full)), (1, 1));
    drop(first);
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn a_handler_that_panics_takes_its_connection_only() {
    let server = Running::start(None, Limits::default(), |request, from| async move {
        assert_ne!(request.path, "/panic", "as the test wants it");
        echo(request, from).await
    })
    .await;
    assert!(server.connect().await.send(Request::get("/panic")).await.is_err());
    assert_eq!(server.connect().await.send(Request::get("/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn responses_that_http_cannot_carry_become_500() {
    for bad in [Response::new(7), Response::new(200).header("x", "a\r\nb: c"), Response::new(200).header("a b", "")] {
        let server = Running::start(None, Limits::default(), move |_, _| std::future::ready(bad.clone())).await;
        assert_eq!(server.connect().await.send(Request::get("/")).await.unwrap().status, 500);
    }
}

#[tokio::test]
async fn stopping_lets_requests_under_way_end() {
    let (begun, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gates = (begun.clone(), may_end.clone());
    let mut server = Running::start(None, Limits::default(), move |_, _| {
        let (begun, may_end) = gates.clone();
        async move {
            begun.add_permits(1);
            may_end.acquire().await.unwrap().forget();
            Response::new(200)
        }
    })
    .await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut connection = server.connect().await;
    let under_way = tokio::spawn(async move {
        let status = connection.send(Request::get("/")).await.unwrap().status;
        (status, connection.send(Request::get("/")).await.is_err())
    });
    begun.acquire().await.unwrap().forget();
    server.stop.send(true).unwrap();
    // Idle connections end at once, those under way after their request, and nobody new is let in.
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    may_end.add_permits(2);
    assert_eq!(under_way.await.unwrap(), (200, true));
    (&mut server.ended).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let begun = Arc::new(Semaphore::new(0));
    let gate = begun.clone();
    let limits = Limits { drain: SHORT, ..Limits::default() };
    let mut server = Running::start(None, limits, move |_, _| {
        gate.add_permits(1);
        std::future::pending()
    })
    .await;
    let mut connection = server.connect().await;
    let under_way = tokio::spawn(async move { connection.send(Request::get("/")).await });
    begun.acquire().await.unwrap().forget();
    server.end().await;
    assert!(under_way.await.unwrap().is_err());
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let dir = landfall_testkit::temp_dir();
    let path = dir.path().join("admin.sock");
    let (stop, stopped) = watch::channel(false);
    let server = Server::new(UnixListener::bind(&path).unwrap());
    let ended = tokio::spawn(server.run(
        |request, from| {
            assert!(from.remote.is_none());
            echo(request, from)
        },
        stopped,
    ));
    let mut connection = Connection::unix(&path, ClientLimits::default()).await.unwrap();
    let response = connection.send(Request::post("/", "a/b", b"over a file".to_vec())).await.unwrap();
    assert_eq!(response.body, b"over a file");
    stop.send(true).unwrap();
    ended.await.unwrap();
}
