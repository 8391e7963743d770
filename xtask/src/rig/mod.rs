//! The radio rig: qemu, a kernel and an image in the user's cache, from Debian's packages. lab/reference/src/rig boots it.

mod cpio;
mod image;

use crate::packages::exists;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What changes when a rig that is there has to be made anew; its first process is compared too.
const VERSION: &str = "2";

/// Prepares the rig unless it is there; returns its folder.
pub(crate) fn prepare() -> Result<PathBuf> {
    let folder = folder()?;
    ensure!(exists("apt-get") && exists("dpkg"), "it is made of Debian's packages, and this is no Debian");
    ensure!(output("dpkg", &["--print-architecture"])?.trim() == "amd64", "it is made for amd64 only");
    let kernel = kernel_package()?;
    let wanted = format!("{VERSION} {kernel}\n{}", image::INIT);
    if fs::read_to_string(folder.join("ready")).is_ok_and(|ready| ready == wanted) {
        return Ok(folder);
    }
    let missing: Vec<&str> = image::PROGRAMS.into_iter().filter(|name| image::program(name).is_none()).collect();
    ensure!(missing.is_empty(), "these programs go into it, and are not installed: {}", missing.join(", "));
    ensure!(exists("depmod") && exists("xz"), "depmod and xz (packages kmod, xz-utils) are not installed");

    // Another may do the same: each works in a folder of its own, and the last to move its work into place wins.
    let parent = folder.parent().context("no folder above")?;
    fs::create_dir_all(parent)?;
    let work = parent.join(format!("rig-{}", std::process::id()));
    let made = make(&work, &kernel).and_then(|()| Ok(fs::write(work.join("ready"), wanted)?));
    let moved = made.and_then(|()| {
        let _ = fs::remove_dir_all(&folder);
        Ok(fs::rename(&work, &folder)?)
    });
    let _ = fs::remove_dir_all(&work);
    moved.map(|()| folder)
}

/// Where the rig is looked for: `LANDFALL_RIG`, or the user's cache.
fn folder() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("LANDFALL_RIG") {
        return Ok(named.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    Ok(cache.or_else(home).context("no home")?.join("landfall/rig"))
}

fn make(work: &Path, kernel: &str) -> Result<()> {
    let (archives, tree) = (work.join("archives"), work.join("kernel"));
    fs::create_dir_all(&archives)?;
    let mut packages = missing_packages("qemu-system-x86")?;
    packages.push(kernel.to_owned());
    download(&packages, &archives)?;
    for entry in fs::read_dir(&archives)? {
        let entry = entry?;
        // qemu and its libraries are not installed, since they conflict with other versions of qemu's tools.
        let into = match entry.file_name().to_string_lossy().starts_with("linux-image") {
            true => tree.clone(),
            false => work.join("qemu"),
        };
        run(Command::new("dpkg").arg("--extract").arg(entry.path()).arg(into))?;
    }
    ensure!(work.join("qemu/usr/bin/qemu-system-x86_64").is_file(), "the packages hold no qemu-system-x86_64");

    let release = kernel.strip_prefix("linux-image-").context("a kernel package of another name")?;
    unpack_kernel(&tree.join("boot").join(format!("vmlinuz-{release}")), work)?;
    run(Command::new("depmod").arg("-b").arg(&tree).arg(release))?;
    image::build(&tree, release, &work.join("initramfs"))?;
    fs::remove_dir_all(&archives)?;
    Ok(fs::remove_dir_all(&tree)?)
}

/// The kernel that Debian's metapackage names now.
fn kernel_package() -> Result<String> {
    let depends = output("apt-cache", &["depends", "linux-image-amd64"])?;
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    Ok(format!("linux-image-{}", name.context("apt knows no linux-image-amd64: apt-get update")?.trim()))
}

/// The package, and what it depends on and is not installed.
fn missing_packages(package: &str) -> Result<Vec<String>> {
    let without =
        ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(|kind| format!("--no-{kind}"));
    let without: Vec<&str> = without.iter().map(String::as_str).collect();
    let depends = output("apt-cache", &[&["depends", "--recurse"], &without[..], &[package]].concat())?;
    // Names stand at the beginning of a line; those in angle brackets are virtual.
    let names = depends.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names.retain(|name| name == package || !crate::packages::installed(name));
    Ok(names)
}

fn download(packages: &[String], folder: &Path) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-qq", "-oAPT::Sandbox::User=root", "download"]).args(packages).current_dir(folder);
    run(&mut command)
}

/// Takes the kernel proper out of its compressed image, which emulation would take seconds to do at each start.
fn unpack_kernel(packed: &Path, work: &Path) -> Result<()> {
    let image = fs::read(packed).with_context(|| packed.display().to_string())?;
    let magic = b"\xfd7zXZ\0";
    let start =
        image.windows(magic.len()).position(|window| window == magic).context("the kernel is not packed by xz")?;
    let stream = work.join("vmlinux.xz");
    fs::write(&stream, image.get(start..).unwrap_or_default())?;
    // What follows the stream in the image is none of xz's business.
    let mut xz = Command::new("xz");
    xz.args(["--decompress", "--single-stream", "--quiet", "--quiet"]).arg(&stream);
    let _ = xz.stdin(Stdio::null()).status()?;
    ensure!(work.join("vmlinux").is_file(), "the kernel could not be unpacked");
    Ok(())
}

/// Runs a command that has to succeed, and gives what it printed.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| program.to_owned())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()),
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{:?}", command.get_program()))?;
    match status.success() {
        true => Ok(()),
        false => bail!("{:?} failed", command.get_program()),
    }
}
