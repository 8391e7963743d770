//! Where the lists of the settings come from: files of the owner's, and servers that are asked by https.

use super::{ListRecord, refuse};
use crate::{
    settings::{DenyListSettings, Settings, Span},
    site::{Site, Wrong, secret},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_behaviour::{
    DenyList, Format, bounds,
    deny::taxii::{self, Poll, Step},
};
use landfall_net::{NetError, http::ClientLimits};
use landfall_types::{Fault, Redacted, Refusal, Time, http::Request};
use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// Nobody is asked for longer than this.
const DEADLINE: Duration = Duration::from_secs(300);
/// For each of looking up, connecting and the handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// For one page.
const EXCHANGE: Duration = Duration::from_secs(60);

/// A list, and where it is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) format: Format,
    /// So old it is no ground to rest on, if there is such an age.
    pub(super) max_age: Option<Duration>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Web { site: Site, login: Option<Redacted<String>> },
}

/// A list, of when it is, and which state of its file.
type Read = (DenyList, Time, Option<String>);

/// A server that says nothing new for so long says nothing any more.
const USUAL_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Source {
    pub(super) fn from_settings(list: &DenyListSettings, settings: &Settings) -> Result<Self, (&'static str, String)> {
        let format: Option<Format> = match &list.format {
            Some(format) => Some(format.parse().map_err(|why: Refusal| ("format", why.detail.to_string()))?),
            None => None,
        };
        let (place, usual) = match (&list.file, &list.url) {
            (Some(file), None) => (Place::File(settings.resolve(file)), Format::Plain),
            (None, Some(url)) => (web(list, url, settings)?, Format::Taxii),
            _ => return Err(("file", "or url is needed, one of them".into())),
        };
        let format = format.unwrap_or(usual);
        if let (Place::File(_), Format::Taxii) = (&place, format) {
            return Err(("format", "is that of a server's answers; a file of STIX has the format stix".into()));
        }
        // A file that somebody keeps by hand is as good as on its first day, unless he says otherwise.
        let usual = matches!(place, Place::Web { .. }).then_some(USUAL_AGE);
        let max_age = list.max_age.map(Span::duration).or(usual);
        Ok(Self { name: list.name.clone(), format, max_age, place })
    }

    /// Whether it is on this machine, so that asking costs nothing.
    pub(super) const fn is_here(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// What is there now; nothing if it is the file of before.
    pub(super) async fn read_now(&self, before: Option<&ListRecord>, now: Time) -> Result<Option<Read>, Refusal> {
        match &self.place {
            Place::File(path) => {
                let failed = |why: std::io::Error| {
                    refuse(Fault::Backend, "deny-list-file", format!("{}: {why}", path.display()))
                };
                let metadata = tokio::fs::metadata(path).await.map_err(failed)?;
                let (length, changed) = (metadata.len(), metadata.modified().map_err(failed)?);
                if length > bounds::LIST as u64 {
                    return Err(refuse(Fault::Malformed, "deny-list-size", format!("it has {length} bytes")));
                }
                let changed = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let state = Some(format!("{} {length}", changed.as_nanos()));
                // What is of another time by then is looked at anew with the usual refresh.
                let is_same =
                    |before: &ListRecord| before.state == state && before.trouble.is_none() && now < before.next;
                if before.is_some_and(is_same) {
                    return Ok(None);
                }
                let bytes = tokio::fs::read(path).await.map_err(failed)?;
                let list = DenyList::read(self.format, &bytes, now)?;
                Ok(Some((list, (Time::EPOCH + changed).min(now), state)))
            }
            Place::Web { .. } => {
                let late = || refuse(Fault::Peer, "deny-list-time", format!("it took longer than {DEADLINE:?}"));
                let read = timeout(DEADLINE, self.fetch(now)).await.map_err(|_| late())?;
                read.map(|list| Some((list, now, None)))
            }
        }
    }

    async fn fetch(&self, now: Time) -> Result<DenyList, Refusal> {
        if self.format != Format::Taxii {
            let bytes = self.get("", "*/*").await?;
            return DenyList::read(self.format, &bytes, now);
        }
        let mut poll = Poll::new(None);
        while poll.answer(&self.get(&poll.query(), taxii::MEDIA).await?)? == Step::More {}
        let mut list = DenyList::default();
        poll.indicators.into_entries(now, &mut list)?;
        match list.entries.is_empty() {
            true => Err(refuse(Fault::Malformed, "deny-list-empty", "nothing in the collection can be used")),
            false => Ok(list),
        }
    }

    async fn get(&self, query: &str, accept: &str) -> Result<Vec<u8>, Refusal> {
        let Place::Web { site, login } = &self.place else {
            return Err(refuse(Fault::Backend, "deny-list-fetch", "it is nowhere in the web"));
        };
        let limits = ClientLimits { connect: CONNECT, exchange: EXCHANGE, body_bytes: bounds::LIST };
        let mut connection = site.open(limits).await.map_err(failed)?;
        let mut request = Request::get(&format!("{}{query}", site.path)).accept(accept);
        request.headers.add("user-agent", concat!("Landfall/", env!("CARGO_PKG_VERSION")));
        if let Some(login) = login {
            // RFC 7617 s2.
            request.headers.add("authorization", format!("Basic {}", STANDARD.encode(login.expose())));
        }
        let response = connection.send(request).await.map_err(failed)?;
        match response.status {
            200 => Ok(response.body),
            status => Err(refuse(Fault::Peer, "deny-list-fetch", format!("{site} is answered with {status}"))),
        }
    }
}

fn web(list: &DenyListSettings, url: &str, settings: &Settings) -> Result<Place, Wrong> {
    let site = Site::read(url, &list.anchors, settings)?;
    let login = list.login_file.as_ref().map(|file| secret(file, settings)).transpose();
    let login = login.map_err(|why| ("login-file", why))?;
    match login.as_ref().is_none_or(|login| login.expose().contains(':')) {
        true => Ok(Place::Web { site, login }),
        false => Err(("login-file", "has no NAME:PASSWORD in its first line".into())),
    }
}

fn failed(why: NetError) -> Refusal {
    let check = match &why {
        NetError::Timeout { .. } => "deny-list-time",
        NetError::TooLarge { .. } => "deny-list-size",
        NetError::Tls(_) | NetError::Refused(_) => "deny-list-tls",
        _ => "deny-list-fetch",
    };
    refuse(why.fault(), check, why.to_string())
}
