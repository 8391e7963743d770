//! One entry a line.

use super::{DenyList, Entry};
use landfall_types::Refusal;

pub(super) fn read(text: &str, list: &mut DenyList) -> Result<(), Refusal> {
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let entry = match (words.next(), words.next()) {
            (None, _) => continue,
            (Some(word), None) => word,
            // A hosts file: names that lead nowhere.
            (Some("0.0.0.0" | "127.0.0.1" | "::" | "::1"), Some("localhost" | "localhost.localdomain" | "local")) => {
                continue;
            }
            (Some("0.0.0.0" | "127.0.0.1" | "::" | "::1"), Some(name)) => name,
            (Some(word), Some(_)) => {
                list.leave_out(word, "more than one word stands in its line");
                continue;
            }
        };
        match entry.parse::<Entry>() {
            Ok(found) => list.add(found, None)?,
            Err(why) => list.leave_out(entry, why),
        }
    }
    Ok(())
}
