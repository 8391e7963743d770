//! The National Vulnerability Database: answers and yearly files of its API, version 2.0.

use super::{Affected, Content, Event, Package, Range, Vulnerability};
use crate::{
    bounds,
    cpe::Cpe,
    read,
    read::{Few, Text},
    severity::Tenths,
    version::Scheme,
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;

const WHAT: &str = "NVD 2.0";

#[derive(Deserialize)]
struct Document {
    format: Text,
    version: Text,
    timestamp: Text,
    #[serde(default)]
    vulnerabilities: Few<Entry, { bounds::RECORDS }>,
}

#[derive(Deserialize)]
struct Entry {
    cve: Record,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: Text,
    #[serde(default)]
    vuln_status: Text,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default)]
    configurations: Few<Configuration>,
}

#[derive(Default, Deserialize)]
struct Metrics {
    #[serde(default, rename = "cvssMetricV40")]
    v40: Few<Metric>,
    #[serde(default, rename = "cvssMetricV31")]
    v31: Few<Metric>,
    #[serde(default, rename = "cvssMetricV30")]
    v30: Few<Metric>,
    #[serde(default, rename = "cvssMetricV2")]
    v2: Few<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    cvss_data: Cvss,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss {
    #[serde(default)]
    vector_string: Text,
    base_score: Option<f64>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    nodes: Few<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(default)]
    cpe_match: Few<Match>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    #[serde(default)]
    vulnerable: bool,
    criteria: Text,
    version_start_including: Option<Text>,
    version_start_excluding: Option<Text>,
    version_end_including: Option<Text>,
    version_end_excluding: Option<Text>,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Time, Content), Refusal> {
    let document: Document = read::json(bytes, WHAT, bounds::FEED)?;
    if &*document.format != "NVD_CVE" || &*document.version != "2.0" {
        return Err(read::incompatible(WHAT, "its format is not NVD_CVE 2.0"));
    }
    // Its times have no zone: they are of UTC.
    let timestamp = format!("{}Z", document.timestamp.trim_end_matches('Z'));
    let issued = timestamp.parse().map_err(|error| read::malformed(WHAT, error))?;
    let all = document.vulnerabilities.0.into_iter().map(|entry| vulnerability(entry.cve));
    Ok((issued, Content::Vulnerabilities(all.collect())))
}

fn vulnerability(record: Record) -> Vulnerability {
    let worst = |metrics: &[Metric]| metrics.iter().filter_map(|metric| score(&metric.cvss_data)).max();
    let metrics = &record.metrics;
    let modern = worst(&metrics.v40).max(worst(&metrics.v31)).max(worst(&metrics.v30));
    // Rejected names stand for nothing.
    let rejected = &*record.vuln_status == "Rejected";
    // What must be there besides (`AND` with something that is not vulnerable itself) is not asked for: whether it is there
    // cannot be told from a list of components.
    let matches = record.configurations.0.into_iter().flat_map(|one| one.nodes.0).flat_map(|node| node.cpe_match.0);
    let affected = matches.filter(|one| one.vulnerable && !rejected).filter_map(affected).collect();
    Vulnerability {
        id: record.id.0,
        score: modern.or_else(|| worst(&metrics.v2)),
        affected,
        ..Vulnerability::default()
    }
}

fn score(data: &Cvss) -> Option<Tenths> {
    Tenths::from_vector(&data.vector_string).max(data.base_score.and_then(Tenths::from_scale))
}

fn affected(one: Match) -> Option<Affected> {
    let cpe: Cpe = one.criteria.parse().ok()?;
    // After a version that is not affected itself there is the next one: the range begins there, and takes the one more.
    let start = one.version_start_including.or(one.version_start_excluding);
    let bounded = start.is_some() || one.version_end_including.is_some() || one.version_end_excluding.is_some();
    let mut events = vec![Event::Introduced(start.map_or_else(|| "0".to_owned(), |text| text.0))];
    events.extend(one.version_end_including.map(|text| Event::LastAffected(text.0)));
    events.extend(one.version_end_excluding.map(|text| Event::Fixed(text.0)));
    let (ranges, versions) = match &cpe.version {
        Some(version) if !bounded => (Vec::new(), vec![version.clone()]),
        _ => (vec![Range { scheme: Scheme::Generic, events }], Vec::new()),
    };
    Some(Affected { package: Package::Cpe(cpe), ranges, versions })
}
