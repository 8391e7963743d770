//! What access points are given, and how much they may ask of the configurator.

use super::{
    device::{Device, Link},
    ground::Ground,
};
use landfall_dpp::connector::SignedConnector;
use landfall_server::admin::view::AccessPointFile;
use landfall_types::Time;

#[tokio::test(flavor = "multi_thread")]
async fn an_access_point_has_what_its_devices_have() {
    let networks = "[[configurator.network]]\nssid = \"Home\"\nkind = \"connector+psk+sae\"\n\
                    [[configurator.network]]\nssid = \"Corp\"\nkind = \"dot1x\"\n";
    let ground = Ground::with(networks).await;
    let device = Device { mac: Some([2, 0, 0, 0, 0, 9]), ..Device::new(1) };
    ground.own(&device).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    let credential = &onboarded.object().credential;
    let password = credential.passphrase.as_ref().unwrap().expose();
    let new = serde_json::json!({
        "name": "hall", "interface": "wlan0", "controller": "192.0.2.1", "folder": "/etc/hostapd", "days": 365,
        "radius": "192.0.2.2:1812",
    });
    let files: Vec<AccessPointFile> = ground.client.post("/v1/network/configurator/access-point", &new).await.unwrap();
    let file = |name: &str| &files.iter().find(|file| file.name == name).unwrap().content;
    let (settings, keys) = (file("hostapd.conf"), file("wpa-psk-0"));
    let value = |key: &str| {
        settings.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_else(|| panic!("{key}"))
    };
    let view = ground.view().await;
    for key in &view.keys {
        assert!(settings.contains(&format!("dpp_controller=ipaddr=192.0.2.1 pkhash={}\n", key.hash)));
    }
    assert_eq!(value("dpp_configurator_connectivity"), "1");
    assert_eq!(value("wpa_key_mgmt"), "DPP WPA-PSK SAE");
    assert_eq!(value("wpa_psk_file"), "/etc/hostapd/wpa-psk-0");
    assert!(settings.contains("wpa_key_mgmt=WPA-EAP\n") && settings.contains("auth_server_addr=192.0.2.2\n"));
    assert!(keys.contains(&format!(" 02:00:00:00:00:09 {password}\n")));
    assert!(value("sae_password").starts_with(&format!("{password}|mac=02:00:00:00:00:09")));
    // Both have connectors of one configurator, in complementary roles of one group.
    let csign = &credential.csign.as_ref().unwrap().key;
    let own = SignedConnector::parse(value("dpp_connector")).unwrap();
    let (own, now) = (own.verify(csign, Time::now()).unwrap(), Time::now());
    let theirs = SignedConnector::parse(credential.connector.as_ref().unwrap()).unwrap();
    own.matches(theirs.verify(csign, now).unwrap()).unwrap();
    assert_eq!(value("dpp_csign"), hex::encode(csign.spki()));
    let private = hex::decode(value("dpp_netaccesskey")).unwrap();
    assert_eq!(landfall_dpp::curve::PrivateKey::from_pkcs8(&private).unwrap().public(), &own.key);
    // What is deleted leads in nowhere.
    ground.judge(&device, "delete-credentials").await;
    let files: Vec<AccessPointFile> = ground.client.post("/v1/network/configurator/access-point", &new).await.unwrap();
    assert!(files.iter().all(|file| !file.content.contains(password.as_str())));
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_keep_nobody_out() {
    let ground = Ground::new().await;
    let device = Device::new(1);
    ground.own(&device).await;
    let mut idle = Vec::new();
    for number in 0..200u8 {
        let mut link = Link::to(ground.address).await;
        // Some of them stop in the middle of a frame.
        link.bytes(&[0, 0, 1][..usize::from(number % 4)]).await;
        idle.push(link);
    }
    assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_are_places_wait() {
    let limits = "[configurator.limits]\nconnections = 4\nidle = \"1s\"\n";
    let ground = Ground::with(&format!("{limits}{}", super::ground::CONNECTOR)).await;
    let device = Device::new(1);
    ground.own(&device).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(Link::to(ground.address).await);
    }
    // Those that say nothing lose their places.
    assert!(device.chirp(ground.address).await.unwrap().done.is_ok());
    ground.stop().await;
}
