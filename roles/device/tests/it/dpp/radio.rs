//! The radio: what wpa_supplicant is told, and what is made of what it says. It is played here, and then the real one is
//! asked whether it takes what it is told.

use super::{
    Device,
    cli::Place,
    configurator::{Configurator, certificates, connector, grant, password, provide},
    exchange::enrolled,
};
use landfall_device::{
    Config,
    dpp::{self, End, Join, Networks, Onboarding, Supplicant, Via},
};
use landfall_dpp::{
    Curve, Status,
    config::{Akms, Credential},
    exchange::{Facts, Ruling},
};
use landfall_testkit::{Running, current_test, skip, temp_dir, tool};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::UnixDatagram;

/// A wpa_supplicant that says yes to everything, and after a request that begins in some way what it was given to say.
struct Played {
    dir: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Played {
    fn new(says: &[&str]) -> Self {
        Self::after("REASSOCIATE", says)
    }

    fn after(last: &'static str, says: &[&str]) -> Self {
        let says: Vec<String> = says.iter().map(|event| format!("<3>{event}")).collect();
        let dir = temp_dir();
        let socket = UnixDatagram::bind(dir.path().join("wlan0")).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut message = vec![0; 64 * 1024];
            let mut networks = 1;
            while let Ok((length, from)) = socket.recv_from(&mut message).await {
                let request = String::from_utf8(message[..length].to_vec()).unwrap();
                let from = from.as_pathname().unwrap().to_owned();
                let answer = match request.split(' ').next().unwrap() {
                    // One network of somebody else, and one that is left over from us.
                    "LIST_NETWORKS" => "network id / ssid / bssid / flags\n0\thome\tany\t\n1\told\tany\t\n".to_owned(),
                    "GET_NETWORK" if request.starts_with("GET_NETWORK 1 ") => "\"landfall\"\n".to_owned(),
                    "GET_NETWORK" => "FAIL\n".to_owned(),
                    "ADD_NETWORK" => {
                        networks += 1;
                        format!("{networks}\n")
                    }
                    "DPP_BOOTSTRAP_GEN" => "1\n".to_owned(),
                    "DPP_QR_CODE" => "2\n".to_owned(),
                    _ => "OK\n".to_owned(),
                };
                let last = request.starts_with(last);
                hears.lock().unwrap().push(request);
                socket.send_to(answer.as_bytes(), &from).await.unwrap();
                for event in says.iter().filter(|_| last) {
                    socket.send_to(event.as_bytes(), &from).await.unwrap();
                }
            }
        });
        Self { dir, heard }
    }

    fn radio(&self) -> Supplicant {
        radio(&self.dir.path().join("wlan0"), self.dir.path())
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn radio(control: &Path, dir: &Path) -> Supplicant {
    Supplicant { control: control.to_owned(), folder: dir.join("radio"), patience: Duration::from_millis(500) }
}

/// What a device gets from a configurator that decides so.
async fn networks(decide: fn() -> Ruling) -> Arc<Networks> {
    networks_by(move |_| decide()).await
}

async fn networks_by(decide: impl FnMut(&Facts) -> Ruling + Send + 'static) -> Arc<Networks> {
    let device = Device::new(Curve::P256, 301, None);
    let configurator =
        Configurator::start(Curve::P256, Curve::P384, vec![device.enrollee.identity.uri.key.clone()]).await;
    configurator.decide(decide);
    enrolled(device.announce(&configurator).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_went_is_told_truthfully() {
    let networks = networks(connector).await;
    let cases: [(&[&str], Status); 8] = [
        (&["CTRL-EVENT-SCAN-RESULTS", "CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:03:00 completed"], Status::Ok),
        (&["CTRL-EVENT-SSID-TEMP-DISABLED id=2 reason=WRONG_KEY", "CTRL-EVENT-CONNECTED - again"], Status::Ok),
        (&["CTRL-EVENT-SSID-TEMP-DISABLED id=2 reason=WRONG_KEY"], Status::AuthFailure),
        (&["CTRL-EVENT-EAP-FAILURE EAP authentication failed"], Status::AuthFailure),
        (&["DPP-INTRO peer=02:00:00:00:03:00 status=0", "DPP-INTRO peer=02:00:00:00:03:00 status=8"], Status::NoMatch),
        (&["DPP-INTRO peer=02:00:00:00:03:00 status=7"], Status::InvalidConnector),
        (&["CTRL-EVENT-NETWORK-NOT-FOUND "; 4], Status::NoAp),
        (&[], Status::NoAp),
    ];
    for (says, expected) in cases {
        let status = Played::new(says).radio().join(&networks).await;
        assert_eq!((status.result, status.ssid.as_deref()), (expected, Some(&b"lab net"[..])), "{says:?}");
    }
    // Nobody at the socket is no reason to say that all is well.
    let dir = temp_dir();
    assert_eq!(radio(&dir.path().join("none"), dir.path()).join(&networks).await.result, Status::NoAp);
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_takes_the_place_of_ours_alone() {
    let networks = networks(|| {
        let both = grant(Credential { akm: Akms::DPP, ..Credential::default() });
        provide(vec![both, password(Akms::SAE, "p\"ss"), password(Akms::PSK, "eight or more")])
    })
    .await;
    let played = Played::new(&["CTRL-EVENT-CONNECTED"]);
    assert_eq!(played.radio().join(&networks).await.result, Status::Ok);
    let heard = played.heard();
    let removed: Vec<_> = heard.iter().filter(|line| line.starts_with("REMOVE_NETWORK")).collect();
    assert_eq!(removed, ["REMOVE_NETWORK 1"], "nobody else's");
    let said = |line: &str| assert!(heard.iter().any(|heard| heard == line), "{line} in {heard:#?}");
    let connector = networks.objects[0].credential.connector.as_ref().unwrap();
    let csign = &networks.objects[0].credential.csign.as_ref().unwrap().key;
    said("SET_NETWORK 2 ssid 6c6162206e6574");
    said("SET_NETWORK 2 key_mgmt DPP");
    said("SET_NETWORK 2 ieee80211w 2");
    said(&format!("SET_NETWORK 2 dpp_connector \"{connector}\""));
    said(&format!("SET_NETWORK 2 dpp_csign {}", hex::encode(csign.spki())));
    said(&format!(
        "SET_NETWORK 2 dpp_netaccesskey {}",
        hex::encode(networks.key.to_ec_private_key().unwrap().expose())
    ));
    said("SET_NETWORK 3 key_mgmt SAE");
    said("SET_NETWORK 3 sae_password 70227373");
    said("SET_NETWORK 4 key_mgmt WPA-PSK WPA-PSK-SHA256");
    said("SET_NETWORK 4 psk \"eight or more\"");
    said("SET_NETWORK 2 priority 3");
    said("SET_NETWORK 4 priority 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_certificate_goes_into_its_memory_alone() {
    // Two networks, each with a CA of its own.
    let (mut one, mut other) = (certificates(), certificates());
    let networks = networks_by(move |facts| match (one(facts), other(facts)) {
        (Ruling::Provide(mut both), Ruling::Provide(more)) => {
            both.objects.extend(more.objects);
            Ruling::Provide(both)
        }
        (asks, _) => asks,
    });
    let networks = networks.await;
    let played = Played::new(&["CTRL-EVENT-CONNECTED"]);
    let radio = played.radio();
    // An earlier version left the key in a file.
    let old = radio.folder.join("key.pem");
    fs::create_dir(&radio.folder).unwrap();
    fs::write(&old, "PRIVATE").unwrap();
    assert_eq!(radio.join(&networks).await.result, Status::Ok);
    let heard = played.heard();
    let key = hex::encode(networks.key.to_pkcs8().unwrap().expose());
    let lent = heard.iter().position(|line| *line == format!("SET blob landfall-dpp {key}")).unwrap();
    assert_eq!(heard[lent - 1], "LOG_LEVEL INFO", "it does not write the key down");
    for network in [2, 3] {
        assert!(heard[lent..].contains(&format!("SET_NETWORK {network} private_key \"blob://landfall-dpp\"")));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&radio.folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(!fs::read_to_string(&path).unwrap().contains("PRIVATE"), "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["ca-2.pem", "ca-3.pem", "client-2.pem", "client-3.pem"]);
    let read = |name: &str| fs::read_to_string(radio.folder.join(name)).unwrap();
    assert_ne!(read("ca-2.pem"), read("ca-3.pem"));
    assert_ne!(read("client-2.pem"), read("client-3.pem"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wpa_supplicant_was_given_is_kept() {
    let given = networks(connector).await;
    let credential = &given.objects[0].credential;
    let key = hex::encode(given.key.to_ec_private_key().unwrap().expose());
    let said = [
        // Announcements stop once one was heard.
        "DPP-RX src=02:00:00:00:00:00 freq=2437 type=0".to_owned(),
        "DPP-CHIRP-STOPPED ".to_owned(),
        "DPP-AUTH-SUCCESS init=0".to_owned(),
        "DPP-CONF-RECEIVED ".to_owned(),
        "DPP-CONFOBJ-AKM dpp".to_owned(),
        "DPP-CONFOBJ-SSID lab net".to_owned(),
        format!("DPP-CONNECTOR {}", credential.connector.as_ref().unwrap()),
        format!("DPP-C-SIGN-KEY {}", hex::encode(credential.csign.as_ref().unwrap().key.spki())),
        format!("DPP-NET-ACCESS-KEY {key}"),
        "DPP-NETWORK-ID 5".to_owned(),
        "DPP-CONF-RECEIVED ".to_owned(),
        "DPP-CONFOBJ-AKM sae".to_owned(),
        "DPP-CONFOBJ-SSID second\\x00\\\"".to_owned(),
        "DPP-CONFOBJ-PASS 70617373776f7264".to_owned(),
        "DPP-NETWORK-ID 6".to_owned(),
    ];
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    for (known, last) in
        [(None, "DPP_CHIRP own=1"), (Some(configurator.uri()), "DPP_LISTEN 2437 role=enrollee qr=mutual")]
    {
        let mutual = known.is_some();
        let (place, played) = (Place::new(Curve::P256, 311, known), Played::after(last, &said));
        let config = || Config {
            bundle: Some(place.path("bundle.json")),
            state: place.path("state"),
            dpp: dpp::Config {
                via: Via::WpaSupplicant,
                radio: Some(played.dir.path().join("wlan0")),
                ..dpp::Config::default()
            },
            ..Config::default()
        };
        let device = dpp::Device::open(config()).unwrap().unwrap();
        let end = device.onboard(&Onboarding::default(), &|line| println!("  {line}")).await.unwrap();
        assert!(matches!(end, End::Onboarded { .. }), "{end:?}");
        let standing = dpp::Device::open(config()).unwrap().unwrap().standing().unwrap();
        let names: Vec<_> = standing.networks.iter().map(|network| network.ssid.as_str()).collect();
        assert_eq!(names, ["lab net", "second\0\""]);
        assert_eq!(standing.networks[0].groups, ["plant (sta)"]);
        assert_eq!(standing.network_authenticated, Some(mutual));
        let heard = played.heard();
        let lent = hex::encode(place.key.to_ec_private_key().unwrap().expose());
        assert!(heard.contains(&format!("DPP_BOOTSTRAP_GEN type=qrcode curve=P-256 key={lent}")));
        assert!(heard.contains(&"SET_NETWORK 6 id_str \"landfall\"".to_owned()));
        assert!(device.reset().await.unwrap());
        assert!(played.heard().contains(&"REMOVE_NETWORK 1".to_owned()));
    }
    // A radio whose rounds are over without an answer.
    let (place, played) = (Place::new(Curve::P256, 312, None), Played::after("DPP_CHIRP", &["DPP-CHIRP-STOPPED "]));
    let dpp =
        dpp::Config { via: Via::WpaSupplicant, radio: Some(played.dir.path().join("wlan0")), ..dpp::Config::default() };
    let config =
        Config { bundle: Some(place.path("bundle.json")), state: place.path("state"), dpp, ..Config::default() };
    let device = dpp::Device::open(config).unwrap().unwrap();
    let end = device.onboard(&Onboarding { attempts: Some(3), ..Onboarding::default() }, &|_| ()).await.unwrap();
    assert!(matches!(end, End::Refused(refusal) if refusal.check == "dpp-wpa-supplicant"));
    assert!(played.heard().contains(&"DPP_CHIRP own=1 iter=3".to_owned()));
}

/// wpa_supplicant brings another connector by DPP_RECONFIG, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn wpa_supplicant_brings_another_connector() {
    let (given, other) = (networks(connector).await, networks(connector).await);
    let said = |networks: &Networks, id: u32| {
        let credential = &networks.objects[0].credential;
        let spki = |key: &Option<landfall_dpp::jwk::Jwk>| hex::encode(key.as_ref().unwrap().key.spki());
        [
            "DPP-CONF-RECEIVED ".to_owned(),
            "DPP-CONFOBJ-AKM dpp".to_owned(),
            "DPP-CONFOBJ-SSID lab net".to_owned(),
            format!("DPP-CONNECTOR {}", credential.connector.as_ref().unwrap()),
            format!("DPP-C-SIGN-KEY {}", spki(&credential.csign)),
            // The configurator of these tests has no privacy protection key; any other key does.
            format!("DPP-PP-KEY {}", spki(&credential.csign)),
            format!("DPP-NET-ACCESS-KEY {}", hex::encode(networks.key.to_ec_private_key().unwrap().expose())),
            format!("DPP-NETWORK-ID {id}"),
        ]
    };
    let place = Place::new(Curve::P256, 313, None);
    let device = |played: &Played| {
        let radio = Some(played.dir.path().join("wlan0"));
        let dpp = dpp::Config { via: Via::WpaSupplicant, radio, ..dpp::Config::default() };
        let config =
            Config { bundle: Some(place.path("bundle.json")), state: place.path("state"), dpp, ..Config::default() };
        dpp::Device::open(config).unwrap().unwrap()
    };
    let once = Onboarding { attempts: Some(1), ..Onboarding::default() };
    let first = said(&given, 5);
    let played = Played::after("DPP_CHIRP", &first.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(device(&played).onboard(&once, &|_| ()).await.unwrap(), End::Onboarded { .. }));

    // Nobody answers: it has what it had, and joins that again.
    let played = Played::after("DPP_RECONFIG", &["DPP-CHIRP-STOPPED "]);
    let end = device(&played).reconfigure(&once, &|_| ()).await.unwrap();
    assert!(matches!(end, End::Refused(refusal) if refusal.check == "dpp-wpa-supplicant"));
    let heard = played.heard();
    let at =
        |line: &str| heard.iter().position(|heard| heard == line).unwrap_or_else(|| panic!("{line} in {heard:#?}"));
    assert!(at("DISCONNECT") < at("DPP_RECONFIG 2 iter=1") && at("DPP_RECONFIG 2 iter=1") < at("ENABLE_NETWORK 2"));
    let connector = given.objects[0].credential.connector.as_ref().unwrap();
    assert!(at(&format!("SET_NETWORK 2 dpp_connector \"{connector}\"")) < at("DISCONNECT"));

    let mut second = vec!["DPP-RX src=02:00:00:00:00:00 freq=2437 type=15".to_owned(), "DPP-CHIRP-STOPPED ".to_owned()];
    second.extend(said(&other, 7));
    let played = Played::after("DPP_RECONFIG", &second.iter().map(String::as_str).collect::<Vec<_>>());
    let end = device(&played).reconfigure(&once, &|_| ()).await.unwrap();
    let End::Onboarded { enrolled: Some(enrolled), .. } = end else { panic!("{end:?}") };
    assert_eq!(enrolled.networks.objects[0].credential.connector, other.objects[0].credential.connector);
    assert!(played.heard().contains(&"REMOVE_NETWORK 2".to_owned()), "the old one is gone");
    assert!(device(&played).standing().unwrap().valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_one_takes_what_it_is_told() {
    let Some(program) = tool("wpa_supplicant") else { return skip(&current_test(), "no wpa_supplicant") };
    let dir = temp_dir();
    let (conf, ctrl) = (dir.path().join("conf"), dir.path().join("ctrl"));
    fs::write(&conf, format!("ctrl_interface={}\n", ctrl.display())).unwrap();
    let mut command = Command::new(program);
    command.args(["-Dnone", "-ilo", "-c"]).arg(&conf);
    let mut peer = Running::start(&mut command);
    peer.until("Successfully initialized");
    let control = ctrl.join("lo");
    while !control.exists() {
        tokio::task::yield_now().await;
    }
    let radio = radio(&control, dir.path());
    for decide in [
        connector as fn() -> Ruling,
        || provide(vec![password(Akms::SAE, "x")]),
        || provide(vec![password(Akms::PSK.and(Akms::SAE), "eight or more")]),
        || provide(vec![grant(Credential { akm: Akms::DPP, ..Credential::default() }), password(Akms::SAE, "x")]),
    ] {
        let networks = networks(decide).await;
        radio.try_join(&networks).await.unwrap();
    }
    radio.try_join(&*networks_by(certificates()).await).await.unwrap();
}
