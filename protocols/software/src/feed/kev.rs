//! CISA's catalogue of known exploited vulnerabilities, as JSON.

use super::Content;
use crate::{
    bounds, read,
    read::{Few, Text},
};
use landfall_types::{Refusal, Time};
use serde::Deserialize;

const WHAT: &str = "CISA KEV";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    date_released: Text,
    count: Option<usize>,
    vulnerabilities: Few<Entry, { bounds::RECORDS }>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "cveID")]
    id: Text,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Time, Content), Refusal> {
    let document: Document = read::json(bytes, WHAT, bounds::FEED)?;
    if document.count.is_some_and(|count| count != document.vulnerabilities.len()) {
        return Err(read::malformed(WHAT, "it has another number of entries than it says"));
    }
    let issued = document.date_released.parse().map_err(|error| read::malformed(WHAT, error))?;
    Ok((issued, Content::Exploited(document.vulnerabilities.0.into_iter().map(|entry| entry.id.0).collect())))
}
