//! JSON from outside: what is not known is passed over without being kept, lists and texts are bounded.

use crate::bounds;
use landfall_types::{Fault, Refusal};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData, ops::Deref};

/// A JSON document of that type. A name that is known may stand in an object once; depth is bounded by serde_json (128).
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8], what: &'static str, longest: usize) -> Result<T, Refusal> {
    if bytes.len() > longest {
        return Err(malformed(what, format!("it has {} bytes, more than {longest}", bytes.len())));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(what, error))
}

pub(crate) fn malformed(what: &'static str, why: impl fmt::Display) -> Refusal {
    let why: String = why.to_string().chars().filter(|letter| !letter.is_control()).take(300).collect();
    Refusal::new(Fault::Malformed, "software-document", what, why)
}

pub(crate) fn incompatible(what: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(Fault::Incompatible, "software-document", what, why)
}

/// A list of at most `N` elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Few<T, const N: usize = { bounds::ITEMS }>(pub(crate) Vec<T>);

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Bounded::<T, N>(PhantomData))
    }
}

struct Bounded<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Bounded<T, N> {
    type Value = Few<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N} elements")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Few::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == N {
                return Err(A::Error::custom(format_args!("a list has more than {N} elements")));
            }
            list.push(element);
        }
        Ok(Few(list))
    }
}

/// A text that is short and has no control characters, so that it can be kept and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.len() {
            0..=bounds::TEXT => Ok(Self(text.chars().filter(|letter| !letter.is_control()).collect())),
            _ => Err(D::Error::custom(format_args!("a text is longer than {}", bounds::TEXT))),
        }
    }
}
