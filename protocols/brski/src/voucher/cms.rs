//! Artefacts in CMS (RFC 8366 s5.4).

use super::{ContentType, Format, MAX_CERTIFICATES, Opened, SealOptions, VoucherError};
use landfall_pki::{
    Certificate, SignedData, SignedDataBuilder,
    cms::PreparedSignedData,
    oid::{DATA, VOUCHER_CONTENT},
};

pub(super) fn open(der: &[u8]) -> Result<Opened, VoucherError> {
    let failed = |e| VoucherError::pki(Format::CmsJson, &e);
    // RFC 8366 s5.4: in DER, so one message has one encoding.
    let message = SignedData::parse_der(der).map_err(failed)?;
    let content_type = message.content_type();
    if content_type != VOUCHER_CONTENT && content_type != DATA {
        return Err(VoucherError::ContentType(content_type.to_string()));
    }
    if message.certificates().len() > MAX_CERTIFICATES {
        return Err(VoucherError::TooManyCertificates(message.certificates().len()));
    }
    if message.signer_count() != 1 {
        return Err(VoucherError::Signatures(message.signer_count()));
    }
    if message.certificates().is_empty() {
        return Err(VoucherError::NoSigner);
    }
    let signer = message.verify().map_err(|e| VoucherError::signature(&e))?;
    let certificates = message.certificates().iter().filter(|c| **c != signer).cloned().collect();
    Ok(Opened { content: message.content().to_vec(), signer, certificates })
}

pub(super) fn prepare(
    content: Vec<u8>,
    signer: &Certificate,
    extra: &[Certificate],
    options: SealOptions,
) -> Result<PreparedSignedData, VoucherError> {
    let content_type = match options.content_type {
        ContentType::AnimaJsonVoucher => VOUCHER_CONTENT,
        ContentType::Data => DATA,
    };
    SignedDataBuilder::new(content_type, content, signer, extra.iter().cloned())
        .prepare(None)
        .map_err(|e| VoucherError::Sealing(e.to_string()))
}
