//! Real peers and published examples, which a machine may have or not.

use crate::{current_test, skip};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The program of that name. Without it the test that asks is reported as skipped, and should return.
///
/// Folders of the system come first: a tool may want the system's libraries (Debian's `python3` has
/// python3-cryptography, another one in the path has not).
pub fn tool(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    let found = system.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(program));
    let found = { found }.find(|path| path.is_file());
    if found.is_none() {
        skip(&current_test(), &format!("{program} is not installed"));
    }
    found
}

/// The openssl command.
pub fn openssl() -> Option<PathBuf> {
    tool("openssl")
}

/// A file or folder of the project's shared material, which lies beside the repository: `shared("vectors/voucher")`.
/// `LANDFALL_SHARED` names it if it is elsewhere. Without it the test that asks is reported as skipped.
pub fn shared(path: &str) -> Option<PathBuf> {
    let places: Vec<PathBuf> = match std::env::var_os("LANDFALL_SHARED") {
        Some(dir) => vec![dir.into()],
        None => above().map(|dir| dir.join("shared")).collect(),
    };
    let found = places.into_iter().map(|dir| dir.join(path)).find(|path| path.exists());
    if found.is_none() {
        skip(&current_test(), &format!("shared/{path} is not there"));
    }
    found
}

/// The text of that RFC, which `cargo xtask test` fetches where it can. Without it the test that asks is reported as
/// skipped.
pub fn rfc(number: u32) -> Option<String> {
    let name = format!("rfc{number}.txt");
    let named = ["LANDFALL_RFC"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let built = above().map(|dir| dir.join("target/rfc"));
    let text = named.chain(built).find_map(|dir| fs::read_to_string(dir.join(&name)).ok());
    if text.is_none() {
        skip(&current_test(), &format!("{name} is not there: it comes with Debian's doc-rfc-std-proposed"));
    }
    text
}

/// The folders above the crate under test.
fn above() -> impl Iterator<Item = PathBuf> {
    let dir = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    dir.ancestors().map(Path::to_owned).collect::<Vec<_>>().into_iter()
}
