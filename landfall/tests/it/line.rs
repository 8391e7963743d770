//! A factory line of several processes on one database, and what can go wrong with it.

use crate::{ground::bundles, landfall, says};
use landfall_lifecycle::factory::FactoryDevice;
use landfall_testkit::{Running, current_test, skip, temp_dir};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

fn line() -> tempfile::TempDir {
    let folder = temp_dir();
    does(folder.path(), &["config", "init"]);
    does(folder.path(), &["factory", "init"]);
    folder
}

fn does(folder: &Path, arguments: &[&str]) -> Value {
    let output = landfall(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn start(folder: &Path, arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    Running::start(command.args(arguments).arg("--json").current_dir(folder).stderr(Stdio::null()))
}

fn records(folder: &Path) -> Vec<FactoryDevice> {
    let exported = landfall(folder, &["factory", "export"]).stdout;
    String::from_utf8(exported).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn stations_work_side_by_side_on_one_database() {
    let folder = line();
    let order = |station: &'static str, more: &[&'static str]| {
        [&["factory", "provision", "--count", "700", "--station", station][..], more].concat()
    };
    let orders = [order("a", &[]), order("b", &[]), order("c", &["--first", "50000"]), order("d", &[])];
    let mut stations: Vec<Running> = orders.iter().map(|order| start(folder.path(), order)).collect();
    // Looking on does not hold them up.
    does(folder.path(), &["factory", "status"]);
    for station in &mut stations {
        assert!(station.wait().success());
    }
    let records = records(folder.path());
    assert_eq!(records.len(), 4 * 700);
    assert_eq!(records.iter().map(|device| &device.serial_number).collect::<BTreeSet<_>>().len(), 4 * 700);
    assert_eq!(bundles(&folder.path().join("data/bundles")).len(), 4 * 700);

    let manifests: Vec<_> =
        fs::read_dir(folder.path().join("data/manifests")).unwrap().map(|e| e.unwrap().path()).collect();
    let manifests: Vec<_> = manifests.iter().filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    assert_eq!(manifests.len(), 4);
    let verify = |manifest: &Path| {
        says(
            folder.path(),
            &["factory", "manifest", "verify", manifest.to_str().unwrap(), "--anchor", "data/manufacturer/root.pem"],
        )
    };
    for manifest in &manifests {
        assert_eq!(verify(manifest).0, 0, "{}", manifest.display());
    }
    let text = fs::read_to_string(manifests[0]).unwrap();
    fs::write(manifests[0], text.replacen("\"count\":700", "\"count\":699", 1)).unwrap();
    let (status, said) = verify(manifests[0]);
    assert!(status == 1 && said.contains("manifest-signature"), "{said}");

    // The range of another station.
    let taken = landfall(folder.path(), &order("e", &["--first", "50100"]));
    let said = String::from_utf8_lossy(&taken.stderr);
    assert!(taken.status.code() == Some(2) && said.contains("of station c"), "{said}");
}

#[test]
fn a_station_that_was_killed_does_not_hold_up_the_others() {
    let folder = line();
    let mut killed = start(folder.path(), &["factory", "provision", "--count", "20000", "--station", "a"]);
    let begun = || !fs::read_dir(folder.path().join("data/bundles")).is_ok_and(|mut found| found.next().is_none());
    while !folder.path().join("data/bundles").exists() || !begun() {
        std::thread::yield_now();
    }
    let mut other =
        start(folder.path(), &["factory", "provision", "--count", "300", "--station", "b", "--first", "90000"]);
    killed.signal("KILL");
    assert!(!killed.wait().success());
    assert!(other.wait().success());
    // Whoever comes next completes it, and says what was thrown away.
    does(folder.path(), &["factory", "resume"]);
    let status = does(folder.path(), &["factory", "status"]);
    assert_eq!((status["devices"].as_u64(), status["interrupted"].as_array().map(Vec::len)), (Some(20_300), Some(0)));
    assert_eq!(
        records(folder.path()).iter().map(|device| &device.serial_number).collect::<BTreeSet<_>>().len(),
        20_300
    );
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_nothing_made_twice() {
    if !rustix_is_root() {
        return skip(&current_test(), "a small file system is mounted by root only");
    }
    let folder = line();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !mount("size=1m") {
        return skip(&current_test(), "this machine lets nobody mount a tmpfs");
    }
    let _mounted = Mounted(&disk);
    let place =
        ["--bundles", "../disk/bundles", "--database", "../disk/factory.db", "--manifests", "../disk/manifests"];
    let full = landfall(folder.path(), &[&["factory", "provision", "--count", "2000"][..], &place].concat());
    let said = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{said}");
    assert!(said.contains("No space left") || said.contains("full"), "{said}");
    assert!(mount("remount,size=64m"));
    does(folder.path(), &[&["factory", "resume"][..], &place].concat());
    let status = does(folder.path(), &[&["factory", "status"][..], &place].concat());
    assert_eq!((status["devices"].as_u64(), status["interrupted"].as_array().map(Vec::len)), (Some(2000), Some(0)));
    assert_eq!(bundles(&disk.join("bundles")).len(), 2000);
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn rustix_is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn what_was_rejected_is_listed_and_the_rest_is_made() {
    let folder = line();
    let seed = "07".repeat(32);
    let seeds = format!("D-1,{seed}\nD-2,0707\nD-1,{}\nD-3,{}\n", "08".repeat(32), "09".repeat(32));
    // A list on a disk is refused, however it is handed over.
    let list = folder.path().join("seeds.csv");
    fs::write(&list, &seeds).unwrap();
    let derive = |list: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["factory", "derive", list, "--out", "out", "--station", "x"]).current_dir(folder.path());
        command
    };
    for mut command in [derive("seeds.csv"), derive("-")] {
        let refused = command.stdin(fs::File::open(&list).unwrap()).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(2) && said.contains("in clear") && !said.contains("0707"), "{said}");
    }
    assert!(!folder.path().join("out").exists());
    let mut piped = derive("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(seeds.as_bytes()).unwrap();
    let output = piped.wait_with_output().unwrap();
    let (status, said) = (output.status.code(), String::from_utf8(output.stdout).unwrap());
    assert!(status == Some(1) && said.contains("2 devices") && said.contains("line 3"), "{said}");
    let rejects = does(folder.path(), &["factory", "rejects"]);
    let checks: Vec<_> = rejects.as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["key-usable", "serial-number-unused"]);
    assert_eq!(does(folder.path(), &["factory", "rejects", "--of-station", "y"]), serde_json::json!([]));
    assert!(!says(folder.path(), &["factory", "rejects"]).1.contains("0707"), "a seed is told");
    assert!(!fs::read_to_string(folder.path().join("out/D-1.json")).unwrap().contains(&seed));
}
