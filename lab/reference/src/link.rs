//! The onboarding link: a bridge that carries nothing but link-local IPv6, and a namespace for each device on it.
//!
//! The lab's own thread moves into a network namespace of its own first, so nothing outside the lab changes and everything
//! goes when the process does; only the devices' namespaces have names, and those are removed when dropped.

use anyhow::{Context, Result, bail};
use std::{
    net::Ipv6Addr,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

/// The bridge that devices and the join proxy share.
pub const BRIDGE: &str = "lf-onboarding";
/// The lab's own address on it, where join proxies listen.
pub const BRIDGE_ADDRESS: &str = "fe80::1";

/// Why devices do not get namespaces here, or nothing if they can.
pub fn obstacle() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root, so devices run beside the servers on loopback and are told the proxy's address");
    }
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Some("this kernel has no IPv6, so devices run beside the servers on loopback");
    }
    if run("ip", &["-V"]).is_err() {
        return Some("the command `ip` (package iproute2) is missing, so devices run beside the servers on loopback");
    }
    None
}

/// The link, in a namespace of its own.
#[derive(Debug)]
pub struct Link {
    next: AtomicU16,
}

impl Link {
    /// Moves this thread, and every thread that it starts from now on, into a new network namespace with loopback and the
    /// bridge.
    pub fn isolate() -> Result<Self> {
        sweep();
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).context("no network namespace could be made")?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        // A generated address would first be probed for duplicates; a fixed one is there at once.
        ip(&["link", "set", BRIDGE, "addrgenmode", "none"])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        // A bridge that has lost its last port is down until it gets another.
        ip(&["link", "add", IDLE.0, "type", "veth", "peer", "name", IDLE.1])?;
        for end in [IDLE.0, IDLE.1] {
            ip(&["link", "set", end, "addrgenmode", "none"])?;
        }
        ip(&["link", "set", IDLE.0, "master", BRIDGE, "up"])?;
        ip(&["link", "set", IDLE.1, "up"])?;
        ip(&["addr", "add", &format!("{BRIDGE_ADDRESS}/64"), "dev", BRIDGE, "nodad"])?;
        Ok(Self { next: AtomicU16::new(2) })
    }

    /// A namespace for one device: one interface on the link with one link-local IPv6 address, no route; and loopback, where
    /// its own secure element is.
    pub fn namespace(&self) -> Result<Namespace> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (port, address) = (format!("lf-port{number}"), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xd, number));
        let namespace =
            Namespace { name: format!("{PREFIX}{}-{number}", std::process::id()), port: port.clone(), address };
        let name = namespace.name.as_str();
        ip(&["netns", "add", name])?;
        ip(&["link", "add", &port, "type", "veth", "peer", "name", INTERFACE, "netns", name])?;
        ip(&["link", "set", &port, "addrgenmode", "none"])?;
        ip(&["link", "set", &port, "master", BRIDGE, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "link", "set", INTERFACE, "addrgenmode", "none"])?;
        ip(&["-n", name, "link", "set", INTERFACE, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{address}/64"), "dev", INTERFACE, "nodad"])?;
        Ok(namespace)
    }
}

/// The device's interface in its namespace.
const INTERFACE: &str = "link0";
/// Both ends of a cable that leads nowhere.
const IDLE: (&str, &str) = ("lf-port1", "lf-idle");
const PREFIX: &str = "lf-device-";

/// A device's network namespace; removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    port: String,
    address: Ipv6Addr,
}

impl Namespace {
    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The other end of its cable, on the link.
    pub fn port(&self) -> String {
        self.port.clone()
    }

    /// Its address on the link.
    pub fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Removes the namespaces of labs that were killed.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid.to_owned());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("`{program}` could not be run"))?;
    if !output.status.success() {
        bail!("`{program} {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
