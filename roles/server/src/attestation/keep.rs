//! Evidence in files that other people's tools read: `tpm2_checkquote`, `tpm2_eventlog`, anything that knows JWTs.

use super::AttestationRecord;
use landfall_attest::{Challenge, Connection, Evidence, Shown};
use landfall_brski::ChannelBinding;
use landfall_pki::{Certificate, pem};
use std::{fs, io, path::Path};

/// Evidence is a by-product: if it cannot be kept, that is said and nothing else suffers.
pub(super) fn keep(folder: &Path, cmw: &[u8], shown: &Shown, binding: &ChannelBinding, record: &AttestationRecord) {
    if let Err(error) = write(folder, cmw, shown, binding, record) {
        tracing::warn!(%error, folder = %folder.display(), "attestation evidence was not kept");
    }
}

fn write(
    folder: &Path,
    cmw: &[u8],
    shown: &Shown,
    binding: &ChannelBinding,
    record: &AttestationRecord,
) -> io::Result<()> {
    let Shown { evidence, sbom } = shown;
    fs::create_dir_all(folder)?;
    let file = |name: &str, content: &[u8]| fs::write(folder.join(name), content);
    file("evidence.cmw.json", cmw)?;
    file("result.ear.jwt", record.ear.as_bytes())?;
    file("result.txt", format!("{}\n", record.why).as_bytes())?;
    file("nonce.hex", hex::encode(evidence.nonce()).as_bytes())?;
    if let Some(connection) = binding.value() {
        file("tls-exporter.hex", hex::encode(connection).as_bytes())?;
        if let Ok(challenge) = Challenge::new(evidence.nonce(), Connection(connection)) {
            file("qualification.hex", hex::encode(challenge.covered_with(evidence.sbom().as_ref())).as_bytes())?;
        }
    }
    if let Some(sbom) = sbom {
        file("sbom.json", sbom)?;
    }
    let certificates = |all: &[Certificate]| all.iter().map(Certificate::to_pem).collect::<String>();
    match evidence {
        Evidence::Tpm(quoted) => {
            file("quote.attest", &quoted.statement)?;
            file("quote.sig", &quoted.signature)?;
            file("attestation-key.pem", certificates(&quoted.certificates).as_bytes())?;
            if let Some(by) = quoted.certificates.first() {
                file("attestation-key.pub.pem", pem::encode("PUBLIC KEY", by.public_key().spki_der()).as_bytes())?;
            }
            let pcrs: String =
                quoted.pcrs.iter().map(|(pcr, value)| format!("{pcr}: {}\n", hex::encode(value))).collect();
            file("pcrs.txt", pcrs.as_bytes())?;
            quoted.log.as_deref().map_or(Ok(()), |log| file("event-log", log))
        }
        Evidence::Software(token, eat) => {
            file("evidence.eat.jwt", token.as_bytes())?;
            file("birth-key.pem", certificates(&eat.certificates).as_bytes())
        }
    }
}
