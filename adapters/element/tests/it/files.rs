//! Keys at rest: nothing is readable, nothing can be changed or exchanged unnoticed, nothing is half written.

use landfall_element::{ElementError, KeySource, SecureElement, SoftwareElement, files::is_on_disk};
use landfall_pki::{Algorithm, SoftwareKey};
use landfall_types::Redacted;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn element_dir(&self) -> PathBuf {
        self.dir.path().join("element")
    }

    fn kek(&self) -> PathBuf {
        self.dir.path().join("kek")
    }

    fn open(&self) -> Result<SoftwareElement, ElementError> {
        SoftwareElement::open(&self.element_dir(), KeySource::KeyFile(self.kek()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.element_dir().join(name)
    }
}

fn passphrase(text: &str) -> KeySource {
    KeySource::Passphrase(Redacted::new(text.into()))
}

fn flip(path: &Path, at: usize) {
    let mut content = fs::read(path).unwrap();
    content[at] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn keys_outlive_the_process() {
    let place = Place::new();
    let key = place.open().unwrap().generate("idevid", Algorithm::EcdsaP256).unwrap();
    let public = place.open().unwrap().signer(&key).unwrap().public_key().clone();
    let again = place.open().unwrap();
    assert_eq!(again.signer(&key).unwrap().public_key(), &public);
    assert_eq!(again.list().unwrap(), [key]);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    SoftwareElement::open(dir.path(), passphrase("right")).unwrap().generate("k", Algorithm::Ed25519).unwrap();
    for source in [passphrase("Right"), passphrase(""), KeySource::KeyFile(dir.path().join("kek"))] {
        assert!(matches!(SoftwareElement::open(dir.path(), source), Err(ElementError::Locked(_))));
    }
    assert!(SoftwareElement::open(dir.path(), passphrase("right")).is_ok());
}

#[test]
fn a_key_file_is_made_once_and_must_be_the_right_one() {
    let place = Place::new();
    place.open().unwrap();
    let kek = fs::read(place.kek()).unwrap();
    place.open().unwrap();
    assert_eq!(fs::read(place.kek()).unwrap(), kek, "it is made once");

    flip(&place.kek(), 0);
    assert!(matches!(place.open(), Err(ElementError::Locked(_))));

    fs::write(place.kek(), &kek[..31]).unwrap();
    assert!(matches!(place.open(), Err(ElementError::File { .. })), "a short key file is refused");

    fs::remove_file(place.kek()).unwrap();
    assert!(matches!(place.open(), Err(ElementError::File { .. })), "a lost key file is not made anew");
    assert!(!place.kek().exists());
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let place = Place::new();
    place.open().unwrap();
    fs::set_permissions(place.kek(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(place.open(), Err(ElementError::File { .. })));
}

#[test]
fn files_are_for_their_owner_only() {
    let place = Place::new();
    place.open().unwrap().generate("k", Algorithm::EcdsaP256).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.element_dir()), 0o700);
    for path in [place.kek(), place.file("k.key"), place.file("element.json")] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let names = fs::read_dir(place.element_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 2, "no draft stays behind");
}

#[test]
fn any_changed_byte_is_noticed() {
    let place = Place::new();
    let element = place.open().unwrap();
    let key = element.generate("k", Algorithm::Ed25519).unwrap();
    let path = place.file("k.key");
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        flip(&path, at);
        assert!(matches!(element.signer(&key), Err(ElementError::Tampered(_))), "byte {at}");
        fs::write(&path, &good).unwrap();
    }
    for length in [0, 16, 27, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(matches!(element.signer(&key), Err(ElementError::Tampered(_))), "cut to {length}");
    }
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    assert!(matches!(element.signer(&key), Err(ElementError::File { .. })), "a huge file is not read");
    fs::write(&path, &good).unwrap();
    assert!(element.signer(&key).is_ok());
}

#[test]
fn one_key_cannot_stand_in_for_another() {
    let place = Place::new();
    let element = place.open().unwrap();
    let a = element.generate("a", Algorithm::EcdsaP256).unwrap();
    element.generate("b", Algorithm::EcdsaP256).unwrap();
    fs::copy(place.file("b.key"), place.file("a.key")).unwrap();
    assert!(matches!(element.signer(&a), Err(ElementError::Tampered(_))));
}

#[test]
fn a_weakened_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    SoftwareElement::open(dir.path(), passphrase("right")).unwrap();
    let path = dir.path().join("element.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in
        [("600000", "1"), ("600000", "4000000000"), ("\"version\": 1", "\"version\": 2"), ("check", "Check")]
    {
        assert!(good.contains(from));
        fs::write(&path, good.replace(from, to)).unwrap();
        let opened = SoftwareElement::open(dir.path(), passphrase("right"));
        assert!(matches!(opened, Err(ElementError::File { .. })), "{from} -> {to}");
    }
}

#[test]
fn nothing_secret_is_stored_or_printed() {
    let place = Place::new();
    let element = SoftwareElement::open(&place.element_dir(), passphrase("hunter2")).unwrap();
    let made = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    let key = element.import("k", &made.to_pkcs8_der()).unwrap();
    // The seed stands in the PKCS#8 after its 16 bytes of frame.
    let pkcs8 = made.to_pkcs8_der();
    let seed = &pkcs8.expose()[16..48];
    let stored = fs::read(place.file("k.key")).unwrap();
    assert!(!stored.windows(16).any(|window| seed.windows(16).any(|part| part == window)));

    let wrong = SoftwareElement::open(&place.element_dir(), passphrase("hunter3")).unwrap_err();
    let shown =
        format!("{element:?} {:?} {:?} {wrong} {wrong:?}", element.signer(&key).unwrap(), passphrase("hunter2"));
    assert!(!shown.contains("hunter") && !shown.contains(&hex::encode(seed)[..16]), "{shown}");
}

#[test]
fn stray_files_are_no_keys() {
    let place = Place::new();
    let element = place.open().unwrap();
    for name in [".key", "a b.key", "x.key.0011.draft", "notes.txt"] {
        fs::write(place.file(name), "stray").unwrap();
    }
    assert!(element.list().unwrap().is_empty());
}

#[test]
fn of_two_that_make_one_key_only_one_wins() {
    let place = Place::new();
    let barrier = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (element, barrier) = (place.open().unwrap(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                element.generate("one", Algorithm::EcdsaP256).is_ok()
            })
        })
        .collect();
    let won = threads.into_iter().filter_map(|thread| thread.join().unwrap().then_some(())).count();
    assert_eq!(won, 1);
}

#[test]
fn of_two_that_make_one_element_both_use_the_same() {
    let place = Place::new();
    let barrier = Barrier::new(4);
    let open = || {
        barrier.wait();
        place.open().unwrap()
    };
    let elements: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let key = elements[0].generate("k", Algorithm::EcdsaP256).unwrap();
    for element in elements {
        assert!(element.signer(&key).is_ok());
    }
}

#[test]
fn memory_of_the_machine_and_pipes_are_told_from_files_on_a_disk() {
    let place = Place::new();
    let at = |name: &str| place.dir.path().join(name);
    let file = at("seed");
    fs::write(&file, "seed").unwrap();
    let link = at("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(is_on_disk(&file).unwrap() && is_on_disk(&link).unwrap());
    assert!(!is_on_disk("/dev/null".as_ref()).unwrap());
    assert!(is_on_disk(&at("none")).is_err(), "what is not there is not taken for memory");
    let shown = Path::new("/sys/kernel/uevent_seqnum");
    if shown.exists() {
        assert!(!is_on_disk(shown).unwrap());
    }
    // A file elsewhere that is called like it.
    fs::create_dir(at("sys")).unwrap();
    fs::write(at("sys").join("seed"), "seed").unwrap();
    assert!(is_on_disk(&at("sys").join("seed")).unwrap());
}
