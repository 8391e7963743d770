//! Revocation lists in files that change while a server runs.

use landfall_pki::{Anchors, CertificateSerial, Crl, CrlRequest, PathPolicy, Revoked, crl::Reason, validate};
use landfall_server::revocation::CrlFiles;
use landfall_testkit::{Identity, Manufacturer, NOW, temp_dir};
use landfall_types::Time;
use std::{fs, path::PathBuf, time::Duration};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

struct World {
    maker: Manufacturer,
    device: Identity,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let maker = Manufacturer::new();
        Self { device: maker.device("KT-1"), maker, folder: temp_dir() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("list.crl")
    }

    /// A list of the manufacturer's, due an hour after it was made.
    fn list(&self, made: Time, revoked: &[&Identity]) -> Crl {
        let issuing = &self.maker.issuing;
        let entry = Revoked { at: made, reason: Reason::KeyCompromise };
        let request = CrlRequest {
            number: made.as_unix().unsigned_abs(),
            this_update: made,
            next_update: made + HOUR,
            revoked: revoked.iter().map(|one| (CertificateSerial::of(&one.certificate), entry)).collect(),
        };
        request.prepare(&issuing.authority).unwrap().issue(&*issuing.key).unwrap()
    }

    /// What is wrong with the device at `at`, if anything is.
    fn judge(&self, files: &CrlFiles, at: Time) -> Option<String> {
        let issuing = &self.maker.issuing.authority.certificate;
        let policy = PathPolicy::at(at).crls(files.lists().now().iter().cloned());
        let path = validate(&self.device.certificate, &[], &Anchors::of([issuing.clone()]), &policy);
        path.err().map(|refusal| refusal.check.to_string())
    }
}

#[test]
fn a_list_that_changes_counts_from_the_next_look_on() {
    let world = World::new();
    fs::write(world.path(), world.list(NOW, &[]).to_pem()).unwrap();
    let mut files = CrlFiles::open([world.path()]).unwrap();
    assert_eq!((files.refresh(NOW).len(), world.judge(&files, NOW)), (0, None));
    // Put in its place at once, as it should be, or written over.
    fs::write(world.path().with_extension("new"), world.list(NOW + HOUR / 2, &[&world.device]).der()).unwrap();
    fs::rename(world.path().with_extension("new"), world.path()).unwrap();
    assert_eq!(world.judge(&files, NOW + HOUR / 2), None, "not looked at yet");
    assert_eq!(files.refresh(NOW + HOUR / 2).len(), 0);
    assert_eq!(world.judge(&files, NOW + HOUR / 2).as_deref(), Some("path-revoked"));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_until_its_list_is_overdue() {
    let world = World::new();
    let list = world.list(NOW, &[]);
    let spoil: [(&str, &dyn Fn()); 4] = [
        ("gone", &|| fs::remove_file(world.path()).unwrap()),
        ("half written", &|| fs::write(world.path(), &list.der()[..list.der().len() / 2]).unwrap()),
        ("no list", &|| fs::write(world.path(), "-----BEGIN NONSENSE-----").unwrap()),
        ("an older list", &|| fs::write(world.path(), world.list(NOW - HOUR, &[&world.device]).der()).unwrap()),
    ];
    for (name, spoil) in spoil {
        fs::write(world.path(), list.der()).unwrap();
        let mut files = CrlFiles::open([world.path()]).unwrap();
        spoil();
        // The operator is told, as long as it is so; what was known counts.
        for _ in 0..2 {
            let told: Vec<_> = files.refresh(NOW + HOUR).into_iter().map(str::to_owned).collect();
            assert!(told.len() == 1 && told[0].contains("list.crl"), "{name}: {told:?}");
            assert_eq!(world.judge(&files, NOW + HOUR), None, "{name}");
        }
        assert_eq!(files.lists().now().as_ref(), std::slice::from_ref(&list), "{name}");
        // Overdue, it is not enough.
        let late = NOW + HOUR + Duration::from_secs(1);
        assert_eq!(world.judge(&files, late).as_deref(), Some("path-revocation-unknown"), "{name}");
        // A current one mends it.
        fs::write(world.path(), world.list(late, &[]).der()).unwrap();
        assert_eq!((files.refresh(late).len(), world.judge(&files, late)), (0, None), "{name}");
    }
}

#[test]
fn an_overdue_list_is_told_of() {
    let world = World::new();
    fs::write(world.path(), world.list(NOW, &[]).der()).unwrap();
    let mut files = CrlFiles::open([world.path()]).unwrap();
    assert_eq!(files.refresh(NOW + HOUR).len(), 0);
    let told: Vec<_> = files.refresh(NOW + HOUR * 2).into_iter().map(str::to_owned).collect();
    assert!(told[0].contains("due to be replaced"), "{told:?}");
}

#[test]
fn a_server_does_not_start_with_a_list_that_cannot_be_read() {
    let world = World::new();
    CrlFiles::open([world.path()]).unwrap_err();
    fs::write(world.path(), "nonsense").unwrap();
    CrlFiles::open([world.path()]).unwrap_err();
}
