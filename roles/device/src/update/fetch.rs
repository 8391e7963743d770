//! Where bundles come from: an https place, file by file, or an archive on the disk.

use super::install;
use crate::{Agent, Config, DeviceError, birth, file};
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{Anchors, Certificate, oid};
use landfall_tuf::{Archive, Fetched, Source};
use landfall_types::{Fault, Refusal, http::Request};
use std::{path::PathBuf, time::Duration};

const SECTION: &str = "RFC 9019 s3";
/// A large image over a slow line.
const EXCHANGE: Duration = Duration::from_secs(600);

/// Where a bundle is.
pub(super) enum Origin {
    /// The files of an archive.
    Archive(Vec<u8>),
    /// The files of a folder at a server.
    Server { endpoint: Endpoint, folder: String, tls: ClientTls },
}

impl Origin {
    pub(super) fn parse(text: &str, config: &Config) -> Result<Self, DeviceError> {
        let Some(rest) = text.strip_prefix("https://") else {
            if text.contains("://") {
                return Err(DeviceError::Config(format!("{text:.200} is no https place")));
            }
            return install::archive(&PathBuf::from(text)).map(Self::Archive);
        };
        let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let endpoint = Endpoint::parse(host, 443).map_err(|e| DeviceError::Config(format!("[update] from: {e}")))?;
        let folder = match folder.trim_matches('/') {
            "" => "/".to_owned(),
            folder => format!("/{folder}/"),
        };
        Ok(Self::Server { endpoint, folder, tls: tls(config)? })
    }

    /// What `check` makes of its files, each of which is fetched when it is wanted.
    pub(super) async fn read<T>(
        &self,
        mut check: impl FnMut(&dyn Source) -> Result<T, Refusal>,
    ) -> Result<Result<T, Refusal>, DeviceError> {
        let (endpoint, folder, tls) = match self {
            Self::Archive(bytes) => return Ok(Archive::read(bytes).and_then(|archive| check(&archive))),
            Self::Server { endpoint, folder, tls } => (endpoint, folder, tls),
        };
        let mut fetched = Fetched::default();
        loop {
            let checked = check(&fetched);
            let Some((path, longest)) = fetched.wanted() else { return Ok(checked) };
            match fetch(endpoint, &format!("{folder}{path}"), tls, longest).await {
                Ok(content) => fetched.put(path, content),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
    }
}

/// One file; none if there is no such file. A connection for each, so that none may answer with more than its file has.
async fn fetch(endpoint: &Endpoint, path: &str, tls: &ClientTls, longest: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let refuse = |fault, why: String| Refusal::new(fault, "firmware-source", SECTION, why);
    let body_bytes = usize::try_from(longest).unwrap_or(usize::MAX);
    let limits = ClientLimits { exchange: EXCHANGE, body_bytes, ..ClientLimits::default() };
    let asked = async {
        let mut connection = Connection::open(endpoint, Some(tls), limits).await?;
        connection.send(Request::get(path)).await
    };
    let answer = asked.await.map_err(|why: NetError| refuse(Fault::Backend, format!("{path:.200}: {why}")))?;
    match answer.status {
        200 => Ok(Some(answer.body)),
        404 => Ok(None),
        status => Err(refuse(Fault::Backend, format!("{path:.200}: the server answered {status}"))),
    }
}

/// By the network credential, if there is one: where devices are mended may be for those of the domain alone.
fn tls(config: &Config) -> Result<ClientTls, DeviceError> {
    let agent = match birth::is_of_brski(config)? {
        true => Some(Agent::open(config.clone())?),
        false => None,
    };
    let credential = match agent.as_ref().map(Agent::credential) {
        Some(Err(DeviceError::NotOnboarded)) | None => None,
        Some(credential) => Some(credential?),
    };
    let identity = match (&agent, &credential) {
        (Some(agent), Some(held)) => {
            Some(TlsIdentity { chain: held.presented(), signer: agent.element.signer(&held.key)? })
        }
        _ => None,
    };
    match (&config.update.anchors, &credential) {
        (Some(path), _) => {
            let text = file::read(path)?.ok_or_else(|| DeviceError::file(path, "there is no such file"))?;
            let anchors = Anchors::of(Certificate::chain_from_pem(&String::from_utf8_lossy(&text))?);
            Ok(ClientTls::named(anchors, identity.as_ref())?)
        }
        // It may have any name, if the device's own domain says that it is a server.
        (None, Some(held)) => Ok(ClientTls::anchored(held.domain(), vec![oid::SERVER_AUTH], identity.as_ref())?),
        (None, None) => Err(DeviceError::Config("[update] anchors is not set, and the device is in no domain".into())),
    }
}
