//! Security events between services: tokens (RFC 8417) with the events of CAEP 1.0, sent by push (RFC 8935).

use crate::{LONGEST, TEXT};
use landfall_pki::{Jws, PkiError, PublicKey, Signer, UnsignedJws};
use landfall_types::{Fault, Fingerprint, Refusal, Time, json};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// What the header says that it is (RFC 8417 s2.3).
const TYPE: &str = "secevent+jwt";
/// The media type of one (RFC 8417 s7.2).
pub const MEDIA: &str = "application/secevent+jwt";
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

/// Something that a service tells another of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// What names it, for ever.
    pub id: String,
    /// Who tells it, by a URL.
    pub issuer: String,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// When it was told.
    pub issued: Time,
    /// The device, or whatever else it is about.
    pub subject: Subject,
    /// What has happened.
    pub event: Event,
    /// When that happened.
    pub at: Option<Time>,
    /// Why, for those who administer.
    pub reason: Option<String>,
}

/// What an event is about (RFC 9493; SSF 1.0 s3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A device by a name that both sides know.
    Device(String),
    /// Something by a URI: a key's digest as `ni:///sha-256;…`.
    Uri(String),
    /// The stream of events itself, or something that is not spoken here.
    Other,
}

/// What has happened (CAEP 1.0 s3; SSF 1.0 s8.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// s3.1: it is not let in any more.
    SessionRevoked,
    /// s3.3: its credential was changed.
    CredentialChange {
        /// What kind of credential: `x509`.
        credential: String,
        /// `create`, `revoke`, `update`, `delete`.
        change: String,
        /// The certificate's serial number, in hexadecimal.
        serial: Option<String>,
    },
    /// s3.4: how sure one is of it.
    AssuranceLevelChange {
        /// Whose levels: `RFC9334` and the like, or a name of one's own.
        namespace: String,
        /// The level now.
        current: String,
        /// The level before.
        previous: Option<String>,
    },
    /// s3.5: whether it is as policy wants it.
    ComplianceChange {
        /// Whether it was.
        was: bool,
        /// Whether it is.
        is: bool,
    },
    /// Whether the stream works.
    Verification {
        /// What the receiver wants to hear again.
        state: Option<String>,
    },
    /// Something else, by its URI.
    Other(String),
}

impl Event {
    fn uri(&self) -> String {
        match self {
            Self::SessionRevoked => format!("{CAEP}session-revoked"),
            Self::CredentialChange { .. } => format!("{CAEP}credential-change"),
            Self::AssuranceLevelChange { .. } => format!("{CAEP}assurance-level-change"),
            Self::ComplianceChange { .. } => format!("{CAEP}device-compliance-change"),
            Self::Verification { .. } => format!("{SSF}verification"),
            Self::Other(uri) => uri.clone(),
        }
    }

    fn members(&self) -> Map<String, Value> {
        let texts: &[(&str, Option<&str>)] = match self {
            Self::SessionRevoked | Self::Other(_) => &[],
            Self::CredentialChange { credential, change, serial } => &[
                ("credential_type", Some(credential)),
                ("change_type", Some(change)),
                ("x509_serial", serial.as_deref()),
            ],
            Self::AssuranceLevelChange { namespace, current, previous } => &[
                ("namespace", Some(namespace)),
                ("current_level", Some(current)),
                ("previous_level", previous.as_deref()),
            ],
            Self::ComplianceChange { was, is } => {
                &[("previous_status", Some(compliance(*was))), ("current_status", Some(compliance(*is)))]
            }
            Self::Verification { state } => &[("state", state.as_deref())],
        };
        let told = texts.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from((*value)?))));
        told.collect()
    }

    fn of(uri: &str, members: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |name: &'static str| text(members, name);
        let need = |name: &'static str| text(name)?.ok_or_else(|| malformed(name, "it has none"));
        let status = |name: &'static str| match need(name)?.as_str() {
            "compliant" => Ok(true),
            "not-compliant" => Ok(false),
            _ => Err(malformed(name, "it is neither compliant nor not-compliant")),
        };
        Ok(match uri.strip_prefix(CAEP).or_else(|| uri.strip_prefix(SSF)) {
            Some("session-revoked") => Self::SessionRevoked,
            Some("credential-change") => Self::CredentialChange {
                credential: need("credential_type")?,
                change: need("change_type")?,
                serial: text("x509_serial")?,
            },
            Some("assurance-level-change") => Self::AssuranceLevelChange {
                namespace: need("namespace")?,
                current: need("current_level")?,
                previous: text("previous_level")?,
            },
            Some("device-compliance-change") => {
                Self::ComplianceChange { was: status("previous_status")?, is: status("current_status")? }
            }
            Some("verification") => Self::Verification { state: text("state")? },
            _ => Self::Other(uri.chars().filter(|letter| !letter.is_control()).take(TEXT).collect()),
        })
    }
}

const fn compliance(is: bool) -> &'static str {
    if is { "compliant" } else { "not-compliant" }
}

impl SecurityEvent {
    /// The event as a token, signed.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn sign(&self, signer: &dyn Signer) -> Result<String, PkiError> {
        let mut members = self.event.members();
        if let Some(at) = self.at {
            members.insert("event_timestamp".into(), at.as_unix().into());
        }
        if let Some(reason) = &self.reason {
            // CAEP 1.0 s2: by language.
            members.insert("reason_admin".into(), json!({ "en": reason }));
        }
        let audience = match self.audience.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        // SSF 1.0 s4.1: no `sub` and no `exp`; one event.
        let document = json!({
            "iss": self.issuer,
            "jti": self.id,
            "iat": self.issued.as_unix(),
            "aud": audience,
            "sub_id": self.subject.to_value(),
            "events": { self.event.uri(): members },
        });
        let kid = signer.public_key().fingerprint().to_string();
        let header = [("typ", TYPE), ("kid", kid.as_str())];
        UnsignedJws::new(signer.algorithm(), &header, document.to_string().as_bytes()).sign(signer)
    }
}

impl Subject {
    fn to_value(&self) -> Value {
        match self {
            Self::Device(id) => json!({ "format": "complex", "device": { "format": "opaque", "id": id } }),
            Self::Uri(uri) => json!({ "format": "uri", "uri": uri }),
            Self::Other => json!({ "format": "opaque", "id": "" }),
        }
    }

    fn of(value: &Value) -> Self {
        let member = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let plain = |text: &String| (1..=TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        // SSF 1.0 s3.2: a complex subject tells of several things at once; it is the device that counts here.
        let simple = match member(value, "format").as_deref() {
            Some("complex") => value.get("device").unwrap_or(&Value::Null),
            _ => value,
        };
        let found = match member(simple, "format").as_deref() {
            Some("opaque") => member(simple, "id").filter(plain).map(Self::Device),
            Some("iss_sub") => member(simple, "sub").filter(plain).map(Self::Device),
            Some("uri") => member(simple, "uri").filter(plain).map(Self::Uri),
            _ => None,
        };
        found.unwrap_or(Self::Other)
    }
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Refusal> {
    let plain = |text: &str| text.len() <= TEXT && !text.chars().any(char::is_control);
    match members.get(name).map(Value::as_str) {
        None => Ok(None),
        Some(Some(text)) if plain(text) => Ok(Some(text.to_owned())),
        Some(_) => Err(malformed(name, "it is no short text")),
    }
}

fn malformed(field: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Malformed, "event-form", "RFC 8417 s2", why).field(field)
}

/// Whose events are believed, and which have come already.
#[derive(Clone, Debug)]
pub struct Receiver {
    audience: String,
    issuers: BTreeMap<String, Vec<PublicKey>>,
    seen: BTreeSet<(String, String)>,
    order: VecDeque<(String, String)>,
}

/// An event that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What is told.
    pub event: SecurityEvent,
    /// The key of its issuer's that has signed it.
    pub key: Fingerprint,
}

/// How many events are remembered so that none is taken twice.
const REMEMBERED: usize = 10_000;
/// How old an event may be, and how far its issuer's clock may be ahead.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
const AHEAD: Duration = Duration::from_secs(300);

impl Receiver {
    /// One that is called `audience`, and believes nobody.
    pub const fn new(audience: String) -> Self {
        Self { audience, issuers: BTreeMap::new(), seen: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Believes an issuer's key.
    pub fn believe(&mut self, issuer: String, key: PublicKey) {
        self.issuers.entry(issuer).or_default().push(key);
    }

    /// Reads an event. It counts once: whoever has made durable what follows from it has it remembered.
    ///
    /// # Errors
    /// If it is forged, of somebody who is not believed, for somebody else, too old, from the future, or has come before.
    /// [`error_code`] says what its sender is told.
    pub fn read(&self, token: &str, now: Time) -> Result<Heard, Refusal> {
        let denied = |check, why: &str| Refusal::new(Fault::Denied, check, "RFC 8935 s2.4", why);
        let jws = Jws::parse(token.trim(), LONGEST).map_err(|error| malformed("", error.to_string()))?;
        if jws.header("typ") != Some(TYPE) {
            return Err(malformed("typ", "it is no secevent+jwt"));
        }
        let Ok(Value::Object(document)) = json::parse(jws.unverified()) else {
            return Err(malformed("", "it is no JSON object with each name once"));
        };
        let need = |name: &'static str| text(&document, name)?.ok_or_else(|| malformed(name, "it has none"));
        let issuer = need("iss")?;
        let keys =
            self.issuers.get(&issuer).ok_or_else(|| denied("event-issuer", "nobody here believes its issuer"))?;
        let key = keys.iter().find(|key| jws.verify(key).is_ok());
        let key =
            key.ok_or_else(|| denied("event-signature", "none of its issuer's keys has signed it"))?.fingerprint();
        let audience: Vec<String> = match document.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        if !audience.contains(&self.audience) {
            return Err(denied("event-audience", "it is for somebody else"));
        }
        // SSF 1.0 s4.1.8: a token that expires is none of these, and cannot be taken for one that lets somebody in.
        if document.contains_key("exp") || document.contains_key("sub") {
            return Err(malformed("exp", "it has claims of another kind of token"));
        }
        let issued = document.get("iat").and_then(Value::as_i64).map(Time::from_unix);
        let issued = issued.ok_or_else(|| malformed("iat", "it is no number of seconds"))?;
        if issued > now + AHEAD || now.since(issued) > OLDEST {
            return Err(denied("event-time", "it is too old, or from the future"));
        }
        let Some(Value::Object(events)) = document.get("events") else {
            return Err(malformed("events", "it has none"));
        };
        let (Some((uri, Value::Object(members))), 1) = (events.iter().next(), events.len()) else {
            return Err(malformed("events", "it does not have exactly one"));
        };
        let reason = match members.get("reason_admin") {
            Some(Value::Object(languages)) => languages.get("en").or_else(|| languages.values().next()),
            other => other,
        };
        let plain = |text: &str| -> String { text.chars().filter(|letter| !letter.is_control()).take(TEXT).collect() };
        let event = SecurityEvent {
            id: need("jti")?,
            audience,
            issued,
            subject: document.get("sub_id").map_or(Subject::Other, Subject::of),
            event: Event::of(uri, members)?,
            at: members.get("event_timestamp").and_then(Value::as_i64).map(Time::from_unix),
            reason: reason.and_then(Value::as_str).map(plain),
            issuer,
        };
        if self.seen.contains(&(event.issuer.clone(), event.id.clone())) {
            return Err(Refusal::new(Fault::Denied, "event-replayed", "RFC 8417 s2.2", "it has come before"));
        }
        Ok(Heard { event, key })
    }

    /// Remembers the event of that issuer and id, and forgets the oldest one if they are too many.
    pub fn remember(&mut self, issuer: String, id: String) -> Option<(String, String)> {
        let forgotten = self.oldest().cloned();
        let name = (issuer, id);
        if self.seen.insert(name.clone()) {
            self.order.push_back(name);
        }
        if let Some(oldest) = &forgotten {
            self.order.pop_front();
            self.seen.remove(oldest);
        }
        forgotten
    }

    /// The issuer and id of the event that is forgotten when the next one is remembered, if there are as many as can be.
    pub fn oldest(&self) -> Option<&(String, String)> {
        (self.order.len() >= REMEMBERED).then(|| self.order.front()).flatten()
    }
}

/// What the sender of an event is told (RFC 8935 s2.4). None if it is to be told that all is well: it may send one again that was
/// taken already (s2.2).
pub fn error_code(refusal: &Refusal) -> Option<&'static str> {
    match refusal.check.as_ref() {
        "event-replayed" => None,
        "event-issuer" => Some("invalid_issuer"),
        "event-audience" => Some("invalid_audience"),
        "event-signature" => Some("invalid_key"),
        _ => Some("invalid_request"),
    }
}
