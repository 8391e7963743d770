//! Secure elements to test with, made of software: SoftHSM and swtpm.

use crate::{Running, current_test, free_pair, temp_dir, tool};
use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
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

/// A simulated TPM 2.0 with an endorsement certificate, in a process that ends with it.
#[derive(Debug)]
pub struct Swtpm {
    port: u16,
    running: Option<Running>,
    folder: tempfile::TempDir,
}

impl Swtpm {
    /// A new TPM. Without swtpm the test that asks is reported as skipped, and should return.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new() -> Option<Self> {
        let (setup, _) = (tool("swtpm_setup")?, tool("swtpm")?);
        let folder = temp_dir();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(path("state")).unwrap();
        // Its own maker of TPMs, so that nothing of the system's is read or written.
        let (issuer, key, serial) = (path("issuercert.pem"), path("signkey.pem"), path("certserial"));
        let authority =
            format!("statedir = {}\nsigningkey = {key}\nissuercert = {issuer}\ncertserial = {serial}\n", path(""));
        fs::write(path("localca.conf"), authority).unwrap();
        let options = "--platform-manufacturer Landfall\n--platform-version 1\n--platform-model test\n";
        fs::write(path("localca.options"), options).unwrap();
        let configuration = format!(
            "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n\
             active_pcr_banks = sha256\n",
            path("localca.conf"),
            path("localca.options")
        );
        fs::write(path("setup.conf"), configuration).unwrap();
        let mut command = Command::new(setup);
        command.args(["--tpm2", "--create-ek-cert", "--tpmstate", &path("state"), "--config", &path("setup.conf")]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stdout));
        let mut tpm = Self { port: free_pair(), running: None, folder };
        tpm.power_on();
        Some(tpm)
    }

    /// Switches it on, as at a start of the machine.
    ///
    /// # Panics
    /// If it does not start.
    pub fn power_on(&mut self) {
        let of = |kind: &str, port: u16| format!("--{kind} type=tcp,port={port},bindaddr=127.0.0.1");
        let state = format!("--tpmstate dir={}", self.folder.path().join("state").display());
        let flags = "--flags not-need-init,startup-clear".to_owned();
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpm2"]);
        for option in [of("server", self.port), of("ctrl", self.port + 1), state, flags] {
            command.args(option.split(' '));
        }
        self.running = Some(Running::start(&mut command));
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        for _ in 0..1000 {
            if listens() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("swtpm does not listen on port {}", self.port);
    }

    /// Switches it off, or unplugs it.
    pub fn power_off(&mut self) {
        self.running = None;
    }

    /// Where it is, in the words of tpm2-tools.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// A folder for whatever the test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the CA that issued its endorsement certificate, in PEM.
    ///
    /// # Panics
    /// If it is not there.
    pub fn maker(&self) -> String {
        fs::read_to_string(self.folder.path().join("issuercert.pem")).unwrap()
    }

    /// What a program of tpm2-tools, or one that uses the TPM by way of its libraries, writes; nothing if it is not
    /// installed.
    ///
    /// # Panics
    /// If it fails.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
        let mut command = Command::new(tool(program)?);
        command.args(arguments).current_dir(self.folder.path());
        command.env("TPM2TOOLS_TCTI", self.tcti()).env("TPM2OPENSSL_TCTI", self.tcti()).env("TSS2_LOG", "all+NONE");
        let ran = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{command:?}: {out}{err}");
        Some(ran.stdout)
    }
}
