//! Copies of what crossed the wire, for whoever wants to check it with other tools.

use crate::{DeviceError, birth::Birth, file, state::pem};
use landfall_brski::{est::client, media, paths, pledge::Credential, voucher::Format};
use landfall_types::http::{Request, Response};
use std::path::PathBuf;

/// A folder for evidence, or nowhere.
#[derive(Clone, Debug)]
pub(crate) struct Evidence(Option<PathBuf>);

impl Evidence {
    pub(crate) fn new(folder: Option<PathBuf>) -> Result<Self, DeviceError> {
        folder.iter().try_for_each(|folder| file::make_folder(folder))?;
        Ok(Self(folder))
    }

    pub(crate) fn birth(&self, birth: &Birth) {
        self.keep("idevid.pem", || birth.idevid.to_pem());
        self.keep("idevid-chain.pem", || pem(&birth.chain));
        self.keep("masa-anchor.pem", || pem(&birth.masa_anchors));
    }

    /// A request as it leaves.
    pub(crate) fn request(&self, request: &Request) {
        let format = request.headers.first("content-type").and_then(Format::from_media_type);
        if let Some(format) = format {
            self.keep(&format!("pledge-voucher-request.{}", extension(format)), || &request.body);
        }
    }

    /// The response to a request for `path`, as it came.
    pub(crate) fn response(&self, path: &str, response: &Response) {
        if self.0.is_some()
            && path == paths::CACERTS
            && let Ok(certificates) = client::read_cacerts(response)
        {
            self.keep("cacerts.pem", || pem(&certificates));
        }
        if path == paths::CSR_ATTRIBUTES && response.headers.first("content-type") == Some(media::CSR_ATTRIBUTES) {
            self.keep("csrattrs.b64", || &response.body);
        }
    }

    /// What the device showed of its software.
    pub(crate) fn attested(&self, shown: &landfall_attest::Shown) {
        self.keep("attestation-evidence.cmw.json", || shown.to_cmw());
    }

    pub(crate) fn credential(&self, credential: &Credential, format: Format) {
        self.keep(&format!("voucher.{}", extension(format)), || &credential.voucher);
        self.keep("ldevid.pem", || credential.ldevid.to_pem());
        self.keep("ldevid-chain.pem", || pem(&credential.chain));
        self.keep("pinned-domain-cert.pem", || credential.pinned.to_pem());
    }

    /// Evidence is a by-product: if it cannot be kept, that is said and nothing else suffers.
    fn keep<C: AsRef<[u8]>>(&self, name: &str, content: impl FnOnce() -> C) {
        let Some(folder) = &self.0 else { return };
        if let Err(error) = file::replace(&folder.join(name), content().as_ref()) {
            tracing::warn!(%error, "evidence was not kept");
        }
    }
}

const fn extension(format: Format) -> &'static str {
    match format {
        Format::CmsJson => "cms",
        Format::JwsJson => "jws",
        Format::CoseCbor => "cose",
    }
}
