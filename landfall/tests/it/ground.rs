//! A manufacturer, a network owner and their devices, made by the real commands; their servers are child processes.

use crate::landfall;
use landfall_device::{Config, Discovery};
use landfall_store::Store;
use landfall_testkit::{Running, temp_dir};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// A server role, in a folder of its own with its own settings and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Masa,
    Registrar,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Masa => "masa",
            Self::Registrar => "registrar",
        }
    }
}

/// The parties. What they leave behind is kept, and its place printed, if the test fails.
pub(crate) struct Ground {
    folder: TempDir,
    ports: [u16; 2],
}

/// Lines that every settings file here begins with.
const COMMON: &str = "[log]\nformat = \"json\"\nlevel = \"debug\"\n[metrics]\nlisten = \"\"\n";

impl Ground {
    /// Makes a manufacturer with `devices` devices, all of them sold to the owner of a network, who takes them all in.
    pub(crate) fn lay(devices: usize) -> Self {
        let ground = Self { folder: temp_dir(), ports: fixed_ports() };
        let [masa, registrar] = ground.ports;
        ground.settle(Role::Masa, &format!("{COMMON}[masa]\nlisten = \"127.0.0.1:{masa}\"\n"));
        let url = format!("localhost:{masa}");
        ground.does(Role::Masa, &["factory", "init", "--masa-url", &url]);
        let root = ground.data(Role::Masa).join("manufacturer/root.pem");
        ground.settle(
            Role::Registrar,
            &format!(
                "{COMMON}[registrar]\nlisten = \"127.0.0.1:{registrar}\"\nannounce = false\nretry-after = \"2s\"\n\
                 [registrar.acceptance]\nothers = \"permit\"\n\
                 [[registrar.vendor]]\nid = \"maker\"\nanchors = [{root:?}]\n"
            ),
        );
        ground.does(Role::Registrar, &["network", "init"]);
        ground.does(Role::Masa, &["factory", "provision", "--count", &devices.to_string()]);
        let mut masa = ground.serve(Role::Masa);
        let owner = ground.data(Role::Registrar).join("domain/root.pem");
        ground.does(Role::Masa, &["factory", "publish"]);
        ground.does(Role::Masa, &["transfer", "customer", "owner", "--certificate", owner.to_str().unwrap()]);
        let serials: Vec<String> = ground.devices().iter().map(|bundle| name(bundle)).collect();
        let sale = ["transfer", "sale", "--to", "owner"].into_iter().chain(serials.iter().map(String::as_str));
        ground.does(Role::Masa, &sale.collect::<Vec<_>>());
        masa.signal("TERM");
        assert!(masa.wait().success());
        ground
    }

    /// The folder of a role's party.
    pub(crate) fn of(&self, role: Role) -> PathBuf {
        self.folder.path().join(role.name())
    }

    pub(crate) fn data(&self, role: Role) -> PathBuf {
        self.of(role).join("data")
    }

    /// Where everything that the servers said on standard error is.
    pub(crate) fn log(&self, role: Role) -> PathBuf {
        self.of(role).join("log")
    }

    pub(crate) fn address(&self, role: Role) -> String {
        format!("127.0.0.1:{}", self.ports[role as usize])
    }

    fn settle(&self, role: Role, settings: &str) {
        fs::create_dir_all(self.of(role)).unwrap();
        fs::write(self.of(role).join("landfall.toml"), settings).unwrap();
    }

    /// Changes a role's settings, then adds to them.
    pub(crate) fn change(&self, role: Role, from: &str, to: &str, more: &str) {
        let path = self.of(role).join("landfall.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, format!("{}{more}", text.replace(from, to))).unwrap();
    }

    /// Runs a command of a role's party, which must succeed; what it says as JSON.
    pub(crate) fn does(&self, role: Role, arguments: &[&str]) -> Value {
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = landfall(&self.of(role), &with_json);
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{with_json:?} ends with {}: {stdout} {stderr}", output.status);
        serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{with_json:?} says {stdout:?}: {why}"))
    }

    /// Starts a server; it listens when this returns.
    pub(crate) fn serve(&self, role: Role) -> Running {
        let mut running = self.start(role);
        running.until("}");
        running
    }

    /// Starts a server, and does not wait.
    pub(crate) fn start(&self, role: Role) -> Running {
        self.start_with(role, &[])
    }

    /// The same with more than its role.
    pub(crate) fn start_with(&self, role: Role, more: &[&str]) -> Running {
        let log = OpenOptions::new().create(true).append(true).open(self.log(role)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["run", role.name()]).args(more).arg("--json").current_dir(self.of(role)).stderr(log);
        Running::start(&mut command)
    }

    /// The store of a role, whose server must have stopped.
    pub(crate) fn store(&self, role: Role) -> Store {
        Store::sqlite(self.data(role).join("landfall.db")).unwrap()
    }

    /// The bundles of all devices.
    pub(crate) fn devices(&self) -> Vec<PathBuf> {
        bundles(&self.data(Role::Masa).join("bundles"))
    }

    /// The folder in which the device with that serial number keeps what it is told.
    pub(crate) fn state(&self, serial_number: &str) -> PathBuf {
        self.folder.path().join("devices").join(serial_number)
    }

    /// The configuration of the device with that bundle.
    pub(crate) fn device(&self, bundle: &Path) -> Config {
        let registrars = vec![self.address(Role::Registrar)];
        Config {
            bundle: Some(bundle.into()),
            state: self.state(&name(bundle)),
            discovery: Discovery { mdns: false, grasp: false, registrars, ..Discovery::default() },
            ..Config::default()
        }
    }

    /// `landfall device` for the device with that bundle.
    pub(crate) fn device_command(&self, bundle: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.arg("device").args(arguments).args(["--no-discovery", "--registrar", &self.address(Role::Registrar)]);
        command
            .arg("--bundle")
            .arg(bundle)
            .arg("--state")
            .arg(self.state(&name(bundle)))
            .current_dir(self.folder.path());
        command
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the parties left behind is in {}", self.folder.path().display());
        }
    }
}

/// The finished bundles in the folders of all batches, in order.
pub(crate) fn bundles(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = entries(folder).iter().flat_map(|batch| entries(batch)).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    found.sort();
    found
}

/// What is in a folder; nothing if there is none.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The serial number of the device with that bundle.
pub(crate) fn name(bundle: &Path) -> String {
    bundle.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// Two free ports below those that the system gives to connections. While a server is away, none of the many
/// connections to it may be given its port: it could not come back, and a connection to that port would find itself.
pub(crate) fn fixed_ports() -> [u16; 2] {
    let start = 10_000 + (std::process::id() as u16 % 2_000) * 10;
    let free = (start..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    // Another test of this process may look for ports at the same time; what it was given stays taken.
    static NEXT: std::sync::Mutex<u16> = std::sync::Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    let found: Vec<u16> = free.filter(|port| *port > *next).take(2).collect();
    *next = found[1];
    [found[0], found[1]]
}
