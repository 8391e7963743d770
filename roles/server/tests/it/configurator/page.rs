//! The page by which an operator's browser takes devices into the book.

use super::{device::Device, ground::Ground};
use landfall_lifecycle::transfer::Bootstrapping;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// What a browser says and hears.
async fn browser(ground: &Ground, request: &str, site: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(ground.admin_socket()).await.unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: gateway\r\nSec-Fetch-Site: {site}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_a_device_into_the_book_by_its_code() {
    let ground = Ground::new().await;
    let page = browser(&ground, "GET /", "none", "").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none';") && page.contains("nosniff"), "{page}");
    for (part, kind) in [("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        assert!(page.contains(&format!("\"{part}\"")), "the page has {part}");
        let answer = browser(&ground, &format!("GET {part}"), "same-origin", "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(kind), "{answer}");
    }
    // What its script says, and what another site's page would have the operator's browser say.
    let device = Device::new(1);
    let entry = json!({ "dppUri": device.uri().to_string(), "serialNumber": device.serial });
    let body = json!({ "via": "qr", "devices": [entry] }).to_string();
    for site in ["cross-site", "same-site"] {
        let refused = browser(&ground, "POST /v1/transfer/devices", site, &body).await;
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    }
    assert!(ground.store.scan::<Bootstrapping>(None, 10).unwrap().is_empty());
    let taken = browser(&ground, "POST /v1/transfer/devices", "same-origin", &body).await;
    assert!(taken.starts_with("HTTP/1.1 200"), "{taken}");
    assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
    ground.stop().await;
}
