//! Reading members of JSON objects, with errors that name the member.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use landfall_types::{Fault, Refusal};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Why JSON was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct JsonError {
    /// The member, or the object.
    pub field: &'static str,
    /// What is wrong with it; never its value.
    pub why: Cow<'static, str>,
    /// Where it is specified.
    pub section: &'static str,
}

impl JsonError {
    /// The same as a refusal by `check`.
    pub fn refusal(&self, check: &'static str) -> Refusal {
        Refusal::new(Fault::Malformed, check, self.section, self.to_string()).field(self.field)
    }
}

/// An object that is taken apart member by member; what is left at the end are members of others.
pub(crate) struct Object {
    members: Map<String, Value>,
    section: &'static str,
}

impl Object {
    pub(crate) fn parse(
        bytes: &[u8],
        max: usize,
        field: &'static str,
        section: &'static str,
    ) -> Result<Self, JsonError> {
        if bytes.len() > max {
            return Err(JsonError { field, why: format!("has more than {max} octets").into(), section });
        }
        let value = landfall_types::json::parse(bytes).map_err(|error| JsonError {
            field,
            why: format!("cannot be read: {error}").into(),
            section,
        })?;
        Self::of(value, field, section)
    }

    pub(crate) fn of(value: Value, field: &'static str, section: &'static str) -> Result<Self, JsonError> {
        match value {
            Value::Object(members) => Ok(Self { members, section }),
            _ => Err(JsonError { field, why: "is not an object".into(), section }),
        }
    }

    pub(crate) fn error(&self, field: &'static str, why: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError { field, why: why.into(), section: self.section }
    }

    /// A member of any type; `null` counts as not there.
    pub(crate) fn take(&mut self, field: &'static str) -> Option<Value> {
        // The order of the members of others stays.
        self.members.shift_remove(field).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, field: &'static str, max: usize) -> Result<Option<String>, JsonError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(Value::String(_)) => Err(self.error(field, format!("has more than {max} octets"))),
            Some(_) => Err(self.error(field, "is not a string")),
        }
    }

    pub(crate) fn need_text(&mut self, field: &'static str, max: usize) -> Result<String, JsonError> {
        self.text(field, max)?.ok_or_else(|| self.error(field, "is missing"))
    }

    pub(crate) fn number(&mut self, field: &'static str) -> Result<Option<u32>, JsonError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match value.as_u64().map(u32::try_from) {
                Some(Ok(number)) => Ok(Some(number)),
                _ => Err(self.error(field, "is not a number from 0 to 4294967295")),
            },
        }
    }

    pub(crate) fn object(&mut self, field: &'static str) -> Result<Option<Self>, JsonError> {
        let section = self.section;
        self.take(field).map(|value| Self::of(value, field, section)).transpose()
    }

    pub(crate) fn array(&mut self, field: &'static str, max: usize) -> Result<Option<Vec<Value>>, JsonError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(items)) if items.len() <= max => Ok(Some(items)),
            Some(Value::Array(_)) => Err(self.error(field, format!("has more than {max} items"))),
            Some(_) => Err(self.error(field, "is not an array")),
        }
    }

    /// Base64 as in PEM: certificates, requests.
    pub(crate) fn base64(&mut self, field: &'static str, max: usize) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(text) = self.text(field, max)? else { return Ok(None) };
        // Some peers break lines, as PEM does.
        let text: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
        STANDARD.decode(text).map(Some).map_err(|_| self.error(field, "is not base64"))
    }

    /// Base64 for URLs without padding: keys, network names.
    pub(crate) fn base64url(&mut self, field: &'static str, max: usize) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(text) = self.text(field, max)? else { return Ok(None) };
        URL_SAFE_NO_PAD.decode(text).map(Some).map_err(|_| self.error(field, "is not base64 for URLs"))
    }

    pub(crate) fn others(self) -> Map<String, Value> {
        self.members
    }
}

/// Adds members of others; none takes the place of one that is there.
pub(crate) fn add_others(members: &mut Map<String, Value>, others: &Map<String, Value>) {
    for (name, value) in others {
        if !members.contains_key(name) {
            members.insert(name.clone(), value.clone());
        }
    }
}

/// The text of an object.
pub(crate) fn write(members: Map<String, Value>) -> String {
    Value::Object(members).to_string()
}
