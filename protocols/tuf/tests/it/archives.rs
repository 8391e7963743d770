//! Bundles in one file, and the publisher with one key.

use super::publisher::now;
use landfall_pki::{Algorithm, SoftwareKey};
use landfall_testkit::{temp_dir, tool};
use landfall_tuf::{Archive, Source, Trust, publish};
use std::{collections::BTreeMap, fs, process::Command, time::Duration};

fn files(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
    names.iter().map(|name| ((*name).to_owned(), name.repeat(100).into_bytes())).collect()
}

fn refused(bytes: &[u8]) -> String {
    Archive::read(bytes).unwrap_err().check.into_owned()
}

#[test]
fn what_is_published_is_taken_over() {
    let until = now() + Duration::from_secs(86_400);
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let trust = Trust::pin(&publish::root(&key, until).unwrap()).unwrap();
        let names = ["kev.json", "osv/debian.json"];
        let packed = Archive::write(&publish::bundle(&key, 3, until, &files(&names)).unwrap()).unwrap();
        let archive = Archive::read(&packed).unwrap();
        let bundle = trust.update(&archive, now()).unwrap();
        assert_eq!(bundle.names().collect::<Vec<_>>(), names);
        assert_eq!(bundle.file(&archive, names[1]).unwrap(), files(&names)[names[1]]);
        let older = Archive::write(&publish::bundle(&key, 2, until, &files(&names)).unwrap()).unwrap();
        let refusal = bundle.trust.update(&Archive::read(&older).unwrap(), now()).unwrap_err();
        assert_eq!(refusal.check, "bundle-rollback");
    }
    let key = SoftwareKey::generate(Algorithm::EcdsaP384).unwrap();
    assert!(publish::root(&key, until).is_err());
}

#[test]
fn tar_reads_ours_and_we_read_its() {
    let Some(tar) = tool("tar") else { return };
    let folder = temp_dir();
    let long = format!("targets/{}/{}.json", "a".repeat(90), "b".repeat(90));
    let own = files(&["timestamp.json", "targets/kev.json", &long]);
    fs::write(folder.path().join("ours.tar"), Archive::write(&own).unwrap()).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&tar).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::create_dir(folder.path().join("out")).unwrap();
    run(&["-xf", "ours.tar", "-C", "out"]);
    assert_eq!(fs::read(folder.path().join("out").join(&long)).unwrap(), own[&long]);
    for format in ["ustar", "gnu"] {
        run(&["-cf", "its.tar", "--format", format, "--owner=0", "--group=0", "-C", "out", "."]);
        let packed = fs::read(folder.path().join("its.tar")).unwrap();
        let archive = Archive::read(&packed).unwrap();
        for (path, content) in &own {
            assert_eq!(archive.file(path, 1 << 20).as_ref(), Some(content), "{format}: {path}");
        }
        assert_eq!(archive.file("timestamp.json", 5), None, "it is longer");
    }
    // Publishers have metadata in a folder of its own.
    let packed = Archive::write(&files(&["metadata/timestamp.json"])).unwrap();
    assert!(Archive::read(&packed).unwrap().file("timestamp.json", 1 << 20).is_some());
}

#[test]
fn damaged_archives_are_refused() {
    let good = Archive::write(&files(&["one", "two"])).unwrap();
    Archive::read(&good).unwrap();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = good.clone();
        bytes.splice(at..at + to.len(), to.iter().copied());
        bytes
    };
    // The same with a sum that fits.
    let fitting = |at: usize, to: &[u8]| {
        let mut bytes = changed(at, to);
        bytes[148..156].copy_from_slice(b"        ");
        let sum: usize = bytes[..512].iter().map(|byte| usize::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    for bytes in [
        Vec::new(),
        good[..good.len() - 1024].to_vec(),
        good[..700].to_vec(),
        changed(0, b"x"),
        fitting(124, b"77777777777\0"),
        fitting(124, b"x"),
        fitting(156, b"2"),
        fitting(156, b"x"),
        fitting(0, b"two"),
        fitting(0, b"\0\0\0"),
        fitting(0, b"\xff"),
    ] {
        if bytes.len() == good.len() && bytes[156] == b'x' {
            // A pax header that says nothing of paths is passed over.
            Archive::read(&bytes).unwrap();
            continue;
        }
        assert_eq!(refused(&bytes), "bundle-archive");
    }
    assert_eq!(Archive::write(&files(&[&"x".repeat(101)])), None);
}
