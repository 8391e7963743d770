//! That an onboarded key is a TPM's, by openssl and tpm2-tools alone, from the evidence that the lab leaves.

use crate::says;
use landfall_testkit::{Running, free_pair, skip, tool};
use serde_json::Value;
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

/// The commands of docs/manufacturer.md that check a folder of evidence, in its order: without the TPM, and with it.
fn documented() -> [String; 2] {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manufacturer.md")).unwrap();
    let (_, section) = text.split_once("## Check that a key is a TPM's").unwrap();
    let mut blocks = section.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    [blocks.next().unwrap(), blocks.next().unwrap()]
}

fn check(folder: &Path, commands: &str, credential: &str, tcti: &str) -> Result<String, String> {
    let mut command = Command::new("bash");
    command.args(["-e", "-u", "-o", "pipefail", "-c", commands]).current_dir(folder).env("credential", credential);
    let output = command.env("TPM2TOOLS_TCTI", tcti).env("TSS2_LOG", "all+NONE").output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn openssl_and_tpm2_tools_confirm_that_the_onboarded_keys_are_the_tpms() {
    if ["bash", "openssl", "swtpm", "swtpm_setup", "tpm2_print", "tpm2_load"]
        .iter()
        .any(|needed| tool(needed).is_none())
    {
        return skip(&landfall_testkit::current_test(), "swtpm or tpm2-tools is not installed");
    }
    let folder = landfall_testkit::temp_dir();
    let lab = ["lab", "--build", "factory", "--scenario", "S0.C2", "--evidence", "evidence", "--json"];
    let (status, text) = says(folder.path(), &lab);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, report["failed"].as_u64()), (0, Some(0)), "{report:#}");
    let devices = fs::read_dir(folder.path().join("evidence")).unwrap().map(|entry| entry.unwrap().path());
    let attested: Vec<PathBuf> = devices.filter(|device| device.join("endorsement.pem").exists()).collect();
    assert_eq!(attested.len(), 2, "a device by BRSKI and one by Wi-Fi Easy Connect");
    let [files, live] = documented();
    let mut checked = 0;
    for device in attested {
        let port = free_pair();
        let _tpm = switched_on(&device.join("tpm"), port);
        let tcti = format!("swtpm:host=127.0.0.1,port={port}");
        for credential in ["idevid", "ldevid", "dpp-bootstrap"] {
            if !device.join(format!("{credential}.pub")).exists() {
                continue;
            }
            checked += 1;
            check(&device, &files, credential, &tcti).unwrap();
            for (name, at) in [("attest", 60), ("sig", 20), ("pub", 40)] {
                let path = device.join(format!("{credential}.{name}"));
                let good = fs::read(&path).unwrap();
                let mut wrong = good.clone();
                wrong[at] ^= 1;
                fs::write(&path, wrong).unwrap();
                assert!(check(&device, &files, credential, &tcti).is_err(), "{credential}.{name} is not as it was");
                fs::write(&path, good).unwrap();
            }
        }
        check(&device, &live, "idevid", &tcti).unwrap();
        // Another TPM's attestation key is not loaded by this one.
        let path = device.join("attestation.priv");
        let mut wrong = fs::read(&path).unwrap();
        *wrong.last_mut().unwrap() ^= 1;
        fs::write(&path, wrong).unwrap();
        check(&device, &live, "idevid", &tcti).unwrap_err();
    }
    assert_eq!(checked, 4, "IDevID and LDevID of one device, IDevID and bootstrapping key of the other");
}

/// The simulated TPM that the device had.
fn switched_on(state: &Path, port: u16) -> Running {
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"]);
    command.arg(format!("dir={}", state.display()));
    command.args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")]);
    command.args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)]);
    let running = Running::start(&mut command);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {}
    running
}
