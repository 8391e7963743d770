//! Programs that run beside a test, and end with it.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

/// A port of the loopback interface that is free now, and that nobody else is given before the test uses it: it lies
/// below those that the kernel hands out by itself (32768 and up, by default), and no two calls return the same.
pub fn free_port() -> u16 {
    const FIRST: u16 = 1 << 14;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that test beside this one begin elsewhere.
    let start = std::process::id().wrapping_mul(2_654_435_761).to_be_bytes();
    let start = u16::from_be_bytes([start[0], start[1]]);
    let is_free = |port: &u16| {
        let address = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    let next = || FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % FIRST;
    std::iter::repeat_with(next).find(is_free).unwrap_or_default()
}

/// The lower of two such ports that lie side by side, as tpm2-tools expect of swtpm's commands and its control channel.
pub fn free_pair() -> u16 {
    let pairs = std::iter::repeat_with(|| (free_port(), free_port()));
    pairs.filter(|(lower, upper)| lower + 1 == *upper).map(|(lower, _)| lower).next().unwrap_or_default()
}

/// A running program, which is killed by its own process id when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it, without standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    /// Reads what it prints, and returns the first line that holds `text`.
    ///
    /// # Panics
    /// If it ends before.
    pub fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.output.read_line(&mut seen).expect("its output is text");
            assert!(read > 0, "it ended before it printed {text:?}:\n{seen}");
            if let Some(line) = seen.get(start..).filter(|line| line.contains(text)) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name: `TERM`, `INT`, `KILL`.
    ///
    /// # Panics
    /// If it has ended and been waited for.
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "{script}");
    }

    /// Waits until it ends, reading what it still prints so that it is not held up.
    ///
    /// # Panics
    /// If the system cannot tell.
    pub fn wait(&mut self) -> ExitStatus {
        let _ = std::io::copy(&mut self.output, &mut std::io::sink());
        self.child.wait().expect("its exit status")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
