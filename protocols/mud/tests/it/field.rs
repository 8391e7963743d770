//! Files of real devices: the 28 that the University of New South Wales learnt from traffic, and one that Cisco signed.

use landfall_mud::{Kind, Policy, read};
use landfall_testkit::shared;
use std::{collections::BTreeMap, fs};

/// Every file by its name.
pub(crate) fn real() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = shared("vectors/mud/unsw")?;
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let files: BTreeMap<_, _> = files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    assert_eq!(files.len(), 28);
    Some(files)
}

#[test]
fn all_28_are_taken_and_none_is_as_the_specification_wants_it() {
    let Some(files) = real() else { return };
    let (mut entries, mut left_out) = (0, BTreeMap::new());
    for (name, bytes) in &files {
        let (file, report) = read(bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(!report.conforms(), "{name}");
        let first = &report.findings()[0];
        assert_eq!((first.kind, &*first.path), (Kind::Mended, "/ietf-access-control-list:access-lists"), "{name}");
        for (_, acls) in file.directions() {
            entries += acls.iter().map(|acl| acl.entries.len()).sum::<usize>();
        }
        for one in Policy::of(&file).left_out {
            left_out.insert(format!("{name} {} {}", one.direction, one.name), one.why);
        }
    }
    assert_eq!(entries, 1023);
    // What cannot be meant: in 24 files a length where a type of Ethernet should be, and an address of the other version of IP.
    assert!(left_out.values().all(|why| *why == "it could not be understood"), "{left_out:#?}");
    assert_eq!(left_out.len(), LEFT_OUT, "{left_out:#?}");
}

const LEFT_OUT: usize = 25;

#[test]
fn the_signed_one_is_as_the_specification_wants_it() {
    let Some(folder) = shared("vectors/mud/cisco-signed") else { return };
    let (file, report) = read(&fs::read(folder.join("Luminaire_150.json")).unwrap()).unwrap();
    assert!(report.conforms(), "{report:#?}");
    let policy = Policy::of(&file);
    assert_eq!((policy.from_device.len(), policy.to_device.len(), policy.left_out.len()), (9, 9, 0));
}
