//! Secure elements for devices of the lab, made of software: a TPM by swtpm, a PKCS#11 token by SoftHSM.

use super::device::copy;
use crate::{
    link::Namespace,
    peers::{process::Process, program},
    port::free_port,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// What kind of element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TPM 2.0.
    Tpm,
    /// A PKCS#11 token.
    Token,
}

/// Where Debian and others put SoftHSM's module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// Both channels of a TPM in a network namespace of its own.
const PORTS: (u16, u16) = (2321, 2322);
const LOOKS: u32 = 1000;
const BETWEEN: Duration = Duration::from_millis(10);

fn module() -> Option<&'static str> {
    MODULES.into_iter().find(|path| Path::new(path).is_file())
}

impl Kind {
    /// Why there is none here, and what brings one.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let has = |names: &[&str]| names.iter().all(|name| program(name).is_some());
        match self {
            Self::Tpm if !has(&["swtpm", "swtpm_setup", "swtpm_localca"]) => {
                Some("no TPM: the packages swtpm and swtpm-tools simulate one")
            }
            Self::Token if !has(&["softhsm2-util"]) || module().is_none() => {
                Some("no PKCS#11 token: the package softhsm2 simulates one")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tpm => "simulated TPM",
            Self::Token => "simulated PKCS#11 token",
        })
    }
}

/// A secure element in a device.
pub(crate) struct Chip {
    folder: PathBuf,
    uri: String,
    /// A TPM is a process of its own, at two ports.
    running: Option<(Process, (u16, u16))>,
}

impl Chip {
    /// Puts a new one into the device in that namespace.
    pub(crate) fn solder(kind: Kind, folder: &Path, namespace: Option<&Namespace>) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        match kind {
            Kind::Tpm => tpm(folder, namespace),
            Kind::Token => token(folder),
        }
    }

    /// Starts a TPM again, as its device is.
    pub(crate) fn restart(&mut self, namespace: Option<&Namespace>) -> Result<()> {
        let (running, ports) = self.running.take().context("it is no TPM")?;
        drop(running);
        fs::remove_file(self.folder.join("pid"))?;
        self.running = Some((power_on(&self.folder, namespace, ports)?, ports));
        Ok(())
    }

    /// What a device's configuration says of it.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// What the device's processes find it by, beside that.
    pub(crate) fn environment(&self) -> Option<(&'static str, PathBuf)> {
        self.running.is_none().then(|| ("SOFTHSM2_CONF", self.folder.join("softhsm2.conf")))
    }

    /// The certificate of the CA that issued a TPM's endorsement certificate.
    pub(crate) fn maker(&self) -> PathBuf {
        self.folder.join("issuercert.pem")
    }

    /// Leaves a copy of a simulated TPM's state, which is the TPM.
    pub(crate) fn copy_state(&self, to: &Path) -> Result<()> {
        copy(&self.folder.join("state"), to)
    }
}

fn tpm(folder: &Path, namespace: Option<&Namespace>) -> Result<Chip> {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("state"))?;
    // A maker of TPMs of its own, so that nothing of the system's is read or written.
    let authority = format!(
        "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
        folder.display(),
        path("signkey.pem"),
        path("issuercert.pem"),
        path("certserial")
    );
    fs::write(folder.join("localca.conf"), authority)?;
    fs::write(
        folder.join("localca.options"),
        "--platform-manufacturer Landfall\n--platform-version 1\n--platform-model lab\n",
    )?;
    let setup = format!(
        "create_certs_tool = {}\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\nactive_pcr_banks = sha256\n",
        installed("swtpm_localca")?.display(),
        path("localca.conf"),
        path("localca.options")
    );
    fs::write(folder.join("setup.conf"), setup)?;
    let mut command = Command::new(installed("swtpm_setup")?);
    command.args(["--tpm2", "--create-ek-cert", "--tpmstate", &path("state"), "--config", &path("setup.conf")]);
    done(&mut command)?;
    let ports = match namespace {
        Some(_) => PORTS,
        None => pair()?,
    };
    let running = power_on(folder, namespace, ports)?;
    let uri = format!("tpm:swtpm:host=127.0.0.1,port={}?pcrs=0,7", ports.0);
    Ok(Chip { folder: folder.into(), uri, running: Some((running, ports)) })
}

/// A simulated TPM in that folder starts: its PCRs are as after a reset.
fn power_on(folder: &Path, namespace: Option<&Namespace>, (port, control): (u16, u16)) -> Result<Process> {
    let path = |name: &str| folder.join(name).display().to_string();
    let program = installed("swtpm")?;
    let mut command = namespace.map_or_else(|| Command::new(&program), |namespace| namespace.command(&program));
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
    command.arg("--server").arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"));
    command.arg("--ctrl").arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"));
    command.arg("--tpmstate").arg(format!("dir={}", path("state"))).arg("--pid").arg(format!("file={}", path("pid")));
    let mut running = Process::start(&mut command, &folder.join("log"))?;
    for _ in 0..LOOKS {
        // It says who it is once it listens.
        if fs::read(folder.join("pid")).is_ok_and(|pid| !pid.is_empty()) {
            return Ok(running);
        }
        ensure!(running.runs(), "swtpm: {}", fs::read_to_string(folder.join("log")).unwrap_or_default().trim());
        thread::sleep(BETWEEN);
    }
    bail!("swtpm does not start")
}

/// tpm2-tools expect the control channel one port above the commands'.
fn pair() -> Result<(u16, u16)> {
    for _ in 0..LOOKS {
        let (lower, upper) = (free_port()?, free_port()?);
        if lower + 1 == upper {
            return Ok((lower, upper));
        }
    }
    bail!("there are no two free ports")
}

fn token(folder: &Path) -> Result<Chip> {
    const LABEL: &str = "device";
    const PIN: &str = "2718281828";
    let (tokens, pin) = (folder.join("tokens"), folder.join("pin"));
    fs::create_dir_all(&tokens)?;
    let settings = folder.join("softhsm2.conf");
    fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))?;
    fs::write(&pin, PIN)?;
    let mut command = Command::new(installed("softhsm2-util")?);
    command.args(["--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "31415926"]);
    done(command.env("SOFTHSM2_CONF", &settings))?;
    let module = module().context("SoftHSM's module is missing")?;
    let uri = format!("pkcs11:token={LABEL}?module-path={module}&pin-source=file:{}", pin.display());
    Ok(Chip { folder: folder.into(), uri, running: None })
}

fn installed(name: &str) -> Result<PathBuf> {
    program(name).with_context(|| format!("{name} is not installed"))
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{:?} could not be run", command.get_program()))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{:?}: {}", command.get_program(), String::from_utf8_lossy(&said).trim());
    Ok(())
}
