//! The machine, and the wire over which it is told what to do.

use super::Rig;
use crate::{peers::process::Process, port::free_port};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Mutex,
    time::timeout,
};

/// Under emulation on a busy machine, boot and jobs may take so long; both end with an error then.
const BOOT: Duration = Duration::from_secs(180);
const JOB: Duration = Duration::from_secs(120);

/// Where access points in the machine take orders (RFC 5176 s3).
pub(super) const ORDERS: u16 = 3799;

/// More output than that is an error.
const MOST: usize = 32 * 1024 * 1024;

/// A running machine. It ends when this is dropped, and by itself when this process ends in whatever way.
#[derive(Debug)]
pub struct Machine {
    wire: Mutex<Wire>,
    orders: u16,
    /// Before the folder, which it uses.
    _process: Process,
    folder: TempDir,
}

#[derive(Debug)]
struct Wire {
    stream: BufReader<UnixStream>,
    /// A job was given up: what it answers would be taken for the answer to the next.
    lost: bool,
    /// Radios that are in use.
    radios: Vec<bool>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit status.
    pub status: i32,
    /// What it printed, errors included.
    pub bytes: Vec<u8>,
}

impl Output {
    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// How many radios there are; the image says so to mac80211_hwsim.
const RADIOS: usize = 4;

impl Rig {
    /// Starts the machine, and waits until it can be used.
    ///
    /// # Errors
    /// If qemu does not start, or the machine does not answer.
    pub async fn boot(&self) -> Result<Machine> {
        self.start(None).await
    }

    /// The same with a program of this machine in it, as `/opt/landfall` with its libraries, whatever it is called here; needs
    /// busybox.
    ///
    /// # Errors
    /// As [`Rig::boot`], or if there is no such program.
    pub async fn boot_with(&self, program: &Path) -> Result<Machine> {
        self.start(Some(program)).await
    }

    async fn start(&self, program: Option<&Path>) -> Result<Machine> {
        let folder = tempfile::Builder::new().prefix("landfall-rig-").tempdir()?;
        let wire = folder.path().join("wire");
        let listener = UnixListener::bind(&wire)?;
        let console = folder.path().join("console");
        let orders = free_port()?;
        let mut command = self.qemu(&wire, &console, orders);
        match program {
            None => command.args(["-m", "256", "-initrd"]).arg(self.path("initramfs")),
            Some(program) => command.args(["-m", "512", "-initrd"]).arg(self.image_with(program, folder.path())?),
        };
        let mut process = Process::start(&mut command, &folder.path().join("qemu.log"))?;

        let said = |folder: &TempDir| {
            let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
            format!("{} {}", read("qemu.log").trim(), read("console").trim())
        };
        let connected = async {
            loop {
                match timeout(Duration::from_millis(100), listener.accept()).await {
                    Ok(accepted) => return anyhow::Ok(accepted?.0),
                    Err(_) => ensure!(process.runs(), "qemu ended: {}", said(&folder)),
                }
            }
        };
        let stream = timeout(BOOT, connected).await.context("qemu did not connect")??;
        let wire = Wire { stream: BufReader::new(stream), lost: false, radios: vec![false; RADIOS] };
        let machine = Machine { wire: Mutex::new(wire), orders, _process: process, folder };
        // The answer comes when everything is up.
        match timeout(BOOT, machine.run("true")).await {
            Ok(Ok(_)) => Ok(machine),
            Ok(Err(why)) => Err(why.context(said(&machine.folder))),
            Err(_) => bail!("the machine did not boot in {} s: {}", BOOT.as_secs(), said(&machine.folder)),
        }
    }

    /// The image and behind it another with the program: the kernel unpacks them one after the other.
    fn image_with(&self, program: &Path, folder: &Path) -> Result<PathBuf> {
        let (image, stage) = (folder.join("initramfs"), folder.join("stage"));
        let listed = Command::new("ldd").arg(program).output().context("ldd")?.stdout;
        let listed = String::from_utf8(listed)?;
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        let libraries = libraries.map(|path| (PathBuf::from(path), path.trim_start_matches('/').into()));
        let own = (program.to_owned(), PathBuf::from("opt/landfall"));
        for (from, to) in libraries.chain([own]) {
            let to: PathBuf = stage.join(to);
            fs::create_dir_all(to.parent().unwrap_or(&stage))?;
            // What debuggers want would fill the machine's memory.
            let stripped = Command::new("strip").arg("-o").arg(&to).arg(&from).output();
            if !stripped.is_ok_and(|output| output.status.success()) {
                fs::copy(&from, &to).with_context(|| from.display().to_string())?;
            }
        }
        fs::copy(self.path("initramfs"), &image)?;
        let archive = fs::OpenOptions::new().append(true).open(&image)?;
        let mut pack = Command::new("sh");
        pack.args(["-c", "find . | busybox cpio -o -H newc"]).current_dir(&stage);
        let packed = pack.stdout(archive).output().context("busybox cpio")?;
        ensure!(packed.status.success(), "busybox cpio: {}", String::from_utf8_lossy(&packed.stderr).trim());
        fs::remove_dir_all(&stage)?;
        Ok(image)
    }

    fn qemu(&self, wire: &Path, console: &Path, orders: u16) -> Command {
        // The radios' timers go by the clock, however busy this machine is. Who may not ask for more gets what there is.
        let mut command = Command::new("nice");
        command.args(["-n", "-10"]).arg(self.path("qemu/usr/bin/qemu-system-x86_64"));
        let libraries = ["qemu/usr/lib/x86_64-linux-gnu", "qemu/lib/x86_64-linux-gnu"].map(|path| self.path(path));
        let libraries: Vec<String> = libraries.iter().map(|path| path.display().to_string()).collect();
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        for data in ["qemu/usr/share/qemu", "qemu/usr/share/seabios"] {
            command.arg("-L").arg(self.path(data));
        }
        command.args("-nodefaults -no-user-config -display none -no-reboot -M q35 -accel tcg,thread=multi".split(' '));
        command.args("-cpu max -smp 2 -append".split(' ')).arg("console=ttyS0 quiet panic=-1 mitigations=off");
        command.arg("-kernel").arg(self.path("vmlinux"));
        command.arg("-serial").arg(format!("file:{}", console.display()));
        let forwarded = format!("user,id=net,ipv6=off,hostfwd=udp:127.0.0.1:{orders}-10.0.2.15:{ORDERS}");
        command.args(["-netdev", &forwarded, "-device", "virtio-net-pci,netdev=net,romfile="]);
        command.arg("-chardev").arg(format!("socket,id=wire,path={}", wire.display()));
        command.args("-device virtio-serial-pci -device virtserialport,chardev=wire,name=wire".split(' '));
        command
    }
}

impl Machine {
    /// Runs a shell script in the machine. One runs at a time.
    ///
    /// # Errors
    /// If the machine does not answer; a script that fails is no error here.
    pub async fn run(&self, script: &str) -> Result<Output> {
        let mut wire = self.wire.lock().await;
        ensure!(!wire.lost, "a job before was given up, so the machine cannot be used any more");
        // Until there is an answer; also if the caller gives up waiting.
        wire.lost = true;
        let output = timeout(BOOT + JOB, exchange(&mut wire.stream, script)).await;
        let output = output.context("a job did not end")?.context("the machine does not answer")?;
        wire.lost = false;
        Ok(output)
    }

    /// Runs a script that has to succeed, and gives what it printed.
    ///
    /// # Errors
    /// If it fails, with what it printed.
    pub async fn sh(&self, script: &str) -> Result<String> {
        let output = self.run(script).await?;
        ensure!(output.status == 0, "status {}: {}", output.status, output.text().trim());
        Ok(output.text())
    }

    /// Writes a file into the machine.
    ///
    /// # Errors
    /// If the machine does not answer, or refuses.
    pub async fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        let mut script = String::with_capacity(content.len() * 2 + 64);
        let _ = writeln!(script, "mkdir -p \"$(dirname {path})\"; xxd -r -p >{path} <<'END'");
        for line in content.chunks(512) {
            let _ = writeln!(script, "{}", hex::encode(line));
        }
        self.sh(&(script + "END\n")).await.map(drop).with_context(|| path.to_owned())
    }

    /// Reads a file of the machine.
    ///
    /// # Errors
    /// If it is not there, or larger than 32 MiB.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let output = self.run(&format!("cat {path}")).await?;
        ensure!(output.status == 0, "{path}: {}", output.text().trim());
        Ok(output.bytes)
    }

    /// The port of loopback outside at which its access points take orders of a RADIUS server that they ask.
    pub const fn orders(&self) -> u16 {
        self.orders
    }

    /// What the machine printed on its console.
    pub fn console(&self) -> String {
        fs::read_to_string(self.console_path()).unwrap_or_default()
    }

    fn console_path(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    /// Takes a radio that nobody uses.
    pub(super) async fn take_radio(&self) -> Result<usize> {
        let mut wire = self.wire.lock().await;
        let free = wire.radios.iter_mut().enumerate().find(|(_, taken)| !**taken);
        let (number, taken) = free.context("all radios are in use")?;
        *taken = true;
        Ok(number)
    }

    /// Gives it back.
    pub(super) async fn give_back(&self, radio: usize) {
        if let Some(taken) = self.wire.lock().await.radios.get_mut(radio) {
            *taken = false;
        }
    }
}

/// A job is its length in a line, and the script; its answer is status and length in a line, and the output.
async fn exchange(stream: &mut BufReader<UnixStream>, script: &str) -> Result<Output> {
    stream.write_all(format!("{}\n{script}", script.len()).as_bytes()).await?;
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "the wire is cut");
    let (status, length) = line.trim_end().split_once(' ').with_context(|| format!("{line:?}"))?;
    let length = length.trim().parse()?;
    ensure!(length <= MOST, "the output has {length} octets");
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(Output { status: status.parse()?, bytes })
}
