//! Certificates for 802.1X from a CA elsewhere, asked by EST.

use super::{device::Device, ground::Ground};
use landfall_brski::est::body;
use landfall_dpp::Status;
use landfall_lifecycle::network::NetworkCredential;
use landfall_net::{
    http::{ConnInfo, Server},
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{
    AltName, Certificate, CertificateSerial, Csr, Name, PublicKey, Signer, SoftwareKey, Validity,
    cms::{certs_only, parse_certs_only},
    key::Algorithm,
    oid,
    profile::{Ldevid, Server as ServerProfile},
};
use landfall_server::{Settings, registrar::CertificateRecord, settings};
use landfall_testkit::{Identity, pki::Issuer};
use landfall_types::{
    Time,
    http::{Request, Response},
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BASIC: &str = "Basic d2ktZmk6c2VjcmV0";

/// What the CA does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Certify,
    /// It says so once, then certifies.
    Wait,
    WaitForever,
    Refuse,
    Garble,
    /// For a key of its own.
    OtherKey,
    /// By an issuer of which nobody has heard.
    OtherIssuer,
    /// What ended yesterday.
    Expired,
    /// What no client can use.
    ServerOnly,
}

/// A CA with an EST server.
struct Ca {
    folder: TempDir,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _stop: watch::Sender<bool>,
}

impl Ca {
    async fn that(does: Does) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Issuer::root("elsewhere");
        let issuing = root.below("elsewhere issuing");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("root.pem", root.root_certificate().to_pem());
        write("stranger.pem", Issuer::root("stranger").root_certificate().to_pem());
        write("password", "wi-fi:secret\n".into());
        write("other-password", "wi-fi:guess\n".into());
        let identity = server_identity(&issuing);
        let tls = TlsIdentity { chain: identity.chain(), signer: identity.signer() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        let server = Server::new(listener).tls(ServerTls::new(&tls, ClientAuth::Optional).unwrap());
        let handler =
            move |request: Request, _: Arc<ConnInfo>| std::future::ready(answer(does, &issuing, &request, &count));
        tokio::spawn(server.run(handler, stopped));
        Self { folder, address, asked, _stop: stop }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a configurator that asks it, with what `change` does to them.
    fn settings(&self, change: impl FnOnce(&str) -> String) -> String {
        let text = format!(
            "[configurator.certificates.est]\nserver = \"localhost:{}\"\nanchors = [{:?}]\nissuers = [{:?}]\n\
             password-file = {:?}\nlabel = \"wifi\"\n",
            self.address.port(),
            self.file("root.pem"),
            self.file("root.pem"),
            self.file("password"),
        );
        let network = "[[configurator.network]]\nssid = \"Corp\"\nkind = \"dot1x\"\n";
        format!("{}{network}{}", change(&text), network.replace("Corp", "Lab"))
    }
}

fn new_key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn server_identity(issuing: &Issuer) -> Identity {
    issuing.certify(Arc::new(new_key()), |above, key| {
        let profile = ServerProfile { subject: Name::common("EST"), alt_names: vec![AltName::Dns("localhost".into())] };
        let validity = Validity::lasting(Time::now() - DAY, DAY * 30);
        profile.prepare(above, key, CertificateSerial::random().unwrap(), validity)
    })
}

fn certificate(issuer: &Issuer, key: &PublicKey, does: Option<Does>) -> Certificate {
    let validity = match does {
        Some(Does::Expired) => Validity::lasting(Time::now() - DAY * 3, DAY * 2),
        _ => Validity::lasting(Time::now() - DAY, DAY * 30),
    };
    // As small CAs number theirs.
    let serial = CertificateSerial::from_bytes(&[1]).unwrap();
    let subject = Name::common("lamp");
    let prepared = match does {
        Some(Does::ServerOnly) => {
            ServerProfile { subject, alt_names: vec![] }.prepare(&issuer.authority, key, serial, validity)
        }
        _ => {
            let purposes = vec![oid::CLIENT_AUTH];
            Ldevid { subject, alt_names: vec![], purposes, crl_url: None }.prepare(
                &issuer.authority,
                key,
                serial,
                validity,
            )
        }
    };
    prepared.unwrap().checked().unwrap().issue(&*issuer.key).unwrap()
}

fn answer(does: Does, issuing: &Issuer, request: &Request, count: &AtomicUsize) -> Response {
    let bag = |certificates: &[Certificate]| {
        Response::with(200, "application/pkcs7-mime", body::encode(&certs_only(certificates)))
    };
    if request.headers.first("authorization") != Some(BASIC) {
        return Response::text(401, "who are you?");
    }
    match request.path.as_str() {
        "/.well-known/est/wifi/cacerts" => bag(std::slice::from_ref(&issuing.authority.certificate)),
        "/.well-known/est/wifi/simpleenroll" => {
            let earlier = count.fetch_add(1, Ordering::Relaxed);
            let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
            let other = Issuer::root("stranger");
            match does {
                Does::Refuse => Response::text(403, "not this one"),
                Does::Garble => Response::with(200, "application/pkcs7-mime", b"MAA=".to_vec()),
                Does::Wait | Does::WaitForever if does == Does::WaitForever || earlier == 0 => {
                    let mut later = Response::new(202);
                    later.headers.add("retry-after", "1");
                    later
                }
                Does::OtherKey => bag(&[certificate(issuing, new_key().public_key(), None)]),
                Does::OtherIssuer => bag(&[certificate(&other, csr.public_key(), None)]),
                does => bag(&[certificate(issuing, csr.public_key(), Some(does))]),
            }
        }
        _ => Response::new(404),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_get_what_a_ca_elsewhere_issues() {
    for does in [Does::Certify, Does::Wait] {
        let ca = Ca::that(does).await;
        let ground = Ground::with(&ca.settings(str::to_owned)).await;
        let device = Device::new(1);
        ground.own(&device).await;
        let onboarded = device.chirp(ground.address).await;
        let onboarded = onboarded.unwrap_or_else(|| panic!("{does:?}"));
        let enterprise = onboarded.object().credential.enterprise.as_ref().unwrap();
        let bag = parse_certs_only(&enterprise.cert_bag).unwrap();
        assert_eq!(bag.iter().map(Certificate::is_ca).collect::<Vec<_>>(), [false, true], "with what is above it");
        let key = landfall_dpp::curve::PublicKey::from_spki(bag[0].public_key().spki_der()).unwrap();
        assert_eq!(key, *onboarded.received.key.public());
        let anchor = Certificate::from_der(enterprise.ca_cert.as_ref().unwrap()).unwrap();
        assert_eq!(anchor.to_pem(), std::fs::read_to_string(ca.file("root.pem")).unwrap());
        // Both networks take the one certificate.
        assert_eq!(onboarded.received.objects.len(), 2);
        assert_eq!(ca.asked.load(Ordering::Relaxed), if does == Does::Wait { 2 } else { 1 });
        assert_eq!(ground.shown(&device).await.certificates.len(), 1);
        // The next CA numbers its certificates from 1 as well.
        let kept = ground.store.scan::<NetworkCredential>(None, 10).unwrap();
        assert!(kept.iter().all(|kept| kept.certificate.as_ref().unwrap().starts_with("01-")));
        ground.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_nothing_where_the_ca_fails_and_the_operator_is_told_why() {
    let password = |ca: &Ca| {
        let (good, other) = (ca.file("password"), ca.file("other-password"));
        ca.settings(|text| text.replace(good.to_str().unwrap(), other.to_str().unwrap()))
    };
    let stranger = |ca: &Ca| {
        let (own, other) = (ca.file("root.pem"), ca.file("stranger.pem"));
        ca.settings(|text| text.replacen(&format!("anchors = [{own:?}]"), &format!("anchors = [{other:?}]"), 1))
    };
    let issuers = |ca: &Ca| {
        let (own, other) = (ca.file("root.pem"), ca.file("stranger.pem"));
        ca.settings(|text| text.replacen(&format!("issuers = [{own:?}]"), &format!("issuers = [{other:?}]"), 1))
    };
    let name = |ca: &Ca| ca.settings(|text| text.replace("localhost", "127.0.0.1"));
    let away = |ca: &Ca| {
        let port = landfall_testkit::free_port();
        ca.settings(|text| text.replace(&format!(":{}", ca.address.port()), &format!(":{port}")))
    };
    let hasty = |ca: &Ca| ca.settings(|text| format!("{text}patience = \"1s\"\n"));
    let plain = |ca: &Ca| ca.settings(str::to_owned);
    type Case = (Does, fn(&Ca) -> String, &'static str);
    let cases: [Case; 11] = [
        (Does::Certify, away, "est-unreachable"),
        (Does::Certify, stranger, "path-unknown-issuer"),
        (Does::Certify, name, "tls-server-name"),
        (Does::Certify, password, "est-status"),
        (Does::Refuse, plain, "est-status"),
        (Does::Garble, plain, "est-certificates"),
        (Does::WaitForever, hasty, "est-late"),
        (Does::OtherKey, plain, "est-issued-key"),
        (Does::OtherIssuer, plain, "est-issued-path"),
        (Does::Certify, issuers, "est-issued-path"),
        (Does::Expired, plain, "est-issued-path"),
    ];
    for (does, settings, check) in cases.into_iter().chain([(Does::ServerOnly, plain as _, "est-issued-lint")]) {
        let ca = Ca::that(does).await;
        let ground = Ground::with(&settings(&ca)).await;
        let device = Device::new(1);
        ground.own(&device).await;
        let told = device.refused(ground.address).await;
        assert!(told.detail.contains(&Status::ConfigureFailure.to_string()), "{told}");
        assert_eq!(ground.audited().await, [check], "{does:?}");
        assert_eq!(ground.store.count::<CertificateRecord>().unwrap(), 0);
        let shown = ground.shown(&device).await;
        let [failure] = &shown.telemetry[..] else { panic!("{does:?}: {shown:?}") };
        assert_eq!((shown.state.as_str(), failure.about.as_str(), failure.ok), ("authorized", "configuration", false));
        assert!(failure.reason.as_ref().is_some_and(|why| !why.is_empty()));
        ground.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_settings_names_what_is_wrong_with_the_ca() {
    let ca = Ca::that(Does::Certify).await;
    let problems = |text: &str| {
        let mut settings = Settings::parse(&format!("[configurator]\n{text}")).unwrap();
        settings.data = ca.folder.path().to_owned();
        let _ = landfall_server::open::element(&settings).unwrap();
        let problems = settings::check(&settings).into_iter();
        problems.map(|problem| problem.key).filter(|key| key.contains("est")).collect::<Vec<_>>()
    };
    let wrong = |from: &str, to: &str| problems(&ca.settings(|text| text.replace(from, to)));
    assert!(wrong("", "").is_empty());
    let root = format!("{:?}", ca.file("root.pem"));
    assert_eq!(
        wrong("root.pem", "none.pem"),
        ["configurator.certificates.est.anchors[0]", "configurator.certificates.est.issuers[0]"]
    );
    assert_eq!(wrong(&format!("\nanchors = [{root}]"), "\nanchors = []"), ["configurator.certificates.est.anchors"]);
    for (from, to) in [("localhost", "local host"), ("/password", "/root.pem"), ("password-file", "#")] {
        assert_eq!(wrong(from, to), ["configurator.certificates.est"], "{from}");
    }
}
