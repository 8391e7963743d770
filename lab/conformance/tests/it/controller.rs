//! The configurator with Debian's wpa_supplicant as the device, over TCP: either side begins, on every curve, with every kind
//! of credential.

use super::{hostap::installed, shell::Folder};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_dpp::{Curve, Uri, connector::SignedConnector, curve::PublicKey};
use landfall_lifecycle::{
    network::NetworkCredential,
    transfer::{Bootstrapping, DppRole, Held, Via},
};
use landfall_pki::{Algorithm, AltName};
use landfall_reference::peers::{
    Peer,
    dpp::{AuthInit, BootstrapId, Configured, Role},
};
use landfall_server::{
    RoleName, Server, Settings, Trigger,
    admin::{
        Address, Client,
        view::{AuditEvent, BootstrapKey, ConfiguratorView, Device, HandOverAllowed, Page},
    },
    domain::NewDomain,
    open,
    registrar::CertificateRecord,
    shutdown,
};
use landfall_store::Store;
use landfall_testkit::{Running, free_port, openssl, tool};
use landfall_types::{Changes, Outcome, Record, Time};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Command, time::Duration};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A configurator that runs, until dropped.
pub(super) struct Configurator {
    address: SocketAddr,
    client: Client,
    store: Store,
    _trigger: Trigger,
    _folder: TempDir,
}

impl Configurator {
    /// For one network of that kind.
    async fn start(kind: &str) -> Self {
        Self::start_with(kind, "").await
    }

    /// The same with more in the settings.
    pub(super) async fn start_with(kind: &str, more: &str) -> Self {
        Self::start_beside(kind, more, "").await
    }

    /// The same beside other roles, with what is said of them and of the network.
    pub(super) async fn start_beside(kind: &str, more: &str, beside: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[metrics]\nlisten = \"\"\n[configurator]\nlisten = \"127.0.0.1:0\"\nannounce = false\nlimits.join = \"0s\"\n\
             {more}[[configurator.network]]\nssid = \"Home\"\nkind = \"{kind}\"\n{beside}"
        );
        let mut settings = Settings::parse(&text).unwrap();
        settings.data = folder.path().to_owned();
        let element = open::element(&settings).unwrap();
        let names = vec![AltName::Dns("localhost".into())];
        NewDomain { organization: "Net".into(), names, algorithm: Algorithm::EcdsaP256 }
            .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
            .unwrap();
        let (trigger, shutdown) = shutdown();
        let server = Server::build(&settings, &[], shutdown).await.unwrap();
        let addresses = server.addresses();
        let (_, address) = *addresses.iter().find(|(role, _)| *role == RoleName::Configurator).unwrap();
        let store = server.world().store.clone();
        tokio::spawn(server.run());
        let client = Client::new(Address::Local(settings.admin_socket()));
        Self { address, client, store, _trigger: trigger, _folder: folder }
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    async fn view(&self) -> ConfiguratorView {
        let mut views: Vec<ConfiguratorView> = self.client.get("/v1/network/configurator").await.unwrap();
        views.remove(0)
    }

    async fn key(&self, curve: Curve) -> BootstrapKey {
        let keys = self.view().await.keys;
        keys.into_iter().find(|key| key.curve == curve.name()).unwrap()
    }

    /// Its bootstrapping URI on a curve.
    pub(super) async fn uri(&self, curve: Curve) -> String {
        self.key(curve).await.uri
    }

    /// The hash of that key.
    pub(super) async fn key_hash(&self, curve: Curve) -> String {
        self.key(curve).await.hash
    }

    /// The ids of the keys that sign and signed connectors.
    pub(super) async fn signers(&self) -> Vec<String> {
        self.view().await.signers
    }

    /// Lets a configurator in the book have the keys.
    pub(super) async fn allow_hand_over(&self, serial: &str) {
        let to = json!({ "device": serial });
        let _: HandOverAllowed = self.client.post("/v1/network/configurator/hand-over", &to).await.unwrap();
    }

    /// Takes the device into the book.
    pub(super) async fn own(&self, uri: &str, serial: &str) {
        self.enter(uri, serial, None).await;
    }

    /// Takes another configurator into the book.
    pub(super) async fn own_configurator(&self, uri: &str, serial: &str) {
        self.enter(uri, serial, Some(DppRole::Configurator)).await;
    }

    async fn enter(&self, uri: &str, serial: &str, role: Option<DppRole>) {
        let key = uri.parse::<Uri>().unwrap().key;
        let entry = Bootstrapping {
            tenant: "home".parse().unwrap(),
            bootstrap_hash: key.bootstrap_hash(),
            chirp_hash: key.chirp_hash(),
            uri: uri.into(),
            serial_number: Some(serial.parse().unwrap()),
            model: None,
            device: None,
            role,
            configurator: None,
            received: Time::now(),
            via: Via::Uri,
            state: Held::Held,
        };
        self.store.commit(Changes::new().put(&entry).unwrap()).await.unwrap();
    }

    /// Throws a device out.
    pub(super) async fn revoke(&self, serial: &str) {
        let note = json!({ "reason": "the test ends it" });
        let _: Value = self.client.post(&format!("/v1/network/devices/{serial}/revoke"), &note).await.unwrap();
    }

    /// How each action of that name ended, in order: `done`, or the check that failed.
    pub(super) async fn ended(&self, action: &str) -> Vec<String> {
        let page: Page<AuditEvent> = self.client.list("/v1/audit", &[("limit", Some("1000"))]).await.unwrap();
        let its = page.items.into_iter().filter(|event| event.action == action);
        its.map(|event| match event.outcome {
            Outcome::Refused(refusal) => refusal.check.to_string(),
            _ => "done".into(),
        })
        .collect()
    }

    /// Whether the operator sees that the device authenticated the network.
    async fn is_authenticated_by(&self, serial: &str) -> bool {
        let shown: Device = self.client.get(&format!("/v1/network/devices/{serial}")).await.unwrap();
        shown.configuration.unwrap().network_authenticated
    }

    /// The only credential that was issued.
    fn credential(&self) -> NetworkCredential {
        let mut kept = self.store.scan::<NetworkCredential>(None, 10).unwrap();
        assert_eq!(kept.len(), 1);
        kept.remove(0).record
    }

    /// A wpa_supplicant with a bootstrapping key, which is in the book.
    async fn device(&self, curve: Curve, serial: &str) -> (Peer, BootstrapId, String) {
        let mut peer = Peer::supplicant().await.unwrap();
        let own = peer.bootstrap_gen(curve, None, "mac=020000000001").await.unwrap();
        let uri = peer.uri(own).await.unwrap();
        self.own(&uri, serial).await;
        (peer, own, uri)
    }

    /// A wpa_supplicant begins by itself; both sides prove who they are.
    async fn asked_by(&self, curve: Curve, serial: &str) -> Configured {
        let (mut peer, own, _) = self.device(curve, serial).await;
        let configurator = peer.qr_code(&self.uri(curve).await).await.unwrap();
        peer.auth_init(&AuthInit::enrollee(configurator).to(self.address).own(own)).await.unwrap();
        let direction = peer.event(&["DPP-AUTH-DIRECTION"], LIMIT).await.unwrap();
        assert_eq!(direction.field("mutual"), Some("1"));
        peer.configured(LIMIT).await.unwrap()
    }
}

/// The connector is for the key that the device says it has, under the signing key that it was told.
fn check_connector(configured: &Configured, credential: &NetworkCredential) {
    assert_eq!((configured.akm(), configured.ssid()), (Some("dpp"), Some("Home")));
    let text = configured.connector().unwrap();
    assert_eq!(Some(text), credential.connector.as_deref());
    let signer = PublicKey::from_spki(&hex::decode(configured.c_sign_key().unwrap()).unwrap()).unwrap();
    SignedConnector::parse(text).unwrap().verify(&signer, Time::now()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wpa_supplicant_begins_on_every_curve_and_both_sides_are_authenticated() {
    if !installed() {
        return;
    }
    for curve in Curve::ALL {
        let configurator = Configurator::start("connector").await;
        let configured = configurator.asked_by(curve, "S-1").await;
        check_connector(&configured, &configurator.credential());
        assert!(configurator.is_authenticated_by("S-1").await, "{curve}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configurator_begins_on_every_curve_with_a_wpa_supplicant_that_listens() {
    if !installed() {
        return;
    }
    for curve in Curve::ALL {
        let configurator = Configurator::start("connector").await;
        let (mut peer, _, uri) = configurator.device(curve, "S-1").await;
        let port = free_port();
        peer.controller_start(port, Role::Enrollee, false).await.unwrap();
        let hash = uri.parse::<Uri>().unwrap().key.bootstrap_hash().to_string();
        let reach = json!({ "device": hash, "by": format!("127.0.0.1:{port}") });
        let (reached, configured) = tokio::join!(
            configurator.client.post::<Value>("/v1/network/configurator/reach", &reach),
            peer.configured(LIMIT)
        );
        reached.unwrap();
        check_connector(&configured.unwrap(), &configurator.credential());
        // The device does not know the configurator's key: that the network is the right one is taken on trust.
        assert!(!configurator.is_authenticated_by("S-1").await, "{curve}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wpa_supplicant_gets_a_password_of_its_own() {
    if !installed() {
        return;
    }
    for kind in ["psk", "sae"] {
        let configurator = Configurator::start(kind).await;
        let first = configurator.asked_by(Curve::P256, "S-1").await;
        let second = configurator.asked_by(Curve::P256, "S-2").await;
        assert_eq!((first.akm(), first.ssid()), (Some(kind), Some("Home")));
        let (first, second) = (first.pass().unwrap(), second.pass().unwrap());
        assert!((8..=63).contains(&first.len()) && first != second, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wpa_supplicant_asks_for_a_certificate_and_gets_it() {
    if !installed() {
        return;
    }
    let configurator = Configurator::start("dot1x").await;
    let configured = configurator.asked_by(Curve::P256, "S-1").await;
    assert_eq!((configured.akm(), configured.ssid()), (Some("dot1x"), Some("Home")));
    assert!(configurator.credential().certificate.is_some());
    // The bag, as openssl reads it: the device's certificate and what stands above it.
    let Some(openssl) = openssl() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bag.p7"), STANDARD.decode(configured.cert_bag().unwrap()).unwrap()).unwrap();
    let read = Command::new(openssl)
        .args(["pkcs7", "-inform", "DER", "-in", "bag.p7", "-print_certs"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success() && text.contains("CN = S-1"), "{read:?}");
    assert!(text.matches("BEGIN CERTIFICATE").count() > 1, "{text}");
}

/// The CA is openssl behind Python's TLS, and asks to come again once: the device waits meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_wpa_supplicant_gets_a_certificate_of_a_foreign_ca_by_est() {
    let (Some(python), Some(_), true) = (tool("python3"), openssl(), installed()) else { return };
    let folder = Folder::new();
    let mut ca = Command::new(python);
    let mut ca = Running::start(ca.args(["-c", include_str!("ca.py")]).current_dir(folder.path("")));
    let line = ca.until("port ");
    let port = line.rsplit(' ').next().unwrap().trim();
    let (root, password) = (folder.path("root.pem"), folder.put("password", "wi-fi:secret\n"));
    let est = format!(
        "[configurator.certificates.est]\nserver = \"localhost:{port}\"\nanchors = [{root:?}]\npassword-file = {password:?}\n"
    );
    let configurator = Configurator::start_with("dot1x", &est).await;
    let configured = configurator.asked_by(Curve::P256, "S-1").await;
    assert_eq!((configured.akm(), configured.ssid()), (Some("dot1x"), Some("Home")));
    assert!(configured.cert_bag().is_some());
    let kept = configurator.store.scan::<CertificateRecord>(None, 10).unwrap();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(Some(kept.key()), configurator.credential().certificate);
    folder.put("leaf.der", &kept.issued.certificate);
    folder.run(&openssl().unwrap(), "verify -CAfile root.pem -purpose sslclient leaf.der");
}

/// One thing changed: the device is in nobody's book.
#[tokio::test(flavor = "multi_thread")]
async fn a_wpa_supplicant_that_nobody_owns_gets_no_answer() {
    if !installed() {
        return;
    }
    let configurator = Configurator::start("connector").await;
    let mut peer = Peer::supplicant().await.unwrap();
    let own = peer.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    let theirs = peer.qr_code(&configurator.uri(Curve::P256).await).await.unwrap();
    peer.auth_init(&AuthInit::enrollee(theirs).to(configurator.address).own(own)).await.unwrap();
    assert!(peer.event(&["DPP-AUTH-SUCCESS"], Duration::from_secs(1)).await.is_err());
    let refused: Vec<Value> = configurator.client.get("/v1/network/configurator/refused").await.unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
}
