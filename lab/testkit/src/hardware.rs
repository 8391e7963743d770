//! Secure elements to test with, made of software: SoftHSM.

use crate::{current_test, temp_dir, tool};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian and others put the module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// In it, a process finds the folder of the token that it was started for.
const FOLDER: &str = "LANDFALL_TEST_SOFTHSM";

/// A SoftHSM token of one test.
#[derive(Clone, Debug)]
pub struct SoftHsm {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The file that holds the PIN.
    pub pin_file: PathBuf,
    /// A folder for whatever the test needs.
    pub folder: PathBuf,
}

impl SoftHsm {
    /// The token's label.
    pub const LABEL: &str = "devices";
    /// Its PIN.
    pub const PIN: &str = "2718281828";

    /// Runs `test` with a new token. SoftHSM reads its configuration from the environment once in a process, so the test that
    /// calls this is run again in a process of its own. Without SoftHSM it is reported as skipped.
    ///
    /// # Panics
    /// If the test fails there.
    pub fn with(test: impl FnOnce(&Self)) {
        let Some(module) = MODULES.iter().map(PathBuf::from).find(|path| path.is_file()) else {
            return crate::skip(&current_test(), "SoftHSM is not installed");
        };
        let of = |folder: &Path| Self { module, pin_file: folder.join("pin"), folder: folder.to_owned() };
        if let Some(folder) = env::var_os(FOLDER) {
            return test(&of(Path::new(&folder)));
        }
        let Some(util) = tool("softhsm2-util") else { return };
        let dir = temp_dir();
        let token = of(dir.path());
        let (tokens, configuration) = (dir.path().join("tokens"), dir.path().join("softhsm2.conf"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
        fs::write(&token.pin_file, format!("{}\n", Self::PIN)).unwrap();
        let mut init = Command::new(util);
        init.args(["--init-token", "--free", "--label", Self::LABEL, "--pin", Self::PIN, "--so-pin", "31415926"]);
        let made = init.env("SOFTHSM2_CONF", &configuration).output().unwrap();
        assert!(made.status.success(), "{init:?}: {}", String::from_utf8_lossy(&made.stderr));

        let mut again = Command::new(env::current_exe().unwrap());
        again.args([&current_test(), "--exact", "--nocapture", "--test-threads=2"]);
        let ran = again.env("SOFTHSM2_CONF", &configuration).env(FOLDER, dir.path()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && out.contains("1 passed"), "with a token:\n{out}\n{err}");
    }

    /// The token's URI (RFC 7512), with module and PIN.
    pub fn uri(&self) -> String {
        let (module, pin) = (self.module.display(), self.pin_file.display());
        format!("pkcs11:token={}?module-path={module}&pin-source=file:{pin}", Self::LABEL)
    }

    /// What pkcs11-tool prints when it is logged in to the token; nothing if it is not installed.
    ///
    /// # Panics
    /// If it fails.
    pub fn pkcs11_tool(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(tool("pkcs11-tool")?);
        command.arg("--module").arg(&self.module).args(["--token-label", Self::LABEL, "--login", "--pin", Self::PIN]);
        let ran = command.args(arguments).output().unwrap();
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{command:?}: {out}{}", String::from_utf8_lossy(&ran.stderr));
        Some(out)
    }
}
