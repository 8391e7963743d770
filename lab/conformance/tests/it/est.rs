//! curl and openssl as an EST client, for every operation (RFC 7030, RFC 8951).

use super::{
    curl::{Answer, Curl},
    lab::{Lab, Setup, records},
    pledge::{post_voucher_request, request, seal, vouched},
    shell::Folder,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_lifecycle::{
    device::{DeviceEvent, step},
    network::DomainDevice,
};
use landfall_server::registrar::CertificateRecord;
use landfall_testkit::{Identity, openssl};
use landfall_types::{Changes, Time};
use std::path::{Path, PathBuf};

/// The lab and its tools, with one device that has its voucher.
pub(super) struct Case {
    pub(super) lab: Lab,
    openssl: PathBuf,
}

const SIMPLE_ENROLL: &str = "/.well-known/est/simpleenroll";
const SIMPLE_REENROLL: &str = "/.well-known/est/simplereenroll";

impl Case {
    async fn new(setup: Setup) -> Option<(Self, Identity)> {
        let openssl = openssl()?;
        let lab = setup.start().await;
        let device = lab.manufacturer.device("A-1");
        lab.folder.put_identity("idevid", &device);
        Some((Self { lab, openssl }, device))
    }

    /// A lab with a device that has enrolled: `NAME.key`, `NAME.pem`, and with what stands above it `NAME-chain.pem`.
    pub(super) async fn enrolled(name: &str) -> Option<(Self, Identity)> {
        let (case, device) = Self::new(Setup::new()).await?;
        let curl = Curl::new(&case.lab)?;
        vouched(&case.lab, &device).await;
        case.request(name, "-subj /serialNumber=A-1");
        case.certified(&case.post(&curl, SIMPLE_ENROLL, "idevid", &format!("{name}.b64")), name, name);
        let leaf = case.folder().take_text(&format!("{name}.pem"));
        case.folder().put(&format!("{name}-chain.pem"), leaf + &case.folder().take_text("issuing.pem"));
        Some((case, device))
    }

    fn folder(&self) -> &Folder {
        &self.lab.folder
    }

    /// A request by openssl for a new key: `NAME.key`, `NAME.csr` in DER, `NAME.b64` in base64 without line breaks.
    fn request(&self, name: &str, more: &str) {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        self.openssl(&format!("req -new {key} -keyout {name}.key -outform DER -out {name}.csr {more}"));
        self.folder().put(&format!("{name}.b64"), STANDARD.encode(self.folder().take(&format!("{name}.csr"))));
    }

    fn openssl(&self, line: &str) -> String {
        self.folder().run(&self.openssl, line)
    }

    /// Posts the file `body` as `client`, to whom `CLIENT.pem` and `CLIENT.key` belong.
    fn post(&self, curl: &Curl<'_>, path: &str, client: &str, body: &str) -> Answer {
        let (cert, key) = (format!("{client}.pem"), format!("{client}.key"));
        let body = format!("@{body}");
        let own = ["--cert", &cert, "--key", &key];
        curl.registrar(path, &[&own[..], &["--header", PKCS10, "--data-binary", &body]].concat())
    }

    /// The one certificate of an answer, which belongs to `key` and leads to the domain: `CERTIFICATE.pem`.
    fn certified(&self, answer: &Answer, certificate: &str, key: &str) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.folder().put("answer.p7", answer.der());
        let pem = format!("{certificate}.pem");
        self.openssl(&format!("pkcs7 -inform DER -in answer.p7 -print_certs -out {pem}"));
        assert_eq!(self.folder().take_text(&pem).matches("BEGIN CERTIFICATE").count(), 1);
        self.folder().put("issuing.pem", self.lab.domain.issuing.authority.certificate.to_pem());
        let purpose = "-x509_strict -purpose sslclient";
        self.openssl(&format!("verify {purpose} -CAfile domain.pem -untrusted issuing.pem {pem}"));
        let of_certificate = self.openssl(&format!("x509 -in {pem} -noout -pubkey"));
        assert_eq!(of_certificate, self.openssl(&format!("pkey -in {key}.key -pubout")));
    }
}

const PKCS10: &str = "Content-Type: application/pkcs10";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cacerts_and_csrattrs() {
    let Some((case, _)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    // RFC 7030 s4.1.1: without authentication; s3.2.2: with and without a label.
    for path in ["/.well-known/est/cacerts", "/.well-known/est/sensors/cacerts"] {
        let answer = curl.registrar(path, &[]);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/pkcs7-mime")), "{path}");
        case.folder().put("cacerts.p7", answer.der());
        let shown = case.openssl("pkcs7 -inform DER -in cacerts.p7 -print_certs");
        for ca in [&case.lab.domain.root.authority.certificate, &case.lab.domain.issuing.authority.certificate] {
            assert!(shown.contains(&ca.to_pem().lines().nth(1).unwrap().to_owned()), "{shown}");
        }
    }
    assert_eq!(curl.registrar("/.well-known/est/nobody/cacerts", &[]).status, 404);
    let wrong_method = curl.registrar("/.well-known/est/cacerts", &["--data", "x"]);
    assert_eq!((wrong_method.status, wrong_method.field("allow")), (405, Some("GET")));
    // RFC 7030 s4.5.1: nothing is asked for.
    let none = curl.registrar("/.well-known/est/csrattrs", &[]);
    assert_eq!((none.status, none.body.len()), (204, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csrattrs_ask_for_the_binding_where_it_is_required() {
    let mut setup = Setup::new();
    setup.registrar.est.require_binding = true;
    let Some((case, device)) = Case::new(setup).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    let answer = curl.registrar("/.well-known/est/csrattrs", &[]);
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/csrattrs")));
    case.folder().put("csrattrs.der", answer.der());
    assert!(case.openssl("asn1parse -inform DER -in csrattrs.der").contains("challengePassword"));
    // A request without it is refused, and the client is told what is missing (RFC 7030 s4.2.3).
    vouched(&case.lab, &device).await;
    case.request("new", "-subj /serialNumber=A-1");
    let answer = case.post(&curl, SIMPLE_ENROLL, "idevid", "new.b64");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("challengePassword"), "{}", answer.text());
    assert_eq!(case.lab.refused_by_registrar().await, ["csr-binding-missing"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_enroll_needs_a_certificate_and_a_voucher() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    case.request("new", "-subj /serialNumber=A-1");
    let stranger = curl.registrar(SIMPLE_ENROLL, &["--header", PKCS10, "--data-binary", "@new.b64"]);
    assert_eq!((stranger.status, stranger.field("content-type")), (401, Some("text/plain; charset=utf-8")));
    assert_eq!(case.post(&curl, SIMPLE_ENROLL, "idevid", "new.b64").status, 403);
    assert_eq!(case.lab.refused_by_registrar().await, ["client-missing", "client-voucher"]);

    vouched(&case.lab, &device).await;
    let answer = case.post(&curl, SIMPLE_ENROLL, "idevid", "new.b64");
    assert_eq!(answer.field("content-type"), Some("application/pkcs7-mime; smime-type=certs-only"));
    case.certified(&answer, "ldevid", "new");
    assert!(case.openssl("x509 -in ldevid.pem -noout -subject").contains("A-1"));
    // The LDevID opens the door as the IDevID did, and below a label too.
    case.request("other", "-subj /serialNumber=A-1");
    case.folder().put("ldevid.key", case.folder().take("new.key"));
    let answer = case.post(&curl, "/.well-known/est/sensors/simpleenroll", "ldevid", "other.b64");
    case.certified(&answer, "other", "other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_as_clients_send_them() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    vouched(&case.lab, &device).await;
    case.request("new", "-subj /serialNumber=A-1");
    let one_line = case.folder().take_text("new.b64");
    case.openssl("base64 -in new.csr -out lines.b64");
    case.openssl("req -inform DER -in new.csr -out armoured.pem");
    let lines = case.folder().take_text("lines.b64");
    assert!(lines.lines().count() > 1);
    case.folder().put("crlf.b64", lines.replace('\n', "\r\n"));
    case.folder().put("blanks.b64", format!(" \t{}\r\n \n", one_line.replace('A', "A ")));
    case.folder().put("unpadded.b64", one_line.trim_end_matches('='));
    // RFC 8951 s3.1, and what else is met: PEM armour, bare DER.
    for body in ["new.b64", "lines.b64", "crlf.b64", "blanks.b64", "unpadded.b64", "armoured.pem", "new.csr"] {
        // The same key, so the same certificate: a client that lost the answer asks again (RFC 7030 s4.2.3).
        case.certified(&case.post(&curl, SIMPLE_ENROLL, "idevid", body), "ldevid", "new");
    }
    assert_eq!(records::<CertificateRecord>(&case.lab.registrar_world).len(), 1);
    // Content-Transfer-Encoding means nothing, whatever it says.
    let own = ["--cert", "idevid.pem", "--key", "idevid.key", "--data-binary", "@new.b64", "--header", PKCS10];
    for encoding in ["base64", "binary", "nonsense"] {
        let field = format!("Content-Transfer-Encoding: {encoding}");
        let answer = curl.registrar(SIMPLE_ENROLL, &[&own[..], &["--header", &field]].concat());
        case.certified(&answer, "ldevid", "new");
    }
    let chunked = curl.registrar(SIMPLE_ENROLL, &[&own[..], &["--header", "Transfer-Encoding: chunked"]].concat());
    case.certified(&chunked, "ldevid", "new");
    let with_parameter = curl.registrar(
        SIMPLE_ENROLL,
        &[&own[..6], &["--header", "Content-Type: Application/PKCS10; charset=utf-8"]].concat(),
    );
    case.certified(&with_parameter, "ldevid", "new");
    let other_type = curl.registrar(SIMPLE_ENROLL, &[&own[..6], &["--header", "Content-Type: text/plain"]].concat());
    assert_eq!(other_type.status, 415);
    let not_base64 = ["--header", PKCS10, "--data-binary", "MII*"];
    assert_eq!(curl.registrar(SIMPLE_ENROLL, &[&own[..4], &not_base64].concat()).status, 400);
    assert_eq!(case.lab.refused_by_registrar().await, ["est-type", "est-body"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_kind() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    vouched(&case.lab, &device).await;
    let kinds = ["ec -pkeyopt ec_paramgen_curve:P-384", "ed25519", "rsa:2048", "rsa:3072"];
    for kind in kinds {
        case.openssl(&format!(
            "req -new -newkey {kind} -nodes -keyout kind.key -outform DER -out kind.csr -subj /serialNumber=A-1"
        ));
        case.certified(&case.post(&curl, SIMPLE_ENROLL, "idevid", "kind.csr"), "kind", "kind");
    }
    for kind in ["rsa:1024", "ec -pkeyopt ec_paramgen_curve:secp256k1", "ed448"] {
        case.openssl(&format!(
            "req -new -newkey {kind} -nodes -keyout kind.key -outform DER -out kind.csr -subj /serialNumber=A-1"
        ));
        assert_eq!(case.post(&curl, SIMPLE_ENROLL, "idevid", "kind.csr").status, 400, "{kind}");
    }
    assert_eq!(records::<CertificateRecord>(&case.lab.registrar_world).len(), kinds.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_not_certified() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    vouched(&case.lab, &device).await;
    // One thing differs from a good request in each.
    let wrong = [
        ("-subj /serialNumber=A-2", "csr-subject"),
        ("-subj /CN=registrar.example/serialNumber=A-1", "csr-subject"),
        ("-subj /serialNumber=A-1 -addext subjectAltName=DNS:registrar.example", "csr-extension"),
        ("-subj /serialNumber=A-1 -addext basicConstraints=CA:TRUE", "csr-extension"),
        ("-subj /serialNumber=A-1 -addext keyUsage=keyCertSign", "csr-extension"),
        ("-subj /serialNumber=A-1 -addext extendedKeyUsage=serverAuth", "csr-extension"),
        ("-subj /serialNumber=A-1 -addext 1.2.3.4=DER:0500", "csr-extension"),
    ];
    for (more, check) in wrong {
        case.request("new", more);
        assert_eq!(case.post(&curl, SIMPLE_ENROLL, "idevid", "new.b64").status, 400, "{more}");
        assert_eq!(case.lab.refused_by_registrar().await.last().unwrap(), check, "{more}");
    }
    // Another key in the place of the one that signed.
    case.request("mine", "-subj /serialNumber=A-1");
    case.request("yours", "-subj /serialNumber=A-1");
    let point = |name: &str| {
        let key = case.openssl(&format!("pkey -in {name}.key -pubout -outform PEM"));
        let der = STANDARD.decode(key.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        der[der.len() - 64..].to_vec()
    };
    let (mine, yours, mut csr) = (point("mine"), point("yours"), case.folder().take("mine.csr"));
    let at = csr.windows(64).position(|window| window == mine).unwrap();
    csr[at..at + 64].copy_from_slice(&yours);
    case.folder().put("swapped.csr", csr);
    assert_eq!(case.post(&curl, SIMPLE_ENROLL, "idevid", "swapped.csr").status, 400);
    assert_eq!(case.lab.refused_by_registrar().await.last().unwrap(), "csr-possession");
    assert!(records::<CertificateRecord>(&case.lab.registrar_world).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_reenroll() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    vouched(&case.lab, &device).await;
    case.request("first", "-subj /serialNumber=A-1");
    // RFC 7030 s4.2.2: an IDevID is not renewed here.
    assert_eq!(case.post(&curl, SIMPLE_REENROLL, "idevid", "first.b64").status, 403);
    case.certified(&case.post(&curl, SIMPLE_ENROLL, "idevid", "first.b64"), "first", "first");

    // A request by openssl for what the certificate says, with a new key and with the old one.
    let subject = "/CN=A-1/serialNumber=A-1";
    case.request("second", &format!("-subj {subject}"));
    case.certified(&case.post(&curl, SIMPLE_REENROLL, "first", "second.b64"), "second", "second");
    case.openssl(&format!("req -new -key first.key -outform DER -out again.csr -subj {subject}"));
    case.certified(&case.post(&curl, SIMPLE_REENROLL, "first", "again.csr"), "again", "first");
    assert_eq!(records::<CertificateRecord>(&case.lab.registrar_world).len(), 3);

    // Subject and subjectAltName stay what they were.
    case.request("renamed", "-subj /serialNumber=A-1");
    assert_eq!(case.post(&curl, SIMPLE_REENROLL, "first", "renamed.b64").status, 400);
    let named = "-addext subjectAltName=DNS:lamp.example";
    case.request("named", &format!("-subj {subject} {named}"));
    assert_eq!(case.post(&curl, SIMPLE_REENROLL, "first", "named.b64").status, 400);

    // A device that was thrown out renews nothing, and gets nothing new.
    for known in records::<DomainDevice>(&case.lab.registrar_world) {
        let event = DeviceEvent::Revoked { by: "operator".into(), why: "lost".into() };
        let thrown_out = step(&known, event, Time::now()).unwrap().device;
        case.lab.registrar_world.store.commit(Changes::new().put(&thrown_out).unwrap()).await.unwrap();
    }
    assert_eq!(case.post(&curl, SIMPLE_REENROLL, "first", "second.b64").status, 403);
    assert_eq!(case.post(&curl, SIMPLE_ENROLL, "idevid", "first.b64").status, 403);
    let body = seal(&request(&case.lab, &device), &device);
    assert_eq!(post_voucher_request(case.lab.registrar, &device, body).await.status, 404);
    let refused = case.lab.refused_by_registrar().await;
    assert_eq!(
        refused,
        [
            "reenroll-certificate",
            "reenroll-subject",
            "csr-extension",
            "client-revoked",
            "client-revoked",
            "policy-denied"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_keygen_and_full_cmc() {
    let Some((case, device)) = Case::new(Setup::new()).await else { return };
    let Some(curl) = Curl::new(&case.lab) else { return };
    vouched(&case.lab, &device).await;
    case.request("asking", "-subj /serialNumber=A-1");
    let answer = case.post(&curl, "/.well-known/est/serverkeygen", "idevid", "asking.b64");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let content_type = answer.field("content-type").unwrap();
    assert!(content_type.starts_with("multipart/mixed"), "{content_type}");
    let parts = parts(&case, &answer.body, content_type);
    let [(key_type, key), (certificate_type, certificate)] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(key_type, "application/pkcs8");
    assert!(certificate_type.starts_with("application/pkcs7-mime"), "{certificate_type}");
    case.folder().put("made.der", key);
    case.openssl("pkey -inform DER -in made.der -check -out made.key");
    let bag = Answer { body: STANDARD.encode(certificate).into_bytes(), ..answer };
    case.certified(&bag, "made", "made");

    let cmc = case.post(&curl, "/.well-known/est/fullcmc", "idevid", "asking.b64");
    assert_eq!((cmc.status, cmc.field("content-type")), (501, Some("text/plain; charset=utf-8")));
    assert_eq!(case.lab.refused_by_registrar().await, ["est-not-offered"]);
}

/// The parts of a multipart body: type and content, as Python's MIME parser reads them.
fn parts(case: &Case, body: &[u8], content_type: &str) -> Vec<(String, Vec<u8>)> {
    let message = [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), body].concat();
    case.folder().put("message.eml", message);
    let script = "import email,sys\n\
        for part in email.message_from_bytes(open('message.eml','rb').read()).get_payload():\n \
        print(part.get_content_type(), part.get_payload(decode=True).hex())";
    let Some(python) = landfall_testkit::tool("python3") else { return Vec::new() };
    let output = case.folder().try_run(Path::new(&python), &["-c", script]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let part = |line: &str| line.split_once(' ').map(|(kind, hex)| (kind.to_owned(), hex::decode(hex).unwrap()));
    lines.lines().filter_map(part).collect()
}
