//! A pledge of openssl and curl alone, with an IDevID that openssl made: an RSA key, as many real ones have.

use super::{
    curl::{Answer, Curl},
    lab::{Lab, Setup, records},
    pledge::request_of,
    shell::Folder,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_brski::{
    media, paths,
    registrar::{About, Presented, StatusRecord},
    voucher::Payload,
};
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_pki::Certificate;
use landfall_testkit::openssl;
use std::path::Path;

const EXTENSIONS: &str = "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    keyUsage=critical,digitalSignature,keyEncipherment\n1.3.6.1.5.5.7.1.32=ASN1:IA5STRING:masa.example\n";

/// Makes `maker.pem`, and below it `idevid.pem` with `idevid.key`; gives the maker's certificate.
fn made_by_openssl(folder: &Folder, openssl: &Path) -> Certificate {
    folder.put("extensions.cnf", EXTENSIONS);
    let ca = "-x509 -days 3650 -subj /CN=Maker -addext keyUsage=critical,keyCertSign,cRLSign";
    folder.run(openssl, &format!("req {ca} -newkey rsa:2048 -nodes -keyout maker.key -out maker.pem"));
    let subject = "-subj /O=Maker/serialNumber=R-1";
    folder.run(openssl, &format!("req -new -newkey rsa:2048 -nodes -keyout idevid.key -out idevid.csr {subject}"));
    let by = "-CA maker.pem -CAkey maker.key -CAcreateserial -days 3650 -extfile extensions.cnf";
    folder.run(openssl, &format!("x509 -req -in idevid.csr {by} -out idevid.pem"));
    Certificate::from_pem(&folder.take_text("maker.pem")).unwrap()
}

/// Posts as the holder of `client.pem` and `client.key`.
fn post(curl: &Curl<'_>, client: &str, path: &str, media_type: &str, body: &str) -> Answer {
    let (certificate, key) = (format!("{client}.pem"), format!("{client}.key"));
    let content_type = format!("Content-Type: {media_type}");
    let own = ["--cert", &certificate, "--key", &key, "--header", &content_type];
    curl.registrar(path, &[&own[..], &["--data-binary", body]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_and_curl_are_a_pledge() {
    let Some(openssl) = openssl() else { return };
    let made = Folder::new();
    let mut setup = Setup::new();
    setup.more_device_anchors.push(made_by_openssl(&made, &openssl));
    let lab: Lab = setup.start().await;
    let Some(curl) = Curl::new(&lab) else { return };
    let folder = &lab.folder;
    for file in ["idevid.pem", "idevid.key"] {
        folder.put(file, made.take(file));
    }

    let request = request_of(&lab, "R-1".parse().unwrap());
    folder.put("request.json", request.to_json());
    let sign = "cms -sign -binary -nodetach -in request.json -signer idevid.pem -inkey idevid.key";
    let anima = "-econtent_type 1.2.840.113549.1.9.16.1.40 -outform DER -out request.cms";
    folder.run(&openssl, &format!("{sign} {anima}"));
    let voucher = post(&curl, "idevid", paths::REQUEST_VOUCHER, media::VOUCHER_CMS, "@request.cms");
    assert_eq!(voucher.status, 200, "{}: {:?}", voucher.text(), lab.refused_by_masa().await);
    folder.put("voucher.cms", &voucher.body);
    let verify = "cms -verify -binary -inform DER -in voucher.cms -CAfile manufacturer.pem -purpose any";
    let voucher: serde_json::Value = serde_json::from_str(&folder.run(&openssl, verify)).unwrap();
    let voucher = &voucher["ietf-voucher:voucher"];
    assert_eq!((&voucher["serial-number"], &voucher["assertion"]), (&"R-1".into(), &"proximity".into()));
    // What is pinned becomes the pledge's anchor for the registrar.
    let pinned = STANDARD.decode(voucher["pinned-domain-cert"].as_str().unwrap()).unwrap();
    folder.put("domain.pem", Certificate::from_der(&pinned).unwrap().to_pem());
    let report = r#"{"version":1,"status":true,"reason":"","reason-context":{}}"#;
    assert_eq!(post(&curl, "idevid", paths::VOUCHER_STATUS, media::JSON, report).status, 200);

    assert_eq!(curl.registrar(paths::CACERTS, &[]).status, 200);
    assert_eq!(curl.registrar(paths::CSR_ATTRIBUTES, &[]).status, 204);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ldevid.key";
    folder.run(&openssl, &format!("req -new {key} -outform DER -out ldevid.csr -subj /serialNumber=R-1"));
    folder.run(&openssl, "base64 -in ldevid.csr -out ldevid.b64");
    let enrolled = post(&curl, "idevid", paths::SIMPLE_ENROLL, media::PKCS10, "@ldevid.b64");
    folder.put("ldevid.p7", enrolled.der());
    folder.run(&openssl, "pkcs7 -inform DER -in ldevid.p7 -print_certs -out ldevid.pem");
    assert_eq!(post(&curl, "ldevid", paths::ENROLL_STATUS, media::JSON, report).status, 200);

    assert_eq!(lab.refused_by_registrar().await, Vec::<String>::new());
    let reports = records::<StatusRecord>(&lab.registrar_world);
    let presented: Vec<_> = reports.iter().map(|report| (report.about, report.presented)).collect();
    assert!(presented.contains(&(About::Voucher, Presented::Idevid)), "{presented:?}");
    assert!(presented.contains(&(About::Enrolment, Presented::IssuedLdevid)), "{presented:?}");
    let devices = records::<DomainDevice>(&lab.registrar_world);
    assert_eq!(devices.iter().map(|device| device.state).collect::<Vec<_>>(), [State::Connected]);
}
