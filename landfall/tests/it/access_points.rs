//! hostapd's settings for access points and switches that ask `[access]`, and Debian's hostapd as their reader.

use super::{landfall, says};
use landfall_testkit::{Hosts, temp_dir, tool};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const SETTINGS: &str = "[registrar]\nlisten = \"127.0.0.1:8443\"\n[access]\nlisten = \"127.0.0.1:1812\"\n\
    [[access.client]]\nname = \"hall\"\naddresses = [\"127.0.0.1\"]\nsecret-file = \"hall.secret\"\n";

fn site() -> tempfile::TempDir {
    let folder = temp_dir();
    fs::write(folder.path().join("landfall.toml"), SETTINGS).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/hall.secret"), "a secret of the hall\n").unwrap();
    folder
}

/// hostapd does not drive a radio that is not there; what it says of the settings comes before that.
fn complaints(hostapd: &Path, file: &Path) -> Vec<String> {
    let output = Command::new("timeout").arg("20").arg(hostapd).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let about = |line: &&str| line.starts_with("Line ") || line.contains("errors found in") || line.contains("Invalid");
    said.lines().filter(about).map(str::to_owned).collect()
}

#[test]
fn hostapd_takes_every_form_of_them() {
    let Some(hostapd) = tool("hostapd") else { return };
    let folder = site();
    let forms: [&[&str]; 5] = [
        &["--closed", "Orchard House"],
        &["--closed", "Orchard House", "--wpa3", "--vlans-on", "eth0", "--onboarding", "BRSKI"],
        &["--onboarding", "BRSKI", "--onboarding-bridge", "br-new", "--channel", "11"],
        &["--closed", "Orchard House", "--onboarding", "BRSKI", "--encrypted", "--realm", "new.example"],
        &["--wired", "lan1", "--wired", "lan2"],
    ];
    for (number, form) in forms.iter().enumerate() {
        let out = format!("out-{number}");
        let output = landfall(folder.path(), &[&["network", "ap-config", "hall", "--out", &out], *form].concat());
        assert!(output.status.success(), "{form:?}: {}", String::from_utf8_lossy(&output.stderr));
        for entry in fs::read_dir(folder.path().join(&out)).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            if path.extension().is_some_and(|end| end == "conf") {
                assert_eq!(complaints(&hostapd, &path), [] as [String; 0], "{form:?}");
            }
        }
    }
    // What is wrong would have been said.
    let path = folder.path().join("out-0/hostapd.conf");
    let wrong = fs::read_to_string(&path).unwrap().replace("disable_pmksa_caching", "disable_pmksa_cashing");
    fs::write(&path, wrong).unwrap();
    assert!(!complaints(&hostapd, &path).is_empty());
}

#[test]
fn a_port_comes_up_with_them() {
    let Some(hostapd) = tool("hostapd") else { return };
    let Some(hosts) = Hosts::new(&["switch"]) else { return };
    let folder = site();
    hosts.cable(("switch", "lan1"), ("switch", "lan2"));
    let (status, _) = says(folder.path(), &["network", "ap-config", "hall", "--out", "out", "--wired", "lan1"]);
    assert_eq!(status, 0);
    let path = folder.path().join("out/wired-lan1.conf");
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("\nauth_server_shared_secret=a secret of the hall\n")
            && text.contains("\nradius_das_port=3799\n")
    );
    fs::write(&path, text.replace("/var/run/hostapd", &folder.path().join("control").display().to_string())).unwrap();
    // It runs until it is told to stop.
    let output = hosts.command("switch", "timeout").arg("5").arg(&hostapd).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("AP-ENABLED") && output.status.code() == Some(124), "{said}");
}

#[test]
fn nothing_is_replaced_unasked_and_what_cannot_work_is_said() {
    let folder = site();
    let with = |more: &[&str]| {
        let output = landfall(folder.path(), &[&["network", "ap-config"], more].concat());
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = ["hall", "--out", "out", "--closed", "Orchard House"];
    assert_eq!(with(&good).0, 0);
    let (status, said) = with(&good);
    assert!(status == 2 && said.contains("--force"), "{said}");
    assert_eq!(with(&[&good[..], &["--force"]].concat()).0, 0);
    let long = "x".repeat(33);
    for (wrong, why) in [
        (&["attic", "--out", "new", "--closed", "Orchard House"][..], "attic"),
        (&["hall", "--out", "new", "--closed", &long], "octets"),
        (&["hall", "--out", "new", "--wired", "a/b"], "interface"),
        (&["hall", "--out", "new", "--wired", "lan1\nctrl_interface=/tmp"], "settings"),
        (&["hall", "--out", "new"], "--closed"),
        (&["hall", "--out", "new", "--closed", "x", "--controller", "192.0.2.1"], "--controller"),
    ] {
        let (status, said) = with(wrong);
        assert!(status == 2 && said.contains(why), "{wrong:?}: {said}");
    }
    fs::write(folder.path().join("data/hall.secret"), "").unwrap();
    assert!(with(&["hall", "--out", "new", "--wired", "lan1"]).1.contains("empty"));
    let everywhere = SETTINGS.replace("[access]\nlisten = \"127.0.0.1", "[access]\nlisten = \"0.0.0.0");
    fs::write(folder.path().join("landfall.toml"), everywhere).unwrap();
    fs::write(folder.path().join("data/hall.secret"), "a secret\n").unwrap();
    assert!(with(&["hall", "--out", "new", "--wired", "lan1"]).1.contains("--radius"));
    assert_eq!(with(&["hall", "--out", "new", "--wired", "lan1", "--radius", "192.0.2.1:1812"]).0, 0);
}
