//! What the device shows of its software (RFC 9334 s3: the attester): a quote of its TPM, or, without one, an EAT.

use crate::{Config, DeviceError, agent::tpm_element, birth::Birth, file, update};
use aws_lc_rs::digest;
use landfall_attest::{
    Challenge, Connection, Evidence, Quoted, Shown,
    eat::Claims,
    log::{self, Event, IPL},
    shown::{LONGEST_SBOM, digest_of},
};
use landfall_brski::ChannelBinding;
use landfall_element::SecureElement;
use landfall_types::Fingerprint;
use serde::Deserialize;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What a verifier looks at. What the PCRs hold is told without a longer one.
const LONGEST_LOG: usize = log::LONGEST;

/// So much may go along with a certificate request, wrapped as it is.
const ROOM: usize = 448 * 1024;

/// `[attestation]`: what the device shows of its software.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Attestation {
    /// The PCRs that the TPM quotes, of its SHA-256 bank.
    pub pcrs: Vec<u8>,
    /// The event log: that of the firmware, which Linux has at `/sys/kernel/security/tpm0/binary_bios_measurements`, or that
    /// which `landfall device measure` writes.
    pub event_log: Option<PathBuf>,
    /// The file that is the firmware, for a device without a TPM; by default the image of `[update]`, or the agent itself.
    pub firmware: Option<PathBuf>,
    /// Its version, if no update has told one.
    pub release: String,
    /// How often `run` shows the registrar what runs; by default only when a certificate is asked for.
    pub every_seconds: Option<u64>,
    /// What the registrar's own software must look like, before it may act on the device: signed reference values.
    pub service_values: Option<PathBuf>,
    /// The certificates or public keys, in PEM, of those who may say so.
    pub service_signers: Vec<PathBuf>,
}

impl Default for Attestation {
    fn default() -> Self {
        Self {
            pcrs: (0..=9).collect(),
            event_log: None,
            firmware: None,
            release: "unknown".into(),
            every_seconds: None,
            service_values: None,
            service_signers: Vec::new(),
        }
    }
}

/// `[software]`: what the device says that it consists of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Software {
    /// The list of its components: CycloneDX or SPDX, in JSON. It goes along with evidence.
    pub sbom: Option<PathBuf>,
    /// Where `run` serves it by https to the owner's servers: an address and a port.
    pub serve: Option<SocketAddr>,
}

/// Evidence for a nonce, over one connection, and what the device consists of.
///
/// # Errors
/// If the connection has nothing to be told by, or the TPM or a file fails.
pub(crate) fn evidence(
    config: &Config,
    element: &dyn SecureElement,
    birth: &Birth,
    nonce: &[u8],
    binding: &ChannelBinding,
) -> Result<Shown, DeviceError> {
    let none = || DeviceError::Config("the connection has no channel binding that evidence could be bound to".into());
    let challenge = Challenge::new(nonce, Connection(binding.value().ok_or_else(none)?)).map_err(DeviceError::Birth)?;
    if birth.attestation.is_empty() {
        let sbom = sbom(config, 0);
        let evidence = token(config, element, birth, &challenge, sbom.as_deref().map(digest_of))?;
        return Ok(Shown { evidence, sbom });
    }
    let log = event_log(&config.attestation)?;
    let sbom = sbom(config, log.as_ref().map_or(0, Vec::len));
    let evidence = Evidence::Tpm(quoted(config, birth, &challenge, log, sbom.as_deref().map(digest_of))?);
    Ok(Shown { evidence, sbom })
}

/// The list of components, if there is one that can go along with a log of so many octets. One that cannot is no reason to show
/// nothing: what is missing opens nothing.
fn sbom(config: &Config, log: usize) -> Option<Vec<u8>> {
    let path = config.software.sbom.as_deref()?;
    let why = match file::read_up_to(LONGEST_SBOM as u64, path) {
        // In base64 once, and the log twice.
        Ok(Some(sbom)) if sbom.len() / 3 * 4 + log / 9 * 16 <= ROOM => return Some(sbom),
        Ok(Some(_)) => "it is too long beside the event log".to_owned(),
        Ok(None) => "it is not there".to_owned(),
        Err(why) => why.to_string(),
    };
    tracing::warn!(path = %path.display(), why, "the list of components is not shown with evidence");
    None
}

fn event_log(about: &Attestation) -> Result<Option<Vec<u8>>, DeviceError> {
    let log = about.event_log.as_deref().map(file::read).transpose()?.flatten();
    Ok(log.filter(|log| {
        let fits = log.len() <= LONGEST_LOG;
        if !fits {
            tracing::warn!(octets = log.len(), "the event log is too long to be shown");
        }
        fits
    }))
}

fn quoted(
    config: &Config,
    birth: &Birth,
    challenge: &Challenge,
    log: Option<Vec<u8>>,
    sbom: Option<Fingerprint>,
) -> Result<Quoted, DeviceError> {
    let covered = challenge.covered_with(sbom.as_ref());
    let quote = tpm_element(config)?.quote(&config.attestation.pcrs, &covered)?;
    Ok(Quoted {
        nonce: challenge.nonce().to_vec(),
        statement: quote.statement,
        signature: quote.signature,
        pcrs: quote.pcrs,
        log,
        certificates: birth.attestation.clone(),
        key: None,
        sbom,
    })
}

fn token(
    config: &Config,
    element: &dyn SecureElement,
    birth: &Birth,
    challenge: &Challenge,
    sbom: Option<Fingerprint>,
) -> Result<Evidence, DeviceError> {
    let about = &config.attestation;
    let own = || std::env::current_exe().map_err(DeviceError::io("the agent's own program"));
    let firmware = about.firmware.clone().or_else(|| config.update.image.clone()).map_or_else(own, Ok)?;
    // An image that was taken by an update has the version that its manufacturer gave it.
    let taken = match config.update.image.as_ref() == Some(&firmware) {
        true => update::installed(config)?.map(|installed| installed.release.version),
        false => None,
    };
    let claims = Claims {
        covered: challenge.covered().to_vec(),
        nonce: challenge.nonce().to_vec(),
        firmware: (birth.model.to_string(), taken.unwrap_or_else(|| about.release.clone())),
        measured: sha256(&fs::read(&firmware).map_err(DeviceError::io(&firmware))?),
        sbom,
    };
    let chain = birth.presented();
    let token = claims.sign(&*element.signer(&birth.key)?, &chain)?;
    Evidence::of_eat(token).map_err(DeviceError::Birth)
}

/// Measures a file into a PCR of the device's TPM, before it is run, and writes that to the event log. What the firmware and
/// the boot loader do before there is an agent, this does for what comes after them.
///
/// # Errors
/// If the device has no TPM, or the file or the log cannot be read or written.
pub fn measure(config: &Config, pcr: u8, path: &Path, name: Option<&str>) -> Result<Event, DeviceError> {
    let log_path = config.attestation.event_log.clone();
    let log_path = log_path.ok_or_else(|| DeviceError::Config("[attestation] event-log names no file".into()))?;
    let content = fs::read(path).map_err(DeviceError::io(path))?;
    let told = name.map_or_else(|| path.display().to_string(), str::to_owned);
    let event = log::event(pcr, IPL, &content, &told);
    // The log first: a measurement that it does not tell of could never be explained.
    let header = match fs::metadata(&log_path) {
        Err(error) if error.kind() == ErrorKind::NotFound => log::log_header(),
        _ => Vec::new(),
    };
    let mut open = OpenOptions::new();
    let mut log = open.append(true).create(true).open(&log_path).map_err(DeviceError::io(&log_path))?;
    log.write_all(&[header, log::record(&event)].concat()).map_err(DeviceError::io(&log_path))?;
    tpm_element(config)?.measure(pcr, &event.digest)?;
    Ok(event)
}

pub(crate) fn sha256(content: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, content).as_ref().try_into().unwrap_or_default()
}
