//! What others are told of a decision, in the two forms in which they want to hear it.

use crate::authorizer::Entry;
use landfall_assurance::{Level, Question};
use landfall_claims::Event;
use landfall_store::LogEntry;
use serde_json::{Value, json};
use std::str::FromStr;

/// A decision that somebody may want to hear of.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// Its number in the log.
    pub(super) number: u64,
    /// What names it, for ever: the beginning of its hash there.
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) entry: Entry,
}

/// Of what somebody can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A device is let further in, or less far.
    LevelChanged,
    /// It is to be let in less far, and that waits for a person (the brake).
    Held,
    /// A device wanted to join.
    JoinRuled,
    /// It wanted to do something that not every device may, or it was to be done to it.
    OperationRuled,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::LevelChanged, Self::Held, Self::JoinRuled, Self::OperationRuled];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LevelChanged => "level-changed",
            Self::Held => "held",
            Self::JoinRuled => "join-ruled",
            Self::OperationRuled => "operation-ruled",
        }
    }

    fn of(entry: &Entry) -> Option<Self> {
        match &entry.ruling.question {
            Question::Join => Some(Self::JoinRuled),
            Question::Operate(_) => Some(Self::OperationRuled),
            Question::Stay if entry.from != Some(entry.level) => Some(Self::LevelChanged),
            Question::Stay => entry.held.then_some(Self::Held),
        }
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        let names = Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("has no event {text:?}; there are {names}"))
    }
}

impl Notice {
    /// What an entry of the log of decisions says to others, if anything.
    pub(super) fn of(line: LogEntry) -> Result<Option<Self>, serde_json::Error> {
        let LogEntry { seq, entry, hash, .. } = line;
        let entry: Entry = serde_json::from_value(entry)?;
        let id: String = hash.to_string().chars().take(32).collect();
        Ok(Kind::of(&entry).map(|kind| Self { number: seq, id, kind, entry }))
    }

    /// The body of a webhook, in the form of Standard Webhooks.
    pub(super) fn body(&self, skipped: u64) -> Value {
        let Entry { at, device, level, from, policy, causes, held, ruling } = &self.entry;
        let operation = match &ruling.question {
            Question::Operate(operation) => Some(operation.as_str()),
            Question::Join | Question::Stay => None,
        };
        json!({
            "type": format!("device.{}", self.kind.name()),
            "timestamp": at,
            "data": {
                "device": device,
                "level": level,
                "from": from,
                "operation": operation,
                "why": ruling.why(),
                "causes": causes,
                "policy": policy,
                "waits-for-a-person": held,
                "number": self.number,
                "skipped": skipped,
            }
        })
    }

    /// The security events that it means (CAEP 1.0), each with its id.
    pub(super) fn events(&self) -> Vec<(String, Event)> {
        let Entry { level, from, .. } = &self.entry;
        let mut events = Vec::new();
        if self.kind == Kind::LevelChanged {
            let before = from.unwrap_or_default();
            if from.is_some() && before.is_working() != level.is_working() {
                events.push(Event::ComplianceChange { was: before.is_working(), is: level.is_working() });
            }
            if *level == Level::Blocked && from.is_some() {
                events.push(Event::SessionRevoked);
            }
            events.push(Event::AssuranceLevelChange {
                namespace: super::NAMESPACE.into(),
                current: level.to_string(),
                previous: from.map(|from| from.to_string()),
            });
        }
        let name = |(at, event)| (format!("{}-{at}", self.id), event);
        events.into_iter().enumerate().map(name).collect()
    }
}
