//! Open Source Vulnerabilities: the OSV schema, version 1.

use super::{Affected, Content, Event, Package, Range, Vulnerability};
use crate::{
    bounds, read,
    read::{Few, Text},
    severity::Tenths,
    version::Scheme,
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;

const WHAT: &str = "OSV";

#[derive(Deserialize)]
struct Record {
    id: Text,
    modified: Text,
    withdrawn: Option<Text>,
    #[serde(default)]
    aliases: Few<Text>,
    #[serde(default)]
    upstream: Few<Text>,
    #[serde(default)]
    severity: Few<Severity>,
    #[serde(default)]
    affected: Few<Hit>,
    database_specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Severity {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    score: Text,
}

#[derive(Deserialize)]
struct Hit {
    package: Option<Named>,
    #[serde(default)]
    ranges: Few<Ranged>,
    #[serde(default)]
    versions: Few<Text>,
    #[serde(default)]
    severity: Few<Severity>,
}

#[derive(Deserialize)]
struct Named {
    ecosystem: Text,
    name: Text,
}

#[derive(Deserialize)]
struct Ranged {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    events: Few<Change>,
}

#[derive(Deserialize)]
struct Change {
    introduced: Option<Text>,
    fixed: Option<Text>,
    last_affected: Option<Text>,
}

/// What databases say beyond the schema; whatever else it is, it is passed over.
#[derive(Deserialize)]
#[serde(untagged)]
enum Specific {
    Word { severity: String },
    Other(serde::de::IgnoredAny),
}

/// One record, a list of them, or one a line.
pub(super) fn read(bytes: &[u8]) -> Result<(Time, Content), Refusal> {
    let mut all = Vec::new();
    let mut newest = None;
    let mut take = |record: Record| {
        if all.len() == bounds::RECORDS {
            return Err(read::malformed(WHAT, format!("it has more than {} records", bounds::RECORDS)));
        }
        let modified: Time = record.modified.parse().map_err(|error| read::malformed(WHAT, error))?;
        newest = newest.max(Some(modified));
        // What was withdrawn is counted, so that a feed does not seem to shrink, and affects nothing.
        all.push(vulnerability(record));
        Ok(())
    };
    match bytes.trim_ascii_start().first() {
        Some(b'[') => read::json::<Few<Record, { bounds::RECORDS }>>(bytes, WHAT, bounds::FEED)?
            .0
            .into_iter()
            .try_for_each(&mut take)?,
        _ => match read::json::<Record>(bytes, WHAT, bounds::RECORD) {
            Ok(record) => take(record)?,
            Err(refusal) => {
                let lines =
                    || bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
                if lines().take(2).count() < 2 {
                    return Err(refusal);
                }
                lines().try_for_each(|line| take(read::json(line, WHAT, bounds::RECORD)?))?;
            }
        },
    }
    let issued = newest.ok_or_else(|| read::malformed(WHAT, "it has no record"))?;
    Ok((issued, Content::Vulnerabilities(all)))
}

fn vulnerability(record: Record) -> Vulnerability {
    if record.withdrawn.is_some() {
        return Vulnerability { id: record.id.0, ..Vulnerability::default() };
    }
    let vectors = record.severity.iter().chain(record.affected.iter().flat_map(|hit| hit.severity.iter()));
    let vectors: Vec<(bool, Tenths)> = vectors.filter_map(score).collect();
    // The older scale counts only where there is no other.
    let modern = vectors.iter().filter(|(modern, _)| *modern).map(|(_, score)| *score).max();
    let any = modern.or_else(|| vectors.iter().map(|(_, score)| *score).max());
    let word = match &record.database_specific {
        Some(Specific::Word { severity }) => Tenths::from_word(severity),
        _ => None,
    };
    Vulnerability {
        id: record.id.0,
        // Databases of distributions name the vulnerability that theirs is about as its upstream.
        aliases: record.aliases.0.into_iter().chain(record.upstream.0).map(|alias| alias.0).collect(),
        score: any.or(word),
        affected: record.affected.0.into_iter().filter_map(affected).collect(),
        feed: None,
    }
}

/// OSV schema, severity: `CVSS_V2`, `CVSS_V3`, `CVSS_V4`, or words of `Ubuntu`.
fn score(severity: &Severity) -> Option<(bool, Tenths)> {
    match &*severity.kind {
        "CVSS_V3" | "CVSS_V4" => Some((true, Tenths::from_vector(&severity.score)?)),
        "CVSS_V2" => Some((false, Tenths::from_vector(&severity.score)?)),
        _ => Some((false, Tenths::from_word(&severity.score)?)),
    }
}

fn affected(hit: Hit) -> Option<Affected> {
    let package = hit.package?;
    let (ecosystem, release) = match package.ecosystem.split_once(':') {
        Some((ecosystem, release)) => (ecosystem, Some(release.to_owned())),
        None => (&*package.ecosystem, None),
    };
    let scheme = Scheme::of(ecosystem);
    let ranges = hit.ranges.0.into_iter().map(|range| {
        let scheme = match &*range.kind {
            "SEMVER" => Scheme::Semver,
            "GIT" => Scheme::Unordered,
            _ => scheme,
        };
        Range { scheme, events: range.events.0.into_iter().filter_map(event).collect() }
    });
    Some(Affected {
        ranges: ranges.collect(),
        package: Package::Of { ecosystem: ecosystem.to_owned(), release, name: package.name.0 },
        versions: hit.versions.0.into_iter().map(|version| version.0).collect(),
    })
}

fn event(change: Change) -> Option<Event> {
    let introduced = change.introduced.map(|text| Event::Introduced(text.0));
    let fixed = change.fixed.map(|text| Event::Fixed(text.0));
    introduced.or(fixed).or_else(|| change.last_affected.map(|text| Event::LastAffected(text.0)))
}
