//! Birth keys in secure hardware: made there, certified by the factory, and onboarded with (NIST SP 1800-36B H.1 to H.4).

use crate::{
    ground::{Ground, Role, entries},
    landfall,
};
use landfall_testkit::{SoftHsm, Swtpm};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A device whose keys are in the element that its configuration names.
pub(crate) struct Device<'a> {
    ground: &'a Ground,
    pub(crate) folder: PathBuf,
}

impl<'a> Device<'a> {
    pub(crate) fn new(ground: &'a Ground, name: &str, element: &str) -> Self {
        let folder = ground.state(name);
        fs::create_dir_all(&folder).unwrap();
        let registrar = ground.address(Role::Registrar);
        let text = format!(
            "bundle = \"bundle.json\"\nstate = \"state\"\n[keys]\nelement = {element:?}\n\
             [discovery]\nmdns = false\ngrasp = false\nregistrars = [{registrar:?}]\n"
        );
        fs::write(folder.join("device.toml"), text).unwrap();
        Self { ground, folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What the agent says, and whether it could.
    pub(crate) fn says(&self, arguments: &[&str]) -> (bool, String) {
        let config = self.file("device.toml");
        let output = landfall(&self.folder, &[&["device", "--config", &config][..], arguments].concat());
        let said = if output.status.success() { output.stdout } else { [output.stdout, output.stderr].concat() };
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    pub(crate) fn does(&self, arguments: &[&str]) -> Value {
        let (done, said) = self.says(&[arguments, &["--json"]].concat());
        assert!(done, "{arguments:?}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    /// Writes what the agent says to a file.
    pub(crate) fn writes(&self, arguments: &[&str], file: &str) {
        let (done, said) = self.says(arguments);
        assert!(done, "{arguments:?}: {said}");
        fs::write(self.folder.join(file), said).unwrap();
    }

    /// Has the factory certify the key in `device.csr`; what it says if it does not.
    pub(crate) fn certified(&self, more: &[&str]) -> Result<(), String> {
        let (request, bundle) = (self.file("device.csr"), self.file("bundle.json"));
        self.factory(&[&["certify", &request, "--out", &bundle][..], more].concat())
    }

    pub(crate) fn factory(&self, arguments: &[&str]) -> Result<(), String> {
        let output = landfall(&self.ground.of(Role::Masa), &[&["factory"][..], arguments].concat());
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8([output.stdout, output.stderr].concat()).unwrap()),
        }
    }

    /// The TPM's part of a proof, and the factory's options that check it.
    pub(crate) fn proves(&self, maker: &str) -> Result<Vec<String>, String> {
        fs::write(self.folder.join("maker.pem"), maker).unwrap();
        self.writes(&["introduce"], "introduction.json");
        let [maker, proof, challenge] = ["maker.pem", "proof.json", "challenge.json"].map(|name| self.file(name));
        let introduction = self.file("introduction.json");
        let files = ["--proof", &proof, "--out", &challenge, "--tpm-maker", &maker];
        self.factory(&[&["challenge", &introduction][..], &files].concat())?;
        self.writes(&["prove", &challenge], "answer.json");
        let answer = self.file("answer.json");
        Ok(["--proof", &proof, "--answer", &answer, "--tpm-maker", &maker].map(str::to_owned).into())
    }

    pub(crate) fn certified_with_proof(&self, maker: &str) -> Result<(), String> {
        let proof = self.proves(maker)?;
        self.certified(&proof.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn serial_number(&self) -> String {
        let bundle: Value = serde_json::from_slice(&fs::read(self.folder.join("bundle.json")).unwrap()).unwrap();
        assert!(bundle.get("key").is_none(), "the factory never had the key");
        bundle["serial-number"].as_str().unwrap().to_owned()
    }

    /// The whole life in the owner's network: the birth key in the element, and the network's keys too.
    fn lives(&self, idevid: &str, is_ldevid: impl Fn(&str) -> bool, keys: impl Fn() -> Vec<String>) {
        let (ground, serial) = (self.ground, self.serial_number());
        let _masa = ground.serve(Role::Masa);
        ground.does(Role::Masa, &["factory", "publish"]);
        ground.does(Role::Masa, &["transfer", "sale", "--to", "owner", &serial]);
        let _registrar = ground.serve(Role::Registrar);
        let onboarded = self.does(&["onboard", "--attempts", "1"]);
        let first = onboarded["result"]["credential"]["key"].as_str().unwrap().to_owned();
        assert!(is_ldevid(&first), "{first}");
        let status = self.does(&["status"]);
        assert_eq!((&status["idevid-key"], &status["valid"]), (&idevid.into(), &true.into()));
        assert_eq!(keys().len(), 2, "{:?}", keys());
        let renewed = self.does(&["renew"])["result"]["credential"]["key"].as_str().unwrap().to_owned();
        assert!(is_ldevid(&renewed) && renewed != first);
        assert_eq!(keys().len(), 2, "the key before is gone: {:?}", keys());
        self.does(&["reset"]);
        assert_eq!(keys().len(), 1, "the birth key stays alone: {:?}", keys());
        self.does(&["onboard", "--attempts", "1"]);
    }
}

pub(crate) fn wrapped_keys(folder: &Path) -> Vec<String> {
    let names = entries(folder).into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name.ends_with(".key")).collect()
}

#[test]
fn a_key_that_a_tpm_made_and_proved_is_onboarded_with() {
    let (Some(tpm), Some(other)) = (Swtpm::new(), Swtpm::new()) else { return };
    let ground = Ground::lay(1);
    let element = |tpm: &Swtpm| format!("tpm:{}?pcrs=0,7", tpm.tcti());
    let device = Device::new(&ground, "with-tpm", &element(&tpm));
    device.writes(&["request"], "device.csr");
    let again = device.says(&["request"]);
    assert!(again.0, "asked again, it asks for the same key: {}", again.1);

    // Makers of TPMs that the factory knows: this one's is not the other's.
    assert!(device.proves(&other.maker()).unwrap_err().contains("path-unknown-issuer"));
    device.certified_with_proof(&tpm.maker()).unwrap();
    let records = landfall(&ground.of(Role::Masa), &["factory", "export"]).stdout;
    let serial = device.serial_number();
    let record = String::from_utf8(records).unwrap().lines().find(|line| line.contains(&serial)).unwrap().to_owned();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        (&record["method"], &record["hardware"]["maker"]),
        (&"in-secure-element".into(), &"CN=swtpm-localca".into())
    );

    let folder = device.folder.join("state/tpm");
    // The owner takes only devices whose keys are proven to be in hardware, both of them.
    let required = "others = \"permit\"\nrequire-hardware-backed = [\"idevid\", \"ldevid\"]\n";
    ground.change(Role::Registrar, "others = \"permit\"\n", required, "");
    device.lives("tpm:idevid", |key| key.starts_with("tpm:ldevid-"), || wrapped_keys(&folder));
    let registrar = ground.serve(Role::Registrar);
    let shown = ground.does(Role::Registrar, &["network", "show", &serial]);
    assert_eq!(shown["hardware_backed"], true, "{shown}");
    let certificates = shown["certificates"].as_array().unwrap();
    assert!(certificates.len() >= 2 && certificates.iter().all(|one| one["hardware_backed"] == true), "{shown}");
    let text = landfall(&ground.of(Role::Registrar), &["network", "show", &serial]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("birth key  proven to be in hardware"));
    drop(registrar);

    // All of the device's files, at another TPM.
    let clone = Device::new(&ground, "clone", &element(&other));
    let copied = Command::new("cp").arg("-a").arg(device.file("state")).arg(&clone.folder).status();
    assert!(copied.unwrap().success());
    fs::copy(device.file("bundle.json"), clone.file("bundle.json")).unwrap();
    for command in [&["onboard"][..], &["renew"], &["request"]] {
        let (done, said) = clone.says(command);
        assert!(!done && said.contains("is not the one that the key was made in"), "{command:?}: {said}");
    }
}

#[test]
fn one_tpm_is_in_one_device_and_proves_no_key_of_another() {
    let (Some(tpm), Some(other)) = (Swtpm::new(), Swtpm::new()) else { return };
    let ground = Ground::lay(1);
    let element = |tpm: &Swtpm| format!("tpm:{}", tpm.tcti());
    let first = Device::new(&ground, "first", &element(&tpm));
    first.writes(&["request"], "device.csr");
    first.certified_with_proof(&tpm.maker()).unwrap();
    // A device whose answer was lost asks again, and gets the same.
    let bundle = fs::read(first.file("bundle.json")).unwrap();
    first.certified_with_proof(&tpm.maker()).unwrap();
    assert_eq!(fs::read(first.file("bundle.json")).unwrap(), bundle);

    let second = Device::new(&ground, "second", &element(&tpm));
    second.writes(&["request"], "device.csr");
    let refused = second.certified_with_proof(&tpm.maker()).unwrap_err();
    assert!(refused.contains("tpm-unused"), "{refused}");

    // Another TPM's key, with the proof of this one.
    let third = Device::new(&ground, "third", &element(&other));
    third.writes(&["request"], "device.csr");
    let proof = second.proves(&tpm.maker()).unwrap();
    let refused = third.certified(&proof.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err();
    assert!(refused.contains("tpm-key"), "{refused}");
    assert!(!Path::new(&third.file("bundle.json")).exists());
}

#[test]
fn a_key_that_a_token_made_is_onboarded_with() {
    SoftHsm::with(|token| {
        let ground = Ground::lay(1);
        let device = Device::new(&ground, "with-token", &token.uri());
        device.writes(&["request"], "device.csr");
        device.certified(&["--secure-element"]).unwrap();
        let uri = |label: &str| format!("pkcs11:token={};object={label}", SoftHsm::LABEL);
        let keys = || {
            let shown = token.pkcs11_tool(&["--list-objects", "--type", "privkey"]).unwrap_or_default();
            shown.lines().filter(|line| line.contains("label:")).map(str::to_owned).collect()
        };
        if landfall_testkit::tool("pkcs11-tool").is_none() {
            return;
        }
        let idevid = format!("{};type=private", uri("idevid"));
        device.lives(&idevid, |key| key.starts_with(&uri("ldevid-")), keys);
        let (done, said) = device.says(&["introduce"]);
        assert!(!done && said.contains("is no TPM"), "{said}");

        fs::write(&token.pin_file, "12345678\n").unwrap();
        let (done, said) = device.says(&["status"]);
        assert!(!done && said.contains("refuses the PIN") && !said.contains("12345678"), "{said}");
    });
}

#[test]
fn an_element_that_is_not_there_is_said_to_be_so() {
    let ground = Ground::lay(1);
    let wrong = [
        ("elsewhere:1", "is one of software, tpm:… and pkcs11:…"),
        ("tpm:device:/dev/none", "the element is not there"),
        ("tpm:abrmd:", "says of no TPM where it is"),
        ("pkcs11:token=x?module-path=/none.so", "the module /none.so cannot be loaded"),
        ("pkcs11:token=x?pin-value=4711", "a PIN has no place in it"),
    ];
    for (element, why) in wrong {
        let (done, said) = Device::new(&ground, "wrong", element).says(&["request"]);
        assert!(!done && said.contains(why), "{element}: {said}");
    }
}

#[test]
fn a_factory_keeps_its_own_keys_in_a_token() {
    SoftHsm::with(|token| {
        let folder = landfall_testkit::temp_dir();
        let settings = format!("[keys]\nelement = {:?}\n", token.uri());
        fs::write(folder.path().join("landfall.toml"), settings).unwrap();
        for arguments in [&["factory", "init"][..], &["factory", "provision", "--count", "2"]] {
            let output = landfall(folder.path(), arguments);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let named = fs::read_to_string(folder.path().join("data/manufacturer/issuing.key-uri")).unwrap();
        assert!(named.starts_with("pkcs11:token=devices;object="), "{named}");
        assert!(!folder.path().join("data/keys").exists(), "no key is in a file");
    });
}

/// Method 4 of H.1.1: another factory, that of the elements, makes keys and certificates and hands over the list of them.
#[test]
fn elements_that_came_with_keys_are_taken_in_and_onboarded_with() {
    let Some(tpm) = Swtpm::new() else { return };
    let ground = Ground::lay(1);
    let device = Device::new(&ground, "adopted", &format!("tpm:{}", tpm.tcti()));
    device.writes(&["request"], "device.csr");
    let chips = landfall_testkit::temp_dir();
    fs::write(chips.path().join("landfall.toml"), "").unwrap();
    let chips_do = |arguments: &[&str]| {
        let output = landfall(chips.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    // The elements' certificates name the MASA of the devices' manufacturer.
    let masa = format!("localhost:{}", ground.address(Role::Masa).rsplit(':').next().unwrap());
    chips_do(&["factory", "init", "--organization", "Chips", "--masa-url", &masa]);
    chips_do(&[
        "factory",
        "certify",
        &device.file("device.csr"),
        "--secure-element",
        "--prefix",
        "CH",
        "--out",
        "chip.json",
    ]);
    let chip: Value = serde_json::from_slice(&fs::read(chips.path().join("chip.json")).unwrap()).unwrap();
    let text = |name: &str| chip[name].as_str().unwrap().to_owned();
    fs::write(device.folder.join("list.pem"), text("idevid") + &text("chain")).unwrap();

    let (list, out) = (device.file("list.pem"), device.file("adopted"));
    let anchor = chips.path().join("data/manufacturer/root.pem").display().to_string();
    let own = ground.data(Role::Masa).join("manufacturer/root.pem").display().to_string();
    let adopt = |anchor: &str| device.factory(&["adopt", &list, "--anchor", anchor, "--out", &out]);
    assert!(adopt(&own).unwrap_err().contains("path-unknown-issuer"), "the elements' factory is not believed");
    adopt(&anchor).unwrap();
    adopt(&anchor).unwrap();
    let records = landfall(&ground.of(Role::Masa), &["factory", "export"]).stdout;
    assert_eq!(String::from_utf8(records).unwrap().matches("pre-provisioned").count(), 1, "twice is once");
    let serial = text("serial-number");
    fs::copy(device.folder.join(format!("adopted/{serial}.json")), device.folder.join("bundle.json")).unwrap();

    // MASA and registrar believe the elements' CA for these devices.
    let masa_listens = format!("[masa]\nlisten = \"127.0.0.1:{}\"\n", masa.rsplit(':').next().unwrap());
    let anchors = format!("idevid-anchors = [{own:?}, {anchor:?}]\n");
    ground.change(Role::Masa, &masa_listens, &format!("{masa_listens}{anchors}"), "");
    let vendor = format!(
        "[[registrar.vendor]]\nid = \"chips\"\nanchors = [{anchor:?}]\nmasa-anchors = [{own:?}]\nvoucher-anchors = [{own:?}]\n"
    );
    ground.change(Role::Registrar, "[registrar]", "[registrar]", &vendor);
    let folder = device.folder.join("state/tpm");
    device.lives("tpm:idevid", |key| key.starts_with("tpm:ldevid-"), || wrapped_keys(&folder));

    // A list with another's certificate for the same element, and one in which the certificate was changed.
    let forged = text("idevid").replacen("M", "N", 1);
    fs::write(device.folder.join("list.pem"), forged + &text("chain")).unwrap();
    adopt(&anchor).unwrap_err();
}

/// What a command says that reads `input`, and whether it could.
fn hears(folder: &Path, arguments: &[&str], input: &[u8]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses may not read it all.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_device_derives_its_birth_key_from_a_seed_and_is_onboarded_with_it() {
    let ground = Ground::lay(1);
    let device = Device::new(&ground, "seeded", "software");
    let (masa, out, config) = (ground.of(Role::Masa), device.file("out"), device.file("device.toml"));
    let derive = |serial: &str, seed: &str| {
        let line = format!("{serial},{seed}\n");
        hears(&masa, &["factory", "derive", "-", "--out", &out], line.as_bytes())
    };
    for wrong in ["a5a5", "no number", ""] {
        let (done, said) = derive("CHIP-1", wrong);
        assert!(!done && !said.contains("a5a5") && !said.contains("no number"), "{said}");
    }
    let seed: Vec<u8> = (0x30..0x50).collect();
    assert!(derive("CHIP-1", &hex::encode(&seed)).0);
    // The same serial number again, for a device that has another seed.
    assert!(derive("CHIP-1", &"b6".repeat(32)).1.contains("serial-number-unused"));
    // The device gets its seed before the factory knows it.
    let sealing = |seed: &[u8]| hears(&device.folder, &["device", "--config", &config, "seed"], seed);
    for wrong in [&seed[1..], &[7; 1025]] {
        assert!(!sealing(wrong).0);
        assert!(!device.folder.join("state/seed.sealed").exists());
    }
    assert!(sealing(&seed).0);
    let is_kept_secret = |folder: &Path| {
        for file in crate::operations::files(folder) {
            let content = fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&content).to_lowercase();
            let found = content.windows(seed.len()).any(|part| part == seed) || text.contains(&hex::encode(&seed));
            assert!(!found, "{} holds the seed", file.display());
        }
    };
    is_kept_secret(&device.folder);
    is_kept_secret(&masa);
    fs::copy(device.folder.join("out/CHIP-1.json"), device.folder.join("bundle.json")).unwrap();
    // One bit of what is sealed: no key is made of it.
    let (sealed, state) = (device.folder.join("state/seed.sealed"), device.folder.join("state"));
    let good = fs::read(&sealed).unwrap();
    fs::write(
        &sealed,
        good.iter().rev().enumerate().map(|(at, octet)| octet ^ u8::from(at == 0)).rev().collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(!device.says(&["status"]).0);
    assert_eq!(wrapped_keys(&state.join("keys")), [""; 0]);
    fs::write(&sealed, &good).unwrap();
    device.lives("software:idevid", |key| key.starts_with("software:ldevid-"), || wrapped_keys(&state.join("keys")));
    assert!(!sealed.exists(), "the seed stays when nothing needs it");
    assert!(!sealing(&seed).0, "a device that was born takes no seed");
    is_kept_secret(&device.folder);
}

#[test]
fn a_seed_that_lies_on_a_disk_in_clear_is_no_birth_key() {
    let ground = Ground::lay(1);
    let device = Device::new(&ground, "in-clear", "software");
    let settings = fs::read_to_string(device.folder.join("device.toml")).unwrap();
    let settings = settings.replace("element = \"software\"", "seed-file = \"seed\"");
    fs::write(device.folder.join("device.toml"), &settings).unwrap();
    fs::write(device.folder.join("seed"), [0xa5; 32]).unwrap();
    let (masa, out) = (ground.of(Role::Masa), device.file("out"));
    let line = format!("CHIP-1,{}\n", "a5".repeat(32));
    assert!(hears(&masa, &["factory", "derive", "-", "--out", &out], line.as_bytes()).0);
    fs::copy(device.folder.join("out/CHIP-1.json"), device.folder.join("bundle.json")).unwrap();
    let (done, said) = device.says(&["status"]);
    assert!(!done && said.contains("in clear") && said.contains("landfall device seed"), "{said}");
    // What it is for: something that is no file on a disk, as memory of a chip is none.
    let named = settings.replace("seed-file = \"seed\"", "seed-file = \"/dev/stdin\"");
    fs::write(device.folder.join("device.toml"), named).unwrap();
    let status = ["device", "--config", &device.file("device.toml"), "status"];
    let (_, said) = hears(&device.folder, &status, &[0xa5; 32]);
    assert!(said.contains("CHIP-1"), "{said}");
    assert_eq!(wrapped_keys(&device.folder.join("state/keys")), ["idevid.key"]);
    // One that it was born with before it was refused goes now.
    fs::write(device.folder.join("device.toml"), settings).unwrap();
    device.says(&["status"]);
    assert!(!device.folder.join("seed").exists(), "the seed lies about in clear");
}

/// What the device says, and the registrar's reasons, when it is not let in.
fn kept_out(ground: &Ground, device: &Device<'_>, serial: &str) -> String {
    let _masa = ground.serve(Role::Masa);
    ground.does(Role::Masa, &["factory", "publish"]);
    let _ = landfall(&ground.of(Role::Masa), &["transfer", "sale", "--to", "owner", serial]);
    let _registrar = ground.serve(Role::Registrar);
    let (done, said) = device.says(&["onboard", "--attempts", "1"]);
    assert!(!done, "{said}");
    let audit = landfall(&ground.of(Role::Registrar), &["network", "audit"]);
    let shown = landfall(&ground.of(Role::Registrar), &["network", "show", serial]);
    [said.into_bytes(), audit.stdout, shown.stdout].map(|text| String::from_utf8(text).unwrap()).concat()
}

#[test]
fn keys_in_software_are_refused_where_hardware_is_required() {
    let ground = Ground::lay(1);
    let required = |which: &str| format!("others = \"permit\"\nrequire-hardware-backed = [{which:?}]\n");
    ground.change(Role::Registrar, "others = \"permit\"\n", &required("idevid"), "");
    let device = Device::new(&ground, "soft", "software");
    let bundle = ground.devices().remove(0);
    fs::copy(&bundle, device.folder.join("bundle.json")).unwrap();
    let given: Value = serde_json::from_slice(&fs::read(&bundle).unwrap()).unwrap();
    let serial = given["serial-number"].as_str().unwrap();
    let why = kept_out(&ground, &device, serial);
    assert!(why.contains("birth key not proven to be in hardware"), "{why}");
    // Where only the network's own key has to be: it gets as far as its request.
    ground.change(Role::Registrar, &required("idevid"), &required("ldevid"), "");
    let why = kept_out(&ground, &device, serial);
    assert!(why.contains("key of the request not proven to be in hardware"), "{why}");
}

#[test]
fn one_devices_tpm_does_not_speak_for_anothers_key() {
    let (Some(tpm), Some(other)) = (Swtpm::new(), Swtpm::new()) else { return };
    let ground = Ground::lay(1);
    let required = "others = \"permit\"\nrequire-hardware-backed = [\"ldevid\"]\n";
    ground.change(Role::Registrar, "others = \"permit\"\n", required, "");
    let [first, second] = [("one", &tpm), ("two", &other)].map(|(name, tpm)| {
        let device = Device::new(&ground, name, &format!("tpm:{}", tpm.tcti()));
        device.writes(&["request"], "device.csr");
        device.certified_with_proof(&tpm.maker()).unwrap();
        device
    });
    let read = |device: &Device<'_>| -> Value {
        serde_json::from_slice(&fs::read(device.folder.join("bundle.json")).unwrap()).unwrap()
    };
    // The second device shows the certificate of the first one's attestation key; then none at all.
    let (mut bundle, foreign) = (read(&second), read(&first)["attestation"].clone());
    assert!(foreign.is_string());
    bundle["attestation"] = foreign;
    fs::write(second.folder.join("bundle.json"), bundle.to_string()).unwrap();
    let serial = bundle["serial-number"].as_str().unwrap().to_owned();
    let why = kept_out(&ground, &second, &serial);
    assert!(why.contains("key of the request not proven to be in hardware"), "{why}");
}
