//! TAXII 2.1: indicators asked for page by page, with the requests and answers as data.

use super::{
    malformed,
    stix::{Indicators, Object, unreadable},
};
use crate::bounds;
use landfall_types::Refusal;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The media type of requests and answers (TAXII 2.1 s1.6.8).
pub const MEDIA: &str = "application/taxii+json;version=2.1";

/// One answer: an envelope (TAXII 2.1 s3.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The indicators in it.
    pub indicators: Indicators,
    /// What to ask for next, if there is more.
    pub next: Option<String>,
    /// Whether there is more.
    pub more: bool,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    more: bool,
    next: Option<String>,
    #[serde(default)]
    objects: Vec<Object>,
}

impl Page {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is too long or no envelope.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > bounds::LIST {
            return Err(malformed("taxii", format!("it has {} bytes", bytes.len())));
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        let mut indicators = Indicators::default();
        indicators.extend(envelope.objects);
        Ok(Self { indicators, next: envelope.next, more: envelope.more })
    }
}

/// Asking for all pages of a collection.
#[derive(Clone, Debug, Default)]
pub struct Poll {
    added_after: Option<String>,
    next: Option<String>,
    seen: BTreeSet<String>,
    pages: usize,
    /// What has come so far.
    pub indicators: Indicators,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for more, by [`Poll::query`].
    More,
    /// That was all.
    Done,
}

impl Poll {
    /// From the beginning, or from what was added after a time as the server has written it (RFC 3339).
    pub fn new(added_after: Option<String>) -> Self {
        Self { added_after, ..Self::default() }
    }

    /// What stands behind the address of the collection in the next request (TAXII 2.1 s5.4, s3.4, s3.5).
    pub fn query(&self) -> String {
        let mut query = "objects/?match[type]=indicator&match[spec_version]=2.1".to_owned();
        for (name, value) in [("added_after", &self.added_after), ("next", &self.next)] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}="));
                value.bytes().for_each(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(char::from(byte)),
                    byte => query.push_str(&format!("%{byte:02X}")),
                });
            }
        }
        query
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// If it cannot be read, or the server goes in circles or on without end.
    pub fn answer(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let page = Page::read(bytes)?;
        self.indicators.merge(page.indicators);
        self.pages += 1;
        if !page.more {
            return Ok(Step::Done);
        }
        let next = page.next.ok_or_else(|| malformed("taxii", "it has more and does not say how to ask for it"))?;
        if self.pages >= bounds::PAGES || self.indicators.len() > bounds::ENTRIES || !self.seen.insert(next.clone()) {
            return Err(malformed("taxii", "its pages have no end"));
        }
        self.next = Some(next);
        Ok(Step::More)
    }
}
