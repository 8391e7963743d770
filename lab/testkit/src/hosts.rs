//! Hosts on a network of their own: Linux network namespaces, joined by cables that are pairs of virtual interfaces.

use crate::{current_test, skip, tool};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// Hosts that a test made. They go away, with their interfaces, when this is dropped.
#[derive(Debug)]
pub struct Hosts {
    ip: PathBuf,
    prefix: String,
    names: Vec<String>,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Hosts {
    /// Makes the named hosts, with nothing but a loopback interface each. Needs root and iproute2; without them the
    /// test that asks is reported as skipped.
    ///
    /// # Panics
    /// If `ip` fails all the same.
    pub fn new(names: &[&str]) -> Option<Self> {
        let ip = tool("ip")?;
        sweep(&ip);
        // The process id and a counter keep apart tests, and runs, that go on at once.
        let prefix = format!("landfall-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut hosts = Self { ip, prefix, names: Vec::new() };
        for name in names {
            let namespace = hosts.namespace(name);
            let added = Command::new(&hosts.ip).args(["netns", "add", &namespace]).output().expect("ip");
            if !added.status.success() {
                let why = String::from_utf8_lossy(&added.stderr).into_owned();
                skip(&current_test(), &format!("network namespaces cannot be made here: {why}"));
                return None;
            }
            hosts.names.push((*name).to_owned());
            hosts.ip(&["-n", &namespace, "link", "set", "lo", "up"]);
            // An address is usable at once, instead of after a second of asking whether anyone else has it.
            hosts.sh(name, "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
        }
        Some(hosts)
    }

    /// Joins two interfaces, `(host, interface)` each, by a cable, and brings them up: both get a link-local IPv6
    /// address, and nothing else.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn cable(&self, a: (&str, &str), b: (&str, &str)) {
        let (from, to) = (self.namespace(a.0), self.namespace(b.0));
        self.ip(&["link", "add", a.1, "netns", &from, "type", "veth", "peer", "name", b.1, "netns", &to]);
        for (namespace, interface) in [(from, a.1), (to, b.1)] {
            self.ip(&["-n", &namespace, "link", "set", interface, "up"]);
        }
    }

    /// Joins an interface of a host to one of this machine itself by a cable, and brings both up. It goes away with the
    /// host.
    ///
    /// # Panics
    /// If there is no such host, or such an interface already.
    pub fn plug(&self, (host, interface): (&str, &str), here: &str) {
        let namespace = self.namespace(host);
        self.ip(&["link", "add", here, "type", "veth", "peer", "name", interface, "netns", &namespace]);
        self.ip(&["link", "set", here, "up"]);
        self.ip(&["-n", &namespace, "link", "set", interface, "up"]);
    }

    /// Gives an interface one address more: `10.0.0.1/24`, `fd00::1/64`.
    ///
    /// # Panics
    /// If there is no such interface.
    pub fn address(&self, host: &str, interface: &str, address: &str) {
        self.ip(&["-n", &self.namespace(host), "address", "add", address, "dev", interface]);
    }

    /// The host's link-local IPv6 address on that interface.
    ///
    /// # Panics
    /// If it has none.
    pub fn link_local(&self, host: &str, interface: &str) -> String {
        let mut list = self.command(host, &self.ip.to_string_lossy());
        let list = list.args(["-6", "-oneline", "address", "show", "dev", interface, "scope", "link"]).output();
        let list = String::from_utf8(list.expect("ip").stdout).expect("text");
        let address = list.split_whitespace().skip_while(|word| *word != "inet6").nth(1);
        address.and_then(|address| address.split('/').next()).expect("a link-local address").to_owned()
    }

    /// A command that will run on that host.
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.namespace(host), program]);
        command
    }

    /// Does something on that host, such as opening a socket, which then stays there.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn inside<T: Send>(&self, host: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(self.namespace(host))).expect("a host");
        // A thread of its own, since a thread that has moved does not come back.
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
                work()
            });
            there.join().expect("what was to be done there")
        })
    }

    /// Runs `ip` with these words, separated by spaces, on that host.
    ///
    /// # Panics
    /// If it refuses.
    pub fn set(&self, host: &str, words: &str) {
        let namespace = self.namespace(host);
        let words: Vec<&str> = ["-n", &namespace].into_iter().chain(words.split_whitespace()).collect();
        self.ip(&words);
    }

    /// The name of the host's network namespace.
    pub fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn sh(&self, host: &str, script: &str) {
        let status = self.command(host, "sh").args(["-c", script]).status().expect("sh");
        assert!(status.success(), "on {host}: {script}");
    }

    fn ip(&self, arguments: &[&str]) {
        let done = Command::new(&self.ip).args(arguments).output().expect("ip");
        assert!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            // Its interfaces go with it. What fails here fails for the next test as well, and loudly.
            let _ = Command::new(&self.ip).args(["netns", "delete", &self.namespace(name)]).output();
        }
    }
}

/// Removes the hosts of tests that were killed.
fn sweep(ip: &Path) {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("landfall-").and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = Command::new(ip).args(["netns", "delete", &name]).output();
        }
    }
}
