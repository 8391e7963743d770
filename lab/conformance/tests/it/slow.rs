//! Clients that are slow on purpose.

use super::lab::Setup;
use landfall_net::tls::ClientTls;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Sends `text` and no more, and gives what came back before the server closed.
async fn send(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    // The server may close while we write.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn send_in_tls(address: SocketAddr, text: &str) -> String {
    let tls = ClientTls::provisional(None).unwrap();
    let transport = TcpStream::connect(address).await.unwrap();
    let mut stream = tls.connect(transport, "localhost".try_into().unwrap()).await.unwrap().0;
    send(&mut stream, text).await
}

/// What a listener bears is configured; here it is little, so that nobody has to wait for long. Each of these clients
/// waits for the server to close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut() {
    let mut setup = Setup::new();
    for limits in [&mut setup.registrar.limits, &mut setup.masa.limits] {
        limits.handshake = Duration::from_secs(1);
        limits.head = Duration::from_secs(1);
        limits.request = Duration::from_secs(1);
    }
    let lab = setup.start().await;
    for address in [lab.registrar, lab.masa] {
        let silent = async { send(&mut TcpStream::connect(address).await.unwrap(), "").await };
        let head = "POST /.well-known/brski/requestvoucher HTTP/1.1\r\nHost: x\r\n";
        let half_a_head = format!("{head}X: ");
        let half_a_body = format!("{head}Content-Length: 1000\r\n\r\nMII");
        let (silent, half_a_head, half_a_body) =
            tokio::join!(silent, send_in_tls(address, &half_a_head), send_in_tls(address, &half_a_body));
        assert_eq!(silent, "");
        assert!(half_a_head.is_empty() || half_a_head.starts_with("HTTP/1.1 408"), "{half_a_head}");
        assert!(half_a_body.starts_with("HTTP/1.1 408"), "{half_a_body}");
    }
}
