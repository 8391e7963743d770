//! All that is known of one device.

use crate::{
    fact::{Fact, Kind, Shape},
    grace::Grace,
};
use landfall_policy::Value;
use landfall_types::{DeviceId, Record, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many sources may tell of one kind of thing.
const SOURCES: usize = 16;
/// So long may a text be, in octets.
const TEXT: usize = 1024;
/// So many entries may a list have.
const LIST: usize = 256;
/// So much of what spoke against a device is remembered; the log has it all.
const MARKS: usize = 32;
/// A fact may be this far ahead of our clock, in seconds.
const AHEAD: u64 = 300;

/// The newest facts of one device, one of each kind from each source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dossier {
    /// Which device.
    pub device: DeviceId,
    /// Since when anything is known of it.
    pub since: Time,
    /// The facts, by kind and source.
    pub facts: Vec<Fact>,
    /// What spoke against it before, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// Something that spoke against a device once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mark {
    /// When it was first seen.
    pub at: Time,
    /// What.
    pub what: MarkKind,
    /// Who told.
    pub source: String,
}

/// What can speak against a device so that it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// It was in contact with an address on a deny list.
    DenyListContact,
    /// A vulnerability in it was known to be exploited.
    KnownExploited,
    /// Its evidence was appraised as contraindicated.
    Contraindicated,
    /// Trust in it was withdrawn.
    Distrusted,
}

/// What became of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It says something new.
    News,
    /// It says what was known, from then on or until another time.
    Renewed,
    /// A newer one is known.
    Late,
}

/// A fact that nobody could have meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its value has not the shape of its kind.
    #[error("{0} is not {1}")]
    Shape(Kind, &'static str),
    /// It is too long.
    #[error("{0} is longer than anyone needs")]
    Length(Kind),
    /// It is of another device.
    #[error("{0} is about another device")]
    Device(Kind),
    /// It is from the future.
    #[error("{0} is of a time that has not come: {1}")]
    Future(Kind, Time),
    /// Too many tell of that.
    #[error("more than 16 sources tell of {0}")]
    Sources(Kind),
}

/// What is known of one kind of thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// Nobody has ever told.
    Missing,
    /// It was known, and is so no more.
    Stale(&'a Fact),
    /// The value that counts, and the facts that make it.
    Holds(Value, Vec<&'a Fact>),
}

impl Dossier {
    /// One of a device of which nothing is known.
    pub const fn new(device: DeviceId, now: Time) -> Self {
        Self { device, since: now, facts: Vec::new(), marks: Vec::new() }
    }

    /// Takes a fact in; the newest of each source counts, whichever comes first. One that ends when it begins takes back what
    /// its source told before.
    ///
    /// # Errors
    /// If nobody could have meant it; then nothing has changed.
    pub fn take(&mut self, fact: Fact, now: Time) -> Result<Taken, Unfit> {
        self.check(&fact, now)?;
        if fact.is_withdrawal() {
            return Ok(self.withdraw(&fact));
        }
        let place = |held: &Fact| (held.kind, &held.source).cmp(&(fact.kind, &fact.source));
        let taken = match self.facts.binary_search_by(place) {
            Ok(at) => {
                let Some(held) = self.facts.get_mut(at) else { return Ok(Taken::Late) };
                if fact.at < held.at {
                    return Ok(Taken::Late);
                }
                let is_news = held.value != fact.value || held.issuer != fact.issuer || !held.holds(now);
                *held = fact.clone();
                if is_news { Taken::News } else { Taken::Renewed }
            }
            Err(at) => {
                if self.of(fact.kind).count() >= SOURCES {
                    return Err(Unfit::Sources(fact.kind));
                }
                self.facts.insert(at, fact.clone());
                Taken::News
            }
        };
        if taken == Taken::News {
            self.mark(&fact);
        }
        Ok(taken)
    }

    /// Removes what the same source told of the same kind, as if it never had: no grace is for what was taken back.
    fn withdraw(&mut self, fact: &Fact) -> Taken {
        let its = |held: &Fact| held.kind == fact.kind && held.source == fact.source && held.at <= fact.at;
        let before = self.facts.len();
        self.facts.retain(|held| !its(held));
        if self.facts.len() == before { Taken::Late } else { Taken::News }
    }

    /// Forgets what that source told; true if it told anything.
    pub fn forget(&mut self, source: &str) -> bool {
        let before = self.facts.len();
        self.facts.retain(|fact| fact.source != source);
        self.facts.len() != before
    }

    /// Every fact of that kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |fact| fact.kind == kind)
    }

    /// What counts of that kind at `now`. Where several tell, the worst counts, never an average; what only names something
    /// counts as the newest has it.
    pub fn known(&self, kind: Kind, grace: &Grace, now: Time) -> Known<'_> {
        let good: Vec<&Fact> = self.of(kind).filter(|fact| grace.end(fact).is_none_or(|end| now < end)).collect();
        match worst(kind, &good) {
            Some(value) => Known::Holds(value, good),
            None => self.of(kind).max_by_key(|fact| fact.expires).map_or(Known::Missing, Known::Stale),
        }
    }

    fn check(&self, fact: &Fact, now: Time) -> Result<(), Unfit> {
        let kind = fact.kind;
        if fact.subject != self.device {
            return Err(Unfit::Device(kind));
        }
        if !fact.is_well_formed() {
            return Err(Unfit::Shape(kind, kind.shape().in_words()));
        }
        let long = |text: &String| text.len() > TEXT;
        let too_long = match &fact.value {
            Value::Text(text) => long(text),
            Value::List(list) => list.len() > LIST || list.iter().any(long),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if too_long || long(&fact.source) || long(&fact.verifier) {
            return Err(Unfit::Length(kind));
        }
        // Otherwise whoever has a wrong clock would be right for good.
        if fact.at.since(now).as_secs() > AHEAD {
            return Err(Unfit::Future(kind, fact.at));
        }
        Ok(())
    }

    /// The guide's 7.10: "including information about whether it has ever been compromised".
    fn mark(&mut self, fact: &Fact) {
        let Some(what) = MarkKind::of(fact) else { return };
        self.marks.push(Mark { at: fact.at, what, source: fact.source.clone() });
        let excess = self.marks.len().saturating_sub(MARKS);
        self.marks.drain(..excess);
    }
}

impl MarkKind {
    /// What a fact says against its device, if anything.
    pub(crate) fn of(fact: &Fact) -> Option<Self> {
        let some = matches!(&fact.value, Value::List(list) if !list.is_empty());
        match fact.kind {
            Kind::DenyListContact if some => Some(Self::DenyListContact),
            Kind::KnownExploited if some => Some(Self::KnownExploited),
            Kind::Attestation if fact.value == "contraindicated".into() => Some(Self::Contraindicated),
            Kind::ManufacturerTrusted | Kind::DeviceTrusted if fact.value == false.into() => Some(Self::Distrusted),
            _ => None,
        }
    }
}

impl Shape {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a whole number",
            Self::Text => "a text",
            Self::List => "a list of texts",
        }
    }
}

impl Record for Dossier {
    const COLLECTION: &'static str = "verification-dossier";

    fn key(&self) -> String {
        self.device.to_string()
    }
}

/// The value that counts if these tell of it.
fn worst(kind: Kind, facts: &[&Fact]) -> Option<Value> {
    let newest = facts.iter().max_by_key(|fact| fact.at)?;
    Some(match kind.shape() {
        Shape::Bool => facts.iter().all(|fact| fact.value == true.into()).into(),
        Shape::Number => {
            let numbers = facts.iter().filter_map(|fact| match fact.value {
                Value::Number(number) => Some(number),
                _ => None,
            });
            numbers.max()?.into()
        }
        Shape::List => {
            let lists = facts.iter().filter_map(|fact| match &fact.value {
                Value::List(list) => Some(list),
                _ => None,
            });
            let all: BTreeSet<&String> = lists.flatten().collect();
            all.into_iter().cloned().collect::<Vec<_>>().into()
        }
        Shape::Text if kind == Kind::Attestation => {
            let rank = |fact: &&&Fact| match &fact.value {
                Value::Text(tier) => ["affirming", "warning", "contraindicated"].iter().position(|it| it == tier),
                _ => None,
            };
            // What is none of them counts as nothing known, which opens nothing.
            let unknown = facts.iter().find(|fact| rank(fact).is_none());
            unknown.or_else(|| facts.iter().max_by_key(rank))?.value.clone()
        }
        Shape::Text => newest.value.clone(),
    })
}
