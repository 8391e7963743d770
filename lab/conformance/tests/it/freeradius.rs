//! Debian's freeradius: as a server that asks ours, and as a proxy before it.

use super::access::{Gate, LIMIT, SECRET, SESSION};
use landfall_eap::radius::{Code, Packet};
use landfall_pki::{AltName, Certificate, CertificateSerial, Name, SoftwareKey, Validity, pem, profile};
use landfall_server::access::{
    ACCOUNTING_LOG, AUTHORIZE_PATH, Client,
    freeradius::{self, FreeRadius as FreeRadiusSettings},
};
use landfall_testkit::{Domain, Identity, Running, current_test, free_port, skip, temp_dir, tool};
use landfall_types::{Redacted, Time};
use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};
use tempfile::TempDir;

/// One that runs, until dropped.
pub(super) struct FreeRadius {
    _running: Running,
    _folder: TempDir,
}

impl FreeRadius {
    /// With these settings behind what every one of them has.
    pub(super) fn start(settings: &str) -> Option<Self> {
        tool("freeradius")?;
        let folder = temp_dir();
        let path = folder.path().display();
        let base = format!(
            "prefix = /usr\nlocalstatedir = {path}\nname = test\nlogdir = {path}\nrun_dir = {path}\n\
             libdir = /usr/lib/freeradius\nsecurity {{\nallow_core_dumps = no\n}}\nthread pool {{\nstart_servers = 2\n\
             max_servers = 4\nmin_spare_servers = 1\nmax_spare_servers = 2\nmax_requests_per_server = 0\n}}\n"
        );
        fs::write(folder.path().join("radiusd.conf"), format!("{base}{settings}")).unwrap();
        Self::over(folder)
    }

    /// With the settings in that folder.
    fn over(folder: TempDir) -> Option<Self> {
        let program = tool("freeradius")?;
        fs::write(folder.path().join("dictionary"), "$INCLUDE /usr/share/freeradius/dictionary\n").unwrap();
        let mut command = Command::new(program);
        let mut running = Running::start(command.args(["-f", "-l", "stdout", "-d"]).arg(folder.path()));
        tokio::task::block_in_place(|| running.until("Ready to process requests"));
        Some(Self { _running: running, _folder: folder })
    }
}

/// Writes `NAME.pem` and `NAME.key`: the certificate of an access point of the domain, with that DNS name.
pub(super) fn access_point(gate: &Gate, domain: &Domain, file: &str, dns_name: &str) -> Identity {
    let key = Arc::new(SoftwareKey::generate(landfall_pki::Algorithm::EcdsaP256).unwrap());
    let subject = Name::common(dns_name);
    let profile = profile::Ldevid {
        subject,
        alt_names: vec![AltName::Dns(dns_name.into())],
        purposes: Vec::new(),
        crl_url: None,
    };
    let validity = Validity::lasting(Time::now() - Duration::from_secs(60), Duration::from_secs(86_400));
    let identity = domain
        .issuing
        .certify(key, |issuer, key| profile.prepare(issuer, key, CertificateSerial::random().unwrap(), validity));
    gate.case.lab.folder.put_identity(file, &identity);
    identity
}

/// The same in that folder, as `server.pem` and `server.key`, for a server.
fn server(domain: &Domain, dns_name: &str, folder: &Path) {
    let key = Arc::new(SoftwareKey::generate(landfall_pki::Algorithm::EcdsaP256).unwrap());
    let profile = profile::Server { subject: Name::common(dns_name), alt_names: vec![AltName::Dns(dns_name.into())] };
    let validity = Validity::lasting(Time::now() - Duration::from_secs(60), Duration::from_secs(86_400));
    let identity = domain
        .issuing
        .certify(key, |issuer, key| profile.prepare(issuer, key, CertificateSerial::random().unwrap(), validity));
    let chain: String = identity.chain().iter().map(Certificate::to_pem).collect();
    fs::write(folder.join("server.pem"), chain).unwrap();
    fs::write(folder.join("server.key"), pem::encode("PRIVATE KEY", identity.key.to_pkcs8_der().expose())).unwrap();
}

/// A proxy that passes everything on to that home server.
fn proxy(port: u16, home: &str) -> String {
    format!(
        "proxy_requests = yes\nclient us {{\nipaddr = 127.0.0.1\nsecret = \"{SECRET}\"\n\
         require_message_authenticator = yes\n}}\nhome_server ours {{\ntype = auth\nipaddr = 127.0.0.1\n{home}\n}}\n\
         home_server_pool ours {{\nhome_server = ours\n}}\nrealm ours {{\nauth_pool = ours\n}}\nmodules {{\n}}\n\
         server default {{\nlisten {{\ntype = auth\nipaddr = 127.0.0.1\nport = {port}\n}}\n\
         authorize {{\nupdate control {{\nProxy-To-Realm := ours\n}}\n}}\n}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_devices_on_to_our_server() {
    let client = Client::new("test", vec!["127.0.0.1".parse().unwrap()], super::access::secret(), None);
    let Some(gate) = Gate::with(client).await else { return };
    let port = free_port();
    let home = format!("port = {}\nsecret = \"{SECRET}\"", gate.address.port());
    let Some(_proxy) = FreeRadius::start(&proxy(port, &home)) else { return };
    let (inside, text) = gate.knock_at(port, "localhost", "ldevid", SECRET, "").await;
    assert!(inside, "{text}");
    // Keys are hidden anew by each hop.
    assert!(text.contains("MPPE keys OK: 1  mismatch: 0"), "{text}");
    gate.is_revoked().await;
    assert!(!gate.knock_at(port, "localhost", "ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
}

/// What an access point tells a proxy of a session's end comes to us through it (RFC 2866 s2): by Debian's radclient.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_on_what_access_points_tell() {
    let Some(radclient) = tool("radclient") else { return };
    let client = Client::new("test", vec!["127.0.0.1".parse().unwrap()], super::access::secret(), Some(1));
    let Some(gate) = Gate::with(client).await else { return };
    let port = free_port();
    let home = format!("type = acct\nport = {}\nsecret = \"{SECRET}\"", gate.address.port());
    let settings = accounting(port, &home);
    let Some(_proxy) = FreeRadius::start(&settings) else { return };
    let tell = |secret: &str, status: &str, session: &str| {
        let packet = temp_dir();
        let told = format!(
            "Acct-Status-Type = {status}\nAcct-Session-Id = \"{session}\"\nNAS-IP-Address = 127.0.0.1\nUser-Name = \"A-1\"\n\
             Acct-Input-Octets = 4711\nAcct-Output-Octets = 42\n"
        );
        fs::write(packet.path().join("packet"), told).unwrap();
        let mut command = Command::new(&radclient);
        command.args(["-x", "-r", "1", "-t", "5", "-f"]).arg(packet.path().join("packet"));
        let command = command.arg(format!("127.0.0.1:{port}")).args(["acct", secret]);
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        String::from_utf8_lossy(&output.stdout).contains("Received Accounting-Response")
    };
    let told = || gate.case.lab.registrar_world.store.log(ACCOUNTING_LOG, 0, 100).unwrap();
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    assert_eq!(gate.sessions().len(), 1);
    // Of another session, and by who is not the proxy's.
    assert!(tell(SECRET, "Stop", "another"));
    assert!(!tell("another-secret", "Stop", SESSION));
    assert_eq!((gate.sessions().len(), told().len()), (1, 1));
    assert!(tell(SECRET, "Stop", SESSION));
    assert!(gate.sessions().is_empty());
    let entry = told().pop().unwrap().entry;
    assert!(entry.to_string().contains("4711") && entry.to_string().contains("42"), "{entry}");
}

/// A proxy that passes on what is told, and answers when it was answered.
fn accounting(port: u16, home: &str) -> String {
    format!(
        "proxy_requests = yes\nclient us {{\nipaddr = 127.0.0.1\nsecret = \"{SECRET}\"\n}}\n\
         home_server ours {{\nipaddr = 127.0.0.1\n{home}\n}}\nhome_server_pool ours {{\nhome_server = ours\n}}\n\
         realm ours {{\nacct_pool = ours\n}}\nmodules {{\n}}\n\
         server default {{\nlisten {{\ntype = acct\nipaddr = 127.0.0.1\nport = {port}\n}}\n\
         preacct {{\nupdate control {{\nProxy-To-Realm := ours\n}}\n}}\naccounting {{\n}}\n}}\n"
    )
}

/// RFC 6614.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_devices_on_to_our_server_over_tls() {
    let Some(gate) = Gate::with(Client::over_tls("proxy", "proxy.example")).await else { return };
    access_point(&gate, &gate.case.lab.domain, "proxy", "proxy.example");
    let (port, folder) = (free_port(), &gate.case.lab.folder);
    let file = |name: &str| folder.path(name).display().to_string();
    let home = format!(
        "port = {}\nproto = tcp\nsecret = radsec\ntls {{\ncertificate_file = {}\nprivate_key_file = {}\nca_file = {}\n\
         tls_min_version = \"1.2\"\ntls_max_version = \"1.3\"\nfragment_size = 8192\n}}",
        gate.access.radsec().unwrap().port(),
        file("proxy.pem"),
        file("proxy.key"),
        file("domain.pem"),
    );
    let Some(_proxy) = FreeRadius::start(&proxy(port, &home)) else { return };
    for size in [100, 500, 1400] {
        let more = format!("fragment_size={size}");
        let (inside, text) = gate.knock_at(port, "localhost", "ldevid", SECRET, &more).await;
        assert!(inside, "{size}: {text}");
        assert!(text.contains("MPPE keys OK: 1  mismatch: 0"), "{text}");
    }
    gate.is_revoked().await;
    assert!(!gate.knock_at(port, "localhost", "ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
}

/// A large site keeps its RADIUS server, and its devices' records here say who comes in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_asks_our_records_who_may_come_in_and_where() {
    if !Path::new("/usr/lib/freeradius/rlm_rest.so").exists() {
        return skip(&current_test(), "freeradius has no rlm_rest here (Debian: freeradius-rest)");
    }
    let token = freeradius::token().unwrap();
    let asks = Client::with_token("freeradius", Redacted::new(token.expose().clone().into_bytes()));
    let Some(mut gate) = Gate::with(asks.clone()).await else { return };
    // The access point is known here too: it is told to put devices out.
    let nas = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let orders = Some(nas.local_addr().unwrap().port());
    let access_point = Client::new("test", vec!["127.0.0.1".parse().unwrap()], super::access::secret(), orders);
    gate.serves(vec![access_point, asks]).await;

    let (folder, lab) = (temp_dir(), &gate.case.lab);
    let ask = format!("localhost:{}", gate.access.web().unwrap().port());
    let port = free_port();
    let settings =
        FreeRadiusSettings { folder: folder.path().to_str().unwrap(), port, ask: &ask, client: "freeradius", token };
    let put = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    put("radiusd.conf", &settings.radiusd());
    put(
        "clients.conf",
        &format!("client us {{\nipaddr = 127.0.0.1\nsecret = \"{SECRET}\"\nrequire_message_authenticator = yes\n}}\n"),
    );
    server(&lab.domain, "aaa.example", folder.path());
    put("root.pem", &lab.domain.root.authority.certificate.to_pem());
    let Some(server) = FreeRadius::over(folder) else { return };
    for version in ["tls_disable_tlsv1_3=1", "tls_disable_tlsv1_3=0"] {
        let more = format!("phase1=\"{version}\"");
        let (inside, text) = gate.knock_at(port, "aaa.example", "ldevid", SECRET, &more).await;
        assert!(inside, "{version}: {text}");
        // RFC 3580 s3.31, as our records have it.
        assert!(text.contains("Attribute 81 (Tunnel-Private-Group-Id)"), "{version}: {text}");
        assert!(text.contains("Attribute 27 (Session-Timeout)"), "{version}: {text}");
    }
    // Who has no record is nobody, whatever its certificate leads to.
    let someone = lab.domain.operator("someone");
    lab.folder.put_identity("someone", &someone);
    lab.folder.put_chain("someone-chain.pem", &someone.chain());
    assert!(!gate.knock_at(port, "aaa.example", "someone", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-record");

    gate.is_revoked().await;
    // The access point hears it from us.
    let mut datagram = [0; 4096];
    let heard = tokio::time::timeout(LIMIT, nas.recv(&mut datagram)).await.expect("an order").unwrap();
    let order = Packet::open_request(&datagram[..heard], &super::access::secret()).unwrap();
    assert_eq!(order.code, Code::DisconnectRequest);
    assert!(!gate.knock_at(port, "aaa.example", "ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
    // Without an answer nobody comes in.
    gate.serves(Vec::new()).await;
    assert!(!gate.knock_at(port, "aaa.example", "ldevid", SECRET, "").await.0);
    drop(server);
}

/// The answers of the HTTP listener to others, and to what is no request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_anything_without_the_token() {
    let Some(curl) = tool("curl") else { return };
    let token = Redacted::new(b"the-token".to_vec());
    let Some(gate) = Gate::with(Client::with_token("freeradius", token)).await else { return };
    let (folder, port) = (&gate.case.lab.folder, gate.access.web().unwrap().port());
    let ask = |user: Option<&str>, path: &str, body: Option<&str>| {
        let url = format!("https://localhost:{port}{path}");
        let mut arguments = vec!["-s", "--cacert", "domain.pem", "-o", "/dev/null", "-w", "%{http_code}", &url];
        arguments.extend(user.into_iter().flat_map(|user| ["-u", user]));
        arguments.extend(body.into_iter().flat_map(|body| ["-d", body]));
        let output = tokio::task::block_in_place(|| folder.try_run(&curl, &arguments));
        String::from_utf8(output.stdout).unwrap()
    };
    let good = Some("freeradius:the-token");
    let serial = Certificate::from_pem(&folder.take_text("ldevid.pem")).unwrap().serial_hex();
    let body =
        |serial: &str| format!("{{\"TLS-Client-Cert-Serial\": {{\"type\": \"string\", \"value\": [\"{serial}\"]}}}}");
    let own = body(&serial);
    assert_eq!(ask(good, AUTHORIZE_PATH, Some(&own)), "200");
    for user in [None, Some("freeradius:another-token"), Some("another:the-token"), Some("freeradius:"), Some(":")] {
        assert_eq!(ask(user, AUTHORIZE_PATH, Some(&own)), "401", "{user:?}");
    }
    assert_eq!(ask(good, "/v1/status", Some(&own)), "404");
    assert_eq!(ask(good, AUTHORIZE_PATH, None), "405");
    for bad in ["", "[]", "{}", "{\"TLS-Client-Cert-Serial\": 7}", &body(""), &body("zz"), &body("00")] {
        assert_eq!(ask(good, AUTHORIZE_PATH, Some(bad)), "403", "{bad}");
    }
    gate.is_revoked().await;
    assert_eq!(ask(good, AUTHORIZE_PATH, Some(&own)), "403");
}
