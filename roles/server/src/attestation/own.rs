//! What the server itself runs, shown to devices that want to know before they let it act on them (SP 1800-36B 7.8).

use crate::{RoleError, settings::AttestationSettings};
use landfall_attest::{Challenge, Connection, Evidence, Quoted};
use landfall_brski::ChannelBinding;
use landfall_pki::PublicKey;
use landfall_tpm::TpmElement;
use landfall_types::{Fault, Refusal};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The server's own TPM.
#[derive(Debug)]
pub struct Own {
    tpm: TpmElement,
    pcrs: Vec<u8>,
    log: Option<PathBuf>,
    key: PublicKey,
}

impl Own {
    /// As `settings` say, if the server shows anything of itself.
    ///
    /// # Errors
    /// If the TPM is not there, or makes no key.
    pub fn open(settings: &AttestationSettings, resolve: impl Fn(&Path) -> PathBuf) -> Result<Option<Self>, RoleError> {
        let Some(uri) = &settings.own_tpm else { return Ok(None) };
        let failed = || RoleError::while_(format!("the registrar's own TPM {uri} (registrar.attestation.own-tpm)"));
        let tpm = TpmElement::from_uri(uri, &resolve(&settings.own_keys)).map_err(failed())?;
        let key = tpm.attestation_public_key().map_err(failed())?;
        tracing::info!(key = %key.fingerprint(), "devices can have this server's own evidence, signed by this key");
        let log = settings.own_event_log.as_deref().map(resolve);
        Ok(Some(Self { tpm, pcrs: settings.own_pcrs.clone(), log, key }))
    }

    /// What the server runs, for a device's nonce and over one connection.
    pub(crate) fn show(&self, nonce: &[u8], binding: &ChannelBinding) -> Result<String, Refusal> {
        let backend = |why: &dyn std::fmt::Display| {
            Refusal::new(Fault::Backend, "own-evidence", "SP 1800-36B 7.8", why.to_string())
        };
        let none =
            || Refusal::new(Fault::Incompatible, "attestation-channel", "RFC 9266 s3", "the connection has no binding");
        let challenge = Challenge::new(nonce, Connection(binding.value().ok_or_else(none)?))?;
        let quote = self.tpm.quote(&self.pcrs, challenge.covered()).map_err(|why| backend(&why))?;
        let log = self.log.as_deref().map(fs::read).transpose().map_err(|why| backend(&why))?;
        let evidence = Evidence::Tpm(Quoted {
            nonce: nonce.to_vec(),
            statement: quote.statement,
            signature: quote.signature,
            pcrs: quote.pcrs,
            log,
            certificates: Vec::new(),
            key: Some(self.key.clone()),
            sbom: None,
        });
        Ok(evidence.to_cmw())
    }
}
