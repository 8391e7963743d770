//! What is shown of software: which component has what, since when it is mended, and who says so.

use super::{
    published::PublishedRecord,
    record::{FeedRecord, SbomRecord},
};
use landfall_software::{Assessment, Finding};
use landfall_types::Time;
use serde::{Deserialize, Serialize};

/// So many vulnerabilities are shown.
const SHOWN: usize = 1000;

/// A list of components, and what was found in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SbomReport {
    /// The list, without the document.
    #[serde(flatten)]
    pub record: SbomRecord,
    /// The worst that is left, in tenths of the CVSS scale; none if it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// Whether anything is known of what it lists.
    pub is_known: bool,
    /// Components of which no feed speaks, so that nothing can be said of the whole. The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<String>,
    /// Components about which nothing can be asked. The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unidentified: Vec<String>,
    /// What was found, the worst first; at most a thousand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingReport>,
    /// How it was come by, if a manufacturer's file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedRecord>,
    /// Of how many devices something was told anew because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,
}

/// A vulnerability in a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FindingReport {
    /// Its name.
    pub id: String,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// In what.
    pub component: String,
    /// How bad it is, in tenths of the CVSS scale.
    pub score: u8,
    /// Why that is so: nobody scores it, versions cannot be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// Whether it is known to be exploited.
    pub is_exploited: bool,
    /// How likely it is to be exploited within 30 days, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely: Option<u16>,
    /// The first version of the component in which it is mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The kinds of feeds that tell of it; `sbom` is the list's own author.
    pub told_by: Vec<String>,
    /// Why it does not count, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
}

/// The bundle of feeds that is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FeedReport {
    /// As it is on record.
    #[serde(flatten)]
    pub record: FeedRecord,
    /// Whether its publisher still vouches for it.
    pub is_fresh: bool,
    /// How old each of its files is, in hours, in their order.
    pub ages: Vec<u64>,
}

impl SbomReport {
    pub(super) fn of(record: &SbomRecord, assessment: &Assessment) -> Self {
        Self {
            record: record.clone(),
            score: assessment.score.map(|score| score.get()),
            is_known: assessment.is_known,
            uncovered: assessment.uncovered.clone(),
            unidentified: assessment.unidentified.clone(),
            findings: assessment.findings.iter().take(SHOWN).map(FindingReport::of).collect(),
            published: None,
            devices: None,
        }
    }
}

impl FindingReport {
    fn of(finding: &Finding) -> Self {
        let because = [
            (finding.is_unscored, "nobody says how bad it is"),
            (finding.is_uncertain, "the versions cannot be compared"),
        ];
        let told_by: Vec<String> = finding.by.iter().map(ToString::to_string).collect();
        Self {
            id: finding.id.clone(),
            aliases: finding.aliases.clone(),
            component: finding.component.clone(),
            score: finding.score.get(),
            because: because.into_iter().filter(|(is, _)| *is).map(|(_, why)| why.to_owned()).collect(),
            is_exploited: finding.is_exploited,
            likely: finding.likely,
            fixed: finding.fixed.clone(),
            told_by: if told_by.is_empty() { vec!["sbom".into()] } else { told_by },
            excused: finding.excused.as_ref().map(|excuse| match &excuse.why {
                Some(why) => format!("{}: {why}", excuse.status.name()),
                None => excuse.status.name().into(),
            }),
        }
    }
}

impl FeedReport {
    pub(super) fn of(record: FeedRecord, now: Time) -> Self {
        let ages = record.files.iter().map(|file| now.since(file.edition.issued).as_secs() / 3600).collect();
        Self { is_fresh: now < record.fresh_until, ages, record }
    }
}
