//! Debian packages that tests use: installed where that is possible, named where it is not.

use crate::target;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const LIST: &str = include_str!("../debian-packages.txt");

/// The standards whose published examples the conformance tests read. They come with a Debian package whose licence
/// keeps it out of Debian proper, and out of this repository.
const RFCS: [u32; 9] = [7030, 8343, 8366, 8519, 8520, 8951, 8990, 8995, 9148];
const RFC_PACKAGE: &str = "doc-rfc-std-proposed";

/// Installs what is missing; an error says what to type instead.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = wanted().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        println!("all packages of xtask/debian-packages.txt are installed");
        return Ok(());
    }
    let advice = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    ensure!(is_root() && exists("apt-get"), "some tests will be skipped; as root: {advice}");
    println!("{advice}");
    let _held = HoldDaemons::start()?;
    apt(&["update"]).and_then(|()| apt(&[&["install", "--yes", "--no-install-recommends"], &missing[..]].concat()))
}

fn wanted() -> impl Iterator<Item = &'static str> {
    LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(crate) fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query").args(["--show", "--showformat=${Status}", package]).output();
    status.is_ok_and(|status| status.stdout.ends_with(b"install ok installed"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    match command.status()?.success() {
        true => Ok(()),
        false => bail!("apt-get {} failed", arguments.join(" ")),
    }
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

pub(crate) fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// While it lives, installing a package starts no daemon (Debian policy's invoke-rc.d asks this script first).
struct HoldDaemons(Option<PathBuf>);

impl HoldDaemons {
    fn start() -> Result<Self> {
        let path = Path::new("/usr/sbin/policy-rc.d");
        if path.exists() {
            return Ok(Self(None));
        }
        fs::write(path, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(Self(Some(path.to_owned())))
    }
}

impl Drop for HoldDaemons {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Puts the standards into `target/rfc` as plain text, without touching the machine's own list of package sources.
/// Returns that folder.
pub(crate) fn rfcs() -> Result<PathBuf> {
    let dir = target().join("rfc");
    let text = |number: &u32| dir.join(format!("rfc{number}.txt"));
    if RFCS.iter().all(|number| text(number).is_file()) {
        return Ok(dir);
    }
    ensure!(exists("apt-get") && exists("dpkg"), "{RFC_PACKAGE} is a Debian package, and this is no Debian");
    let work = dir.join("package");
    fs::create_dir_all(work.join("lists/partial"))?;

    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release names no release")?;
    let sources = work.join("non-free.list");
    fs::write(&sources, format!("deb http://deb.debian.org/debian {codename} non-free\n"))?;
    let options = [
        format!("-oDir::Etc::sourcelist={}", sources.display()),
        "-oDir::Etc::sourceparts=-".to_owned(),
        format!("-oDir::State::lists={}", work.join("lists").display()),
        "-oAPT::Sandbox::User=root".to_owned(),
    ];
    for arguments in [["update"].as_slice(), &["download", RFC_PACKAGE]] {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(&options).args(arguments).current_dir(&work).stdin(Stdio::null());
        ensure!(command.status()?.success(), "apt-get {} failed", arguments.join(" "));
    }

    let mut files = fs::read_dir(&work)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
    unpack(&archive.context("apt-get downloaded nothing")?, &dir)?;
    fs::remove_dir_all(&work)?;
    Ok(dir)
}

/// Takes only the wanted texts out of the archive, which holds thousands.
fn unpack(archive: &Path, dir: &Path) -> Result<()> {
    let mut tar = Command::new("dpkg").arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped()).spawn()?;
    let stream = tar.stdout.take().context("dpkg gave no stream")?;
    let members = RFCS.map(|number| format!("./usr/share/doc/RFC/proposed-standard/rfc{number}.txt.gz"));
    let mut extract = Command::new("tar");
    extract.args(["--extract", "--strip-components=6", "--directory"]).arg(dir).args(members).stdin(stream);
    ensure!(extract.status()?.success(), "the archive does not hold the texts where they were expected");
    // tar stops reading once it has what it wants, which may end dpkg by a broken pipe: that is no error.
    let _ = tar.wait();

    for number in RFCS {
        let packed = dir.join(format!("rfc{number}.txt.gz"));
        let unzipped = Command::new("gzip").args(["--decompress", "--stdout"]).arg(&packed).output()?;
        ensure!(unzipped.status.success(), "{} cannot be unpacked", packed.display());
        fs::write(dir.join(format!("rfc{number}.txt")), unzipped.stdout)?;
        fs::remove_file(packed)?;
    }
    Ok(())
}
