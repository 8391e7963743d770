//! The program: what it answers, what it keeps, and what is left when it is killed.

use super::{
    configurator::{Configurator, connector, deny, password, provide},
    random,
};
use crate::it::world::names;
use landfall_dpp::{
    Curve, NetRole, Uri, backup,
    config::Akms,
    crypto::Secret,
    curve::PrivateKey,
    exchange::Ruling,
    nfc::handover::{self, Kind},
};
use landfall_pki::pem;
use landfall_testkit::{Rng, temp_dir};
use landfall_types::{
    Redacted,
    bundle::{BundleKey, DppBirth, DppBundle, FORMAT},
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

/// A device with its bundle on disk.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) key: PrivateKey,
}

impl Place {
    pub(crate) fn new(curve: Curve, seed: u64, configurator: Option<Uri>) -> Self {
        println!("seed {seed}");
        let key = PrivateKey::generate(curve, &mut random(&mut Rng::new(seed)));
        let place = Self { dir: temp_dir(), key };
        let pkcs8 = place.key.to_pkcs8().unwrap();
        let bundle = DppBundle {
            format: FORMAT,
            serial_number: "SN-0001".parse().unwrap(),
            model: "Test Model".parse().unwrap(),
            dpp: DppBirth {
                uri: Uri::of(place.key.public().clone()).to_string(),
                key: Some(BundleKey(Redacted::new(pem::encode("PRIVATE KEY", pkcs8.expose())))),
                configurator: configurator.map(|uri| uri.to_string()),
            },
        };
        fs::write(place.path("bundle.json"), serde_json::to_vec(&bundle).unwrap()).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall-device"));
        command.args(arguments).args(["--no-discovery", "--json"]);
        command.arg("--bundle").arg(self.path("bundle.json")).arg("--state").arg(self.path("state"));
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn onboard(&self, configurator: &Configurator, more: &[&str]) -> Output {
        let at = configurator.address.to_string();
        self.run(&[&["onboard", "--dpp", "--attempts", "1", "--controller", &at], more].concat()).await
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn onboarded_kept_and_reset() {
    for (seed, curve) in (201..).zip([Curve::P256, Curve::P521, Curve::Bp384]) {
        let place = Place::new(curve, seed, None);
        let configurator = Configurator::start(curve, Curve::P256, vec![place.key.public().clone()]).await;
        let status = place.run(&["status"]).await;
        assert_eq!(status.status.code(), Some(1));
        assert_eq!(json(&status)["dpp"]["networks"], Value::Array(vec![]));

        let onboard = place.onboard(&configurator, &[]).await;
        assert_eq!(onboard.status.code(), Some(0), "{onboard:?}");
        let result = &json(&onboard)["result"];
        assert_eq!((&result["before"], &result["reported"]), (&Value::Bool(false), &Value::Bool(true)));
        assert_eq!(result["networks"][0]["ssid"], "lab net");
        assert_eq!(result["networks"][0]["groups"][0], "plant (sta)");
        assert!(result["assurance"].as_str().unwrap().contains("resurrecting duckling"));

        // A device with networks does not look for others by itself.
        let again = place.onboard(&configurator, &[]).await;
        assert_eq!(json(&again)["result"]["before"], true);
        assert_eq!(place.run(&["status"]).await.status.code(), Some(0));

        // Asked to, it takes others in their place; a refusal leaves them as they are.
        configurator.decide(|_| provide(vec![password(Akms::SAE, "a secret of the second network")]));
        let second = place.onboard(&configurator, &["--again"]).await;
        assert_eq!(json(&second)["result"]["networks"][0]["akm"], "sae");
        configurator.decide(|_| deny());
        let denied = place.onboard(&configurator, &["--again"]).await;
        assert_eq!((denied.status.code(), &json(&denied)["refusal"]["check"]), (Some(1), &Value::from("dpp-denied")));
        let status = place.run(&["status"]).await;
        assert_eq!(json(&status)["dpp"]["networks"][0]["akm"], "sae");
        assert!(!String::from_utf8_lossy(&status.stdout).contains("second network"));

        // Nothing of it lies open.
        let scalar = place.key.to_bytes();
        let mut folders = vec![place.path("state")];
        while let Some(folder) = folders.pop() {
            for name in names(&folder) {
                let path = folder.join(name);
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let content = fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&content).contains("second network"), "{}", path.display());
                assert!(!content.windows(scalar.expose().len()).any(|part| part == scalar.expose().as_slice()));
            }
        }

        let reset = place.run(&["reset"]).await;
        assert_eq!((reset.status.code(), &json(&reset)["forgot"]), (Some(0), &Value::Bool(true)));
        assert_eq!(json(&place.run(&["reset"]).await)["forgot"], false);
        assert_eq!(place.run(&["status"]).await.status.code(), Some(1));

        // The bundle has done its duty: the key is in the element now.
        fs::remove_file(place.path("bundle.json")).unwrap();
        configurator.decide(|_| connector());
        assert_eq!(json(&place.onboard(&configurator, &[]).await)["onboarded"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_asks_the_configurator_of_its_bundle() {
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    let place = Place::new(Curve::P256, 211, Some(configurator.uri()));
    configurator.rules().devices.push(place.key.public().clone());
    for way in ["--dpp=ask", "--dpp=announce"] {
        let onboard = place.run(&["onboard", way, "--attempts", "1", "--again"]).await;
        let said = json(&onboard);
        assert_eq!(said["result"]["network-authenticated"], true, "{said}");
        assert!(said["result"]["assurance"].as_str().unwrap().starts_with("network authenticated"));
    }
    // Another configurator, to which the device is sent, does not get it.
    let other = Configurator::start(Curve::P256, Curve::P256, vec![place.key.public().clone()]).await;
    place.run(&["reset"]).await;
    let at = other.address.to_string();
    fs::remove_dir_all(place.path("state")).unwrap();
    let elsewhere = {
        let bundle = fs::read_to_string(place.path("bundle.json")).unwrap();
        let (from, to) = (configurator.address.to_string(), at.clone());
        bundle.replace(&from, &to)
    };
    fs::write(place.path("bundle.json"), elsewhere).unwrap();
    let refused = place.run(&["onboard", "--dpp", "--attempts", "1"]).await;
    assert_eq!(json(&refused)["refusal"]["check"], "dpp-mutual");
    // A person who scanned its code says so.
    let uri = other.uri().to_string();
    let taken = place.run(&["onboard", "--dpp", "--attempts", "1", "--configurator", &uri]).await;
    assert_eq!(json(&taken)["result"]["network-authenticated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configurator_to_be_leaves_the_keys_of_another_one_in_an_envelope() {
    const PASSPHRASE: &str = "a passphrase that is long";
    let place = Place::new(Curve::P256, 216, None);
    let configurator = Configurator::start(Curve::P256, Curve::P384, vec![place.key.public().clone()]).await;
    fs::write(place.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let (envelope, passphrase) = (place.path("keys.p7"), place.path("passphrase"));
    let how = ["--take-over", envelope.to_str().unwrap(), "--passphrase", passphrase.to_str().unwrap()];
    configurator.decide(|facts| match facts.request.net_role {
        NetRole::Configurator => Ruling::HandOver,
        _ => connector(),
    });
    let output = place.onboard(&configurator, &how).await;
    assert_eq!(
        (&json(&output)["taken-over"], &json(&output)["result"]["keys"]),
        (&true.into(), &1.into()),
        "{output:?}"
    );
    let password = Secret::new(PASSPHRASE.into());
    let taken = backup::open(&fs::read(&envelope).unwrap(), &password).unwrap();
    assert_eq!(taken[0].csign.public(), configurator.csign.public());
    assert_eq!(fs::metadata(&envelope).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(place.run(&["status"]).await.status.code(), Some(1), "it has no networks");

    // Nothing is left where the other one does not hand them over, or gives networks; and no short passphrase is taken.
    for decide in [deny as fn() -> Ruling, connector] {
        fs::remove_file(&envelope).unwrap_or_default();
        configurator.decide(move |_| decide());
        assert_eq!(place.onboard(&configurator, &how).await.status.code(), Some(1));
        assert!(!envelope.exists());
    }
    fs::write(place.path("passphrase"), "too short\n").unwrap();
    assert_eq!(place.onboard(&configurator, &how).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_and_a_configurator_that_touched_know_each_other() {
    let place = Place::new(Curve::P256, 218, None);
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    let (theirs, ours) = (place.path("theirs.ndef"), place.path("ours.ndef"));
    let request = |uri: &Uri| handover::encode(uri, Kind::Request { random: 1 });
    fs::write(&theirs, request(&configurator.uri())).unwrap();
    let answer = ["nfc", "--out", ours.to_str().unwrap(), "--answer", theirs.to_str().unwrap()];
    assert_eq!(place.run(&answer).await.status.code(), Some(0));
    let (said, kind) = handover::decode(&fs::read(&ours).unwrap()).unwrap();
    assert_eq!((&said.key, kind), (place.key.public(), Kind::Select));
    configurator.rules().devices.push(said.key);
    let onboarded = place.onboard(&configurator, &["--configurator-nfc", theirs.to_str().unwrap()]).await;
    assert_eq!(json(&onboarded)["result"]["network-authenticated"], true, "{onboarded:?}");
    // The device may ask as well.
    assert_eq!(place.run(&answer[..3]).await.status.code(), Some(0));
    assert!(matches!(handover::decode(&fs::read(&ours).unwrap()), Ok((_, Kind::Request { .. }))));
    // Nobody answers an answer, a key on another curve, or what is no handover.
    let other = Uri::of(PrivateKey::generate(Curve::P384, &mut random(&mut Rng::new(1))).public().clone());
    for message in [handover::encode(&configurator.uri(), Kind::Select), request(&other), b"noise".to_vec()] {
        fs::write(&theirs, message).unwrap();
        assert_eq!(place.run(&answer).await.status.code(), Some(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said() {
    let place = Place::new(Curve::P256, 221, None);
    for (arguments, words) in [
        (&["onboard", "--dpp"][..], "no way to find a configurator"),
        (&["onboard", "--dpp=ask"], "--configurator"),
        (&["onboard", "--dpp", "--mutual", "required", "--controller", "127.0.0.1"], "needs the configurator's URI"),
        (&["onboard", "--dpp", "--configurator", "DPP:K:;;"], "configurator: K"),
        (&["onboard", "--dpp", "--via", "wpa-supplicant"], "control socket"),
    ] {
        let output = place.run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
    let mut bundle: Value = serde_json::from_slice(&fs::read(place.path("bundle.json")).unwrap()).unwrap();
    let other = PrivateKey::generate(Curve::P256, &mut random(&mut Rng::new(1)));
    bundle["dpp"]["uri"] = Uri::of(other.public().clone()).to_string().into();
    fs::remove_dir_all(place.path("state")).unwrap();
    fs::write(place.path("bundle.json"), bundle.to_string()).unwrap();
    let output = place.run(&["status"]).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("dpp-bootstrap-key"), "{output:?}");
    assert!(!place.path("state/dpp.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configurator_finds_a_device_that_listens() {
    let place = Place::new(Curve::P256, 231, None);
    let configurator = Configurator::start(Curve::P256, Curve::P256, vec![]).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let mut command = place.command(&["onboard", "--dpp", "--timeout", "30", "--listen", &at.to_string()]);
    let device = tokio::task::spawn_blocking(move || command.output().unwrap());
    let begins = async {
        while tokio::net::TcpStream::connect(at).await.is_err() {
            tokio::task::yield_now().await;
        }
        configurator.begin(place.key.public(), at).await;
    };
    tokio::time::timeout(Duration::from_secs(60), begins).await.unwrap();
    let output = device.await.unwrap();
    assert_eq!(json(&output)["onboarded"], true, "{output:?}");
}

/// Killed at any point, what is there is whole or not there, and the next start goes on from it.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_points() {
    const SEED: u64 = 241;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    for round in 0..4 {
        let place = Place::new(Curve::P256, SEED + round, None);
        let configurator = Configurator::start(Curve::P256, Curve::P256, vec![place.key.public().clone()]).await;
        let at = configurator.address.to_string();
        for _ in 0..6 {
            let mut device = place
                .command(&["onboard", "--dpp", "--again", "--attempts", "1", "--controller", &at])
                .spawn()
                .unwrap();
            tokio::time::sleep(Duration::from_millis(rng.below(60))).await;
            if device.try_wait().unwrap().is_none() {
                device.kill().unwrap();
            }
            device.wait().unwrap();
            // Whole or not there: what is not whole would not open.
            let status = place.run(&["status"]).await;
            assert!(matches!(status.status.code(), Some(0 | 1)), "{status:?}");
        }
        let output = place.onboard(&configurator, &[]).await;
        assert!(output.status.success(), "round {round}: {output:?}");
    }
}
