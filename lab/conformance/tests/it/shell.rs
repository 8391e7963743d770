//! Programs of others, run in a folder that goes away.

use landfall_pki::{Certificate, pem};
use landfall_testkit::{Identity, temp_dir};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A folder to work in.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(temp_dir())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and gives its path.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn put_chain(&self, name: &str, certificates: &[Certificate]) {
        self.put(name, certificates.iter().map(Certificate::to_pem).collect::<String>());
    }

    /// Writes `NAME.pem` with the certificate and its chain, and `NAME.key`.
    pub(super) fn put_identity(&self, name: &str, who: &Identity) {
        self.put_chain(&format!("{name}.pem"), &who.chain());
        self.put(&format!("{name}.key"), pem::encode("PRIVATE KEY", who.key.to_pkcs8_der().expose()));
    }

    pub(super) fn take(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub(super) fn take_text(&self, name: &str) -> String {
        String::from_utf8(self.take(name)).unwrap()
    }

    /// Runs `program` here with those arguments, and gives what came of it.
    pub(super) fn try_run(&self, program: &Path, arguments: &[&str]) -> Output {
        Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// The same for arguments in one line; it has to succeed, and gives what was printed.
    pub(super) fn run(&self, program: &Path, line: &str) -> String {
        let output = self.try_run(program, &line.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "{} {line}: {}", program.display(), said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// All that a program said.
pub(super) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
