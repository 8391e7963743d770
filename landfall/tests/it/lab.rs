//! The lab, and what openssl alone says of the evidence it leaves.

use crate::says;
use landfall_testkit::openssl;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn build_3_fills_its_table_and_openssl_believes_the_evidence() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), "3");
    if openssl().is_none() {
        return;
    }
    let devices = evidence(folder.path());
    assert!(devices.len() >= 10, "{devices:?}");
    devices.iter().for_each(|device| believed(device));
}

#[test]
fn build_1_fills_its_table_and_leaves_evidence_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let passed = filled(folder.path(), "1");
    assert_eq!(passed, 13);
    let certified: Vec<_> =
        easily_joined(folder.path()).into_iter().filter(|d| d.join("certificate.pem").is_file()).collect();
    assert!(!certified.is_empty(), "no device got a certificate");
    if openssl().is_some() {
        let arguments =
            ["verify", "-partial_chain", "-CAfile", "ca.pem", "-untrusted", "certificate.pem", "certificate.pem"];
        certified.iter().for_each(|device| assert!(openssl_says(device, &arguments).contains("OK")));
    }
}

#[test]
fn build_2_fills_its_table_and_leaves_evidence_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(filled(folder.path(), "2"), 13);
    easily_joined(folder.path());
}

/// Runs a build, which has to show all that it tries; how many rows it showed.
fn filled(folder: &Path, build: &str) -> usize {
    let (status, text) = says(folder, &["lab", "--build", build, "--evidence", "evidence", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, report["failed"].as_u64()), (0, Some(0)), "{report:#}");
    let rows = report["rows"].as_array().unwrap();
    for row in rows {
        match row["verdict"].as_str().unwrap() {
            "passed" => assert!(!row["refused"].as_str().unwrap().is_empty(), "no negative case: {row}"),
            "not-run" => assert!(!row["why"].as_str().unwrap().is_empty(), "no reason: {row}"),
            other => panic!("{other}: {row}"),
        }
    }
    assert_eq!(rows.len(), 32, "every capability of the guide has its row");
    rows.iter().filter(|row| row["verdict"] == "passed").count()
}

fn evidence(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("evidence")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What devices got by Wi-Fi Easy Connect is there, but for their secrets; the devices' folders.
fn easily_joined(folder: &Path) -> Vec<PathBuf> {
    let devices = evidence(folder);
    assert!(devices.len() >= 8, "{devices:?}");
    for device in &devices {
        let read = |name: &str| fs::read_to_string(device.join(name)).unwrap();
        assert!(read("bootstrapping-uri.txt").starts_with("DPP:"));
        let configuration: Value = serde_json::from_str(&read("configuration-1.json")).unwrap();
        assert!(configuration["discovery"]["ssid"].is_string());
        assert!(configuration["cred"].get("pass").is_none_or(|pass| pass == "(the device's secret)"));
        assert_eq!(read("connector-1.jws").split('.').count(), 3);
        let csign: Value = serde_json::from_str(&read("csign.jwk.json")).unwrap();
        assert_eq!(csign["kty"], "EC");
    }
    devices
}

/// Voucher, requests and LDevID of one device, by openssl alone.
fn believed(device: &Path) {
    let cms = |file: &str, anchor: &str| {
        let arguments =
            ["cms", "-verify", "-inform", "DER", "-purpose", "any", "-partial_chain", "-in", file, "-CAfile", anchor];
        openssl_says(device, &arguments)
    };
    let voucher = cms("voucher.cms", "masa-anchor.pem");
    let serial = device.file_name().unwrap().to_str().unwrap();
    assert!(voucher.contains(&format!("\"serial-number\":\"{serial}\"")), "{voucher}");
    assert!(cms("pledge-voucher-request.cms", "idevid-chain.pem").contains(serial));
    assert!(cms("registrar-voucher-request.cms", "cacerts.pem").contains("prior-signed-voucher-request"));
    assert!(openssl_says(device, &["verify", "-CAfile", "cacerts.pem", "ldevid.pem"]).contains("OK"));
}

fn openssl_says(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: openssl {arguments:?}: {stderr}", folder.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn one_scenario_is_run_alone_on_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let (status, text) = says(folder.path(), &["lab", "--build", "3", "--scenario", "s0.c2", "--loopback", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, report["passed"].as_u64(), report["rows"].as_array().unwrap().len()), (0, Some(1), 1));
    assert_eq!(says(folder.path(), &["lab", "--build", "9"]).0, 2, "there is no such build");
}
