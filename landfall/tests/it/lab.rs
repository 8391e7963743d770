//! The lab, and what openssl alone says of the evidence it leaves.

use crate::says;
use landfall_reference::rig::Rig;
use landfall_testkit::openssl;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// All builds in one run, as whoever tries Landfall has them: they must not be in each other's way.
static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole-lab");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let (status, text) = says(&folder, &["lab", "--evidence", "evidence", "--json"]);
    Lab { folder, status, report: serde_json::from_str(&text).unwrap() }
});

struct Lab {
    folder: PathBuf,
    status: i32,
    report: Value,
}

#[test]
fn every_build_runs_in_one_lab_and_nothing_fails() {
    assert_eq!((LAB.status, LAB.report["failed"].as_u64()), (0, Some(0)), "{:#}", LAB.report);
    let rows = LAB.report["rows"].as_array().unwrap();
    for row in rows {
        match row["verdict"].as_str().unwrap() {
            "passed" => assert!(!row["refused"].as_str().unwrap().is_empty(), "no negative case: {row}"),
            "not-run" => assert!(!row["why"].as_str().unwrap().is_empty(), "no reason: {row}"),
            other => panic!("{other}: {row}"),
        }
    }
}

#[test]
fn build_3_fills_its_table_and_openssl_believes_the_evidence() {
    LAB.filled("3");
    if openssl().is_none() {
        return;
    }
    let devices = LAB.evidence("voucher.cms");
    assert!(devices.len() >= 10, "{devices:?}");
    devices.iter().for_each(|device| believed(device));
}

#[test]
fn builds_1_and_2_fill_their_tables_and_leave_evidence_without_secrets() {
    let with_a_tpm = usize::from(landfall_testkit::tool("swtpm").is_some());
    assert_eq!((LAB.filled("1"), LAB.filled("2")), (15 + with_a_tpm, 15 + with_a_tpm));
    let devices = easily_joined();
    let certified: Vec<_> = devices.into_iter().filter(|d| d.join("certificate.pem").is_file()).collect();
    assert!(!certified.is_empty(), "no device got a certificate");
    if openssl().is_some() {
        let arguments =
            ["verify", "-partial_chain", "-CAfile", "ca.pem", "-untrusted", "certificate.pem", "certificate.pem"];
        certified.iter().for_each(|device| assert!(openssl_says(device, &arguments).contains("OK")));
    }
}

#[test]
fn the_factory_builds_onboard_with_the_keys_in_the_elements_or_say_that_there_are_none() {
    let rows = LAB.report["rows"].as_array().unwrap();
    for (build, missing, tools) in [
        ("TPM", "no TPM", &["swtpm", "swtpm_setup", "swtpm_localca"][..]),
        ("PKCS#11", "no PKCS#11 token", &["softhsm2-util"][..]),
    ] {
        let installed = tools.iter().all(|program| landfall_testkit::tool(program).is_some());
        let its: Vec<&Value> = rows.iter().filter(|row| row["build"].as_str().unwrap().ends_with(build)).collect();
        let ids: Vec<&str> = its.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["S0.C1", "S0.C2", "S0.C3", "S1.C6", "S0.C1", "S0.C2", "S0.C3", "S1.C6"], "{build}");
        for row in its {
            match installed {
                true => assert!(!row["refused"].as_str().unwrap().is_empty(), "no negative case: {row}"),
                false => assert!(row["why"].as_str().unwrap().starts_with(missing), "{row}"),
            }
        }
    }
}

/// Without the programs that simulate elements nothing counts as shown. They are hidden from this one run.
#[test]
fn a_lab_without_elements_shows_no_factory_build() {
    let name = landfall_testkit::current_test();
    let hidden: Vec<_> = ["swtpm_setup", "softhsm2-util"].into_iter().filter_map(landfall_testkit::tool).collect();
    let hide = hidden.iter().map(|path| format!("mount --bind /dev/null {}; ", path.display())).collect::<String>();
    let mut command = Command::new("unshare");
    let lab = format!("{hide} exec {} lab --build factory --loopback", env!("CARGO_BIN_EXE_landfall"));
    let Ok(output) = command.args(["--mount", "sh", "-e", "-c", &lab]).output() else {
        return landfall_testkit::skip(&name, "there is no unshare");
    };
    let said = String::from_utf8(output.stdout).unwrap();
    if !hidden.is_empty() && !said.contains("The factory builds") {
        return landfall_testkit::skip(&name, "programs cannot be hidden: not root");
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not run: no TPM") && said.contains("not run: no PKCS#11 token"), "{said}");
    assert!(said.contains("0 passed, 0 failed, 16 not run"), "{said}");
}

#[test]
fn build_5_fills_its_table_and_its_trace_shows_when_packets_came_through() {
    for program in ["hostapd", "wpa_supplicant", "nft", "tcpdump"] {
        if landfall_testkit::tool(program).is_none() {
            return;
        }
    }
    let passed = LAB.filled("5");
    if passed == 0 {
        return landfall_testkit::skip(&landfall_testkit::current_test(), "the lab's Build 5 needs root");
    }
    let with_a_tpm = 6 * usize::from(landfall_testkit::tool("swtpm").is_some());
    let over_the_air = usize::from(Rig::find().is_ok() && landfall_testkit::tool("busybox").is_some());
    assert_eq!(passed, 16 + with_a_tpm + over_the_air);
    let traces = LAB.evidence("let-through.pcap");
    let trace = traces.first().expect("a trace").join("let-through.pcap");
    assert!(fs::metadata(trace).unwrap().len() > 1000);
}

impl Lab {
    /// How many rows that build showed, beside that of packets.
    fn filled(&self, build: &str) -> usize {
        let rows: Vec<&Value> =
            self.report["rows"].as_array().unwrap().iter().filter(|row| row["build"] == build).collect();
        assert_eq!(rows.len(), 33, "every capability of the guide has its row: {:#}", self.report);
        // Packets are judged where there are namespaces and nft; elsewhere the row says so.
        let intent = rows.iter().find(|row| row["id"] == "S5.C4").unwrap();
        assert!(intent["verdict"] == "passed" || intent["why"].as_str().unwrap().starts_with("needs"), "{intent}");
        rows.iter().filter(|row| row["verdict"] == "passed" && row["id"] != "S5.C4").count()
    }

    /// The folders of devices that left such a file.
    fn evidence(&self, file: &str) -> Vec<PathBuf> {
        let devices = fs::read_dir(self.folder.join("evidence")).unwrap().map(|entry| entry.unwrap().path());
        devices.filter(|device| device.join(file).is_file()).collect()
    }
}

/// What devices got by Wi-Fi Easy Connect is there, but for their secrets; the devices' folders.
fn easily_joined() -> Vec<PathBuf> {
    let devices = LAB.evidence("configuration-1.json");
    assert!(devices.len() >= 16, "{devices:?}");
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
