//! The kernel's bridges and packet filter.
//!
//! Rules go in by `nft -j -f -`: one transaction, of which the kernel takes all or nothing. Bridges and ports are made and
//! moved by `ip -batch -`, and VLANs by `bridge -batch -`. These programs are the kernel's own reference for what they do, so
//! what an administrator sees with them is what was meant. Nothing here decides anything.

mod inside;
mod links;
mod netlink;
pub mod told;
pub mod tracked;

pub use links::{Change, Link, Seat};

use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command};

/// No transaction takes so long; a program that does not come back is stopped.
const PATIENCE: Duration = Duration::from_secs(20);
/// So much of what a program complains of is told.
const COMPLAINT: usize = 400;
/// Where the programs are, which a user's path may lack.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// The kernel of this machine, or a network namespace of it.
#[derive(Clone, Debug)]
pub struct Kernel {
    nft: PathBuf,
    ip: PathBuf,
    bridge: PathBuf,
    namespace: Option<String>,
}

/// What the kernel, or a program that speaks to it, did not do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KernelError {
    /// A program is not installed.
    #[error("the program {0} is not installed (Debian: nftables, iproute2)")]
    Missing(&'static str),
    /// A program could not be run to its end.
    #[error("{program}: {why}")]
    Unable {
        /// Which.
        program: &'static str,
        /// Why not.
        why: String,
    },
    /// It was refused; nothing has changed if the program is `nft`.
    #[error("{program} refused it: {why}")]
    Refused {
        /// Which.
        program: &'static str,
        /// What it said.
        why: String,
    },
}

/// The name of a network interface, as the kernel permits it and no program misunderstands it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface(String);

/// The text is no name of a network interface.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is no name of a network interface: 1 to 15 letters, digits, dots, underscores and hyphens")]
pub struct NotAnInterface(String);

impl Kernel {
    /// This machine's, or a named network namespace's.
    ///
    /// # Errors
    /// If `nft`, `ip` or `bridge` is not installed.
    pub fn new(namespace: Option<&str>) -> Result<Self, KernelError> {
        Self::with(program("nft")?, namespace)
    }

    /// The same with another `nft`.
    ///
    /// # Errors
    /// If `ip` or `bridge` is not installed.
    pub fn with(nft: PathBuf, namespace: Option<&str>) -> Result<Self, KernelError> {
        Ok(Self { nft, ip: program("ip")?, bridge: program("bridge")?, namespace: namespace.map(str::to_owned) })
    }

    /// Carries out commands of libnftables' JSON, all or none.
    ///
    /// # Errors
    /// If they were refused: then everything is as it was.
    pub async fn apply(&self, commands: &[Value]) -> Result<(), KernelError> {
        let transaction = json!({ "nftables": commands }).to_string();
        self.run("nft", &["-j", "-f", "-"], transaction.into_bytes()).await.map(drop)
    }

    /// What is in a table, in libnftables' JSON; nothing if there is no such table.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn table(&self, family: &str, name: &str) -> Result<Option<Vec<Value>>, KernelError> {
        self.list(&["table", family, name]).await
    }

    /// The same of one set.
    ///
    /// # Errors
    /// If the kernel could not be asked.
    pub async fn set(&self, family: &str, table: &str, name: &str) -> Result<Option<Vec<Value>>, KernelError> {
        self.list(&["set", family, table, name]).await
    }

    async fn list(&self, what: &[&str]) -> Result<Option<Vec<Value>>, KernelError> {
        match self.run("nft", &[&["-j", "list"], what].concat(), Vec::new()).await {
            Ok(said) => {
                let unclear = |why: &dyn fmt::Display| KernelError::Unable { program: "nft", why: why.to_string() };
                let mut said: Value = serde_json::from_slice(&said).map_err(|why| unclear(&why))?;
                match said.get_mut("nftables").map(Value::take) {
                    Some(Value::Array(objects)) => Ok(Some(objects)),
                    _ => Err(unclear(&"it did not list a table")),
                }
            }
            Err(KernelError::Refused { why, .. }) if why.contains("No such file or directory") => Ok(None),
            Err(why) => Err(why),
        }
    }

    async fn run(&self, program: &'static str, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, KernelError> {
        let unable = |why: &dyn fmt::Display| KernelError::Unable { program, why: why.to_string() };
        let path = match program {
            "nft" => &self.nft,
            "bridge" => &self.bridge,
            _ => &self.ip,
        };
        let mut words: Vec<OsString> = vec![path.into()];
        if let Some(namespace) = &self.namespace {
            let enter = [self.ip.as_os_str(), "netns".as_ref(), "exec".as_ref(), namespace.as_ref()];
            words.splice(0..0, enter.map(OsString::from));
        }
        let Some((first, rest)) = words.split_first() else { return Err(unable(&"has no name")) };
        let mut command = Command::new(first);
        // What is refused is recognised by its words.
        command.args(rest).args(arguments).env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let work = async {
            let mut child = command.spawn()?;
            let mut stdin = child.stdin.take();
            let feed = async {
                if let Some(stdin) = &mut stdin {
                    // One that stops reading says why on its other end.
                    let _ = stdin.write_all(&input).await;
                }
                drop(stdin);
            };
            let (_, output) = tokio::join!(feed, child.wait_with_output());
            output
        };
        let output = tokio::time::timeout(PATIENCE, work).await.map_err(|_| unable(&"did not come back"))?;
        let output: std::process::Output = output.map_err(|why: std::io::Error| unable(&why))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => {
                let complaint = String::from_utf8_lossy(&output.stderr);
                let why = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(KernelError::Refused { program, why: why.chars().take(COMPLAINT).collect() })
            }
        }
    }
}

fn program(name: &'static str) -> Result<PathBuf, KernelError> {
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    found.ok_or(KernelError::Missing(name))
}

impl Interface {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Interface {
    type Err = NotAnInterface;
    fn from_str(text: &str) -> Result<Self, NotAnInterface> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let well_formed = (1..=15).contains(&text.len())
            && text.bytes().all(good)
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        match well_formed {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAnInterface(text.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_program_could_misunderstand_are_none() {
        for good in ["lan1", "eth0.30", "lf-prod", "enp3s0f0"] {
            good.parse::<Interface>().unwrap();
        }
        for wrong in ["", "-a", "lan 1", "lan1\nlink", "lan/1", "\"lan1\"", "abcdefghijklmnop", ".x", "lan*"] {
            wrong.parse::<Interface>().unwrap_err();
        }
    }
}
