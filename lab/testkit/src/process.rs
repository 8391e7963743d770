//! Programs that run beside a test, and end with it.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

/// A TCP port of the loopback interface that is free now.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
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
