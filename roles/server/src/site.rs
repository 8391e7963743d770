//! A place in the web that the settings name: it is asked by https alone, and who vouches for its server is in the settings.

use crate::{identity::anchors, settings::Settings};
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_types::Redacted;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What is wrong with settings: the field, and why.
pub(crate) type Wrong = (&'static str, String);

/// A place that is asked, or told.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    endpoint: Endpoint,
    /// The path, with the query if there is one.
    pub(crate) path: String,
    tls: ClientTls,
}

impl Site {
    /// The one at `url`, whose server's certificate leads to one of `trusted`.
    pub(crate) fn read(url: &str, trusted: &[PathBuf], settings: &Settings) -> Result<Self, Wrong> {
        Self::read_as(url, trusted, None, settings)
    }

    /// The same, where it is shown who asks.
    pub(crate) fn read_as(
        url: &str,
        trusted: &[PathBuf],
        identity: Option<&TlsIdentity>,
        settings: &Settings,
    ) -> Result<Self, Wrong> {
        let rest = url.strip_prefix("https://").ok_or(("url", "is not of https".to_owned()))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.bytes().all(is_plain) || authority.contains('@') {
            return Err(("url", "has characters that it should not; what is secret is in a file of its own".into()));
        }
        let endpoint: Endpoint = authority.parse().map_err(|why| ("url", format!("{why}")))?;
        if trusted.is_empty() {
            return Err(("anchors", "are missing: whose certificate its server has is to be known".into()));
        }
        let trusted = anchors(trusted, |path| settings.resolve(path)).map_err(|why| ("anchors", why.to_string()))?;
        let tls = ClientTls::named(trusted, identity).map_err(|why| ("anchors", why.to_string()))?;
        Ok(Self { endpoint, path: if path.is_empty() { "/".into() } else { path.to_owned() }, tls })
    }

    /// A connection to it.
    pub(crate) async fn open(&self, limits: ClientLimits) -> Result<Connection, NetError> {
        Connection::open(&self.endpoint, Some(&self.tls), limits).await
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.endpoint, self.path)
    }
}

/// The secret in the first line of a file.
pub(crate) fn secret(file: &Path, settings: &Settings) -> Result<Redacted<String>, String> {
    let file = settings.resolve(file);
    let text = std::fs::read_to_string(&file).map(Redacted::new);
    let text = text.map_err(|why| format!("{}: {why}", file.display()))?;
    match text.expose().lines().next().unwrap_or_default().trim() {
        "" => Err(format!("{} has nothing in its first line", file.display())),
        line => Ok(Redacted::new(line.to_owned())),
    }
}
