//! Deny lists: what no device should be in contact with, and devices that were.

use super::policy::read;
use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
};
use clap::Subcommand;
use landfall_server::admin::{
    escape,
    view::{DenyListAdded, DenyListShown, DenyListView, Forgiven, Note, ProposedDenyList},
};
use std::path::PathBuf;

const LISTS: &str = "/v1/verification/deny-lists";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Takes in a list, in the place of one of that name that was added before. Longer ones are files in the settings.
    Add {
        /// What it is to be called: small letters, digits and hyphens.
        name: String,
        /// The file; `-` is standard input.
        file: PathBuf,
        /// How it is written: `plain` (an address, prefix or name a line), `csv` (abuse.ch), or `stix` (2.1).
        #[arg(long, default_value = "plain")]
        format: String,
    },
    /// Shows the lists: from where, how old, and what is wrong with them.
    List,
    /// Shows what is on a list, and what stands there and was not taken.
    Show {
        /// As `list` names it.
        name: String,
    },
    /// Takes away a list that was added; what devices did against it speaks against them no more.
    Remove {
        /// As `list` names it.
        name: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Forgives a device what it was in contact with: somebody has looked into it.
    Forgive {
        /// Its id, or its serial number.
        device: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Add { name, file, format } => {
            let proposed = ProposedDenyList { name: name.clone(), format: format.clone(), text: read(file)? };
            let added: DenyListAdded =
                connection.ask(output, "adding", async |client| client.post(LISTS, &proposed).await)?;
            output.show_as(&added, || {
                let (entries, rest) = (added.list.entries, left_out(added.list.left_out, &added.left_out));
                format!("{name} is watched for, with {entries} addresses, prefixes and names{rest}")
            })?;
        }
        Verb::List => {
            let lists: Vec<DenyListView> = connection.ask(output, "asking", async |client| client.get(LISTS).await)?;
            output.show_as(&lists, || {
                let head = ["list", "by", "format", "entries", "of", "fresh until", "trouble"];
                let mut table = Table::new(&head, "there is no deny list, so nobody watches");
                for list in &lists {
                    let time =
                        |time: Option<landfall_types::Time>| time.map_or_else(|| "-".into(), |time| time.to_string());
                    let by =
                        if list.origin == landfall_server::deny::Origin::Settings { "settings" } else { "operator" };
                    table.row([
                        list.name.clone(),
                        by.into(),
                        list.format.clone(),
                        list.entries.to_string(),
                        time(list.taken),
                        time(list.fresh_until),
                        list.trouble.clone().unwrap_or_else(|| "-".into()),
                    ]);
                }
                table.to_string()
            })?;
        }
        Verb::Show { name } => {
            let path = format!("{LISTS}/{}", escape(name));
            let shown: DenyListShown = connection.ask(output, "asking", async |client| client.get(&path).await)?;
            output.show_as(&shown, || {
                let mut table = Table::new(&["entry", "until"], "nothing is on it");
                for entry in &shown.entries {
                    let until = entry.until.map_or_else(|| "-".into(), |until| until.to_string());
                    table.row([entry.what.clone(), until]);
                }
                let more = shown.list.entries.saturating_sub(shown.entries.len());
                let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
                format!("{table}{more}{}", left_out(shown.list.left_out, &shown.left_out))
            })?;
        }
        Verb::Remove { name, reason } => {
            let path = format!("{LISTS}/{}/remove", escape(name));
            let note = Note { reason: reason.clone() };
            let list: DenyListView =
                connection.ask(output, "removing", async |client| client.post(&path, &note).await)?;
            output.show_as(&list, || format!("{name} is gone, and nobody is held to it"))?;
        }
        Verb::Forgive { device, reason } => {
            let path = format!("/v1/verification/devices/{}/forgive", escape(device));
            let note = Note { reason: reason.clone() };
            let forgiven: Forgiven =
                connection.ask(output, "forgiving", async |client| client.post(&path, &note).await)?;
            output.show_as(&forgiven, || match forgiven.lists {
                0 => format!("{device} was in contact with nothing on any list"),
                lists => format!("{device} is forgiven its contact with {}", counted(lists, "list")),
            })?;
        }
    }
    Ok(Answer::Yes)
}

fn left_out(count: usize, first: &[(String, String)]) -> String {
    if count == 0 {
        return String::new();
    }
    let lines = first.iter().map(|(text, why)| format!("\n  {text}: {why}"));
    format!("\nnot taken: {count}{}", lines.collect::<String>())
}
