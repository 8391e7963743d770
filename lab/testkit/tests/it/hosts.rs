//! Hosts see each other over their cable, and are gone afterwards.

use landfall_testkit::{Hosts, Running, current_test, openssl, shared, skip, tool};
use std::process::Command;

#[test]
fn a_cable_joins_two_hosts() {
    let (Some(hosts), Some(ip)) = (Hosts::new(&["left", "right"]), tool("ip")) else { return };
    hosts.cable(("left", "wan"), ("right", "lan"));
    hosts.address("left", "wan", "fd00::1/64");
    hosts.address("right", "lan", "fd00::2/64");
    let route = hosts.command("left", "ip").args(["-6", "route", "get", "fd00::2"]).output().unwrap();
    assert!(String::from_utf8_lossy(&route.stdout).contains("dev wan"));
    assert!(hosts.link_local("right", "lan").starts_with("fe80:"));

    let namespace = hosts.namespace("left");
    let listed = || {
        let list = Command::new(&ip).args(["netns", "list"]).output().unwrap();
        String::from_utf8_lossy(&list.stdout).contains(&namespace)
    };
    assert!(listed());
    drop(hosts);
    assert!(!listed(), "nothing stays behind");
}

#[test]
fn a_program_ends_with_its_guard() {
    let mut shell = Running::start(Command::new("sh").args(["-c", "echo one; echo ready: 2; exec sleep 1000"]));
    assert_eq!(shell.until("ready"), "ready: 2");
    let proc = std::path::PathBuf::from(format!("/proc/{}", shell.id()));
    assert!(proc.exists());
    drop(shell);
    assert!(!proc.exists());
}

#[test]
fn a_program_takes_signals() {
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do :; done";
    let mut shell = Running::start(Command::new("sh").args(["-c", script]));
    shell.until("ready");
    shell.signal("TERM");
    assert_eq!(shell.wait().code(), Some(7));
}

#[test]
fn a_skip_is_written_down() {
    // In a process of its own, since the place where skips are counted comes from the environment.
    let dir = landfall_testkit::temp_dir();
    let list = dir.path().join("skips");
    if std::env::var_os("LANDFALL_TEST_SKIP").is_some() {
        skip(&current_test(), "a reason\nin two lines");
        assert!(tool("no-such-program").is_none());
        assert!(shared("no/such/file").is_none());
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "it::hosts::a_skip_is_written_down"]);
    let output = again.env("LANDFALL_TEST_SKIP", "1").env("LANDFALL_SKIPS", &list).output().unwrap();
    assert!(output.status.success());
    let lines = std::fs::read_to_string(&list).unwrap();
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "SKIPPED it::hosts::a_skip_is_written_down: a reason in two lines",
            "SKIPPED it::hosts::a_skip_is_written_down: no-such-program is not installed",
            "SKIPPED it::hosts::a_skip_is_written_down: shared/no/such/file is not there",
        ]
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("SKIPPED"), "it is said past the runner's capture");
}

#[test]
fn openssl_speaks() {
    let Some(openssl) = openssl() else { return };
    assert!(Command::new(openssl).arg("version").output().unwrap().status.success());
}
