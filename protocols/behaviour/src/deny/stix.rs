//! Indicators in bundles of STIX 2.1.

use super::{DenyList, malformed, pattern};
use landfall_types::{Fault, Refusal, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// STIX 2.1 s8: a bundle.
#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    objects: Vec<Object>,
}

/// Any object; STIX 2.1 s4.7 for indicators.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Object {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    spec_version: String,
    modified: Option<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    pattern_type: String,
    valid_from: Option<String>,
    valid_until: Option<String>,
}

/// Indicators, each in the last of its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indicators {
    known: BTreeMap<String, (Option<Time>, Object)>,
}

pub(super) fn read(bytes: &[u8], now: Time, list: &mut DenyList) -> Result<(), Refusal> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| malformed("stix", error.to_string()))?;
    if bundle.kind != "bundle" {
        return Err(malformed("stix", "it is no bundle"));
    }
    let mut indicators = Indicators::default();
    indicators.extend(bundle.objects);
    indicators.into_entries(now, list)
}

impl Indicators {
    /// STIX 2.1 s3.6.2: of versions of one object the one that was modified last counts.
    pub(super) fn extend(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects.into_iter().filter(|object| object.kind == "indicator") {
            let modified: Option<Time> = object.modified.as_ref().and_then(|text| text.parse().ok());
            match self.known.get(&object.id) {
                Some((known, _)) if *known > modified => {}
                _ => {
                    self.known.insert(object.id.clone(), (modified, object));
                }
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes over those of others.
    pub fn merge(&mut self, others: Self) {
        self.extend(others.known.into_values().map(|(_, object)| object));
    }

    /// Puts what they mean on a list, as far as it is addresses and names, and holds at `now`.
    ///
    /// # Errors
    /// If the list would become too long.
    pub fn into_entries(self, now: Time, list: &mut DenyList) -> Result<(), Refusal> {
        for (_, object) in self.known.into_values() {
            let time = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Time>().ok());
            if object.revoked {
                continue;
            }
            if object.spec_version != "2.1" || object.pattern_type != "stix" {
                list.leave_out(object.id, "it is no indicator of STIX 2.1 with a STIX pattern");
                continue;
            }
            let until = time(&object.valid_until);
            // STIX 2.1 s4.7.1: valid_until, if present, is a time; one that cannot be read is no licence to hold for ever.
            if object.valid_until.is_some() && until.is_none()
                || time(&object.valid_from).is_some_and(|from| now < from)
            {
                list.leave_out(object.id, "it does not hold now");
                continue;
            }
            if until.is_some_and(|until| until <= now) {
                list.leave_out(object.id, "it has expired");
                continue;
            }
            match pattern::entries(&object.pattern) {
                Ok(entries) => entries.into_iter().try_for_each(|entry| list.add(entry, until))?,
                Err(why) => list.leave_out(object.pattern, why),
            }
        }
        Ok(())
    }
}

/// An unreadable document, as the operator is told.
pub(super) fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new(Fault::Malformed, "taxii", "TAXII 2.1 s3.7", error.to_string())
}
