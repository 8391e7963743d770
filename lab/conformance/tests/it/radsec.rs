//! RADIUS over TLS (RFC 6614): radsecproxy as an access point's side of it, and those who are nobody's.

use super::{
    access::{Gate, SECRET},
    freeradius::access_point,
};
use landfall_eap::radius::{Attributes, Code, Packet, Secret};
use landfall_net::tls::{ClientTls, TlsIdentity};
use landfall_pki::Name;
use landfall_server::access::Client;
use landfall_testkit::{Domain, Identity, Running, free_port, tool};
use landfall_types::Redacted;
use std::{process::Command, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn radsecproxy_brings_devices_over_tls() {
    let Some(program) = tool("radsecproxy") else { return };
    let Some(gate) = Gate::with(Client::over_tls("proxy", "proxy.example")).await else { return };
    access_point(&gate, &gate.case.lab.domain, "proxy", "proxy.example");
    let (port, folder) = (free_port(), &gate.case.lab.folder);
    let file = |name: &str| folder.path(name).display().to_string();
    let settings = format!(
        "ListenUDP 127.0.0.1:{port}\nLogLevel 2\ntls default {{\nCACertificateFile {}\nCertificateFile {}\n\
         CertificateKeyFile {}\n}}\nclient 127.0.0.1 {{\ntype udp\nsecret {SECRET}\n}}\n\
         server ours {{\nhost 127.0.0.1\nport {}\ntype tls\nsecret radsec\nstatusServer on\ncertificateNameCheck off\n}}\n\
         realm * {{\nserver ours\n}}\n",
        file("domain.pem"),
        file("proxy.pem"),
        file("proxy.key"),
        gate.access.radsec().unwrap().port(),
    );
    folder.put("radsecproxy.conf", settings);
    let script = format!("exec {} -f -c {} 2>&1", program.display(), file("radsecproxy.conf"));
    let mut proxy = Running::start(Command::new("sh").args(["-c", &script]));
    tokio::task::block_in_place(|| proxy.until(" up"));
    let (inside, text) = gate.knock_at(port, "localhost", "ldevid", SECRET, "").await;
    assert!(inside, "{text}");
    assert!(text.contains("MPPE keys OK: 1  mismatch: 0"), "{text}");
    gate.is_revoked().await;
    assert!(!gate.knock_at(port, "localhost", "ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
}

/// A sign of life (RFC 5997), with the secret of all (RFC 6614 s2.3).
fn alive(secret: &Secret) -> Vec<u8> {
    let attributes = Attributes::default();
    Packet { code: Code::StatusServer, identifier: 1, authenticator: [7; 16], attributes }.seal_request(secret)
}

/// Whether whoever has that identity gets an answer to `bytes`; false once the connection is shut.
async fn answered(gate: &Gate, identity: Option<&Identity>, bytes: &[u8]) -> bool {
    let identity = identity.map(|who| TlsIdentity { chain: who.chain(), signer: who.signer() });
    let tls = ClientTls::provisional(identity.as_ref()).unwrap();
    let stream = TcpStream::connect(gate.access.radsec().unwrap()).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let Ok((mut stream, _)) = tls.connect(stream, name).await else { return false };
    let exchange = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        let mut beginning = [0; 20];
        stream.read_exact(&mut beginning).await.map(|_| ())
    };
    tokio::time::timeout(LIMIT, exchange).await.expect("an answer or an end").is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_the_certificate_of_an_access_point_gets_no_answer() {
    let Some(mut gate) = Gate::with(Client::over_tls("proxy", "proxy.example")).await else { return };
    let (domain, foreign) = (gate.case.lab.domain.clone(), Domain::new());
    let proxy = access_point(&gate, &domain, "proxy", "proxy.example");
    let another = access_point(&gate, &domain, "another", "another.example");
    let stranger = access_point(&gate, &foreign, "foreign", "proxy.example");
    let good = alive(&Secret::over_tls());
    assert!(answered(&gate, Some(&proxy), &good).await);
    // What a device of the domain has is no access point's.
    let device = domain.ldevid(Name::common("proxy.example"));
    let others = [
        (None, "no certificate"),
        (Some(&another), "another name"),
        (Some(&stranger), "another CA"),
        (Some(&device), "no name but the subject"),
    ];
    for (who, why) in others {
        assert!(!answered(&gate, who, &good).await, "{why}");
    }
    // A pinned certificate needs to lead nowhere.
    gate.serves(vec![Client::pinned("foreign", stranger.certificate.fingerprint())]).await;
    assert!(answered(&gate, Some(&stranger), &good).await);
    assert!(!answered(&gate, Some(&proxy), &good).await);
}

/// RFC 6613 s2.6.4: the connection is shut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_genuine_or_no_packet_ends_the_connection() {
    let Some(gate) = Gate::with(Client::over_tls("proxy", "proxy.example")).await else { return };
    let proxy = access_point(&gate, &gate.case.lab.domain, "proxy", "proxy.example");
    let good = alive(&Secret::over_tls());
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    assert!(answered(&gate, Some(&proxy), &good).await);
    let bad = [
        (alive(&Secret::new(Redacted::new(b"another".to_vec())).unwrap()), "another secret"),
        (changed(0, 99), "no such code"),
        (changed(0, 2), "an answer"),
        (changed(3, 19), "shorter than a header"),
        (changed(2, 0xff), "longer than a packet"),
        (changed(21, 1), "an attribute without end"),
        (changed(30, good[30] ^ 1), "an altered proof"),
    ];
    for (bytes, why) in bad {
        assert!(!answered(&gate, Some(&proxy), &bytes).await, "{why}");
    }
    // RADIUS without TLS is no handshake.
    let mut stream = TcpStream::connect(gate.access.radsec().unwrap()).await.unwrap();
    stream.write_all(&good).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an end");
    assert_ne!(answer.first(), Some(&(Code::AccessAccept as u8)));
}
