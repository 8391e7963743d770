//! OpenSSL and Python as clients of our server.

use super::support::{Running, tls, who};
use landfall_net::http::Limits;
use landfall_net::tls::{ClientAuth, ServerTls};
use landfall_pki::pem;
use landfall_testkit::{Domain, Identity, Manufacturer, openssl, temp_dir, tool};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

async fn server() -> Running {
    let server = ServerTls::new(&tls(&Domain::new().registrar), ClientAuth::Optional).unwrap();
    Running::start(Some(server), Limits::default(), who).await
}

fn write(dir: &Path, identity: &Identity) {
    let chain: String = identity.chain().iter().map(|certificate| certificate.to_pem()).collect();
    fs::write(dir.join("chain.pem"), chain).unwrap();
    fs::write(dir.join("key.pem"), pem::encode("PRIVATE KEY", identity.key.to_pkcs8_der().expose())).unwrap();
}

/// Runs a program with `input`, and returns all that it prints.
async fn run(program: &Path, dir: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
    String::from_utf8_lossy(&printed).into_owned()
}

fn field<'a>(printed: &'a str, name: &str) -> &'a str {
    let (_, rest) = printed.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {printed}"));
    rest.split(';').next().unwrap()
}

const PYTHON: &str = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.load_cert_chain('chain.pem', 'key.pem')
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[2])
if sys.argv[3]:
    context.set_ciphers(sys.argv[3])
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as tcp:
    with context.wrap_socket(tcp) as tls:
        unique = tls.get_channel_binding('tls-unique')
        print('theirs=%s;' % (unique.hex() if tls.version() == 'TLSv1.2' else ''))
        tls.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
        while data := tls.recv(4096):
            sys.stdout.write(data.decode())
";

#[tokio::test]
async fn python_computes_the_same_tls_unique() {
    let Some(python) = tool("python3") else { return };
    let (dir, manufacturer, server) = (temp_dir(), Manufacturer::new(), server().await);
    write(dir.path(), &manufacturer.device("SN-1"));
    let port = server.address.port().to_string();
    // The hash of tls-unique is that of the cipher suite.
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        let printed = run(&python, dir.path(), &["-c", PYTHON, &port, "TLSv1_2", suite], "").await;
        assert_eq!(field(&printed, "unique").len(), 24);
        assert_eq!(field(&printed, "unique"), field(&printed, "theirs"), "{suite}");
        assert!(!field(&printed, "exporter").is_empty());
    }
    let printed = run(&python, dir.path(), &["-c", PYTHON, &port, "TLSv1_3", ""], "").await;
    assert_eq!(field(&printed, "unique"), "");
    assert!(field(&printed, "chain").starts_with("Test Model,"));
}

/// Keys that real IDevIDs have and that Landfall verifies, though it does not make them all.
#[tokio::test]
async fn openssl_connects_with_every_kind_of_key_and_version() {
    let Some(openssl) = openssl() else { return };
    let (dir, server) = (temp_dir(), server().await);
    let address = server.address.to_string();
    for new_key in ["rsa:2048", "rsa:4096", "ec:P-256", "ec:P-384", "ec:P-521", "ed25519"] {
        let mut request = vec!["req", "-x509", "-nodes", "-keyout", "key.pem", "-out", "chain.pem"];
        request.extend(["-subj", "/CN=openssl", "-days", "2900000"]);
        let curve;
        match new_key.split_once(':') {
            Some(("ec", name)) => {
                curve = format!("ec_paramgen_curve:{name}");
                request.extend(["-newkey", "ec", "-pkeyopt", &curve]);
            }
            _ => request.extend(["-newkey", new_key]),
        }
        run(&openssl, dir.path(), &request, "").await;
        for version in ["-tls1_2", "-tls1_3"] {
            let arguments =
                ["s_client", "-connect", &address, version, "-cert", "chain.pem", "-key", "key.pem", "-ign_eof"];
            let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let printed = run(&openssl, dir.path(), &arguments, get).await;
            assert_eq!(field(&printed, "chain"), "openssl", "{new_key} {version}");
        }
    }
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let Some(openssl) = openssl() else { return };
    let (dir, server) = (temp_dir(), server().await);
    let address = server.address.to_string();
    let printed = run(&openssl, dir.path(), &["s_client", "-connect", &address, "-tls1_2", "-reconnect"], "").await;
    assert_eq!(printed.matches("\nNew, TLSv1.2").count(), 6, "{printed}");
    assert!(!printed.contains("\nReused, "));
    let arguments = ["s_client", "-connect", &address, "-tls1_3", "-ign_eof"];
    let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let printed = run(&openssl, dir.path(), &arguments, get).await;
    assert!(!printed.contains("New Session Ticket"), "{printed}");
}
