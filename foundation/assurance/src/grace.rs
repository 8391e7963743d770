//! What may be unknown for how long.

use crate::fact::{Fact, Kind};
use landfall_types::Time;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// For how long an operator lets a kind of fact be unknown: after it has expired, or after the device was first known of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace(pub BTreeMap<Kind, Duration>);

impl Grace {
    /// For how long.
    pub fn of(&self, kind: Kind) -> Duration {
        self.0.get(&kind).copied().unwrap_or_default()
    }

    /// Until when a fact counts, if not for ever.
    pub(crate) fn end(&self, fact: &Fact) -> Option<Time> {
        Some(fact.expires? + self.of(fact.kind))
    }
}
