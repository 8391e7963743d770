//! Bootstrapping keys that secure elements made, from the factory into the owner's network (NIST SP 1800-36B H.4).

use crate::{ground::fixed_ports, landfall};
use landfall_testkit::{Running, SoftHsm, Swtpm, temp_dir};
use serde_json::Value;
use std::{fs, path::PathBuf, process::Command};
use tempfile::TempDir;

/// A manufacturer, the owner of a network with a configurator, and a device with that element.
struct Scene {
    folder: TempDir,
    configurator: String,
    server: Option<Running>,
}

const DPP: [&str; 3] = ["--protocol", "dpp", "--dpp-request"];

impl Scene {
    fn lay(element: &str) -> Self {
        let configurator = format!("127.0.0.1:{}", fixed_ports()[0]);
        let mut scene = Self { folder: temp_dir(), configurator, server: None };
        let network = "[[configurator.network]]\nssid = \"Home\"\nkind = \"connector\"\n";
        let owner = format!(
            "[metrics]\nlisten = \"\"\n[configurator]\nlisten = {:?}\nannounce = false\nlimits.join = \"0s\"\n{network}",
            scene.configurator
        );
        let device = format!(
            "bundle = \"bundle.json\"\nstate = \"state\"\n[keys]\nelement = {element:?}\n[discovery]\nmdns = false\n\
             grasp = false\n[dpp]\ncontrollers = [{:?}]\npause-ms = 300\n",
            scene.configurator
        );
        for (party, file, text) in
            [("maker", "landfall.toml", ""), ("owner", "landfall.toml", &owner), ("device", "device.toml", &device)]
        {
            fs::create_dir_all(scene.of(party)).unwrap();
            fs::write(scene.of(party).join(file), text).unwrap();
        }
        scene.does("maker", &["factory", "init"]);
        scene.does("owner", &["network", "init"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["run", "configurator", "--json"]).current_dir(scene.of("owner"));
        command.stderr(fs::File::create(scene.of("owner").join("log")).unwrap());
        let mut running = Running::start(&mut command);
        running.until("}");
        scene.server = Some(running);
        scene
    }

    fn of(&self, party: &str) -> PathBuf {
        self.folder.path().join(party)
    }

    fn does(&self, party: &str, arguments: &[&str]) -> Value {
        self.tries(party, arguments).unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
    }

    fn tries(&self, party: &str, arguments: &[&str]) -> Result<Value, String> {
        let configured = ["--config", "device.toml"];
        let more: &[&str] = if arguments[0] == "device" { &configured } else { &[] };
        let output = landfall(&self.of(party), &[arguments, more, &["--json"]].concat());
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).unwrap_or_default()),
            false => Err(String::from_utf8([output.stdout, output.stderr].concat()).unwrap()),
        }
    }

    /// What the device asks the factory for, in a file.
    fn requested(&self, arguments: &[&str], file: &str) -> String {
        let said = self.does("device", &[&["device", "request"][..], arguments].concat());
        let path = self.of("device").join(file);
        fs::write(&path, said["request"].as_str().unwrap()).unwrap();
        path.display().to_string()
    }

    /// The device's bundle, by a factory that knows of no configurator, or of the owner's.
    fn certified(&self, more: &[&str]) -> Result<Value, String> {
        let (birth, key) = (self.requested(&[], "device.csr"), self.requested(&["--dpp"], "dpp.csr"));
        let out = self.of("device").join("bundle.json");
        let certify = ["factory", "certify", &birth, "--out", out.to_str().unwrap()];
        self.tries("maker", &[&certify[..], &DPP, &[&key], more].concat())?;
        Ok(serde_json::from_slice(&fs::read(out).unwrap()).unwrap())
    }

    fn configurator_uri(&self) -> String {
        let views = self.does("owner", &["network", "configurator", "show"]);
        let keys = views[0]["keys"].as_array().unwrap();
        keys.iter().find(|key| key["curve"] == "P-256").unwrap()["uri"].as_str().unwrap().to_owned()
    }

    /// Brings the device into the owner's book, and onboards it; what it says of itself.
    fn onboarded(&self, bundle: &Value) -> Value {
        let uri = bundle["dpp"]["uri"].as_str().unwrap();
        self.does("owner", &["transfer", "add", "--uri", uri]);
        let onboarded = self.does("device", &["device", "onboard", "--dpp", "--attempts", "5"]);
        onboarded["result"].clone()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the parties left behind is in {}", self.folder.path().display());
        }
    }
}

/// A device with keys in its element joins, and joins again. If the factory names the only configurator that it takes, that
/// one is authenticated too; then the element's x coordinate leaves two candidates for the secret, which the tag settles
/// (DPP s6.2.2).
fn onboards(element: &str, key: &str, mutual: bool, proven: &dyn Fn(&Scene) -> Vec<String>) -> Scene {
    let scene = Scene::lay(element);
    scene.requested(&[], "device.csr");
    scene.requested(&["--dpp"], "dpp.csr");
    let mut more = proven(&scene);
    if mutual {
        more.extend(["--configurator".into(), scene.configurator_uri()]);
    }
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let bundle = scene.certified(&more).unwrap();
    assert!(bundle.get("key").is_none() && bundle["dpp"].get("key").is_none(), "the factory never had the keys");
    assert_eq!(scene.certified(&more).unwrap(), bundle, "asked again, it gives the same");
    for attempt in [1, 2] {
        let result = scene.onboarded(&bundle);
        assert_eq!(result["network-authenticated"], mutual, "{attempt}: {result:#}");
        assert!(result["bootstrapping-key"].as_str().unwrap().starts_with(key), "{result:#}");
        assert_eq!(scene.does("device", &["device", "probe"])["kept"], true);
        if attempt == 2 {
            break;
        }
        // Made ready for another owner; this one forgets it.
        scene.does("device", &["device", "reset"]);
        let known = scene.does("owner", &["network", "devices"]);
        scene.does("owner", &["network", "forget", known["items"][0]["id"].as_str().unwrap(), "--reason", "a test"]);
    }
    scene
}

#[test]
fn a_bootstrapping_key_has_to_be_what_the_factory_makes_devices_with() {
    let scene = Scene::lay("software");
    let refused = |more: &[&str]| scene.certified(more).unwrap_err();
    assert!(refused(&["--curve", "P-384"]).contains("csr-bootstrapping"));
    let birth = scene.requested(&[], "device.csr");
    let without = ["factory", "certify", &birth, "--protocol", "dpp"];
    assert!(scene.tries("maker", &without).unwrap_err().contains("this one is missing"));
    let dpp = scene.requested(&["--dpp"], "dpp.csr");
    let unwanted = ["factory", "certify", &birth, "--dpp-request", &dpp];
    assert!(scene.tries("maker", &unwanted).unwrap_err().contains("not made for Wi-Fi Easy Connect"));
    scene.certified(&[]).unwrap();
    // The same device with another bootstrapping key, and another device with the same.
    let other = Scene::lay("software");
    let (their_birth, their_dpp) = (other.requested(&[], "device.csr"), other.requested(&["--dpp"], "dpp.csr"));
    let certify = |birth: &str, dpp: &str| {
        scene.tries("maker", &[&["factory", "certify", birth][..], &DPP, &[dpp]].concat()).unwrap_err()
    };
    assert!(certify(&birth, &their_dpp).contains("csr-bootstrapping-key"));
    assert!(certify(&their_birth, &dpp).contains("csr-bootstrapping-unused"));
    // One octet of the signature differs.
    let text = fs::read_to_string(&dpp).unwrap();
    let mut der = landfall_pki::pem::decode(&text).unwrap().remove(0).der;
    *der.last_mut().unwrap() ^= 1;
    fs::write(&dpp, der).unwrap();
    assert!(certify(&their_birth, &dpp).contains("csr-possession"));
}

#[test]
fn a_tpm_agrees_with_a_configurator_by_the_key_that_the_factory_certified() {
    for mutual in [false, true] {
        let Some(tpm) = Swtpm::new() else { return };
        let maker = tpm.maker();
        let proven = move |scene: &Scene| {
            let file = |name: &str| scene.of("device").join(name).display().to_string();
            fs::write(file("maker.pem"), &maker).unwrap();
            let shown = scene.does("device", &["device", "introduce"]);
            fs::write(file("introduction.json"), shown.to_string()).unwrap();
            let [maker, proof, challenge, answer] =
                ["maker.pem", "proof.json", "challenge.json", "answer.json"].map(file);
            let files = ["--proof", &proof, "--out", &challenge, "--tpm-maker", &maker];
            scene.does("maker", &[&["factory", "challenge", &file("introduction.json")][..], &files].concat());
            let said = scene.does("device", &["device", "prove", &challenge]);
            // Two keys are asked for, and the TPM speaks of both.
            assert_eq!(said["others"].as_array().map(Vec::len), Some(1));
            fs::write(&answer, said.to_string()).unwrap();
            ["--proof", &proof, "--answer", &answer, "--tpm-maker", &maker].map(str::to_owned).into()
        };
        let scene = onboards(&format!("tpm:{}?pcrs=0,7", tpm.tcti()), "tpm:dpp-bootstrap", mutual, &proven);
        // What it was given is sealed to the platform's state: another boot loader does not get at it.
        let measured = format!("7:sha256={}", "ab".repeat(32));
        let Some(_) = tpm.tool("tpm2_pcrextend", &[&measured]) else { return };
        let said = scene.tries("device", &["device", "status"]).unwrap_err();
        assert!(said.contains("the platform is not in the state") && said.contains("landfall device reset"), "{said}");
        // What is advised helps.
        assert_eq!(scene.does("device", &["device", "reset"])["forgot"], true);
        let said = scene.tries("device", &["device", "status"]).unwrap_err();
        assert!(said.contains("tpm:dpp-bootstrap") && !said.contains("the platform is not in the state"), "{said}");
    }
}

#[test]
fn a_token_agrees_with_a_configurator_by_the_key_that_the_factory_certified() {
    SoftHsm::with(|token| {
        let uri = format!("pkcs11:token={};object=dpp-bootstrap", SoftHsm::LABEL);
        onboards(&token.uri(), &uri, false, &|_| vec!["--secure-element".into()]);
    });
}

#[test]
fn a_token_agrees_with_the_only_configurator_that_it_takes() {
    SoftHsm::with(|token| {
        let uri = format!("pkcs11:token={};object=dpp-bootstrap", SoftHsm::LABEL);
        onboards(&token.uri(), &uri, true, &|_| vec!["--secure-element".into()]);
    });
}
