//! Every command in the documents by task is run, in their order, as a reader would.

use landfall_testkit::{free_port, tool};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

const DOCUMENTS: [&str; 4] = ["manufacturer.md", "network-owner.md", "device-developer.md", "verification.md"];

#[test]
fn every_command_in_the_documents_works() {
    if ["bash", "openssl", "curl"].iter().any(|needed| tool(needed).is_none()) {
        return;
    }
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let commands: Vec<String> =
        DOCUMENTS.iter().flat_map(|name| blocks(&fs::read_to_string(documents.join(name)).unwrap())).collect();
    assert!(commands.len() > 10, "the documents have lost their commands");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-e", "-u", "-o", "pipefail", "-c", &script(&commands.join("\n"))])
        .current_dir(folder.path())
        .env("PATH", path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", String::from_utf8_lossy(&output.stdout));
}

/// What stands between "```sh" and "```".
fn blocks(document: &str) -> Vec<String> {
    document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The commands, with ports that are free here, waiting for each server where a reader would see it listen.
fn script(commands: &str) -> String {
    let mut text = String::from("trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\nset -x\n");
    for line in commands.lines() {
        text.push_str(line);
        text.push('\n');
        if line.ends_with('&') {
            text.push_str("until landfall network status >/dev/null 2>&1; do kill -0 $!; done\n");
        }
    }
    let ports = ["9443", "9445", "8443", "8444", "8908", "9464"];
    ports.iter().fold(text, |text, port| text.replace(port, &free_port().to_string()))
}

/// The program's folder first.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_landfall"));
    format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default())
}
