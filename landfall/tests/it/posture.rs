//! SBOMs, feeds and credentials on the command line, with pyca/cryptography on the other side of a credential.

use crate::{landfall, says};
use landfall_testkit::{Running, current_test, skip, temp_dir, tool};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

const SETTINGS: &str = "[log]\nformat = \"json\"\n[metrics]\nlisten = \"\"\n[authorizer.feeds]\nroot = \"../root.json\"\n\
                        [[authorizer.authority]]\nname = \"Alice\"\nrole = \"user\"\nkey = \"../alice.pem\"\n";
/// The SHA-256 of a device's key, as a credential writes it.
const DEVICE: &str = "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk";

/// A server that believes Alice and a publisher, with their keys.
fn start(folder: &Path) -> Option<Running> {
    let openssl = tool("openssl")?;
    let run = |arguments: &[&str]| {
        assert!(Command::new(&openssl).args(arguments).current_dir(folder).output().unwrap().status.success());
    };
    for name in ["alice", "publisher", "other"] {
        let (key, public) = (format!("{name}.key"), format!("{name}.pem"));
        run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key]);
        run(&["pkey", "-in", &key, "-pubout", "-out", &public]);
    }
    assert_eq!(says(folder, &["verification", "feed", "root", "--key", "publisher.key", "--out", "root.json"]).0, 0);
    fs::write(folder.join("landfall.toml"), SETTINGS).unwrap();
    assert_eq!(says(folder, &["network", "init"]).0, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(["run", "authorizer", "--json"]).current_dir(folder);
    let mut running = Running::start(&mut command);
    running.until("}");
    Some(running)
}

/// The answer is no, and names the check.
fn is_refused(folder: &Path, arguments: &[&str], check: &str) {
    let output = landfall(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(check), "{said}");
}

#[test]
fn credentials_go_both_ways() {
    let folder = temp_dir();
    let folder = folder.path();
    let (Some(python), Some(mut server)) = (tool("python3"), start(folder)) else { return };
    let peer = |mode: &str, key: &str, given: &str| {
        let script = include_str!("credential.py");
        let output = Command::new(&python).args(["-c", script, mode, key, given]).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("ModuleNotFoundError") {
            skip(&current_test(), "python3-cryptography is not installed");
            return None;
        }
        assert!(output.status.success(), "{said}");
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let issue = ["verification", "credential", "issue", "device-trust", "--device", DEVICE, "--key"];
    let issued = |key: &str| says(folder, &[&issue[..], &[key]].concat()).1.trim().to_owned();
    let ours = issued("alice.key");
    let Some(said) = peer("verify", "alice.pem", &ours) else { return };
    assert_eq!(said, format!("ES256 vc+jwt {DEVICE}"));
    let theirs = peer("sign", "alice.key", DEVICE).unwrap();
    let add = |name: &str, jwt: &str| {
        fs::write(folder.join(name), format!("{jwt}\n")).unwrap();
        ["verification", "credential", "add", name].map(str::to_owned)
    };
    for (name, jwt) in [("ours.jwt", &ours), ("theirs.jwt", &theirs)] {
        let arguments = add(name, jwt);
        assert_eq!(says(folder, &arguments.each_ref().map(String::as_str)).0, 0);
    }
    let mixed = format!("{}.{}", ours.rsplit_once('.').unwrap().0, theirs.rsplit_once('.').unwrap().1);
    for (check, jwt) in [("credential-signature", mixed), ("credential-issuer", issued("other.key"))] {
        let arguments = add("bad.jwt", &jwt);
        is_refused(folder, &arguments.each_ref().map(String::as_str), check);
    }
    let listed = || -> Vec<Value> {
        let (status, text) = says(folder, &["verification", "credential", "list", "--json"]);
        assert_eq!(status, 0);
        serde_json::from_str(&text).unwrap()
    };
    assert!(listed().len() == 2 && listed().iter().all(|it| it["refused"].is_null()), "{:?}", listed());
    let id = listed()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(says(folder, &["verification", "credential", "revoke", &id, "--reason", "test"]).0, 0);
    let refused: Vec<Value> = listed().iter().map(|it| it["refused"][0].clone()).collect();
    assert_eq!(refused.iter().filter(|check| *check == "credential-withdrawn").count(), 1, "{refused:?}");
    is_refused(folder, &["verification", "credential", "revoke", &id], "there is no credential");
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn software_is_brought_shown_and_refused() {
    let folder = temp_dir();
    let folder = folder.path();
    let Some(mut server) = start(folder) else { return };
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    put(
        "lamp.json",
        r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","purl":"pkg:cargo/smallvec@1.6.0"}]}"#,
    );
    put(
        "osv.json",
        r#"{"id":"RUSTSEC-2021-0003","modified":"2026-11-01T00:00:00Z","affected":[{"package":{"ecosystem":"crates.io","name":"smallvec"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"1.6.1"}]}]}]}"#,
    );
    put("nothing.json", "{}");
    let of = ["--vendor", "acme", "--model", "lamp"];
    let add = |file: &'static str| [&["verification", "sbom", "add", file][..], &of[..]].concat();
    assert_eq!(says(folder, &add("lamp.json")).0, 0);
    is_refused(folder, &add("nothing.json"), "software-document");
    is_refused(folder, &["verification", "sbom", "add", "lamp.json"], "one `device`");
    is_refused(folder, &["verification", "sbom", "show", "nobody"], "there is no");
    assert_eq!(says(folder, &["verification", "feed", "show"]).0, 1, "there is none yet");
    let publish = |key: &str, number: &str, out: &str| {
        let arguments = ["verification", "feed", "publish", "osv.json", "--key", key, "--number", number, "--out", out];
        assert_eq!(says(folder, &arguments).0, 0);
    };
    publish("publisher.key", "2", "good.tar");
    publish("publisher.key", "1", "older.tar");
    publish("other.key", "3", "forged.tar");
    let import = |bundle: &'static str| ["verification", "feed", "import", bundle];
    assert_eq!(says(folder, &import("good.tar")).0, 0);
    is_refused(folder, &import("older.tar"), "bundle-rollback");
    is_refused(folder, &import("forged.tar"), "bundle-threshold");
    is_refused(folder, &import("lamp.json"), "bundle-archive");
    let (status, text) = says(folder, &["verification", "sbom", "list", "--json"]);
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!((status, all.len(), &all[0]["score"]), (0, 1, &100.into()), "nobody says how bad it is");
    let id = all[0]["id"].as_str().unwrap();
    let (_, text) = says(folder, &["verification", "sbom", "show", id]);
    for word in ["RUSTSEC-2021-0003", "pkg:cargo/smallvec@1.6.0", "mended in 1.6.1", "osv"] {
        assert!(text.contains(word), "{text}");
    }
    // A folder with the bundle's files is as good as the archive.
    if let Some(tar) = tool("tar") {
        fs::create_dir(folder.join("stick")).unwrap();
        let output = Command::new(tar).args(["-xf", "good.tar", "-C", "stick"]).current_dir(folder).output().unwrap();
        assert!(output.status.success());
        assert_eq!(says(folder, &import("stick")).0, 0);
    }
    assert_eq!(says(folder, &["verification", "sbom", "remove", id]).0, 0);
    is_refused(folder, &["verification", "sbom", "remove", id], "there is no");
    server.signal("TERM");
    assert!(server.wait().success());
}
