//! Settings for freeradius, written by the real command and read by the real freeradius.

use crate::landfall;
use landfall_testkit::{current_test, skip, temp_dir, tool};
use std::{fs, path::Path, process::Command};

#[test]
fn what_aaa_config_writes_is_good_for_freeradius() {
    let folder = temp_dir();
    let settings = "[metrics]\nlisten = \"\"\n[access]\n[[access.client]]\nname = \"ap 1\"\naddresses = [\"192.0.2.0/24\", \"2001:db8::7\"]\n\
                    secret-file = \"ap.secret\"\n";
    fs::write(folder.path().join("landfall.toml"), settings).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/ap.secret"), "a-secret-of-ours\n").unwrap();
    let does = |arguments: &[&str]| {
        let output = landfall(folder.path(), arguments);
        (
            output.status.code(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        )
    };
    assert_eq!(does(&["network", "init"]).0, Some(0));
    let write = ["network", "aaa-config", "freeradius", "--ask", "localhost:1814", "--name", "aaa.example"];
    let (status, said) = does(&write);
    assert_eq!(status, Some(0), "{said}");
    // What it says belongs into the settings is right there, and names a token that is nowhere printed.
    let more = said.split("\n\n").nth(1).unwrap();
    let token = fs::read_to_string(folder.path().join("freeradius/token")).unwrap();
    assert!(!said.contains(token.trim()));
    fs::write(folder.path().join("landfall.toml"), format!("{settings}{more}")).unwrap();
    assert_eq!(does(&["config", "check"]), (Some(0), does(&["config", "check"]).1));
    let clients = fs::read_to_string(folder.path().join("freeradius/clients.conf")).unwrap();
    assert!(clients.contains("ipaddr = 192.0.2.0/24") && clients.contains("ipaddr = 2001:db8::7/128"), "{clients}");
    // Nothing is overwritten.
    assert_ne!(does(&write).0, Some(0));
    // A secret that freeradius would read as something else.
    fs::write(folder.path().join("data/ap.secret"), "a\"secret\n").unwrap();
    let (status, said) = does(&[&write[..], &["--out", "other"]].concat());
    assert!(status != Some(0) && said.contains("letters and digits") && !said.contains("a\"secret"), "{said}");

    let Some(freeradius) = tool("freeradius") else { return };
    if !Path::new("/usr/lib/freeradius/rlm_rest.so").exists() {
        return skip(&current_test(), "freeradius has no rlm_rest here (Debian: freeradius-rest)");
    }
    let output = Command::new(freeradius).args(["-XC", "-d"]).arg(folder.path().join("freeradius")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Configuration appears to be OK"), "{said}");
}
