//! Rules, as an operator writes them.

use crate::{decide::Verdict, fact::Value};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Rules in order; the first that matches gives the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The verdict if no rule matches: deny, unless something else is said.
    pub otherwise: Verdict,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Large lists that rules refer to by name, such as the serial numbers of all devices bought.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, Set>,
}

/// One rule: if every condition holds, its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// What the operator calls it; every decision that it makes names it.
    pub name: String,
    /// Its conditions. Without any it matches always.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// The verdict.
    pub then: Verdict,
    /// What whoever acts on the verdict must do as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
}

/// That a fact is known and its value matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Condition {
    /// The fact's name.
    pub fact: String,
    /// What it must be.
    pub is: Matcher,
}

/// What a value must be. A value of another kind than the matcher asks for does not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Matcher {
    /// Exactly this: `is = "acme"`.
    Equal(Value),
    /// Something else, in a table: `is = { one-of = ["a", "b"] }`.
    Test(Test),
}

/// The tests that are more than equality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// One of these texts.
    OneOf(Vec<String>),
    /// Known, and none of these texts; of a list, no element is one of them.
    NoneOf(Vec<String>),
    /// A text in the policy's set of that name; of a list, every element, and there is one.
    InSet(String),
    /// A text that begins so.
    StartsWith(String),
    /// A list that holds this text.
    Contains(String),
    /// A number, at least this.
    AtLeast(i64),
    /// A number, at most this.
    AtMost(i64),
    /// Known, whatever it is (`known = true`). What is not known can never match, so `known = false` matches nothing.
    Known(bool),
}

/// A duty that comes with a verdict: `vlan = "sensors"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// What kind of duty, in kebab-case.
    pub name: String,
    /// Its parameter.
    #[serde(default)]
    pub value: String,
}

/// A set of texts, cheap to clone whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(Arc<HashSet<String>>);

impl Policy {
    /// A policy without sets.
    pub const fn new(rules: Vec<Rule>, otherwise: Verdict) -> Self {
        Self { otherwise, rules, sets: BTreeMap::new() }
    }

    /// The same policy with the set `name`.
    #[must_use]
    pub fn with_set(mut self, name: &str, members: impl IntoIterator<Item = String>) -> Self {
        self.sets.insert(name.into(), members.into_iter().collect());
        self
    }

    /// Sets that rules name and the policy does not have: a spelling mistake, best told when the policy is loaded.
    pub fn missing_sets(&self) -> Vec<&str> {
        let tests = self.rules.iter().flat_map(|rule| &rule.when).map(|condition| &condition.is);
        let named = tests.filter_map(|matcher| match matcher {
            Matcher::Test(Test::InSet(name)) => Some(name.as_str()),
            _ => None,
        });
        named.filter(|name| !self.sets.contains_key(*name)).collect()
    }
}

impl Rule {
    /// A rule without obligations.
    pub fn new(name: &str, when: Vec<Condition>, then: Verdict) -> Self {
        Self { name: name.into(), when, then, obligations: Vec::new() }
    }
}

impl Condition {
    /// That `fact` is exactly `value`.
    pub fn is(fact: &str, value: impl Into<Value>) -> Self {
        Self { fact: fact.into(), is: Matcher::Equal(value.into()) }
    }

    /// That `fact` passes `test`.
    pub fn passes(fact: &str, test: Test) -> Self {
        Self { fact: fact.into(), is: Matcher::Test(test) }
    }
}

impl Matcher {
    /// Whether `value` matches; `sets` are the policy's.
    pub(crate) fn matches(&self, value: &Value, sets: &BTreeMap<String, Set>) -> bool {
        match self {
            Self::Equal(expected) => expected == value,
            Self::Test(test) => test.passes(value, sets),
        }
    }
}

impl Test {
    fn passes(&self, value: &Value, sets: &BTreeMap<String, Set>) -> bool {
        match (self, value) {
            (Self::Known(known), _) => *known,
            (Self::OneOf(list), Value::Text(text)) => list.contains(text),
            (Self::NoneOf(list), Value::Text(text)) => !list.contains(text),
            (Self::NoneOf(list), Value::List(texts)) => !texts.iter().any(|text| list.contains(text)),
            (Self::InSet(name), Value::Text(text)) => sets.get(name).is_some_and(|set| set.contains(text)),
            (Self::InSet(name), Value::List(texts)) => {
                let all_in = |set: &Set| !texts.is_empty() && texts.iter().all(|text| set.contains(text));
                sets.get(name).is_some_and(all_in)
            }
            (Self::StartsWith(start), Value::Text(text)) => text.starts_with(start.as_str()),
            (Self::Contains(text), Value::List(texts)) => texts.contains(text),
            (Self::AtLeast(least), Value::Number(number)) => number >= least,
            (Self::AtMost(most), Value::Number(number)) => number <= most,
            _ => false,
        }
    }
}

impl Set {
    /// Whether `text` is in it.
    pub fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for Set {
    fn from_iter<I: IntoIterator<Item = String>>(members: I) -> Self {
        Self(Arc::new(members.into_iter().collect()))
    }
}

impl Serialize for Set {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members: Vec<_> = self.0.iter().collect();
        members.sort_unstable();
        members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Set {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer).map(Self::from_iter)
    }
}
