//! `landfall inspect FILE`: what a file is, whether it is right, and why not.

mod attest;
mod capture;
mod dpp;
mod est;
mod json;
mod mud;
mod recognise;
mod report;
mod voucher;
mod x509;

use crate::output::{Answer, Output};
use anyhow::{Context as _, bail};
use landfall_pki::{Anchors, Certificate};
use landfall_types::Time;
use recognise::recognise;
use std::{
    fs::File,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Recognises certificates and chains, certificate requests, revocation lists, certs-only PKCS#7, \
    vouchers and voucher requests (CMS, JWS, COSE), CSR attributes, audit logs, status telemetry and MUD files, in DER, BER, \
    PEM or base64; quotes, event logs, evidence and results of attestation; and of Wi-Fi Easy Connect bootstrapping URIs, QR pictures, NFC records, connectors, configuration, frames and captures \
    (pcap, pcapng). Exit status 1 means that something is wrong with it."
)]
pub(crate) struct Args {
    /// The file, or a bootstrapping URI itself (`DPP:…;;`); `-` is standard input.
    file: PathBuf,
    /// Certificates to trust, in PEM or DER; may be repeated. Without any, trust is not judged.
    #[arg(long = "anchor", value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// The time at which it has to be valid, such as 2026-11-22T09:30:00Z; now if not given.
    #[arg(long, value_name = "TIME")]
    at: Option<Time>,
}

/// The largest file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a file is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// What is trusted; empty if trust is not to be judged.
    pub(crate) anchors: Vec<Certificate>,
    /// When it has to be valid.
    pub(crate) at: Time,
}

impl Context {
    fn trusted(&self) -> Anchors {
        Anchors::of(self.anchors.iter().cloned())
    }
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let mut anchors = Vec::new();
    for path in &args.anchors {
        anchors.extend(certificates(path)?);
    }
    let context = Context { anchors, at: args.at.unwrap_or_else(Time::now) };
    let report = match args.file.to_str().filter(|text| text.starts_with(landfall_dpp::Uri::SCHEME)) {
        Some(uri) => dpp::uri(uri),
        None => recognise(&read(&args.file)?, &context),
    };
    output.show_as(&report, || format!("{}: {report}", args.file.display()))?;
    Ok(report.is_right().into())
}

/// Says what a file is.
pub(crate) fn show(file: &Path, output: &Output) -> anyhow::Result<Answer> {
    let report = recognise(&read(file)?, &Context { anchors: Vec::new(), at: Time::now() });
    output.show_as(&report, || format!("{}: {report}", file.display()))?;
    Ok(report.is_right().into())
}

/// What is to be said of a MUD file.
pub(crate) fn mud_file(bytes: &[u8]) -> report::Report {
    mud::file(bytes)
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("reading {}", path.display()))?;
    if bytes.len() as u64 > LARGEST {
        bail!("{} has more than {} MiB, which no artefact that is known here has", path.display(), LARGEST >> 20);
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let bytes = read(path)?;
    let found = match std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN")) {
        Some(pem) => Certificate::chain_from_pem(pem),
        None => Certificate::from_der(&bytes).map(|certificate| vec![certificate]),
    };
    let found = found.with_context(|| format!("reading the anchor {}", path.display()))?;
    if found.is_empty() {
        bail!("the anchor {} holds no certificate", path.display());
    }
    Ok(found)
}
