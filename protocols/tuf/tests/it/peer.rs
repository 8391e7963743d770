//! The framework's own library in Python makes what we read.

use super::publisher::now;
use landfall_testkit::{current_test, skip, temp_dir, tool};
use landfall_tuf::{Source, Trust};
use std::{fs, path::PathBuf, process::Command};

struct Folder(PathBuf);

impl Source for Folder {
    fn file(&self, path: &str, longest: u64) -> Option<Vec<u8>> {
        fs::read(self.0.join(path)).ok().filter(|bytes| bytes.len() as u64 <= longest)
    }
}

#[test]
fn securesystemslib_signs_and_we_verify() {
    let Some(python) = tool("python3") else { return };
    let folder = temp_dir();
    let output =
        Command::new(python).args(["-c", include_str!("publish.py")]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("ModuleNotFoundError") || said.contains("UnsupportedLibraryError") {
        skip(&current_test(), "python3-securesystemslib or python3-nacl is not installed");
        return;
    }
    assert!(output.status.success(), "{said}");
    let source = Folder(folder.path().to_owned());
    let trust = Trust::pin(&fs::read(folder.path().join("1.root.json")).unwrap()).unwrap();
    let bundle = trust.update(&source, now()).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(bundle.file(&source, "feeds/kev.json").unwrap(), "{\"ä\": \"\\\"\"}".as_bytes());
}
