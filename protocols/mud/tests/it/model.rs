//! What we write, held against the models of the specifications themselves by another's validator (RFC 7950, RFC 7951).

use super::sample;
use landfall_mud::draft::Draft;
use landfall_testkit::{rfc, temp_dir, tool};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// RFC 8519 s4.1: what of the model may be used.
const FEATURES: &str = "ietf-access-control-list:match-on-eth,match-on-ipv4,match-on-ipv6,match-on-tcp,match-on-udp,\
                        match-on-icmp,eth,ipv4,ipv6,mixed-eth-ipv4-ipv6,mixed-eth-ipv4,mixed-eth-ipv6";

/// Puts the modules that stand in a specification into `folder`, without what stands between its pages.
fn modules(text: &str, folder: &Path) {
    for part in text.split("<CODE BEGINS>").skip(1) {
        let Some((name, rest)) = part.trim_start().strip_prefix("file \"").and_then(|part| part.split_once('"')) else {
            continue;
        };
        let (module, _) = rest.split_once("<CODE ENDS>").unwrap();
        let is_page = |line: &&str| {
            let year = line.rsplit(' ').next().is_some_and(|last| last.parse::<u16>().is_ok());
            (line.ends_with(']') && line.contains("[Page ")) || (line.starts_with("RFC ") && year)
        };
        let lines: Vec<_> =
            module.lines().map(|line| line.trim_start_matches('\u{c}')).filter(|l| !is_page(l)).collect();
        fs::write(folder.join(name), lines.join("\n")).unwrap();
    }
}

/// Whether yanglint takes a file as one of the models; what it says if not.
fn valid(folder: &Path, file: &Value) -> Result<(), String> {
    fs::write(folder.join("file.json"), file.to_string()).unwrap();
    let modules = ["ietf-mud@2019-01-28.yang", "ietf-acldns@2019-01-28.yang"];
    let done = Command::new("yanglint")
        .current_dir(folder)
        .args(["-t", "config", "-p", ".", "-F", FEATURES])
        .args(modules)
        .arg("file.json")
        .output()
        .unwrap();
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

#[test]
fn yanglint_finds_what_we_write_to_be_of_the_models() {
    let Some(_) = tool("yanglint") else { return };
    let (Some(interfaces), Some(acl), Some(mud)) = (rfc(8343), rfc(8519), rfc(8520)) else { return };
    let folder = temp_dir();
    [interfaces, acl, mud].iter().for_each(|text| modules(text, folder.path()));
    let draft = Draft {
        url: "https://lamp.example/lamp.json".parse().unwrap(),
        systeminfo: "A lamp".into(),
        manufacturer: Some("Lamps".into()),
        model: Some("LAMP-1".into()),
        last_update: "2026-11-22T09:30:00Z".parse().unwrap(),
        to: ["a.lamp.example:8883/tcp", "local:5683/udp", "same-manufacturer", "[urn:ietf:params:mud:ntp]:123/udp"]
            .map(|text| text.parse().unwrap())
            .into(),
        from: ["my-controller/tcp", "https://lamp.example/class/hub"].map(|text| text.parse().unwrap()).into(),
    };
    let good: Value = serde_json::from_str(&draft.write()).unwrap();
    valid(folder.path(), &good).unwrap();
    // What is not of these models stands in others, which is for their specifications.
    let mut sample = sample::sample();
    let mud = sample["ietf-mud:mud"].as_object_mut().unwrap();
    mud.retain(|name, _| !name.contains(':') || name.starts_with("ietf-mud:"));
    for acl in sample["ietf-access-control-list:acls"]["acl"].as_array_mut().unwrap() {
        for entry in acl["aces"]["ace"].as_array_mut().unwrap() {
            entry["matches"].as_object_mut().unwrap().remove("ietf-acl-tls:client-profiles");
        }
    }
    valid(folder.path(), &sample).unwrap();

    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut file = good.clone();
        change(&mut file);
        valid(folder.path(), &file).expect_err("it is not of the model")
    };
    wrong(&|file| file["ietf-mud:mud"]["cache-validity"] = json!(169));
    wrong(&|file| drop(file["ietf-mud:mud"].as_object_mut().unwrap().remove("last-update")));
    wrong(&|file| file["ietf-access-control-list:acls"]["acl"][0]["type"] = json!("ethernet-acl-type"));
    wrong(&|file| file["ietf-access-control-list:acls"]["acl"][0]["aces"]["ace"][0]["actions"] = json!({}));
}
