//! What is said of vulnerabilities: that they apply to products, or do not.

use crate::{
    admin::Connection,
    inspect,
    output::{Answer, Output, Table, counted},
};
use clap::Subcommand;
use landfall_server::{
    admin::view::{Count, VexId, VexShown},
    authorizer::VexRecord,
};
use std::path::PathBuf;

const VEX: &str = "/v1/verification/vex";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Takes in statements (VEX: OpenVEX, CSAF or CycloneDX, in JSON) about the products that they name.
    Add {
        /// The file.
        file: PathBuf,
    },
    /// Shows the documents that there are.
    List,
    /// Removes a document: what it said does not count any more.
    Remove {
        /// Its id.
        id: String,
    },
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Add { file } => {
            let document = inspect::read(file)?;
            let added: VexShown = connection.ask(output, "assessing", async |client| {
                client.send(VEX, &[], "application/octet-stream", document).await
            })?;
            output.show_as(&added, || described(&added.record))?;
        }
        Verb::List => {
            let all: Vec<VexShown> = connection.ask(output, "asking", async |client| client.get(VEX).await)?;
            output.show_as(&all, || {
                let columns = ["id", "format", "author", "statements", "since", "by"];
                let mut table = Table::new(&columns, "nobody has brought a statement");
                for VexShown { record } in &all {
                    table.row([
                        record.id.clone(),
                        record.format.clone(),
                        record.author.clone().unwrap_or_default(),
                        record.statements.to_string(),
                        record.at.to_string(),
                        record.by.clone(),
                    ]);
                }
                table.to_string()
            })?;
        }
        Verb::Remove { id } => {
            let (path, which) = (format!("{VEX}/remove"), VexId { id: id.clone() });
            let removed: Count = connection.ask(output, "removing", async |client| client.post(&path, &which).await)?;
            output.show_as(&removed, || format!("{id} is removed"))?;
        }
    }
    Ok(Answer::Yes)
}

fn described(record: &VexRecord) -> String {
    format!(
        "{}: {}, {} by {}\nof {}\nabout {}\n",
        record.id,
        record.format,
        counted(record.statements, "statement"),
        record.author.as_deref().unwrap_or("nobody who is named"),
        record.vulnerabilities.join(", "),
        record.products.join(", ")
    )
}
