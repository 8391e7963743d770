//! What is known about the case at hand.

use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What is known, by name in kebab-case: `serial-number`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts(pub BTreeMap<String, Fact>);

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub value: Value,
    /// From where, in words: `IDevID`, `MASA audit log`.
    pub source: String,
    /// Since when.
    pub at: Time,
    /// Until when, if it does not hold for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// The value of a fact, or what a rule compares it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text, compared byte by byte.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

impl Facts {
    /// Nothing known.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// These facts and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>, source: &str, at: Time) -> Self {
        self.0.insert(name.into(), Fact { value: value.into(), source: source.into(), at, expires: None });
        self
    }

    /// These facts and one more that holds until `expires`.
    #[must_use]
    pub fn until(mut self, name: &str, value: impl Into<Value>, source: &str, at: Time, expires: Time) -> Self {
        self.0.insert(name.into(), Fact { value: value.into(), source: source.into(), at, expires: Some(expires) });
        self
    }

    /// The fact of that name.
    pub fn find(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }
}

impl Fact {
    /// Whether it still holds at `now`; at the moment that it expires it does not.
    pub fn holds(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.write_str("yes"),
            Self::Bool(false) => f.write_str("no"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(list) => f.debug_list().entries(list).finish(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<String>> for Value {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}
