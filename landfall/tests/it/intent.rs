//! MUD files for those who write them.

use crate::{landfall, says};
use landfall_testkit::openssl;
use serde_json::Value;
use std::{fs, path::Path, process::Command};

const NEW: [&str; 15] = [
    "application",
    "mud",
    "new",
    "--url",
    "https://lamps.example/lamp.json",
    "--systeminfo",
    "A lamp",
    "--to",
    "broker.lamps.example:8883/tcp",
    "--to",
    "[urn:ietf:params:mud:ntp]:123/udp",
    "--from",
    "my-controller:5683/udp",
    "--out",
    "lamp.json",
];

fn run(openssl: &Path, folder: &Path, line: &str) {
    let done = Command::new(openssl).args(line.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority, and a signer below it.
fn signer(openssl: &Path, folder: &Path) {
    fs::write(folder.join("usage"), "keyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n").unwrap();
    let run = |line: &str| run(openssl, folder, line);
    run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -subj /CN=Lamps -days 9",
    );
    run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout signer.key -out signer.csr -subj /CN=Signer");
    run("x509 -req -in signer.csr -CA root.pem -CAkey root.key -CAcreateserial -days 8 -extfile usage -out signer.pem");
}

#[test]
fn a_file_is_drafted_signed_and_found_good_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(openssl) = openssl() else { return };
    signer(&openssl, folder);
    assert_eq!(says(folder, &NEW).0, 0);
    assert_eq!(says(folder, &NEW).0, 2, "a file that is there is not replaced");
    let (status, told) = says(folder, &["application", "mud", "check", "lamp.json", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, told["findings"].as_array().unwrap().len()), (0, 0), "{told}");

    let sign =
        ["application", "mud", "sign", "lamp.json", "--certificate", "signer.pem", "--key", "signer.key", "--out"];
    assert_eq!(says(folder, &[&sign[..], &["lamp.p7s"]].concat()).0, 0);
    let verify =
        "cms -verify -inform DER -in lamp.p7s -content lamp.json -binary -CAfile root.pem -purpose any -out told";
    run(&openssl, folder, verify);
    let check =
        ["application", "mud", "check", "lamp.json", "--signature", "lamp.p7s", "--anchor", "root.pem", "--signer"];
    let checked = |signer: &str| says(folder, &[&check[..], &[signer, "--json"]].concat());
    let (status, told) = checked("CN=Signer");
    assert!(status == 0 && told.contains("signed by"), "{told}");
    let refused = |signer: &str, check: &str| {
        let (status, told) = checked(signer);
        assert!(status == 1 && told.contains(&format!("\"{check}\"")), "{check}: {told}");
    };
    refused("CN=Another", "mud-signer");
    let text = fs::read_to_string(folder.join("lamp.json")).unwrap();
    fs::write(folder.join("lamp.json"), text.replace("A lamp", "A l\u{e4}mp")).unwrap();
    refused("CN=Signer", "mud-signature");
}

#[test]
fn what_networks_would_not_understand_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(openssl) = openssl() else { return };
    signer(&openssl, folder);
    says(folder, &NEW);
    let text = fs::read_to_string(folder.join("lamp.json")).unwrap();
    let told = |key: &str, out: &str| {
        let sign =
            ["application", "mud", "sign", "lamp.json", "--certificate", "signer.pem", "--key", key, "--out", out];
        let output = landfall(folder, &sign);
        assert_eq!((output.status.code(), folder.join("lamp.p7s").exists()), (Some(2), false));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told("root.key", "lamp.p7s").contains("the key is not that of"));
    fs::write(folder.join("lamp.json"), text.replace("\"cache-validity\": 48", "\"cache-validity\": 500")).unwrap();
    assert!(told("signer.key", "lamp.p7s").contains("/ietf-mud:mud/cache-validity"));
    assert_eq!(says(folder, &["application", "mud", "check", "lamp.json"]).0, 1);
    for (name, wrong) in [("--to", "lamp"), ("--to", "192.0.2.1:80/tcp"), ("--url", "http://lamps.example/lamp.json")] {
        let mut arguments = NEW.to_vec();
        let at = arguments.iter().position(|argument| *argument == name).unwrap();
        arguments[at + 1] = wrong;
        assert_eq!(landfall(folder, &arguments).status.code(), Some(2), "{name} {wrong}");
    }
}

/// A manufacturer that was made before there were signers of MUD files gets one, once, and others find good what it signs.
#[test]
fn a_manufacturer_of_before_gets_a_signer_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(openssl) = openssl() else { return };
    assert_eq!(says(folder, &["config", "init"]).0, 0);
    assert_eq!(says(folder, &["factory", "init", "--organization", "Lamps"]).0, 0);
    // As it was before: nothing of these signers.
    let folders = ["data/manufacturer", "data/keys"].map(|name| fs::read_dir(folder.join(name)).unwrap());
    let of_mud = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let of_mud = of_mud.filter(|path| path.file_name().unwrap().to_string_lossy().contains("mud-"));
    assert_eq!(of_mud.map(|path| fs::remove_file(path).unwrap()).count(), 7);
    assert_eq!(says(folder, &NEW).0, 0);
    let sign = |out: &str| landfall(folder, &["factory", "sign-mud", "lamp.json", "--out", out]);
    let refused = sign("early.p7s");
    assert!(refused.status.code() == Some(2) && !folder.join("early.p7s").exists());

    let (status, told) = says(folder, &["factory", "mud-signer"]);
    assert!(status == 0 && told.contains("signs MUD files"), "{told}");
    let again = landfall(folder, &["factory", "mud-signer"]);
    assert_eq!(again.status.code(), Some(2), "what is there is not made again");
    assert_eq!(sign("lamp.p7s").status.code(), Some(0));
    assert_eq!(sign("lamp.p7s").status.code(), Some(2), "a signature that is there is not replaced");
    let verify = "cms -verify -inform DER -in lamp.p7s -content lamp.json -binary -CAfile data/manufacturer/mud-anchors.pem \
                  -partial_chain -purpose any -out told";
    run(&openssl, folder, verify);
    let anchors = ["--anchor", "data/manufacturer/mud-anchors.pem", "--signer", "CN=Lamps MUD signer,O=Lamps"];
    let check = ["application", "mud", "check", "lamp.json", "--signature", "lamp.p7s"];
    let (status, told) = says(folder, &[&check[..], &anchors].concat());
    assert_eq!(status, 0, "{told}");

    // What networks would mend or leave out is not signed.
    let text = fs::read_to_string(folder.join("lamp.json")).unwrap();
    fs::write(folder.join("lamp.json"), text.replace("\"cache-validity\": 48", "\"cache-validity\": 500")).unwrap();
    assert!(sign("other.p7s").status.code() == Some(2) && !folder.join("other.p7s").exists());
}
