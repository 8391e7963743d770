//! A deny list as it is kept.

use landfall_behaviour::{DenyList, Format, deny::Entry};
use landfall_types::{Record, Time};
use serde::{Deserialize, Serialize};

/// So many entries that were left out are kept.
const LEFT_OUT: usize = 20;

/// Who brought a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It is in the settings.
    Settings,
    /// An operator.
    Operator,
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ListRecord {
    /// What it is called.
    pub name: String,
    /// Who brought it.
    pub origin: Origin,
    /// How it is written.
    pub format: String,
    /// What is on it.
    pub entries: Vec<Listed>,
    /// The first of what stands there and was not taken, with the reason.
    pub left_out: Vec<(String, String)>,
    /// How much was not taken.
    pub left_out_count: usize,
    /// Of when it is, if it ever came: when it was asked for, or its file changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Time>,
    /// When it was last asked for.
    pub tried: Time,
    /// Not before then is it asked for again.
    pub next: Time,
    /// How often in a row that did not go well.
    pub failures: u32,
    /// Why not, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Which state of its file was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listed {
    /// An address, a prefix or a name.
    pub what: String,
    /// Until when, if the list says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

impl ListRecord {
    pub(super) fn taken(name: &str, origin: Origin, format: Format, list: DenyList, now: Time) -> Self {
        let entries = list.entries.into_iter().map(|(entry, until)| Listed { what: entry.to_string(), until });
        let left_out = list.left_out.into_iter().take(LEFT_OUT).map(|one| (one.text, one.why.to_owned()));
        Self {
            name: name.to_owned(),
            origin,
            format: format.name().to_owned(),
            entries: entries.collect(),
            left_out: left_out.collect(),
            left_out_count: list.left_out_count,
            taken: Some(now),
            tried: now,
            next: Time::FOREVER,
            failures: 0,
            trouble: None,
            state: None,
        }
    }

    /// One that has not come yet.
    pub(super) fn missing(name: &str, format: Format, now: Time) -> Self {
        let list = Self::taken(name, Origin::Settings, format, DenyList::default(), now);
        Self { taken: None, ..list }
    }

    /// What is on it, for looking things up.
    pub(super) fn list(&self) -> DenyList {
        let read = |listed: &Listed| Some((listed.what.parse::<Entry>().ok()?, listed.until));
        DenyList { entries: self.entries.iter().filter_map(read).collect(), ..DenyList::default() }
    }
}

impl Record for ListRecord {
    const COLLECTION: &'static str = "deny-list";

    fn key(&self) -> String {
        self.name.clone()
    }
}

/// Whether a list can be called that: it stands in facts, in metrics and on command lines.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}
