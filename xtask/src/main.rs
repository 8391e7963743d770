//! The project's own commands.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to whoever runs it")]

mod arch;
mod device;
mod graph;
mod licences;
mod packages;
mod report;
mod rig;
mod test;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
cargo xtask test   everything that CI checks; the last line counts passed, failed, skipped
cargo xtask arch   which crate may depend on which
cargo xtask deps   licences of everything that is linked into the program
cargo xtask size   the device agent alone: that it builds without a server, and its size
cargo xtask rig    a virtual machine with simulated radios, for tests and `landfall lab`, in the user's cache";

fn main() -> Result<()> {
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "test" => std::process::exit(test::run()?),
        "arch" => findings(arch::check(&graph::Graph::load()?)),
        "deps" => findings(licences::check(&graph::Graph::load()?)?),
        "size" => {
            findings(device::check()?)?;
            println!("{}", device::size()?);
            Ok(())
        }
        "rig" => {
            println!("{}", rig::prepare()?.display());
            Ok(())
        }
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        unknown => bail!("there is no command {unknown:?}\n{USAGE}"),
    }
}

/// Ends with an error if there is any finding.
fn findings(found: Vec<String>) -> Result<()> {
    for finding in &found {
        println!("{finding}");
    }
    match found.len() {
        0 => Ok(()),
        count => bail!("{count} findings"),
    }
}

/// The root of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where the build puts what it makes.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
