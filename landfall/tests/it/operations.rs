//! What the program promises those who operate it.

use crate::{
    ground::{Ground, Role, bundles, entries, fixed_ports, name},
    landfall,
};
use landfall_element::{KeySource, SecureElement, SoftwareElement};
use landfall_net::tls::{ClientTls, TlsIdentity};
use landfall_pki::{Anchors, Certificate, pem};
use landfall_server::admin::{Address, Client, ClientError};
use landfall_testkit::Running;
use landfall_types::{KeyUri, bundle::DeviceBundle};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A network in operation, with one device in it.
struct InOperation {
    ground: Ground,
    masa: Running,
    registrar: Running,
    device: PathBuf,
}

impl InOperation {
    fn begin(ground: Ground) -> Self {
        let (masa, registrar) = (ground.serve(Role::Masa), ground.serve(Role::Registrar));
        let device = ground.devices().remove(0);
        let output = ground.device_command(&device, &["onboard", "--attempts", "1"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { ground, masa, registrar, device }
    }

    fn end(mut self) -> Ground {
        for server in [&mut self.registrar, &mut self.masa] {
            server.signal("TERM");
            assert!(server.wait().success());
        }
        self.ground
    }
}

/// A request whose head the registrar has, and which waits for its body.
async fn half_a_request(ground: &Ground) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + use<> {
    let stream = tokio::net::TcpStream::connect(ground.address(Role::Registrar)).await.unwrap();
    let tls = ClientTls::provisional(None).unwrap();
    let (mut stream, _) = tls.connect(stream, "localhost".try_into().unwrap()).await.unwrap();
    let head = "POST /.well-known/brski/requestvoucher HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
                content-type: application/voucher-cms+json\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut line = [0; 25];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&line), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Returns once nobody listens there any more.
fn until_closed(address: &str) {
    while TcpStream::connect(address).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_what_is_under_way_finish() {
    let ground = Ground::lay(1);
    let mut registrar = ground.serve(Role::Registrar);
    let mut request = half_a_request(&ground).await;
    registrar.signal("TERM");
    until_closed(&ground.address(Role::Registrar));
    request.write_all(b"what").await.unwrap();
    request.flush().await.unwrap();
    let mut answer = Vec::new();
    request.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 40"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(registrar.wait().code(), Some(0));

    // Asked a second time, it does not wait.
    let mut registrar = ground.serve(Role::Registrar);
    let _request = half_a_request(&ground).await;
    registrar.signal("TERM");
    until_closed(&ground.address(Role::Registrar));
    registrar.signal("TERM");
    assert_eq!(registrar.wait().code(), Some(2));
}

#[test]
fn a_store_has_one_server() {
    let ground = Ground::lay(1);
    let first = ground.serve(Role::Registrar);
    let second = landfall(&ground.of(Role::Registrar), &["run", "registrar"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(said.contains(&format!("is in use by process {}", first.id())), "{said}");
    assert!(said.contains("stop it first, or talk to it through its admin API"), "{said}");
}

#[test]
fn machines_that_watch_are_answered() {
    let ground = Ground::lay(1);
    let watched = format!("127.0.0.1:{}", fixed_ports()[0]);
    ground.change(Role::Registrar, "listen = \"\"", &format!("listen = {watched:?}"), "");
    let running = InOperation::begin(ground);
    assert_eq!(asked(&watched, "/healthz"), (200, "ok\n".into()));
    assert_eq!(asked(&watched, "/readyz"), (200, "ready\n".into()));
    assert_eq!(asked(&watched, "/nowhere").0, 404);
    let (status, metrics) = asked(&watched, "/metrics");
    assert_eq!(status, 200);
    let counted = metrics.lines().filter(|line| line.starts_with("landfall_exchanges_total{"));
    let joined = counted.filter(|line| line.contains("voucher-passed-on") && line.ends_with(" 1"));
    assert_eq!(joined.count(), 1, "{metrics}");
    assert!(metrics.contains("landfall_masa_up{vendor=\"maker\"} 1"), "{metrics}");
    running.end();
    assert!(TcpStream::connect(&watched).is_err());
}

/// The status and the body of an answer over plain HTTP.
fn asked(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_door_is_for_operators() {
    let ground = Ground::lay(1);
    let door = format!("localhost:{}", fixed_ports()[0]);
    let table = format!(
        "[admin]\nlisten = {:?}\nidentity = {{ certificate = \"domain/admin.pem\" }}\n\
         operator-anchors = \"domain/operators.pem\"\n",
        door.replace("localhost", "127.0.0.1")
    );
    ground.change(Role::Registrar, "", "", &table);
    ground.does(Role::Registrar, &["network", "operator", "ada"]);
    let running = InOperation::begin(ground);
    let ground = &running.ground;
    let socket = ground.data(Role::Registrar).join("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    // From a folder that has no settings, with the operator's certificate.
    let (home, elsewhere) = (ground.of(Role::Registrar), tempfile::tempdir().unwrap());
    let root = home.join("data/domain/root.pem");
    let ask = |operator: &Path| {
        let files = ["--operator", operator.to_str().unwrap(), "--admin-anchor", root.to_str().unwrap()];
        landfall(elsewhere.path(), &[["network", "status", "--json", "--admin", &door].as_slice(), &files].concat())
    };
    let output = ask(&home.join("ada.pem"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(parsed(&output.stdout)["roles"][0]["role"], "registrar");

    // With the certificate that the domain gave a device.
    let state = ground.state(&name(&running.device));
    let kept = parsed(&fs::read(state.join("credential.json")).unwrap());
    let element = SoftwareElement::open(&state.join("keys"), KeySource::KeyFile(state.join("keys.key"))).unwrap();
    let key: KeyUri = kept["key"].as_str().unwrap().parse().unwrap();
    let certificates = |name: &str| Certificate::chain_from_pem(kept[name].as_str().unwrap()).unwrap();
    let chain = [certificates("ldevid"), certificates("chain")].concat();
    let ldevid = TlsIdentity { chain, signer: element.signer(&key).unwrap() };
    let anchors = Anchors::of(Certificate::chain_from_pem(&fs::read_to_string(&root).unwrap()).unwrap());
    let tls = ClientTls::named(anchors, Some(&ldevid)).unwrap();
    let client = Client::new(Address::Remote { authority: door.clone(), tls });
    let refused = client.get::<Value>("/v1/status").await.unwrap_err();
    assert!(matches!(refused, ClientError::Away { .. }), "{refused}");

    let ground = running.end();
    assert!(!socket.exists(), "the socket is left over");
    let log = fs::read_to_string(ground.log(Role::Registrar)).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "the log is not JSON");
    assert!(log.contains("an admin connection was refused"));
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|why| panic!("{why}: {:?}", String::from_utf8_lossy(json)))
}

#[test]
fn programs_are_answered_in_json_and_pipes_may_close() {
    let running = InOperation::begin(Ground::lay(2));
    let (ground, device) = (&running.ground, &running.device);
    let (serial, idevid) = (name(device), ground.data(Role::Masa).join("manufacturer/issuing.pem"));
    let (idevid, other) = (idevid.to_str().unwrap(), ground.devices()[1].clone());
    let (masa, network) = (ground.of(Role::Masa), ground.of(Role::Registrar));
    let commands: [(&Path, &[&str]); 23] = [
        (&masa, &["factory", "status"]),
        (&masa, &["factory", "provision", "--count", "1"]),
        (&masa, &["factory", "resume"]),
        (&masa, &["factory", "publish"]),
        (&masa, &["transfer", "customer"]),
        (&masa, &["transfer", "list"]),
        (&masa, &["transfer", "log"]),
        (&masa, &["transfer", "log", "--verify"]),
        (&masa, &["config", "check"]),
        (&network, &["network", "status"]),
        (&network, &["network", "devices"]),
        (&network, &["network", "show", &serial]),
        (&network, &["network", "certificates"]),
        (&network, &["network", "prefetch"]),
        (&network, &["network", "audit"]),
        (&network, &["network", "audit", "--verify"]),
        (&network, &["network", "policy"]),
        (&network, &["network", "crl"]),
        (&network, &["network", "operator", "bob"]),
        (&network, &["config", "check"]),
        (&network, &["config", "init", "another.toml"]),
        (&network, &["inspect", idevid]),
        (&network, &["inspect", "crl.der"]),
    ];
    for (folder, arguments) in commands {
        let output = landfall(folder, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        parsed(&output.stdout);
    }
    let status = ground.device_command(device, &["status", "--json"]).output().unwrap();
    assert_eq!((status.status.code(), &parsed(&status.stdout)["valid"]), (Some(0), &Value::Bool(true)));

    // No, and could not.
    let (unsold, nobody) = (["transfer", "resale", "SN-9"].as_slice(), ["network", "show", "nobody"].as_slice());
    let failures: [(&Path, &[&str], i32); 6] = [
        (&network, nobody, 1),
        (&network, &["network", "approve", &serial], 1),
        (&masa, unsold, 1),
        (&masa, &["network", "devices"], 2),
        (&network, &["inspect", "nothing.pem"], 2),
        (&network, &["network", "status", "--admin", "nowhere.sock"], 2),
    ];
    for (folder, arguments, code) in failures {
        let output = landfall(folder, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let said = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        parsed(said);
    }
    let no = ground.device_command(&other, &["status", "--json"]).output().unwrap();
    assert_eq!((no.status.code(), &parsed(&no.stdout)["valid"]), (Some(1), &Value::Bool(false)));

    // Nobody reads, as after `landfall … | head -1`.
    let others: [(&Path, &[&str]); 6] = [
        (&masa, &["factory", "export"]),
        (&network, &["network", "crl", "--out", "-"]),
        (&network, &["config", "init", "-"]),
        (&network, &["completions", "bash"]),
        (&network, &["--help"]),
        (&network, &["network", "devices", "--json"]),
    ];
    let shown =
        commands.iter().copied().filter(|(_, arguments)| !arguments.contains(&"init") && !arguments.contains(&"bob"));
    for (folder, arguments) in shown.chain(others) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        is_quiet(command.args(arguments).current_dir(folder));
    }
    is_quiet(&mut ground.device_command(device, &["status"]));
    running.end();
}

/// Whether the program ends well, and says nothing, when nobody reads what it writes.
fn is_quiet(command: &mut Command) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let Output { status, stderr, .. } = command.stdout(writer).output().unwrap();
    assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(0), ""), "{command:?}");
}

#[test]
fn bad_files_are_found_before_a_server_runs() {
    let ground = Ground::lay(1);
    let (network, domain) = (ground.of(Role::Registrar), ground.data(Role::Registrar).join("domain"));
    let found = || {
        let output = landfall(&network, &["config", "check", "--json"]);
        let problems = parsed(&output.stdout)["problems"].as_array().unwrap().clone();
        let keys: Vec<String> = problems.iter().map(|problem| problem["key"].as_str().unwrap().to_owned()).collect();
        assert_eq!(output.status.code(), Some(i32::from(!keys.is_empty())));
        keys
    };
    assert_eq!(found(), [""; 0]);
    let with = |file: &str, content: &[u8]| {
        let path = domain.join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let keys = found();
        let started = landfall(&network, &["run"]);
        assert_eq!(started.status.code(), Some(2), "a server runs with a bad {file}");
        fs::write(&path, good).unwrap();
        keys
    };
    let registrar = fs::read(domain.join("registrar.pem")).unwrap();
    assert_eq!(with("registrar.pem", b""), ["registrar.identity"]);
    assert_eq!(with("registrar.pem", b"not PEM"), ["registrar.identity"]);
    assert_eq!(with("registrar.key-uri", b"software:nobody"), ["registrar.identity"]);
    // The registrar's certificate with the CA's key.
    assert_eq!(with("issuing.pem", &registrar), ["registrar.authority"]);
    assert_eq!(found(), [""; 0]);
}

#[test]
fn private_keys_stay_where_they_belong() {
    let ground = Ground::lay(3);
    for role in [Role::Masa, Role::Registrar] {
        ground.change(role, "level = \"debug\"", "level = \"trace\"", "");
    }
    let running = InOperation::begin(ground);
    for device in running.ground.devices() {
        let output = running.ground.device_command(&device, &["onboard", "--attempts", "1"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let ground = running.end();
    let folder = ground.data(Role::Masa).join("bundles");
    let secrets: Vec<Secret> = bundles(&folder).iter().map(|bundle| Secret::of(bundle)).collect();
    for (bundle, secret) in bundles(&folder).iter().zip(&secrets) {
        assert!(secret.is_in(&fs::read(bundle).unwrap()), "the search itself does not work");
    }
    let mut searched = BTreeSet::new();
    for path in files(&ground.of(Role::Masa).join("..")) {
        if path.components().any(|part| part.as_os_str() == "bundles") {
            continue;
        }
        let content = fs::read(&path).unwrap();
        assert!(!contains(&content, b"PRIVATE KEY"), "{} holds a private key", path.display());
        assert!(!secrets.iter().any(|secret| secret.is_in(&content)), "{} holds a device's key", path.display());
        searched.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in ["log", "landfall.db", "factory.db", "birth.json", "idevid.key", "registrar.key-uri"] {
        assert!(searched.contains(name), "no {name} was searched");
    }
}

/// The private key of a device, in the forms in which it could be written down.
struct Secret(Vec<Vec<u8>>);

impl Secret {
    fn of(bundle: &Path) -> Self {
        let bundle: DeviceBundle = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
        let armoured = bundle.key.unwrap().0.expose().clone();
        let der = pem::decode(&armoured).unwrap().remove(0).der;
        // RFC 5915 s3: the version 1, then the private key as an octet string.
        let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = der.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
        let scalar = &der[at..at + 32];
        let list: Vec<String> = scalar.iter().take(8).map(ToString::to_string).collect();
        let line = armoured.lines().nth(1).unwrap().as_bytes()[40..].to_vec();
        let hex = hex::encode(scalar);
        Self(vec![scalar.into(), hex.to_uppercase().into(), hex.into(), list.join(", ").into(), line])
    }

    fn is_in(&self, content: &[u8]) -> bool {
        self.0.iter().any(|form| contains(content, form))
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// Every file below `folder`; sockets are none.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries(folder).into_iter().flat_map(below).filter(|path| path.is_file()).collect()
}
