//! Debian's wpa_supplicant and hostapd with each other, without a radio: what they can do is what ours can be held
//! against, and it shows that the harness works.

use landfall_dpp::Curve;
use landfall_reference::peers::{
    Peer,
    dpp::{Akm, AuthInit, BootstrapId, Configuration, ConfiguratorId, NetRole, Role},
    program,
};
use landfall_testkit::{current_test, free_port, openssl, skip, temp_dir};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
/// base64 of the attributes that ask for a challengePassword.
const CSR_ATTRIBUTES: &str = "MAsGCSqGSIb3DQEJBw==";

/// Without them the test that asks is reported as skipped.
pub(super) fn installed() -> bool {
    let missing = ["wpa_supplicant", "hostapd"].into_iter().find(|name| program(name).is_none());
    if let Some(missing) = missing {
        skip(&current_test(), &format!("{missing} is not installed"));
    }
    missing.is_none()
}

/// A wpa_supplicant that listens over TCP and configures whoever begins.
pub(super) struct Controller {
    pub(super) peer: Peer,
    by: ConfiguratorId,
    pub(super) own: BootstrapId,
    pub(super) uri: String,
    pub(super) address: SocketAddr,
}

impl Controller {
    /// With a bootstrapping key on that curve; it hands out `configurations`.
    pub(super) async fn start(curve: Curve, configurations: &[Configuration]) -> Self {
        let mut peer = Peer::supplicant().await.unwrap();
        let by = peer.configurator_add(Curve::P256, None).await.unwrap();
        let own = peer.bootstrap_gen(curve, None, "").await.unwrap();
        let uri = peer.uri(own).await.unwrap();
        peer.hand_out(by, configurations).await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        peer.controller_start(address.port(), Role::Configurator, false).await.unwrap();
        Self { peer, by, own, uri, address }
    }

    /// From now on it hands out something else.
    pub(super) async fn hand_out(&mut self, configurations: &[Configuration]) {
        self.peer.controller_stop().await.unwrap();
        self.peer.hand_out(self.by, configurations).await.unwrap();
        self.peer.controller_start(self.address.port(), Role::Configurator, false).await.unwrap();
    }
}

#[tokio::test]
async fn enrollees_begin_over_every_curve() {
    if !installed() {
        return;
    }
    for curve in Curve::ALL {
        let mut controller = Controller::start(curve, &[Configuration::sta(Akm::Dpp, "lab")]).await;
        let mut enrollee = Peer::supplicant().await.unwrap();
        let peer = enrollee.qr_code(&controller.uri).await.unwrap();
        enrollee.auth_init(&AuthInit::enrollee(peer).to(controller.address)).await.unwrap();
        let configured = enrollee.configured(LIMIT).await.unwrap();
        assert_eq!((configured.akm(), configured.ssid()), (Some("dpp"), Some("lab")), "{curve:?}");
        assert!(configured.connector().is_some() && configured.c_sign_key().is_some(), "{curve:?}");
        assert!(configured.net_access_key().is_some() && configured.pp_key().is_some(), "{curve:?}");
        controller.peer.event(&["DPP-CONF-SENT"], LIMIT).await.unwrap();
    }
}

/// An enrollee that waits for its configurator to come, whom it must know first if that is `mutual`; and its URI.
async fn waiting_enrollee(mutual: bool) -> (Peer, String, SocketAddr) {
    let mut enrollee = Peer::supplicant().await.unwrap();
    let own = enrollee.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    let uri = enrollee.uri(own).await.unwrap();
    let port = free_port();
    enrollee.controller_start(port, Role::Enrollee, mutual).await.unwrap();
    (enrollee, uri, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[tokio::test]
async fn a_configurator_begins_with_either_password_and_both_sides_known() {
    if !installed() {
        return;
    }
    let (mut enrollee, uri, address) = waiting_enrollee(false).await;

    let mut configurator = Peer::supplicant().await.unwrap();
    let by = configurator.configurator_add(Curve::P384, None).await.unwrap();
    let own = configurator.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    let known = configurator.uri(own).await.unwrap();
    enrollee.qr_code(&known).await.unwrap();
    let peer = configurator.qr_code(&uri).await.unwrap();
    for akm in [Akm::Psk, Akm::Sae] {
        let configuration = Configuration::sta(akm, "lab").pass("a long password");
        let init = AuthInit::configurator(peer, by, &[configuration]).to(address).own(own);
        configurator.auth_init(&init).await.unwrap();
        let direction = configurator.event(&["DPP-AUTH-DIRECTION"], LIMIT).await.unwrap();
        assert_eq!(direction.field("mutual"), Some("1"));
        let configured = enrollee.configured(LIMIT).await.unwrap();
        assert_eq!(configured.akm(), Some(akm.to_string().as_str()));
        assert_eq!(configured.pass().as_deref(), Some("a long password"));
        configurator.event(&["DPP-CONF-SENT"], LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn an_enrollee_that_wants_to_know_its_configurator_waits_for_its_code() {
    if !installed() {
        return;
    }
    let (mut enrollee, uri, address) = waiting_enrollee(true).await;

    let mut configurator = Peer::supplicant().await.unwrap();
    let by = configurator.configurator_add(Curve::P256, None).await.unwrap();
    let own = configurator.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    let peer = configurator.qr_code(&uri).await.unwrap();
    let init = AuthInit::configurator(peer, by, &[Configuration::sta(Akm::Dpp, "lab")]);
    let init = init.to(address).own(own);
    configurator.auth_init(&init).await.unwrap();
    configurator.event(&["DPP-RESPONSE-PENDING"], LIMIT).await.unwrap();
    enrollee.event(&["DPP-SCAN-PEER-QR-CODE"], LIMIT).await.unwrap();
    let known = configurator.uri(own).await.unwrap();
    enrollee.qr_code(&known).await.unwrap();
    assert_eq!(enrollee.configured(LIMIT).await.unwrap().akm(), Some("dpp"));
}

/// What hands out certificates: openssl, with a CA of its own.
pub(super) struct Ca {
    openssl: PathBuf,
    folder: TempDir,
}

impl Ca {
    /// Without openssl the test that asks is reported as skipped.
    pub(super) fn new() -> Option<Self> {
        let ca = Self { openssl: openssl()?, folder: temp_dir() };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        ca.run(&format!("req -x509 {key} -subj /CN=CA -days 30 -keyout ca.key -out ca.pem"));
        for name in ["server", "device"] {
            ca.run(&format!("req {key} -subj /CN={name}.lab -keyout {name}.key -out {name}.csr"));
            ca.run(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 30 -out {name}.pem"));
        }
        Some(ca)
    }

    /// The text of `ca.pem`, `server.pem`, `server.key`, `device.pem` or `device.key`.
    pub(super) fn take(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Certifies a request in base64; gives a certs-only PKCS #7 in base64.
    pub(super) fn certify(&self, request: &str) -> String {
        fs::write(self.folder.path().join("asked.b64"), request).unwrap();
        self.run("base64 -d -A -in asked.b64 -out asked.der");
        self.run("x509 -req -inform DER -in asked.der -CA ca.pem -CAkey ca.key -days 30 -out given.pem");
        self.run("crl2pkcs7 -nocrl -certfile given.pem -outform DER -out given.p7");
        self.run("base64 -A -in given.p7")
    }

    fn run(&self, line: &str) -> String {
        let mut command = Command::new(&self.openssl);
        let done = command.args(line.split(' ')).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

/// What a controller hands out to those who are to get a certificate.
pub(super) fn dot1x(ssid: &str) -> Configuration {
    Configuration { csr_attributes: Some(CSR_ATTRIBUTES.into()), ..Configuration::sta(Akm::Dot1x, ssid) }
}

#[tokio::test]
async fn a_certificate_is_asked_for_and_given_or_refused() {
    let Some(ca) = Ca::new() else { return };
    if !installed() {
        return;
    }
    let mut controller = Controller::start(Curve::P256, &[dot1x("lab")]).await;
    for given in [true, false] {
        let mut enrollee = Peer::supplicant().await.unwrap();
        let peer = enrollee.qr_code(&controller.uri).await.unwrap();
        enrollee.auth_init(&AuthInit::enrollee(peer).to(controller.address)).await.unwrap();
        let asked = controller.peer.event(&["DPP-CSR"], LIMIT).await.unwrap();
        let bag = ca.certify(asked.field("csr").unwrap());
        if given {
            controller.peer.ca_set(&asked, "trustedEapServerName", "server.lab").await.unwrap();
            controller.peer.ca_set_cert_bag(&asked, &bag).await.unwrap();
            let configured = enrollee.configured(LIMIT).await.unwrap();
            assert_eq!((configured.akm(), configured.cert_bag()), (Some("dot1x"), Some(bag.as_str())));
            assert_eq!(configured.text("DPP-SERVER-NAME"), Some("server.lab"));
            controller.peer.event(&["DPP-CONF-SENT"], LIMIT).await.unwrap();
        } else {
            controller.peer.ca_set(&asked, "status", "5").await.unwrap();
            let refused = enrollee.event(&["DPP-FAIL", "DPP-CONF-RECEIVED"], LIMIT).await.unwrap();
            assert_eq!(refused.name, "DPP-FAIL", "{refused:?}");
        }
    }
}

#[tokio::test]
async fn hostapd_is_an_access_point_to_be() {
    if !installed() {
        return;
    }
    let configuration = Configuration::sta(Akm::Dpp, "lab").ap();
    let controller = Controller::start(Curve::P256, &[configuration]).await;
    let mut hostapd = Peer::hostapd().await.unwrap();
    let peer = hostapd.qr_code(&controller.uri).await.unwrap();
    let init = AuthInit { net_role: NetRole::Ap, ..AuthInit::enrollee(peer).to(controller.address) };
    hostapd.auth_init(&init).await.unwrap();
    let configured = hostapd.configured(LIMIT).await.unwrap();
    assert!(configured.akm() == Some("dpp") && configured.connector().is_some(), "{configured:?}");
}

/// One thing changed: the code is another's.
#[tokio::test]
async fn another_code_gets_no_answer() {
    if !installed() {
        return;
    }
    let controller = Controller::start(Curve::P256, &[Configuration::sta(Akm::Dpp, "lab")]).await;
    let mut other = Peer::supplicant().await.unwrap();
    let wrong = other.bootstrap_gen(Curve::P256, None, "").await.unwrap();
    let wrong = other.uri(wrong).await.unwrap();
    let mut enrollee = Peer::supplicant().await.unwrap();
    let peer = enrollee.qr_code(&wrong).await.unwrap();
    enrollee.auth_init(&AuthInit::enrollee(peer).to(controller.address)).await.unwrap();
    // The controller hangs up, and its log says why.
    assert!(enrollee.event(&["DPP-AUTH-SUCCESS"], Duration::from_secs(1)).await.is_err());
}
