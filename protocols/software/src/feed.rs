//! Feeds of what is known to be wrong with software, as their publishers give them out, read from files.

mod epss;
mod kev;
mod nvd;
mod osv;

use crate::{bounds, severity::Tenths, version::Scheme};
use landfall_types::{Fault, Refusal, Time};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// Which publisher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeedKind {
    /// Open Source Vulnerabilities: one record, a list of them, or one a line.
    Osv,
    /// The National Vulnerability Database, version 2.0.
    Nvd,
    /// CISA's catalogue of vulnerabilities that are known to be exploited.
    Kev,
    /// FIRST's predictions of what will be exploited.
    Epss,
}

impl FeedKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Osv, Self::Nvd, Self::Kev, Self::Epss];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Osv => "osv",
            Self::Nvd => "nvd",
            Self::Kev => "kev",
            Self::Epss => "epss",
        }
    }
}

impl fmt::Display for FeedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FeedKind {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        let wrong =
            || Refusal::new(Fault::Misuse, "feed-kind", "", format!("{text:.40} is none of osv, nvd, kev, epss"));
        found.ok_or_else(wrong)
    }
}

/// One edition of a feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// Whose.
    pub kind: FeedKind,
    /// As of when: what its publisher wrote into it, or its newest record.
    pub issued: Time,
    /// What it says.
    pub(crate) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Vulnerabilities(Vec<Vulnerability>),
    Exploited(Vec<String>),
    /// In thousandths.
    Likely(BTreeMap<String, u16>),
}

/// One vulnerability.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Vulnerability {
    pub(crate) id: String,
    /// Which feed tells of it, once it is in a catalogue.
    pub(crate) feed: Option<FeedKind>,
    pub(crate) aliases: Vec<String>,
    pub(crate) score: Option<Tenths>,
    pub(crate) affected: Vec<Affected>,
}

/// What is affected by it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affected {
    pub(crate) package: Package,
    pub(crate) ranges: Vec<Range>,
    pub(crate) versions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Package {
    /// An ecosystem of the OSV schema, its release if it has some, and the package's name in it.
    Of { ecosystem: String, release: Option<String>, name: String },
    /// A product of the NVD.
    Cpe(crate::cpe::Cpe),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) scheme: Scheme,
    pub(crate) events: Vec<Event>,
}

/// OSV schema, affected.ranges.events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
}

/// How far a feed may be ahead of our clock.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

impl Feed {
    /// Reads one edition.
    ///
    /// # Errors
    /// If it is longer than [`bounds`] permit, broken, empty, or does not say as of when it is.
    pub fn read(kind: FeedKind, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > bounds::FEED {
            return Err(refuse(kind, Fault::Malformed, "feed-size", format!("it has {} bytes", bytes.len())));
        }
        let (issued, content) = match kind {
            FeedKind::Osv => osv::read(bytes)?,
            FeedKind::Nvd => nvd::read(bytes)?,
            FeedKind::Kev => kev::read(bytes)?,
            FeedKind::Epss => epss::read(bytes)?,
        };
        let feed = Self { kind, issued, content };
        if feed.records() == 0 {
            return Err(refuse(kind, Fault::Malformed, "feed-empty", "it has no record"));
        }
        Ok(feed)
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        match &self.content {
            Content::Vulnerabilities(all) => all.len(),
            Content::Exploited(names) => names.len(),
            Content::Likely(scores) => scores.len(),
        }
    }

    /// Whether it may take the place of an earlier edition.
    ///
    /// # Errors
    /// If it is from the future, older than the one that is there, or has lost more than half of its records: a feed from
    /// which much is missing hides what it no longer says.
    pub fn may_replace(&self, earlier: Option<&Edition>, now: Time) -> Result<(), Refusal> {
        let refuse = |check, why| Err(refuse(self.kind, Fault::Denied, check, why));
        if self.issued > now + AHEAD {
            return refuse("feed-future", format!("it is of {}, which is still to come", self.issued));
        }
        let Some(earlier) = earlier else { return Ok(()) };
        if self.issued < earlier.issued {
            return refuse("feed-rollback", format!("it is of {}, older than {}", self.issued, earlier.issued));
        }
        if self.records().saturating_mul(2) < earlier.records {
            return refuse("feed-shrunk", format!("it has {} records of {}", self.records(), earlier.records));
        }
        Ok(())
    }

    /// What has to be remembered of it to judge the next one.
    pub fn edition(&self) -> Edition {
        Edition { issued: self.issued, records: self.records() }
    }
}

/// What an edition of a feed was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Edition {
    /// As of when.
    pub issued: Time,
    /// How many records it had.
    pub records: usize,
}

fn refuse(kind: FeedKind, fault: Fault, check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(fault, check, kind.name(), why)
}
