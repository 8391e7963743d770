//! The files by which a TPM's proof goes back and forth.

use anyhow::Context;
use landfall_pki::{Anchors, Certificate};
use landfall_server::factory::Verifier;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Whom the factory believes about TPMs.
pub(super) fn verifier(files: &[PathBuf]) -> anyhow::Result<Verifier> {
    let mut makers = Anchors::new();
    for file in files {
        let pem = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        for certificate in Certificate::chain_from_pem(&pem).with_context(|| format!("reading {}", file.display()))? {
            makers.add(certificate);
        }
    }
    Ok(Verifier { makers, intermediates: Vec::new() })
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&content).with_context(|| format!("reading {}", path.display()))
}

/// Writes a file for its owner only: whoever knows it could answer without the TPM.
pub(super) fn keep(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).with_context(writing)?;
    file.write_all(&serde_json::to_vec_pretty(value)?).with_context(writing)
}
