//! Clients that are slow on purpose.

use super::lab::Lab;
use landfall_net::tls::ClientTls;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Sends `text` to the end of its patience, and gives what came back before the server closed.
async fn drip(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    // The server may close while we write.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn tls(address: SocketAddr) -> impl AsyncRead + AsyncWrite + Unpin {
    let tls = ClientTls::provisional(None).unwrap();
    let transport = TcpStream::connect(address).await.unwrap();
    tls.connect(transport, "localhost".try_into().unwrap()).await.unwrap().0
}

/// The registrar of `lab`, whose limits are short, waits for none of these: each of them ends by the server's closing.
pub(super) async fn is_cut(lab: &Lab) {
    let mut silent = TcpStream::connect(lab.registrar).await.unwrap();
    assert_eq!(drip(&mut silent, "").await, "", "no handshake");
    let mut head = tls(lab.registrar).await;
    let answer = drip(&mut head, "POST /.well-known/brski/requestvoucher HTTP/1.1\r\nHost: x\r\nX: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "half a head: {answer}");
    let mut body = tls(lab.registrar).await;
    let post = "POST /.well-known/brski/requestvoucher HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nMII";
    let answer = drip(&mut body, post).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "a few bytes of a body: {answer}");
}
