//! IDevIDs from a CA elsewhere, asked by EST.

use super::{Place, bundles, order, product, quietly};
use landfall_brski::est::body;
use landfall_lifecycle::factory::{FactoryDevice, Method};
use landfall_net::{
    http::{ConnInfo, Server},
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{
    Algorithm, AltName, Anchors, Certificate, CertificateSerial, Csr, CsrRequest, Name, PathPolicy, Signer,
    SoftwareKey, Validity,
    cms::certs_only,
    profile::{Idevid, Server as ServerProfile},
    validate,
};
use landfall_server::factory::{Choice, FactoryError};
use landfall_testkit::pki::Issuer;
use landfall_types::{
    SerialNumber, Time,
    http::{Request, Response},
};
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

/// What the CA does with a request.
const CERTIFIES: u8 = 0;
const REFUSES: u8 = 1;
const NAMES_ANOTHER: u8 = 2;

struct Ca {
    root: Certificate,
    address: SocketAddr,
    does: Arc<AtomicU8>,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Ca {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let root = Issuer::root("elsewhere");
        let issuing = root.below("elsewhere issuing");
        let identity = issuing.certify(Arc::new(key()), |above, key| {
            let names = vec![AltName::Dns("localhost".into())];
            let profile = ServerProfile { subject: Name::common("EST"), alt_names: names };
            let validity = Validity::lasting(Time::now() - Duration::from_secs(60), Duration::from_secs(86_400));
            profile.prepare(above, key, CertificateSerial::random().unwrap(), validity)
        });
        let tls = TlsIdentity { chain: identity.chain(), signer: identity.signer() };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let does = Arc::<AtomicU8>::default();
        let now = does.clone();
        let root_certificate = root.root_certificate().clone();
        let server = {
            let _runtime = runtime.enter();
            Server::new(listener).tls(ServerTls::new(&tls, ClientAuth::Optional).unwrap())
        };
        let handler = move |request: Request, _: Arc<ConnInfo>| {
            std::future::ready(answer(&issuing, &request, now.load(Ordering::SeqCst)))
        };
        runtime.spawn(server.run(handler, stopped));
        Self { root: root_certificate, address, does, runtime, _stop: stop }
    }

    /// Has the factory in `place` ask it.
    fn serves(&self, place: &Place) {
        let folder = place.manufacturer();
        fs::write(folder.join("elsewhere.pem"), self.root.to_pem()).unwrap();
        fs::write(folder.join("password"), "factory:secret\n").unwrap();
        let settings = fs::read_to_string(folder.join("factory.toml")).unwrap();
        let est = format!(
            "\n[est]\nserver = \"localhost:{}\"\nanchors = [\"elsewhere.pem\"]\npassword-file = \"password\"\n",
            self.address.port()
        );
        fs::write(folder.join("factory.toml"), settings + &est).unwrap();
    }
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn answer(issuing: &Issuer, request: &Request, does: u8) -> Response {
    if does == REFUSES {
        return Response::text(403, "not today");
    }
    let csr = Csr::from_der(&body::decode(&request.body).unwrap()).unwrap();
    let serial = match does {
        NAMES_ANOTHER => "SOMEBODY-ELSE".parse().unwrap(),
        _ => csr.subject_serial_number().unwrap(),
    };
    let profile = Idevid { masa_url: Some("masa.example:9443".into()), ..Idevid::new(serial) };
    let number = CertificateSerial::random().unwrap();
    let prepared = profile.prepare(&issuing.authority, csr.public_key(), number, Validity::forever(Time::now()));
    let issued = prepared.unwrap().checked().unwrap().issue(&*issuing.key).unwrap();
    let bag = [issued, issuing.authority.certificate.clone()];
    Response::with(200, "application/pkcs7-mime", body::encode(&certs_only(&bag)))
}

#[test]
fn a_batch_gets_its_idevids_from_a_ca_elsewhere() {
    let (place, ca) = (Place::new(), Ca::new());
    ca.serves(&place);
    let factory = place.factory();
    let made = factory.provision(&order(3), &quietly).unwrap();
    for bundle in bundles(&made.folder) {
        let idevid = Certificate::from_pem(&bundle.idevid).unwrap();
        assert_eq!(idevid.subject_serial_number().as_ref(), Some(&bundle.serial_number));
        let chain = Certificate::chain_from_pem(&bundle.chain).unwrap();
        let anchors = Anchors::of([ca.root.clone()]);
        validate(&idevid, &chain, &anchors, &PathPolicy::at(Time::now())).unwrap();
        assert_eq!(bundle.masa_url.as_deref(), Some("masa.example:9443"));
    }
    // A device's own request goes there as it is.
    let own = key();
    let subject = Name::common("T1").serial_number(&"D-1".parse::<SerialNumber>().unwrap());
    let csr = CsrRequest::new(subject).prepare(own.public_key(), own.algorithm()).unwrap().issue(&own).unwrap();
    let certify = |choice| factory.certify(&product(), Method::OnDevice, csr.der(), choice);
    let first = certify(Choice::Device).unwrap();
    assert_eq!(first.serial_number.as_str(), "D-1");
    let again = certify(Choice::Device).unwrap();
    assert_eq!((again.idevid, again.chain), (first.idevid, first.chain), "asked again");
}

#[test]
fn a_ca_that_refuses_or_is_away_leaves_the_batch_open() {
    let (place, ca) = (Place::new(), Ca::new());
    ca.serves(&place);
    let factory = place.factory();
    for does in [REFUSES, NAMES_ANOTHER] {
        ca.does.store(does, Ordering::SeqCst);
        let error = factory.provision(&order(2), &quietly).unwrap_err();
        assert!(error.is_rejection(), "{error}");
    }
    assert_eq!((factory.unfinished().unwrap().len(), factory.store().count::<FactoryDevice>().unwrap()), (2, 0));
    let mut rejects = Vec::new();
    let mut take = |reject| {
        rejects.push(reject);
        Ok::<_, FactoryError>(())
    };
    factory.each_reject(&mut take).unwrap();
    assert_eq!(rejects.len(), 2, "{rejects:?}");
    assert_eq!(rejects[1].check, "idevid-serial-number");
    // A CA that is away is nobody's fault among the devices.
    ca.does.store(CERTIFIES, Ordering::SeqCst);
    let away = Place::new();
    let gone = Ca::new();
    gone.serves(&away);
    gone.runtime.shutdown_background();
    let elsewhere = away.factory();
    let error = elsewhere.provision(&order(1), &quietly).unwrap_err();
    assert!(!error.is_rejection() && error.to_string().contains("est-unreachable"), "{error}");
    assert_eq!(elsewhere.unfinished().unwrap().len(), 1);
    // As soon as it certifies again, every batch is completed.
    let resumed = factory.resume(&quietly).unwrap();
    assert_eq!(resumed.iter().map(|one| one.made).collect::<Vec<_>>(), [2, 2]);
}
