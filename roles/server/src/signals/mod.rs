//! What the authorizer tells other services, and what it hears from them (SP 1800-36B 4.5): webhooks, and security events by the
//! Shared Signals Framework (SSF 1.0, CAEP 1.0) that are pushed (RFC 8935) or asked for (RFC 8936), both ways.
//!
//! | path | what |
//! |---|---|
//! | `POST /ssf/push` | takes an event of a source |
//! | `POST /ssf/poll/NAME` | gives a stream's receiver what it has not taken yet |
//! | `GET /.well-known/ssf-configuration` | who we are |
//! | `GET /ssf/jwks` | the key that we sign with |

mod door;
mod hear;
mod notice;
mod outbox;
mod tell;

pub use hear::SourceReport;
pub use outbox::{Delivery, DeliveryReport};

use crate::{
    Identity, RoleError, Shutdown, World,
    settings::{Settings, SignalsSettings, SourceSettings, StreamSettings, WebhookSettings},
    site::{Site, Wrong, secret},
    supply_chain::token_hash,
};
use door::Door;
use hear::Ear;
use landfall_claims::{Event, SecurityEvent, caep::Subject};
use landfall_element::SecureElement;
use landfall_net::tls::{ClientAuth, ServerTls, TlsIdentity};
use landfall_pki::{Algorithm, PkiError, Signer};
use landfall_types::{Fingerprint, Redacted, Time};
use notice::{Kind, Notice};
use outbox::Outbox;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tell::{Receiver, Way};

const SECTION: &str = "SSF 1.0";
/// By which name levels are told (CAEP 1.0 s3.4).
const NAMESPACE: &str = "landfall-level";
/// So many of each kind are kept.
const MOST: usize = 32;

/// How signals are set up.
#[derive(Debug, Default)]
pub struct Config {
    webhooks: Vec<Webhook>,
    streams: Vec<Stream>,
    sources: Vec<Source>,
    speaker: Option<Arc<Speaker>>,
    door: Option<(SocketAddr, Option<TlsIdentity>)>,
    issuer: String,
    keep: Duration,
    retry: Duration,
    remember: Duration,
}

#[derive(Debug)]
struct Webhook {
    name: String,
    site: Site,
    key: aws_lc_rs::hmac::Key,
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    audience: String,
    /// Where it is told; it asks without it.
    push: Option<Site>,
    token: Option<Redacted<String>>,
}

/// Whose events count.
#[derive(Debug)]
struct Source {
    name: String,
    issuer: String,
    keys: Vec<landfall_pki::PublicKey>,
    /// Where it is asked; it pushes without it.
    poll: Option<Site>,
    token: Redacted<String>,
}

/// Who signs what we tell.
#[derive(Debug)]
struct Speaker {
    issuer: String,
    /// None where settings are only looked at.
    signer: Option<Arc<dyn Signer>>,
}

impl Config {
    /// What `authorizer.signals` means in `settings`; keys are opened in `element`, if there is one.
    ///
    /// # Errors
    /// If something cannot be meant, or a file that it needs is not there.
    pub fn from_settings(
        signals: &SignalsSettings,
        settings: &Settings,
        element: Option<&dyn SecureElement>,
    ) -> Result<Self, RoleError> {
        let key = |field: &str| format!("authorizer.signals.{field}");
        let mut names = BTreeSet::new();
        let mut once = |kind: &str, name: &str| match names.insert(format!("{kind} {name}")) {
            true => Ok(()),
            false => Err(("name", "is also that of another one".to_owned())),
        };
        let lengths = [signals.webhook.len(), signals.stream.len(), signals.source.len()];
        if lengths.into_iter().any(|length| length > MOST) {
            return Err(RoleError::new("authorizer.signals", format!("has more than {MOST} of a kind")));
        }
        let mut config = Self {
            issuer: signals.issuer.clone().unwrap_or_default(),
            keep: signals.keep.duration(),
            retry: signals.retry.duration(),
            remember: signals.remember.duration(),
            ..Self::default()
        };
        if config.retry.is_zero() {
            return Err(RoleError::new(key("retry"), "is nothing"));
        }
        for (at, webhook) in signals.webhook.iter().enumerate() {
            let read = once("webhook", &webhook.name).and_then(|()| Webhook::read(webhook, settings));
            let read = read.map_err(|(field, why)| RoleError::new(key(&format!("webhook[{at}].{field}")), why));
            config.webhooks.push(read?);
        }
        for (at, stream) in signals.stream.iter().enumerate() {
            let read = once("stream", &stream.name).and_then(|()| Stream::read(stream, settings));
            let read = read.map_err(|(field, why)| RoleError::new(key(&format!("stream[{at}].{field}")), why));
            config.streams.push(read?);
        }
        for (at, source) in signals.source.iter().enumerate() {
            let read = once("source", &source.name).and_then(|()| Source::read(source, settings));
            let read = read.map_err(|(field, why)| RoleError::new(key(&format!("source[{at}].{field}")), why));
            config.sources.push(read?);
        }
        config.ourselves(signals, settings, element).map_err(|(field, why)| RoleError::new(key(field), why))?;
        Ok(config)
    }

    /// Who we are, where that is needed.
    fn ourselves(
        &mut self,
        signals: &SignalsSettings,
        settings: &Settings,
        element: Option<&dyn SecureElement>,
    ) -> Result<(), Wrong> {
        if self.streams.is_empty() && self.sources.is_empty() {
            return Ok(());
        }
        if !is_url(&self.issuer) {
            return Err(("issuer", "is needed: who we are to others, a URL of https".into()));
        }
        let load = |field, identity| match element {
            Some(element) => Identity::load(identity, |path| settings.resolve(path), element)
                .map(Some)
                .map_err(|why| (field, why.to_string())),
            None => Ok(None),
        };
        if !self.streams.is_empty() {
            let signer = signals.signer.as_ref();
            let signer = signer.ok_or(("signer", "is needed: with whose key events are signed".to_owned()))?;
            let signer = load("signer", signer)?.map(|identity| identity.signer);
            if signer.as_ref().is_some_and(|signer| signer.algorithm() != Algorithm::EcdsaP256) {
                return Err(("signer", "has no key of P-256, which receivers of events understand (ES256)".into()));
            }
            self.speaker = Some(Arc::new(Speaker { issuer: self.issuer.clone(), signer }));
        }
        let is_called_on = self.streams.iter().any(|stream| stream.push.is_none())
            || self.sources.iter().any(|source| source.poll.is_none());
        if is_called_on {
            let listen = signals.listen.ok_or(("listen", "is needed by those who push or ask".to_owned()))?;
            let identity = signals.identity.as_ref();
            let identity = identity.ok_or(("identity", "is needed to listen".to_owned()))?;
            self.door = Some((listen, load("identity", identity)?.map(Into::into)));
        }
        Ok(())
    }

    /// Reads what is on record, and binds the listener.
    ///
    /// # Errors
    /// If that cannot be.
    pub async fn build(self, world: World) -> Result<Signals, RoleError> {
        let failed = |why: &dyn std::fmt::Display| RoleError::new("reading what others were told", why);
        let (mut receivers, mut outboxes, mut polled) = (Vec::new(), Vec::new(), Vec::new());
        for Webhook { name, site, key, kinds } in self.webhooks {
            let outbox = Outbox::open(world.clone(), format!("webhook {name}"), self.keep).await;
            let outbox = Arc::new(outbox.map_err(|why| failed(&why))?);
            outboxes.push(outbox.clone());
            receivers.push(Receiver {
                outbox,
                site,
                way: Way::Webhook { key: Box::new(key), kinds },
                retry: self.retry,
            });
        }
        for Stream { name, audience, push, token } in self.streams {
            let outbox = Outbox::open(world.clone(), format!("stream {name}"), self.keep).await;
            let outbox = Arc::new(outbox.map_err(|why| failed(&why))?);
            outboxes.push(outbox.clone());
            let Some(speaker) = self.speaker.clone() else { continue };
            match (push, token) {
                (Some(site), token) => {
                    let way = Way::Push { speaker, audience, token };
                    receivers.push(Receiver { outbox, site, way, retry: self.retry });
                }
                (None, Some(token)) => {
                    let token = token_hash(token.expose());
                    polled.push(door::Polled { name, audience, token, outbox, speaker, turn: Default::default() });
                }
                (None, None) => {}
            }
        }
        let ear = Ear::open(world.clone(), self.issuer.clone(), self.sources, self.remember).await;
        let ear = Arc::new(ear.map_err(|why| failed(&why))?);
        let door = match self.door {
            Some((listen, Some(identity))) => {
                let tls = ServerTls::new(&identity, ClientAuth::None)
                    .map_err(RoleError::while_("the certificate of authorizer.signals.identity"))?;
                Some(Door::bind(listen, tls, world.clone(), self.issuer, self.speaker, polled, ear.clone()).await?)
            }
            _ => None,
        };
        Ok(Signals { world, receivers, told: Told { outboxes, ear }, door, retry: self.retry })
    }
}

/// Signals that are set up, and do nothing until they work.
#[derive(Debug)]
pub struct Signals {
    world: World,
    receivers: Vec<Receiver>,
    told: Told,
    door: Option<Door>,
    retry: Duration,
}

/// How those stand who are told and who tell. Clones are the same.
#[derive(Clone, Debug)]
pub struct Told {
    outboxes: Vec<Arc<Outbox>>,
    ear: Arc<Ear>,
}

impl Told {
    /// How each receiver stands.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn receivers(&self) -> Result<Vec<DeliveryReport>, landfall_store::ReadError> {
        self.outboxes.iter().map(|outbox| outbox.report()).collect()
    }

    /// How each source stands.
    pub fn sources(&self) -> Vec<SourceReport> {
        self.ear.reports()
    }
}

impl Signals {
    /// How those stand who are told and who tell.
    pub fn told(&self) -> Told {
        self.told.clone()
    }

    /// Where others push and ask, if they do.
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.as_ref().and_then(Door::address)
    }

    /// Tells and hears until shutdown.
    pub async fn work(self, shutdown: Shutdown) {
        let mut working = tokio::task::JoinSet::new();
        for receiver in self.receivers {
            working.spawn(receiver.run(self.world.clone(), shutdown.clone()));
        }
        let ear = self.told.ear;
        for source in ear.asked() {
            working.spawn(ear.clone().ask(source, self.retry, shutdown.clone()));
        }
        if let Some(door) = self.door {
            working.spawn(door.serve(shutdown));
        }
        while working.join_next().await.is_some() {}
    }
}

impl Speaker {
    /// An event as a token.
    fn token(&self, notice: &Notice, id: String, event: Event, audience: &str, now: Time) -> Result<String, PkiError> {
        let signer = self.signer.as_ref().ok_or_else(|| PkiError::Misuse("there is no key to sign with".into()))?;
        let event = SecurityEvent {
            id,
            issuer: self.issuer.clone(),
            audience: vec![audience.to_owned()],
            issued: now,
            subject: Subject::Device(notice.entry.device.to_string()),
            event,
            at: Some(notice.entry.at),
            reason: Some(notice.entry.ruling.why()),
        };
        event.sign(signer.as_ref())
    }
}

impl Webhook {
    fn read(webhook: &WebhookSettings, settings: &Settings) -> Result<Self, Wrong> {
        let kinds = match webhook.events.is_empty() {
            true => vec![Kind::LevelChanged, Kind::Held],
            false => webhook
                .events
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()
                .map_err(|why| ("events", why))?,
        };
        Ok(Self {
            name: named(&webhook.name)?,
            site: Site::read(&webhook.url, &webhook.anchors, settings)?,
            key: secret(&webhook.secret_file, settings)
                .and_then(|text| tell::key(&text))
                .map_err(|why| ("secret-file", why))?,
            kinds,
        })
    }
}

impl Stream {
    fn read(stream: &StreamSettings, settings: &Settings) -> Result<Self, Wrong> {
        if !is_url(&stream.audience) {
            return Err(("audience", "is no URL of https".into()));
        }
        let push = stream.push.as_ref().map(|url| Site::read(url, &stream.anchors, settings));
        let push = push.transpose().map_err(|(field, why)| (if field == "url" { "push" } else { field }, why))?;
        let token = stream.token_file.as_ref().map(|file| secret(file, settings));
        let token = token.transpose().map_err(|why| ("token-file", why))?;
        if push.is_none() && token.is_none() {
            return Err(("token-file", "is needed: who asks for events has to show a token".into()));
        }
        Ok(Self { name: named(&stream.name)?, audience: stream.audience.clone(), push, token })
    }
}

impl Source {
    fn read(source: &SourceSettings, settings: &Settings) -> Result<Self, Wrong> {
        if !is_url(&source.issuer) {
            return Err(("issuer", "is no URL of https".into()));
        }
        if source.keys.is_empty() {
            return Err(("keys", "are missing: what its events are signed with is to be known".into()));
        }
        let key = |path: &std::path::PathBuf| crate::identity::public_key(&settings.resolve(path));
        let keys: Result<_, RoleError> = source.keys.iter().map(key).collect();
        let poll = source.poll.as_ref().map(|url| Site::read(url, &source.anchors, settings));
        Ok(Self {
            name: named(&source.name)?,
            issuer: source.issuer.clone(),
            keys: keys.map_err(|why| ("keys", why.to_string()))?,
            poll: poll.transpose().map_err(|(field, why)| (if field == "url" { "poll" } else { field }, why))?,
            token: secret(&source.token_file, settings).map_err(|why| ("token-file", why))?,
        })
    }
}

/// What a request shows, as it is looked up.
fn shown(request: &landfall_types::http::Request) -> Option<Fingerprint> {
    let (scheme, token) = request.headers.first("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token_hash(token.trim()))
}

/// Names stand in paths, facts, metrics and on command lines.
fn named(name: &str) -> Result<String, Wrong> {
    match crate::deny::is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(("name", "has not 1 to 32 small letters, digits and hyphens".into())),
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    (1..=200).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_graphic())
}
