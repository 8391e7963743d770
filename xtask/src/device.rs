//! The device's agent, built alone.

use crate::{root, target};
use anyhow::{Context, Result, ensure};
use std::process::Command;

const AGENT: &str = "landfall-device";
const SERVERS: [&str; 5] = ["axum", "rusqlite", "landfall-server", "landfall-store", "landfall-lifecycle"];

/// What of a server the agent would be built with, one line each, judged by what cargo itself would build.
pub(crate) fn check() -> Result<Vec<String>> {
    let tree = ["tree", "--package", AGENT, "--edges=normal", "--prefix=none", "--format={p}", "--locked"];
    let output = Command::new("cargo").args(tree).current_dir(root()).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout)?;
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(names.contains(&"landfall-brski"), "cargo tree shows no tree of {AGENT}");
    let found = SERVERS.iter().filter(|server| names.contains(*server));
    Ok(found.map(|server| format!("{AGENT}: is built with {server}")).collect())
}

/// Builds the agent for release, stripped, and says how large it is.
pub(crate) fn size() -> Result<String> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--package", AGENT]).current_dir(root());
    build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    ensure!(build.status()?.success(), "the agent does not build");
    let program = target().join("release").join(AGENT);
    let bytes = std::fs::metadata(&program).with_context(|| program.display().to_string())?.len();
    Ok(format!("{}: {:.1} MiB stripped", program.display(), bytes as f64 / (1024.0 * 1024.0)))
}
