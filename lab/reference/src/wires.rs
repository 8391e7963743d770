//! A device and its peer at a bridge: three network namespaces, and cables between them.

use anyhow::{Context, Result, ensure};
use landfall_nft::{Change, Interface, Kernel, Seat};
use std::{
    io::{self, BufRead, BufReader, Read},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// The bridge.
pub(crate) const BRIDGE: &str = "br-things";
/// The device's interface, and the peer's address.
pub(crate) const DEVICE: &str = "02:00:00:00:00:07";
pub(crate) const PEER: [u8; 4] = [10, 77, 0, 2];
const OWN: &str = "10.77.0.7";

#[derive(Debug)]
pub(crate) struct Wires {
    /// The switch's.
    pub(crate) kernel: Kernel,
    switch: String,
    host: String,
    device: Kernel,
    peer: Kernel,
    far: String,
    _hosts: Hosts,
}

/// What comes out on the peer's side, as tcpdump writes it down.
#[derive(Debug)]
pub(crate) struct Capture {
    tcpdump: Child,
    folder: tempfile::TempDir,
    far: UdpSocket,
}

/// What the peer says when the device is about to be let in.
pub(crate) const NOW: &[u8] = b"now it may come in";
/// And at the end: what came before is written down when this is.
const LAST: &[u8] = b"this is all";

/// Network namespaces, which go when this is dropped.
#[derive(Debug)]
struct Hosts(Vec<String>);

impl Wires {
    /// Lays them; an error says why that cannot be done here.
    pub(crate) async fn lay(what: &str) -> Result<Self> {
        ensure!(nix::unistd::Uid::effective().is_root(), "network namespaces need root");
        let prefix = format!("landfall-{}-{what}", std::process::id());
        let [switch, device, peer] = ["switch", "device", "peer"].map(|host| format!("{prefix}-{host}"));
        let mut hosts = Hosts(Vec::new());
        for host in [&switch, &device, &peer] {
            ip(&["netns", "add", host])?;
            hosts.0.push(host.clone());
            ip(&["-n", host, "link", "set", "lo", "up"])?;
        }
        let kernel = Kernel::new(Some(&switch))?;
        let bridge: Interface = BRIDGE.parse()?;
        kernel.change(&[Change::Bridge(bridge.clone())]).await?;
        let [a, b, c, d] = PEER;
        let peers = format!("{a}.{b}.{c}.{d}");
        let ends = [(&device, "lan0", DEVICE, OWN), (&peer, "uplink", "02:00:00:00:00:fe", peers.as_str())];
        for (host, port, mac, address) in ends {
            ip(&["link", "add", port, "netns", &switch, "type", "veth", "peer", "name", "eth0", "netns", host])?;
            ip(&["-n", host, "link", "set", "eth0", "address", mac, "up"])?;
            ip(&["-n", host, "address", "add", &format!("{address}/16"), "dev", "eth0"])?;
            kernel
                .change(&[Change::Port { port: port.parse()?, seat: Seat { bridge: bridge.clone(), vlan: None } }])
                .await?;
        }
        // Nobody has to be asked for: what goes through is what is counted.
        ip(&[
            "-n",
            &device,
            "neighbour",
            "replace",
            &peers,
            "lladdr",
            "02:00:00:00:00:fe",
            "dev",
            "eth0",
            "nud",
            "permanent",
        ])?;
        let (there, far) = (Kernel::new(Some(&device))?, Kernel::new(Some(&peer))?);
        Ok(Self { kernel, switch, host: device, device: there, peer: far, far: peer, _hosts: hosts })
    }

    /// Takes the device out of the bridge.
    pub(crate) async fn unplug(&self) -> Result<()> {
        self.clear().await?;
        ip(&["-n", &self.switch, "link", "set", "lan0", "nomaster"])
    }

    /// No rules at all.
    pub(crate) async fn clear(&self) -> Result<()> {
        use landfall_server::enforcer::plan::{FAMILIES, TABLE};
        let commands = FAMILIES.map(|family| {
            let table = serde_json::json!({ "family": family, "name": TABLE });
            [serde_json::json!({ "add": { "table": table } }), serde_json::json!({ "delete": { "table": table } })]
        });
        Ok(self.kernel.apply(commands.as_flattened()).await?)
    }

    /// Rules that let everything through, as a measure of what it costs that there are any.
    pub(crate) async fn open(&self) -> Result<()> {
        use landfall_server::enforcer::plan::TABLE;
        use serde_json::json;
        self.clear().await?;
        let mut commands = vec![json!({ "add": { "table": { "family": "bridge", "name": TABLE } } })];
        for hook in ["prerouting", "input", "forward", "output"] {
            let chain = json!({ "family": "bridge", "table": TABLE, "name": hook, "type": "filter", "hook": hook, "prio": -200, "policy": "accept" });
            commands.push(json!({ "add": { "chain": chain } }));
        }
        Ok(self.kernel.apply(&commands).await?)
    }

    /// Writes down every frame of the device that comes out on the peer's side, from now on; nothing without tcpdump.
    pub(crate) fn capture(&self) -> Result<Option<Capture>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("far.pcap");
        let mut command = Command::new("ip");
        // Root would become somebody who may not write here.
        command.args([
            "netns",
            "exec",
            &self.far,
            "tcpdump",
            "-Z",
            "root",
            "-n",
            "-U",
            "--immediate-mode",
            "-s",
            "2048",
        ]);
        command.args(["-i", "eth0", "-B", "65536", "-w"]).arg(file);
        command.args(["ether", "src", DEVICE, "or", "udp", "dst", "port", "9"]).stderr(Stdio::piped());
        let mut tcpdump = command.spawn().context("ip (Debian: iproute2)")?;
        let mut said = String::new();
        let mut lines = BufReader::new(tcpdump.stderr.as_mut().context("tcpdump says nothing")?);
        while lines.read_line(&mut said)? > 0 {
            if said.contains("listening on") {
                let any: SocketAddr = ([0, 0, 0, 0], 0).into();
                let far = self.peer.inside(|| UdpSocket::bind(any))?;
                far.set_broadcast(true)?;
                return Ok(Some(Capture { tcpdump, folder, far }));
            }
        }
        tcpdump.wait()?;
        ensure!(said.contains("No such file"), "tcpdump: {}", said.trim());
        Ok(None)
    }

    /// Has the device send to its peer whatever is for hosts elsewhere.
    pub(crate) fn lead(&self) -> Result<()> {
        let [a, b, c, d] = PEER;
        ip(&["-n", &self.host, "route", "add", "default", "via", &format!("{a}.{b}.{c}.{d}")])
    }

    /// The device's socket, and the peer's at that port.
    pub(crate) fn sockets(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let (any, own): (SocketAddr, SocketAddr) = (([0, 0, 0, 0], port).into(), ([0, 0, 0, 0], 0).into());
        let receiver = self.peer.inside(|| UdpSocket::bind(any))?;
        let sender = self.device.inside(|| UdpSocket::bind(own))?;
        sender.connect(SocketAddr::from((PEER, port)))?;
        Ok((sender, receiver))
    }

    /// How many packets of the device a second come through to its peer.
    pub(crate) async fn packets(&self, port: u16, time: Duration) -> Result<f64> {
        let (sender, receiver) = self.sockets(port)?;
        let count = || self.peer.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
        let (done, before) = (AtomicBool::new(false), received(&count()?)?);
        let (seconds, sent) = std::thread::scope(|scope| {
            // What comes is taken, as a peer would.
            scope.spawn(|| {
                let _ = receiver.set_read_timeout(Some(Duration::from_millis(20)));
                let mut datagram = [0; 64];
                while !done.load(Ordering::Relaxed) {
                    let _ = receiver.recv(&mut datagram);
                }
            });
            let began = Instant::now();
            let mut sent = 0_u64;
            while began.elapsed() < time {
                for _ in 0..64 {
                    sent += u64::from(sender.send(&[0; 64]).is_ok());
                }
            }
            done.store(true, Ordering::Relaxed);
            (began.elapsed().as_secs_f64(), sent)
        });
        let came = received(&count()?)?.saturating_sub(before);
        ensure!(came * 100 >= sent * 95, "of {sent} packets only {came} came through");
        Ok(came as f64 / seconds)
    }
}

impl Capture {
    /// Has the peer say something, which is written down in its place.
    pub(crate) fn mark(&self, words: &[u8]) -> Result<()> {
        let [a, b, ..] = PEER;
        self.far.send_to(words, SocketAddr::from(([a, b, 255, 255], 9)))?;
        Ok(())
    }

    /// The file, when all that came has been written.
    pub(crate) fn end(mut self) -> Result<Vec<u8>> {
        let file = self.folder.path().join("far.pcap");
        self.mark(LAST)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !std::fs::read(&file)?.windows(LAST.len()).rev().take(4096).any(|window| window == LAST) {
            ensure!(Instant::now() < deadline, "tcpdump does not come to the end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let asked =
            Command::new("kill").arg(self.tcpdump.id().to_string()).status().context("kill (Debian: procps)")?;
        ensure!(asked.success(), "tcpdump has ended by itself");
        let mut said = String::new();
        self.tcpdump.stderr.take().context("tcpdump says nothing")?.read_to_string(&mut said)?;
        self.tcpdump.wait()?;
        ensure!(said.lines().any(|line| line == "0 packets dropped by kernel"), "tcpdump missed some: {}", said.trim());
        Ok(std::fs::read(file)?)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // One that has ended is not there any more.
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// Packets that came in at `eth0`.
fn received(table: &str) -> Result<u64> {
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
    Ok(line.and_then(|line| line.split_whitespace().nth(1)).context("there is no eth0")?.parse()?)
}

fn ip(words: &[&str]) -> Result<()> {
    let done = Command::new("ip").args(words).output().context("ip (Debian: iproute2)")?;
    ensure!(done.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &self.0 {
            // Their interfaces go with them.
            let _ = Command::new("ip").args(["netns", "delete", host]).output();
        }
    }
}
