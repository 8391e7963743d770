//! Nouns, verbs, exit statuses.

use crate::{landfall, says};
use serde_json::Value;

#[test]
fn exit_statuses_say_yes_no_or_could_not() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(says(folder.path(), &["config", "init"]).0, 0);
    assert_eq!(says(folder.path(), &["config", "init"]).0, 2, "a file that is there is not replaced");
    assert_eq!(says(folder.path(), &["config", "init", "--force"]).0, 0);
    let (status, text) = says(folder.path(), &["config", "check"]);
    assert_eq!(status, 1, "files are missing");
    assert!(text.contains("registrar.identity: ") && text.contains("masa.voucher-signer: "), "{text}");
    assert_eq!(says(folder.path(), &["config", "check", "--config", "nowhere.toml"]).0, 2);
    assert_eq!(says(folder.path(), &["network", "devices"]).0, 2, "no server runs");
    assert_eq!(says(folder.path(), &["verification", "devices"]).0, 2, "nor here");
    std::fs::write(folder.path().join("policy.cedar"), "permit (principal, action, resource);").unwrap();
    let (status, text) = says(folder.path(), &["verification", "policy", "check", "policy.cedar"]);
    assert_eq!(status, 1, "it has no name");
    assert!(text.contains("@id"), "{text}");
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let stderr = |arguments: &[&str]| String::from_utf8(landfall(folder.path(), arguments).stderr).unwrap();
    assert!(stderr(&["config", "check"]).contains("`landfall config init`"));
    says(folder.path(), &["config", "init"]);
    assert!(stderr(&["network", "status"]).contains("is `landfall run` running?"));
    assert!(stderr(&["run"]).contains("`landfall network init`"));
    let json: Value = serde_json::from_str(&stderr(&["network", "status", "--json"])).unwrap();
    assert!(json["error"].as_str().unwrap().contains("does not answer"));
}

#[test]
fn a_misspelt_key_is_found_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("landfall.toml"), "[registrar]\nretry_after = \"3s\"\n").unwrap();
    let (status, text) = says(folder.path(), &["config", "check", "--json"]);
    let checked: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, checked["problems"][0]["key"].as_str()), (1, Some("registrar.retry_after")));
    assert!(checked["problems"][0]["why"].as_str().unwrap().contains("line 2"), "{text}");
}

#[test]
fn a_domain_and_a_manufacturer_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    says(folder.path(), &["config", "init"]);
    for noun in ["network", "factory"] {
        assert_eq!(says(folder.path(), &[noun, "init"]).0, 0);
        assert_eq!(says(folder.path(), &[noun, "init"]).0, 2, "it is not replaced");
    }
    let (status, text) = says(folder.path(), &["config", "check"]);
    assert_eq!(status, 0, "the first settings need no editing: {text}");
    let root = folder.path().join("data/manufacturer/root.pem");
    std::fs::rename(&root, root.with_extension("away")).unwrap();
    let (status, text) = says(folder.path(), &["config", "check"]);
    assert_eq!((status, text.lines().count()), (1, 2), "MASA and vendor miss it: {text}");
    std::fs::rename(root.with_extension("away"), &root).unwrap();
    let (status, text) = says(folder.path(), &["factory", "provision", "--count", "2", "--json"]);
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, made[0]["made"].as_u64()), (0, Some(2)));
    let (_, exported) = says(folder.path(), &["factory", "export"]);
    assert_eq!(exported.lines().count(), 2);
    assert!(!exported.contains("PRIVATE KEY"));
    assert_eq!(says(folder.path(), &["network", "operator", "ada"]).0, 0);
    assert_eq!(says(folder.path(), &["inspect", "ada.pem", "--anchor", "data/domain/operators.pem"]).0, 0);
}

#[test]
fn help_completions_and_manual_come_from_one_declaration() {
    let folder = tempfile::tempdir().unwrap();
    let (status, help) = says(folder.path(), &["--help"]);
    assert_eq!(status, 0);
    for noun in ["lab", "run", "config", "device", "factory", "transfer", "network", "inspect", "bench"] {
        assert!(help.contains(&format!("\n  {noun} ")), "{noun} is missing in\n{help}");
        assert_eq!(says(folder.path(), &[noun, "--help"]).0, 0);
    }
    assert!(says(folder.path(), &["completions", "bash"]).1.contains("landfall"));
    assert_eq!(says(folder.path(), &["man", "--out", "."]).0, 0);
    assert!(folder.path().join("landfall-network.1").exists());
}
