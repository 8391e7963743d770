//! Real peers: hostap's wpa_supplicant and hostapd, on this machine or in the radio rig's, through their control interface.
//!
//! [`Peer::supplicant`] starts a wpa_supplicant without a radio, which speaks Wi-Fi Easy Connect over TCP in any role. The
//! peers of the radio rig are made by [`crate::rig`]. What both are asked to do is in [`dpp`].

pub mod dpp;
pub(crate) mod process;

pub use landfall_net::wpa::Event;

use crate::rig::Window;
use anyhow::{Context, Result, bail, ensure};
use landfall_net::wpa::Control;
use process::Process;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// A running wpa_supplicant or hostapd. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    place: Place,
    /// Events that were read, and passed over by whoever waited for another.
    passed: Vec<Event>,
}

#[derive(Debug)]
enum Place {
    Here(Local),
    /// In the machine of the radio rig.
    There(Window),
}

#[derive(Debug)]
struct Local {
    control: Control,
    socket: PathBuf,
    process: Process,
    log: PathBuf,
    /// Removed last.
    _folder: TempDir,
}

/// Where Debian puts the programs, which a user's path may lack.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The program of that name, if it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

fn installed(name: &str) -> Result<PathBuf> {
    program(name).with_context(|| format!("{name} is not installed"))
}

fn command(name: &str) -> Result<Command> {
    Ok(Command::new(installed(name)?))
}

/// A program may take so long until it listens to its control socket.
const START: Duration = Duration::from_secs(30);

impl Peer {
    /// Starts a wpa_supplicant without a radio.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub async fn supplicant() -> Result<Self> {
        Self::start(command("wpa_supplicant")?, "lo", |folder| {
            let settings = format!("ctrl_interface={}\n", folder.join("ctrl").display());
            (settings, vec!["-Dnone".into(), "-ilo".into(), "-dd".into(), "-t".into(), "-c".into()])
        })
        .await
    }

    /// Starts a hostapd without a radio, which can be the enrollee of an access point over TCP.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub async fn hostapd() -> Result<Self> {
        Self::start(command("hostapd")?, "lo", |folder| {
            let control = folder.join("ctrl");
            (
                format!("interface=lo\ndriver=none\nctrl_interface={}\n", control.display()),
                vec!["-dd".into(), "-t".into()],
            )
        })
        .await
    }

    /// Starts a hostapd that lets devices in at a wired port by 802.1X, with these further settings.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub async fn switch_port(interface: &str, settings: &str) -> Result<Self> {
        Self::start(command("hostapd")?, interface, |folder| {
            let control = folder.join("ctrl");
            let settings = format!(
                "interface={interface}\ndriver=wired\nieee8021x=1\nuse_pae_group_addr=1\nctrl_interface={}\n{settings}\n",
                control.display()
            );
            (settings, vec!["-dd".into(), "-t".into()])
        })
        .await
    }

    /// Starts a wpa_supplicant that comes in at a wired port by 802.1X, with these settings of its network; `begin` is what
    /// its command line begins with, such as `ip netns exec NAME`.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub async fn wired_station(begin: Command, interface: &str, network: &str) -> Result<Self> {
        Self::wired(begin, interface, &format!("network={{\n{network}\n}}\n")).await
    }

    /// The same without a network: what it knows it is told through its control socket.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub async fn wired_supplicant(begin: Command, interface: &str) -> Result<Self> {
        Self::wired(begin, interface, "").await
    }

    async fn wired(mut begin: Command, interface: &str, networks: &str) -> Result<Self> {
        begin.arg(installed("wpa_supplicant")?);
        Self::start(begin, interface, |folder| {
            let control = folder.join("ctrl");
            let settings = format!("ctrl_interface={}\nap_scan=0\n{networks}", control.display());
            (settings, vec!["-Dwired".into(), format!("-i{interface}"), "-dd".into(), "-t".into(), "-c".into()])
        })
        .await
    }

    async fn start(
        mut program: Command,
        interface: &str,
        settings: impl FnOnce(&Path) -> (String, Vec<String>),
    ) -> Result<Self> {
        let name = program.get_program().to_string_lossy().into_owned();
        let folder = tempfile::Builder::new().prefix("landfall-peer-").tempdir()?;
        let (settings, arguments) = settings(folder.path());
        let (file, log) = (folder.path().join("settings.conf"), folder.path().join("log"));
        fs::write(&file, settings)?;
        let mut process = Process::start(program.args(arguments).arg(&file), &log)?;
        let theirs = folder.path().join("ctrl").join(interface);
        let until = Instant::now() + START;
        while !theirs.exists() {
            ensure!(process.runs() && Instant::now() < until, "{name} did not start: {}", tail(&log));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let control = Control::attach(&theirs, folder.path().join("own")).await?;
        let local = Local { control, socket: theirs, process, log, _folder: folder };
        Ok(Self::of(Place::Here(local)))
    }

    /// The peer behind a window of the radio rig's machine.
    pub(crate) const fn there(window: Window) -> Self {
        Self::of(Place::There(window))
    }

    const fn of(place: Place) -> Self {
        Self { place, passed: Vec::new() }
    }

    /// Sends a request, and gives its answer.
    ///
    /// # Errors
    /// If the peer refuses it, or does not answer.
    pub async fn request(&mut self, request: &str) -> Result<String> {
        match &mut self.place {
            Place::Here(local) => Ok(local.control.request(request).await?.expose().clone()),
            Place::There(window) => window.request(request).await,
        }
    }

    /// Waits for an event of one of those names; what happens before is passed over, and kept in [`Peer::passed`].
    ///
    /// # Errors
    /// If there is none within `limit`; the error tells what was seen instead.
    pub async fn event(&mut self, names: &[&str], limit: Duration) -> Result<Event> {
        let (until, from) = (Instant::now() + limit, self.passed.len());
        while let Some(event) = self.next(until).await? {
            self.passed.push(event.clone());
            if names.contains(&event.name.as_str()) {
                return Ok(event);
            }
        }
        let seen: Vec<&str> = self.passed.iter().skip(from).map(|event| event.name.as_str()).collect();
        bail!("there was no {} in {} s, only {}", names.join(" or "), limit.as_secs(), seen.join(", "))
    }

    async fn next(&mut self, until: Instant) -> Result<Option<Event>> {
        match &mut self.place {
            Place::Here(local) => Ok(local.control.event(until).await?),
            Place::There(window) => window.event(until).await,
        }
    }

    /// What was said until now by those that were waited for and those that were passed over.
    pub fn passed(&self) -> &[Event] {
        &self.passed
    }

    /// The last lines of its log, for those who look for what went wrong. They may hold secrets.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn log(&mut self) -> Result<String> {
        match &mut self.place {
            Place::Here(local) => Ok(fs::read_to_string(&local.log)?),
            Place::There(window) => window.log().await,
        }
    }

    /// Its control socket, for another program; none if it is in the machine of the radio rig.
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Here(local) => Some(&local.socket),
            Place::There(_) => None,
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        match &mut self.place {
            Place::Here(local) => local.process.runs(),
            Place::There(_) => true,
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("; ")
}
