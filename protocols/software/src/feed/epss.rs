//! FIRST's Exploit Prediction Scoring System: its daily CSV.

use super::Content;
use crate::{bounds, read};
use landfall_types::{Refusal, Time};
use std::collections::BTreeMap;

const WHAT: &str = "EPSS";

/// ```text
/// #model_version:v2025.03.14,score_date:2026-11-22T12:55:00Z
/// cve,epss,percentile
/// CVE-1999-0001,0.01297,0.78630
/// ```
pub(super) fn read(bytes: &[u8]) -> Result<(Time, Content), Refusal> {
    let bad = |why: &str| read::malformed(WHAT, why);
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
    let mut lines = text.lines();
    let first =
        lines.next().and_then(|line| line.strip_prefix('#')).ok_or_else(|| bad("its first line is no remark"))?;
    let date = first
        .split(',')
        .find_map(|part| part.strip_prefix("score_date:"))
        .ok_or_else(|| bad("it has no score_date"))?;
    // The zone stands without its colon in older editions.
    let date = date.trim().strip_suffix("+0000").map_or_else(|| date.trim().to_owned(), |date| format!("{date}Z"));
    let issued: Time = date.parse().map_err(|error| read::malformed(WHAT, error))?;
    if !lines.next().is_some_and(|line| line.starts_with("cve,epss,")) {
        return Err(bad("its columns are not cve, epss, percentile"));
    }
    let mut scores = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let (Some(id), Some(score)) = (fields.next(), fields.next()) else { return Err(bad("a line lacks a field")) };
        let likely = score.parse::<f64>().ok().filter(|score| (0.0..=1.0).contains(score));
        let likely = likely.ok_or_else(|| bad("a score is not between 0 and 1"))?;
        if id.len() > bounds::TEXT || scores.len() == bounds::RECORDS {
            return Err(bad("it is too long"));
        }
        let thousandths = (0..=1000u16).find(|candidate| f64::from(*candidate) >= (likely * 1000.0).round());
        scores.insert(id.to_owned(), thousandths.unwrap_or(1000));
    }
    Ok((issued, Content::Likely(scores)))
}
