//! What is in the machine: programs of this one with their libraries, modules of the kernel, and the first process.

use super::{cpio::Archive, output};
use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The first process.
pub(super) const INIT: &str = include_str!("init.sh");

/// The programs in it.
pub(super) const PROGRAMS: [&str; 10] =
    ["busybox", "hostapd", "hostapd_cli", "wpa_supplicant", "wpa_cli", "iw", "ip", "bridge", "nft", "tcpdump"];

/// The modules that are loaded, in this order, after those that they need; with their options.
const MODULES: [(&str, &str); 18] = [
    ("mac80211_hwsim", "radios=4"),
    ("ccm", ""),
    ("gcm", ""),
    ("cmac", ""),
    ("ctr", ""),
    ("ghash_generic", ""),
    ("virtio_pci", ""),
    ("virtio_net", ""),
    ("virtio_console", ""),
    ("nft_chain_nat", ""),
    ("nft_nat", ""),
    ("veth", ""),
    ("bridge", ""),
    ("8021q", ""),
    ("nft_meta_bridge", ""),
    ("nft_limit", ""),
    ("nft_log", ""),
    ("nfnetlink_log", ""),
];

/// Where Debian puts programs.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Without what stands here hostapd cannot start TLS.
const CRYPTO: &str = "/usr/lib/x86_64-linux-gnu/ossl-modules";

/// The program of that name, if it is installed.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Writes the image, with modules from the unpacked kernel package at `kernel`.
pub(super) fn build(kernel: &Path, release: &str, image: &Path) -> Result<()> {
    let mut archive = Archive::default();
    for folder in ["/dev", "/proc", "/sys", "/tmp", "/run", "/etc", "/bin"] {
        archive.folder(folder);
    }
    archive.file("/init", 0o755, INIT.as_bytes());

    let mut files = BTreeSet::new();
    for name in PROGRAMS {
        let path = program(name).with_context(|| format!("{name} is not installed"))?;
        files.extend(libraries(&path)?);
        // The first process names busybox by this path.
        match name {
            "busybox" => archive.file("/bin/busybox", 0o755, &fs::read(path)?),
            _ => archive.file(&path.to_string_lossy(), 0o755, &fs::read(&path)?),
        }
    }
    for module in fs::read_dir(CRYPTO).with_context(|| CRYPTO.to_owned())? {
        files.insert(module?.path());
    }
    for file in files {
        archive.file(&file.to_string_lossy(), 0o755, &fs::read(&file)?);
    }
    modules(kernel, release, &mut archive)?;
    fs::write(image, archive.end()).with_context(|| image.display().to_string())
}

/// The libraries that a program is linked to, by the paths under which it looks for them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    // ldd fails for a program that is linked to none.
    let listed = output("ldd", &[&program.to_string_lossy()]).unwrap_or_default();
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(|path| PathBuf::from(path.trim_end_matches(':'))).filter(|path| path != program).collect())
}

fn modules(kernel: &Path, release: &str, archive: &mut Archive) -> Result<()> {
    let mut list = String::new();
    let mut taken = BTreeSet::new();
    for (module, options) in MODULES {
        let kernel = kernel.to_string_lossy();
        let needed = output("modprobe", &["-d", &kernel, "-S", release, "--show-depends", module])?;
        for path in needed.lines().filter_map(|line| line.strip_prefix("insmod ")).map(str::trim) {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !taken.insert(name.to_owned()) {
                continue;
            }
            archive.file(&format!("/modules/{name}"), 0o644, &fs::read(path).with_context(|| path.to_owned())?);
            let own = name.strip_suffix(".ko") == Some(module);
            list += &format!("{name} {}\n", if own { options } else { "" });
        }
    }
    archive.file("/modules/list", 0o644, list.as_bytes());
    Ok(())
}
