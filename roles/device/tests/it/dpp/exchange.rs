//! One exchange: every curve, each side beginning, each credential, and refusals.

use super::{
    Device,
    configurator::{Configurator, certificates, connector, deny, grant, password, provide},
    endpoint, random,
};
use landfall_device::dpp::{BootstrapKey, Identity, Join, Keep, Networks, Outcome};
use landfall_dpp::{
    Curve, Status, Uri,
    config::{Akms, ConnectionStatus, Credential},
    connector::SignedConnector,
    curve::{PrivateKey, PublicKey},
    exchange::{Grants, Mutual, Ruling},
};
use landfall_element::{MemoryElement, SecureElement};
use landfall_net::dpp::Link;
use landfall_pki::{Certificate, cms};
use landfall_testkit::Rng;
use landfall_types::{Refusal, Time};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

const CURVES: [Curve; 6] = Curve::ALL;

pub(crate) fn enrolled(outcome: Outcome) -> Arc<Networks> {
    match outcome {
        Outcome::Enrolled(enrolled) => {
            assert!(enrolled.told);
            enrolled.networks
        }
        other => panic!("{other:?}"),
    }
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The connector is for the key that is kept, by the configurator's signing key.
fn check_connector(networks: &Networks, configurator: &Configurator) {
    let object = networks.objects.first().unwrap();
    assert_eq!(object.discovery.ssid, b"lab net");
    let connector = SignedConnector::parse(object.credential.connector.as_ref().unwrap()).unwrap();
    let connector = connector.verify(configurator.csign.public(), Time::now()).unwrap();
    connector.is_about(networks.key.public()).unwrap();
    assert_eq!(connector.groups.first().unwrap().id, "plant");
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_on_every_curve() {
    for (seed, curve) in (1..).zip(CURVES) {
        let device = Device::new(curve, seed, None);
        let key = device.enrollee.identity.uri.key.clone();
        let csign = CURVES[(seed as usize) % 6];
        let configurator = Configurator::start(curve, csign, vec![key]).await;
        let networks = enrolled(device.announce(&configurator).await);
        assert!(!networks.authenticated, "{curve}: the device does not know the configurator");
        check_connector(&networks, &configurator);
        assert_eq!(networks.key.curve(), curve);
        assert!(Arc::ptr_eq(&networks, &device.store.networks().unwrap()));
        let done = configurator.end().await.unwrap();
        assert_eq!((done.result, done.peer.peer_proved, done.peer.we_proved), (Some(Status::Ok), true, false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_on_every_curve() {
    for (seed, curve) in (11..).zip(CURVES) {
        let configurator = Configurator::start(curve, Curve::P256, vec![]).await;
        let device = Device::new(curve, seed, Some(configurator.uri()));
        configurator.rules().devices.push(device.enrollee.identity.uri.key.clone());
        configurator.rules().mutual = Mutual::Required;
        let networks = enrolled(device.ask(&configurator).await);
        assert!(networks.authenticated);
        check_connector(&networks, &configurator);
        let done = configurator.end().await.unwrap();
        assert!(done.peer.peer_proved && done.peer.we_proved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_on_every_curve_after_an_announcement() {
    for (seed, curve) in (21..).zip(CURVES) {
        let configurator = Configurator::start(curve, Curve::P256, vec![]).await;
        let device = Device::new(curve, seed, Some(configurator.uri()));
        assert_eq!(device.enrollee.wishes.mutual, Mutual::Required, "that is the default where the key is known");
        configurator.rules().devices.push(device.enrollee.identity.uri.key.clone());
        let networks = enrolled(device.announce(&configurator).await);
        assert!(networks.authenticated);
        assert_eq!(networks.configurator, Some(configurator.bootstrap.public().bootstrap_hash()));
        assert!(configurator.end().await.unwrap().peer.we_proved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_an_element_proves_itself_by_coordinates() {
    for curve in [Curve::P256, Curve::P384] {
        let configurator = Configurator::start(curve, Curve::P256, vec![]).await;
        let mut rng = Rng::new(31);
        let key = PrivateKey::generate(curve, &mut random(&mut rng));
        let element: Arc<dyn SecureElement> = Arc::new(MemoryElement::new());
        let held = element.import("dpp", &key.to_pkcs8().unwrap()).unwrap();
        let public = key.public().clone();
        let identity = Identity {
            uri: Uri::of(public.clone()),
            key: BootstrapKey::Element { element, key: held, public: public.clone() },
            configurator: Some(configurator.uri()),
        };
        let device = Device::with_key(identity, rng);
        configurator.rules().devices.push(public);
        assert!(enrolled(device.announce(&configurator).await).authenticated);
        assert!(enrolled(device.ask(&configurator).await).authenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configurator_begins() {
    let device = Arc::new(Device::new(Curve::P256, 41, None));
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key.clone()]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let begins = configurator.clone();
    tokio::spawn(async move { begins.begin(&key, at).await });
    let (stream, _) = listener.accept().await.unwrap();
    let outcome = device.enrollee.answer(Link::of(stream).unwrap(), device.session()).await.unwrap();
    check_connector(&enrolled(outcome), &configurator);
    assert_eq!(configurator.end().await.unwrap().result, Some(Status::Ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_takes_a_device_that_knows_its_configurator() {
    let ours = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    let mut device = Device::new(Curve::P256, 51, Some(ours.uri()));
    device.enrollee.wishes.patience = Duration::from_millis(300);
    let key = device.enrollee.identity.uri.key.clone();
    let stranger = Configurator::start(Curve::P256, Curve::P384, vec![key.clone()]).await;
    let refusal = refused(device.announce(&stranger).await);
    assert_eq!(refusal.check, "dpp-mutual", "{refusal}");
    assert!(device.store.networks().is_none());
    // The same request is answered by a device that asks for less.
    device.enrollee.wishes.mutual = Mutual::IfKnown;
    assert!(!enrolled(device.announce(&stranger).await).authenticated);
    // And as initiator, the device does not take a one-way answer: its own configurator does not know it.
    device.enrollee.wishes.mutual = Mutual::Required;
    let refusal = refused(device.ask(&ours).await);
    assert_eq!(refusal.check, "dpp-mutual", "{refusal}");
    device.enrollee.wishes.mutual = Mutual::IfKnown;
    assert!(enrolled(device.ask(&ours).await).authenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_several_networks() {
    let device = Device::new(Curve::P256, 61, None);
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key]).await;
    let cases: [fn() -> Ruling; 4] = [
        || provide(vec![password(Akms::PSK, "a secret of eight")]),
        || provide(vec![password(Akms::SAE, "x")]),
        || provide(vec![password(Akms::PSK.and(Akms::SAE), "a secret of eight")]),
        || provide(vec![grant(Credential { akm: Akms::DPP, ..Credential::default() }), password(Akms::SAE, "second")]),
    ];
    for case in cases {
        configurator.decide(move |_| case());
        let networks = enrolled(device.announce(&configurator).await);
        let Ruling::Provide(expected) = case() else { panic!() };
        assert_eq!(networks.objects.len(), expected.objects.len());
        for (got, expected) in networks.objects.iter().zip(&expected.objects) {
            let secret = |credential: &Credential| credential.passphrase.as_ref().map(|pass| pass.expose().clone());
            assert_eq!(secret(&got.credential), secret(&expected.object.credential));
            assert_eq!(got.credential.akm, expected.object.credential.akm);
        }
        assert_eq!(configurator.end().await.unwrap().result, Some(Status::Ok));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_the_key_that_is_kept() {
    let device = Device::new(Curve::P256, 71, None);
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key]).await;
    configurator.decide(certificates());
    let networks = enrolled(device.announce(&configurator).await);
    let enterprise = networks.objects.first().unwrap().credential.enterprise.clone().unwrap();
    let bag = cms::parse_certs_only(&enterprise.cert_bag).unwrap();
    let key = |certificate: &Certificate| PublicKey::from_spki(certificate.public_key().spki_der());
    assert!(bag.iter().any(|certificate| key(certificate).as_ref() == Ok(networks.key.public())));
    // A device that makes no requests says so instead of going round in circles.
    let mut without = Device::new(Curve::P256, 71, None);
    without.enrollee.wishes.certificates = false;
    assert_eq!(refused(without.announce(&configurator).await).check, "dpp-asked-again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_where_the_configurator_wants_one() {
    for (seed, curve) in (81..).zip(CURVES) {
        let device = Device::new(Curve::P256, seed, None);
        let key = device.enrollee.identity.uri.key.clone();
        let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key]).await;
        let mut asked = false;
        configurator.decide(move |_| match std::mem::replace(&mut asked, true) {
            false => Ruling::NewKey(curve),
            true => connector(),
        });
        let networks = enrolled(device.announce(&configurator).await);
        assert_eq!(networks.key.curve(), curve);
        check_connector(&networks, &configurator);
    }
}

struct Joins(Status, Mutex<u32>);

impl Join for Joins {
    fn join<'a>(&'a self, networks: &'a Networks) -> Pin<Box<dyn Future<Output = ConnectionStatus> + Send + 'a>> {
        *self.1.lock().unwrap() += 1;
        let ssid = networks.objects.first().map(|object| object.discovery.ssid.clone());
        let result = self.0;
        Box::pin(async move { ConnectionStatus { result, ssid, channels: Vec::new() } })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_joining_went_is_told_if_that_is_wanted() {
    let device = Device::new(Curve::P256, 91, None);
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key]).await;
    let at = endpoint(configurator.address);
    for wanted in [true, false] {
        configurator.decide(move |_| match connector() {
            Ruling::Provide(grants) => Ruling::Provide(Grants { status: wanted, ..grants }),
            other => other,
        });
        for result in [Status::Ok, Status::AuthFailure, Status::InvalidConnector, Status::NoMatch, Status::NoAp] {
            let joins = Joins(result, Mutex::new(0));
            let outcome = device.enrollee.announce(&at, device.session_joining(&joins)).await.unwrap();
            let Outcome::Enrolled(enrolled) = outcome else { panic!() };
            let told = configurator.end().await.unwrap().connection;
            assert_eq!(told, enrolled.connection);
            assert_eq!(told.map(|status| status.result), wanted.then_some(result));
            assert_eq!(*joins.1.lock().unwrap(), u32::from(wanted));
        }
    }
}

struct Broken;

impl Keep for Broken {
    fn keep(&self, _: Arc<Networks>) -> Result<(), landfall_device::DeviceError> {
        Err(landfall_device::DeviceError::Config("the disk is full".into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_be_taken_that_is_not_kept() {
    let device = Device::new(Curve::P256, 101, None);
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![key]).await;
    let mut session = device.session();
    session.keep = &Broken;
    let outcome = device.enrollee.announce(&endpoint(configurator.address), session).await.unwrap();
    assert!(refused(outcome).detail.contains("the disk is full"));
    assert!(configurator.end().await.is_err(), "the configurator does not hear that it was taken");
    // The next time it works.
    check_connector(&enrolled(device.announce(&configurator).await), &configurator);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart() {
    let mut device = Device::new(Curve::P256, 111, None);
    device.enrollee.wishes.patience = Duration::from_millis(300);
    let key = device.enrollee.identity.uri.key.clone();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    assert_eq!(refused(device.announce(&configurator).await).check, "dpp-silence", "a device of others gets no answer");
    configurator.rules().devices.push(key);
    configurator.decide(|_| deny());
    assert_eq!(refused(device.announce(&configurator).await).check, "dpp-denied");
    configurator.decide(|_| connector());
    configurator.rules().cut_before_answer = true;
    assert_eq!(refused(device.announce(&configurator).await).check, "dpp-connection");
    assert!(device.store.networks().is_none());
    // Nobody is there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(free.local_addr().unwrap());
    drop(free);
    let outcome = device.enrollee.announce(&at, device.session()).await.unwrap();
    assert_eq!(refused(outcome).check, "dpp-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_a_connection_ends_nothing_else() {
    let mut device = Device::new(Curve::P256, 121, None);
    device.enrollee.wishes.patience = Duration::from_millis(300);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 9, 0x50, 0x6f, 0x9a],
        &[0, 0, 0, 7, 9, 0x50, 0x6f, 0x9a, 0x1a, 1, 0],
    ] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(noise).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let outcome = device.enrollee.answer(Link::of(accepted).unwrap(), device.session()).await.unwrap();
        refused(outcome);
    }
}
