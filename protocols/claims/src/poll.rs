//! Security events that their receiver asks for (RFC 8936): what it asks, and what it is answered. Both sides.

use crate::TEXT;
use landfall_types::{Fault, Refusal, json};
use serde_json::{Map, Value, json};

/// The longest request, in bytes.
pub const LONGEST_REQUEST: usize = 256 * 1024;
/// The longest answer, in bytes.
pub const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// So many events are told of, or asked for, at once.
pub const MOST: usize = 100;
/// So many may be acknowledged at once.
const ACKNOWLEDGED: usize = 1000;

/// What a receiver asks (s2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// How many events it takes; as many as there are without it, and none with 0.
    pub most: Option<usize>,
    /// Whether it wants an answer at once, if there is nothing.
    pub at_once: bool,
    /// The events that it has taken, by their ids.
    pub taken: Vec<String>,
    /// Those that it has refused, with the reason.
    pub refused: Vec<(String, Complaint)>,
}

/// Why an event was not taken (s2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// A word of RFC 8935 s2.4: `invalid_key`.
    pub code: String,
    /// In words.
    pub description: String,
}

/// What it is answered (s2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Events as tokens, by their ids.
    pub events: Vec<(String, String)>,
    /// Whether there are more.
    pub more: bool,
}

impl Poll {
    /// The request as JSON.
    pub fn to_json(&self) -> String {
        let refused = self.refused.iter().map(|(id, complaint)| {
            (id.clone(), json!({ "err": complaint.code, "description": complaint.description }))
        });
        let mut document = json!({ "returnImmediately": self.at_once, "ack": self.taken });
        if let (Some(most), Some(members)) = (self.most, document.as_object_mut()) {
            members.insert("maxEvents".into(), most.into());
        }
        if let (false, Some(members)) = (self.refused.is_empty(), document.as_object_mut()) {
            members.insert("setErrs".into(), Value::Object(refused.collect()));
        }
        document.to_string()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// If it is none, or acknowledges more than anybody was told.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let document = object(bytes, LONGEST_REQUEST)?;
        let most = match document.get("maxEvents") {
            None => None,
            Some(number) => {
                let number = number.as_u64().ok_or_else(|| malformed("maxEvents", "it is no whole number"))?;
                Some(usize::try_from(number).unwrap_or(usize::MAX))
            }
        };
        let taken = match document.get("ack") {
            None => Vec::new(),
            Some(Value::Array(ids)) if ids.len() <= ACKNOWLEDGED => {
                ids.iter().map(|id| name(id.as_str(), "ack")).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(malformed("ack", "it is no list of at most 1000 ids")),
        };
        let refused = match document.get("setErrs") {
            None => Vec::new(),
            Some(Value::Object(all)) if all.len() <= ACKNOWLEDGED => all
                .iter()
                .map(|(id, why)| Ok((name(Some(id), "setErrs")?, Complaint::of(why))))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(malformed("setErrs", "it is no object of at most 1000 ids")),
        };
        Ok(Self { most, at_once: flag(&document, "returnImmediately")?, taken, refused })
    }
}

impl Complaint {
    fn of(value: &Value) -> Self {
        let text = |name: &str| shown(value.get(name).and_then(Value::as_str).unwrap_or_default());
        Self { code: text("err"), description: text("description") }
    }
}

impl Answer {
    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        let sets: Map<String, Value> =
            self.events.iter().map(|(id, token)| (id.clone(), token.as_str().into())).collect();
        json!({ "sets": sets, "moreAvailable": self.more }).to_string()
    }

    /// Reads an answer. A token in it says nothing before it is verified.
    ///
    /// # Errors
    /// If it is none, or holds more than was asked for.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let document = object(bytes, LONGEST_ANSWER)?;
        let Some(Value::Object(sets)) = document.get("sets") else {
            return Err(malformed("sets", "it is no object"));
        };
        if sets.len() > MOST {
            return Err(malformed("sets", "it has more events than were asked for"));
        }
        let event = |(id, token): (&String, &Value)| {
            let token = token.as_str().ok_or_else(|| malformed("sets", "an event is no text"))?;
            Ok((name(Some(id), "sets")?, token.to_owned()))
        };
        Ok(Self {
            events: sets.iter().map(event).collect::<Result<_, Refusal>>()?,
            more: flag(&document, "moreAvailable")?,
        })
    }
}

fn object(bytes: &[u8], longest: usize) -> Result<Map<String, Value>, Refusal> {
    if bytes.len() > longest {
        return Err(malformed("", "it is too long"));
    }
    match json::parse(bytes) {
        Ok(Value::Object(document)) => Ok(document),
        _ => Err(malformed("", "it is no JSON object with each name once")),
    }
}

fn flag(document: &Map<String, Value>, field: &'static str) -> Result<bool, Refusal> {
    match document.get(field) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| malformed(field, "it is neither true nor false")),
    }
}

fn name(text: Option<&str>, field: &'static str) -> Result<String, Refusal> {
    let plain = |text: &&str| (1..=TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
    text.filter(plain).map(str::to_owned).ok_or_else(|| malformed(field, "an id is no short text"))
}

/// As much of a peer's text as is told.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TEXT).collect()
}

fn malformed(field: &'static str, why: &str) -> Refusal {
    Refusal::new(Fault::Malformed, "poll-form", "RFC 8936 s2", why).field(field)
}
