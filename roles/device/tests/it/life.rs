//! A device's life: onboarded, renewed, reset, onboarded again.

use super::world::{World, names};
use landfall_brski::{paths, pledge::Progress};
use landfall_device::{Agent, DeviceError, Outcome};
use landfall_pki::Certificate;
use landfall_testkit::{current_test, openssl, skip};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

fn quiet() -> impl FnMut(&Progress) + Send {
    |_: &Progress| {}
}

async fn onboard(agent: &Agent) -> landfall_device::Onboarded {
    match agent.onboard(Some(1), None, &mut quiet()).await.unwrap() {
        Outcome::Onboarded(done) => *done,
        Outcome::Refused(refusal) => panic!("{refusal}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn onboarded_renewed_reset_and_onboarded_again() {
    let world = World::new().await;
    let agent = Agent::open(world.config()).unwrap();
    assert!(agent.standing().unwrap().credential.is_none());
    assert!(matches!(agent.renew(true, None, &mut quiet()).await, Err(DeviceError::NotOnboarded)));

    let mut steps = Vec::new();
    let mut watch = |progress: &Progress| steps.push(progress.to_string());
    let Outcome::Onboarded(done) = agent.onboard(Some(1), None, &mut watch).await.unwrap() else { panic!() };
    assert!(done.reported && !done.before && done.attempts == 1);
    assert!(steps.iter().any(|step| step.starts_with("the voucher is good (proximity)")), "{steps:#?}");
    assert!(world.registrar().told(paths::ENROLL_STATUS)[0].status);
    assert_eq!(world.ldevid_keys().len(), 1);

    // A configured device does not onboard by itself.
    let before = onboard(&agent).await;
    assert!(before.before && before.credential.serial == done.credential.serial);
    assert_eq!(world.registrar().at(paths::REQUEST_VOUCHER).len(), 1);

    let key = done.credential.key;
    let Outcome::Onboarded(renewed) = agent.renew(true, None, &mut quiet()).await.unwrap() else { panic!() };
    assert_ne!((&renewed.credential.key, &renewed.credential.serial), (&key, &done.credential.serial));
    assert_eq!(world.ldevid_keys().len(), 1, "the old key is gone");
    let standing = agent.standing().unwrap();
    assert!(standing.valid);
    assert_eq!(standing.credential.unwrap().serial, renewed.credential.serial);

    assert!(agent.reset().await.unwrap());
    assert!(!agent.reset().await.unwrap());
    assert!(world.ldevid_keys().is_empty());
    assert_eq!(names(&world.path("state")), ["birth.json", "keys", "keys.key"]);
    assert!(!agent.standing().unwrap().valid);

    // The bundle has done its duty: the key is in the element now.
    fs::remove_file(world.path("bundle.json")).unwrap();
    let again = onboard(&Agent::open(world.config()).unwrap()).await;
    assert_ne!(again.credential.serial, renewed.credential.serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_lies_open() {
    let world = World::new().await;
    onboard(&Agent::open(world.config()).unwrap()).await;
    let mut folders = vec![world.path("state")];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for name in names(&folder) {
            let path = folder.join(name);
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).unwrap();
                let secret = world.device.key.to_pkcs8_der();
                assert!(!String::from_utf8_lossy(&content).contains("PRIVATE KEY"), "{}", path.display());
                assert!(!content.windows(secret.expose().len()).any(|w| w == secret.expose().as_slice()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_did_not_get_through_is_made_up_for() {
    let world = World::new().await;
    let agent = Agent::open(world.config()).unwrap();
    let done = onboard(&agent).await;
    let noted = fs::read(world.path("state/credential.json")).unwrap();
    let credential = noted.strip_suffix(b"\n").unwrap();
    // As if it had been killed right after the credential was written, or had lost its power while it noted the report.
    for (left, reports) in [("", 2), ("\0", 3)] {
        fs::write(world.path("state/credential.json"), [credential, left.as_bytes()].concat()).unwrap();
        let again = onboard(&agent).await;
        assert!(again.reported && again.credential.serial == done.credential.serial);
        assert_eq!(world.registrar().told(paths::ENROLL_STATUS).len(), reports);
    }
    assert_eq!(world.registrar().at(paths::REQUEST_VOUCHER).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_do_not_get_in_each_others_way() {
    let world = World::new().await;
    let (one, two) = (Agent::open(world.config()).unwrap(), Agent::open(world.config()).unwrap());
    let (mut quiet_one, mut quiet_two) = (quiet(), quiet());
    let (first, second) =
        tokio::join!(one.onboard(Some(1), None, &mut quiet_one), two.onboard(Some(1), None, &mut quiet_two));
    assert!(matches!(first, Ok(Outcome::Onboarded(_))), "{first:?}");
    assert!(matches!(second, Err(DeviceError::Busy(_))), "{second:?}");
    assert!(two.standing().unwrap().valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_the_evidence() {
    let world = World::new().await;
    onboard(&Agent::open(world.config()).unwrap()).await;
    let folder = world.path("evidence");
    let expected = [
        "cacerts.pem",
        "idevid-chain.pem",
        "idevid.pem",
        "ldevid-chain.pem",
        "ldevid.pem",
        "masa-anchor.pem",
        "pinned-domain-cert.pem",
        "pledge-voucher-request.cms",
        "voucher.cms",
    ];
    assert_eq!(names(&folder), expected);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(Certificate::from_pem(&read("idevid.pem")).unwrap(), world.device.certificate);
    assert_eq!(Certificate::chain_from_pem(&read("cacerts.pem")).unwrap(), world.registrar().cas);
    let Some(openssl) = openssl() else { return skip(&current_test(), "no openssl") };
    let check = |arguments: &[&str]| {
        let output = Command::new(&openssl).args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let verify = ["cms", "-verify", "-inform", "DER", "-purpose", "any", "-CAfile", "masa-anchor.pem"];
    let request = check(&[&verify[..], &["-in", "pledge-voucher-request.cms"]].concat());
    assert!(request.contains("ietf-voucher-request:voucher") && request.contains("proximity"));
    let voucher = check(&[&verify[..], &["-in", "voucher.cms"]].concat());
    assert!(voucher.contains("SN-0001"));
    check(&["verify", "-CAfile", "cacerts.pem", "-untrusted", "ldevid-chain.pem", "ldevid.pem"]);
    check(&["verify", "-CAfile", "masa-anchor.pem", "-untrusted", "idevid-chain.pem", "idevid.pem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_do_not_fit_together() {
    let world = World::new().await;
    let path = world.path("bundle.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let other = landfall_testkit::Manufacturer::new().device("SN-0001");
    for (field, value) in [
        // Neither in the bundle nor in the element; the next ones bring it there.
        ("key", serde_json::Value::Null),
        ("format", serde_json::json!(2)),
        ("serial-number", serde_json::json!("SN-0002")),
        ("idevid", serde_json::json!(other.certificate.to_pem())),
        ("masa-anchors", serde_json::json!("")),
        ("key", serde_json::json!("no key")),
    ] {
        let mut bundle = good.clone();
        bundle[field] = value;
        fs::write(&path, bundle.to_string()).unwrap();
        assert!(Agent::open(world.config()).is_err(), "{field}");
        assert!(!Path::new(&world.path("state/birth.json")).exists(), "{field}");
    }
    fs::write(&path, good.to_string()).unwrap();
    Agent::open(world.config()).unwrap();
}
