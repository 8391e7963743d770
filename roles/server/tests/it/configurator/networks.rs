//! What devices are given for networks of each kind.

use super::{
    device::Device,
    ground::{CONNECTOR, Ground},
};
use landfall_dpp::{
    Curve,
    config::{Akms, ConfigRequest},
    connector::SignedConnector,
};
use landfall_lifecycle::network::NetworkCredential;
use landfall_pki::{Certificate, cms::parse_certs_only, oid};
use landfall_types::Time;

fn network(ssid: &str, kind: &str) -> String {
    format!("[[configurator.network]]\nssid = \"{ssid}\"\nkind = \"{kind}\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_device_has_a_password_of_its_own_that_is_nowhere_to_be_read() {
    let ground = Ground::with(&network("Home", "psk+sae")).await;
    let mut passwords = std::collections::HashSet::new();
    for number in 0..3 {
        let device = Device { mac: Some([2, 0, 0, 0, 0, number]), ..Device::new(number.into()) };
        ground.own(&device).await;
        let onboarded = device.chirp(ground.address).await.unwrap();
        let credential = &onboarded.object().credential;
        assert_eq!(credential.akm, Akms::PSK.and(Akms::SAE));
        assert!(credential.connector.is_some(), "it can be reconfigured");
        let password = credential.passphrase.as_ref().unwrap().expose().clone();
        assert_eq!(password.len(), 32);
        let text = format!("{onboarded:?}{:?}{:?}", ground.record(&device, "home"), ground.shown(&device).await);
        assert!(!text.contains(&password));
        passwords.insert(password);
    }
    assert_eq!(passwords.len(), 3);
    let kept = ground.store.scan::<NetworkCredential>(None, 10).unwrap();
    let logged = ground.store.log("network-credentials", 0, 10).unwrap();
    let text = serde_json::to_string(&kept.iter().map(|kept| &kept.record).collect::<Vec<_>>()).unwrap();
    let text = format!("{text}{logged:?}");
    assert!(passwords.iter().all(|password| !text.contains(password.as_str())));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_needs_something_to_know_its_device_by() {
    let ground = Ground::with(&network("Home", "sae")).await;
    let (mut device, plain) = (Device::new(1), Device::new(2));
    device.request.capabilities = Some(ConfigRequest::SAE_PASSWORD_ID);
    ground.own(&device).await;
    ground.own(&plain).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    assert_eq!(onboarded.object().credential.password_id.as_ref().unwrap().len(), 16);
    // Neither an address nor identifiers: access points could not tell whose password it is.
    assert!(plain.chirp(ground.address).await.is_none());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_8021x_is_issued_for_the_key_that_was_authenticated() {
    let ground = Ground::with(&format!("{}eap-server = \"aaa.example\"\n", network("Corp", "dot1x"))).await;
    let device = Device::new(1);
    ground.own(&device).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    let enterprise = onboarded.object().credential.enterprise.as_ref().unwrap();
    assert_eq!(enterprise.server_name.as_deref(), Some("aaa.example"));
    let bag = parse_certs_only(&enterprise.cert_bag).unwrap();
    let key = onboarded.received.key.public();
    // Debian's wpa_supplicant takes the first for its own.
    let leaf = bag.first().unwrap();
    let leaf_key = landfall_dpp::curve::PublicKey::from_spki(leaf.public_key().spki_der()).unwrap();
    assert_eq!(leaf_key, *key);
    assert_eq!(leaf.subject_serial_number().unwrap().as_str(), device.serial);
    Certificate::from_der(enterprise.ca_cert.as_ref().unwrap()).unwrap();
    let shown = ground.shown(&device).await;
    assert_eq!(shown.certificates.len(), 1);
    let shown = ground.judge(&device, "revoke").await;
    assert!(shown.certificates[0].revoked.is_some());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_where_the_list_of_its_issuer_is() {
    const URL: &str = "http://crl.example/domain.crl";
    for (authority, listed) in [("domain/issuing.pem", true), ("domain/operators.pem", false)] {
        let registrar = format!("[registrar]\ncrl-url = {URL:?}\nauthority = {{ certificate = {authority:?} }}\n");
        let ground = Ground::with(&format!("{}{registrar}", network("Corp", "dot1x"))).await;
        let device = Device::new(1);
        ground.own(&device).await;
        device.chirp(ground.address).await.unwrap();
        let certificate = Certificate::from_pem(&ground.shown(&device).await.certificates[0].pem).unwrap();
        let said = certificate.extension(oid::CRL_DISTRIBUTION_POINTS).map(|points| points.value.clone());
        let url = said.is_some_and(|points| points.windows(URL.len()).any(|part| part == URL.as_bytes()));
        assert_eq!(url, listed, "{authority}");
        ground.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_on_a_curve_without_certificates_makes_another_key() {
    let ground = Ground::with(&network("Corp", "dot1x")).await;
    let (device, old) = (Device::on(Curve::Bp256, 1), Device { version: 2, ..Device::on(Curve::Bp256, 2) });
    ground.own(&device).await;
    ground.own(&old).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    assert_eq!(onboarded.received.key.curve(), Curve::P256);
    assert!(old.chirp(ground.address).await.is_none());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_networks_in_one_answer_by_model_and_group() {
    let networks = "[[configurator.network]]\nssid = \"Lights\"\nkind = \"connector\"\nmodels = [\"bulb\"]\nexpires = \"30d\"\n\
                    groups = [\"lights\"]\n[[configurator.network.group]]\nid = \"dimmable\"\nmodels = [\"bulb\"]\n\
                    [[configurator.network.group]]\nid = \"doors\"\nmodels = [\"lock\"]\n\
                    [[configurator.network]]\nssid = \"Locks\"\nkind = \"connector\"\nmodels = [\"lock\"]\n\
                    [[configurator.network]]\nssid = \"Guests\"\nkind = \"psk\"\n";
    let ground = Ground::with(networks).await;
    let (bulb, old) = (Device::new(1), Device { version: 1, ..Device::new(2) });
    ground.own(&bulb).await;
    ground.own(&old).await;
    let onboarded = bulb.chirp(ground.address).await.unwrap();
    let ssids: Vec<_> = onboarded.received.objects.iter().map(|object| object.discovery.ssid.clone()).collect();
    assert_eq!(ssids, [b"Lights".to_vec(), b"Guests".to_vec()]);
    let credential = &onboarded.object().credential;
    let connector = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
    let connector = connector.verify(&credential.csign.as_ref().unwrap().key, Time::now()).unwrap();
    let groups: Vec<_> = connector.groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(groups, ["lights", "dimmable"]);
    assert!(connector.expiry.unwrap() > Time::now());
    assert!(ground.shown(&bulb).await.configuration.unwrap().expires.is_some());
    // Release 1 takes one.
    assert_eq!(old.chirp(ground.address).await.unwrap().received.objects.len(), 1);
    // Nothing for its model.
    let lock = Device::new(3);
    ground.enter(&lock, "home", |entry| entry.model = Ground::model("camera")).await;
    let camera = lock.chirp(ground.address).await.unwrap();
    assert_eq!(camera.object().discovery.ssid, b"Guests");
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_into_a_request_is_kept() {
    let ground = Ground::with(CONNECTOR).await;
    let mut device = Device::new(1);
    device.request.mud_url = Some("https://maker.example/bulb".into());
    let info = serde_json::json!({ "soinfo": [{ "uuid": "1" }] });
    device.request.others.insert("org.openconnectivity".into(), info.clone());
    ground.own(&device).await;
    device.chirp(ground.address).await.unwrap();
    let configuration = ground.shown(&device).await.configuration.unwrap();
    assert_eq!(configuration.mud_url.as_deref(), Some("https://maker.example/bulb"));
    assert_eq!(configuration.others.get("org.openconnectivity"), Some(&info));
    ground.stop().await;
}
