//! Where the lab takes place: a folder, and the link that devices are on.

use crate::{
    link::{BRIDGE, BRIDGE_ADDRESS, Link, Namespace},
    narrator::Narrator,
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Where the lab takes place.
pub(crate) struct Place {
    folder: PathBuf,
    /// The program, which devices run as processes of their own.
    pub(crate) program: PathBuf,
    /// Who tells what happens.
    pub(crate) narrator: Narrator,
    /// Where copies of what crossed the wire are left, if anywhere.
    pub(crate) evidence: Option<PathBuf>,
    link: Option<Link>,
    proxies: Mutex<BTreeMap<String, SocketAddr>>,
    /// The one network that devices can reach now, if not all.
    only: Mutex<Option<String>>,
}

/// While it lives, devices reach one network only.
pub(crate) struct Only<'a>(&'a Place);

impl Drop for Only<'_> {
    fn drop(&mut self) {
        *held(&self.0.only) = None;
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// A place in `folder`; devices are on `link`, or on loopback without one.
    pub(crate) fn new(
        folder: &Path,
        program: &Path,
        narrator: Narrator,
        evidence: Option<PathBuf>,
        link: Option<Link>,
    ) -> Self {
        let (proxies, only) = (Mutex::default(), Mutex::default());
        Self { folder: folder.into(), program: program.into(), narrator, evidence, link, proxies, only }
    }

    /// A new folder whose name begins so: a party may settle here, leave, and settle again.
    pub(crate) fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&self.folder);
        Ok(folder.with_context(|| self.folder.display().to_string())?.keep())
    }

    /// A folder of that name, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Whether devices find their way by themselves.
    pub(crate) const fn has_link(&self) -> bool {
        self.link.is_some()
    }

    /// A namespace for a device, where devices have them.
    pub(crate) fn namespace(&self) -> Result<Option<Namespace>> {
        self.link.as_ref().map(Link::namespace).transpose()
    }

    /// The command that runs the program for a device.
    pub(crate) fn command(&self, namespace: Option<&Namespace>) -> Command {
        match namespace {
            Some(namespace) => namespace.command(&self.program),
            None => Command::new(&self.program),
        }
    }

    /// Devices reach no other network than that of `owner` until what is returned is dropped.
    pub(crate) fn only(&self, owner: &str) -> Only<'_> {
        *held(&self.only) = Some(owner.into());
        Only(self)
    }

    /// How a device looks for registrars: the lines of `[discovery]` in its configuration.
    pub(crate) fn discovery(&self) -> String {
        let only = held(&self.only).clone();
        if self.has_link() && only.is_none() {
            // Nothing at all: it listens on whatever interface it has.
            return String::new();
        }
        let proxies = held(&self.proxies);
        let reachable = proxies.iter().filter(|(owner, _)| only.as_ref().is_none_or(|only| only == *owner));
        let known: Vec<String> = reachable.map(|(_, address)| self.seen_by_devices(*address)).collect();
        format!("mdns = false\ngrasp = false\nregistrars = {known:?}\n")
    }

    /// A proxy's address as a device on the link writes it; a device's one interface has number 2, after loopback.
    pub(super) fn seen_by_devices(&self, proxy: SocketAddr) -> String {
        match self.has_link() {
            true => format!("[{BRIDGE_ADDRESS}%2]:{}", proxy.port()),
            false => proxy.to_string(),
        }
    }

    /// Where a join proxy listens, whether it announces itself, and on which interfaces.
    pub(super) fn proxy_settings(&self) -> (String, bool, Vec<&'static str>) {
        match self.has_link() {
            true => ("[::]:0".into(), true, vec![BRIDGE]),
            false => ("127.0.0.1:0".into(), false, Vec::new()),
        }
    }

    pub(super) fn proxy_opened(&self, owner: &str, address: SocketAddr) {
        held(&self.proxies).insert(owner.into(), address);
    }

    pub(super) fn proxy_closed(&self, owner: &str) {
        held(&self.proxies).remove(owner);
    }
}
