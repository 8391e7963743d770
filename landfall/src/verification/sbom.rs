//! What devices run, and what is wrong with it.

use crate::{
    admin::Connection,
    inspect,
    output::{Answer, Output, Table, counted},
};
use clap::Subcommand;
use landfall_server::{
    admin::{
        escape,
        view::{Count, PublishedShown, SbomId, SbomOf, SbomShown},
    },
    authorizer::{FindingReport, Had, SbomReport, Scope},
};
use landfall_types::Time;
use std::{fmt::Write, path::PathBuf};

const SBOMS: &str = "/v1/verification/sboms";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Takes in a list of components (SBOM: CycloneDX or SPDX, in JSON), in the place of an earlier one of the same.
    Add {
        /// The file.
        file: PathBuf,
        /// The device that it is of: its id, or its serial number.
        #[arg(long, conflicts_with_all = ["vendor", "model"])]
        device: Option<String>,
        /// Or the manufacturer, as the settings name it, …
        #[arg(long, requires = "model")]
        vendor: Option<String>,
        /// … and the model that it is of.
        #[arg(long, requires = "vendor")]
        model: Option<String>,
        /// The release of the firmware; without it, all releases that no other list is of.
        #[arg(long)]
        firmware: Option<String>,
    },
    /// Shows the lists of components that there are.
    List,
    /// Shows one list: each vulnerability with its component, where it is mended, and who says so.
    Show {
        /// Its id, or a device of which it is.
        id: String,
    },
    /// Shows which lists manufacturers' files name (RFC 9472), and what became of asking for each.
    Published,
    /// Removes a list: what followed from it is not known any more.
    Remove {
        /// Its id.
        id: String,
    },
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Add { file, device, vendor, model, firmware } => {
            let of = SbomOf {
                device: device.clone(),
                vendor: vendor.clone(),
                model: model.clone(),
                firmware: firmware.clone(),
            };
            add(connection, inspect::read(file)?, &of, output)
        }
        Verb::List => list(connection, output),
        Verb::Published => published(connection, output),
        Verb::Show { id } => {
            let path = format!("{SBOMS}/{}", escape(id));
            let shown: SbomShown = connection.ask(output, "asking", async |client| client.get(&path).await)?;
            output.show_as(&shown, || described(&shown.report))?;
            Ok(Answer::Yes)
        }
        Verb::Remove { id } => {
            let (path, which) = (format!("{SBOMS}/remove"), SbomId { id: id.clone() });
            let removed: Count = connection.ask(output, "removing", async |client| client.post(&path, &which).await)?;
            output.show_as(&removed, || format!("{id} is removed"))?;
            Ok(Answer::Yes)
        }
    }
}

fn add(connection: &Connection, document: Vec<u8>, of: &SbomOf, output: &Output) -> anyhow::Result<Answer> {
    let query = [
        ("device", of.device.as_deref()),
        ("vendor", of.vendor.as_deref()),
        ("model", of.model.as_deref()),
        ("firmware", of.firmware.as_deref()),
    ];
    let shown: SbomShown = connection.ask(output, "assessing", async |client| {
        client.send(SBOMS, &query, "application/octet-stream", document).await
    })?;
    output.show_as(&shown, || {
        let devices = shown.report.devices.map(|count| counted(count, "device")).unwrap_or_default();
        format!("{}it is of {devices} here", described(&shown.report))
    })?;
    Ok(Answer::Yes)
}

fn list(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let all: Vec<SbomShown> = connection.ask(output, "asking", async |client| client.get(SBOMS).await)?;
    output.show_as(&all, || {
        let columns = ["id", "of", "firmware", "components", "worst", "since"];
        let mut table = Table::new(&columns, "there is no list of components");
        for SbomShown { report } in &all {
            let record = &report.record;
            table.row([
                record.id.clone(),
                scope(&record.scope),
                record.firmware.clone().unwrap_or_else(|| "any".into()),
                record.components.to_string(),
                worst(report),
                record.at.to_string(),
            ]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

fn published(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let path = format!("{SBOMS}/published");
    let all: Vec<PublishedShown> = connection.ask(output, "asking", async |client| client.get(&path).await)?;
    output.show_as(&all, || {
        let columns = ["id", "named by", "firmware", "had", "until", "trouble"];
        let mut table = Table::new(&columns, "no device's MUD file names a list of components");
        for PublishedShown { record } in &all {
            let had = |time: fn(&Had) -> Time| {
                record.had.as_ref().map_or_else(|| "never".into(), |had| time(had).to_string())
            };
            table.row([
                record.id.clone(),
                record.mud_file.clone(),
                record.firmware.clone().unwrap_or_else(|| "not known".into()),
                had(|had| had.at),
                had(|had| had.until),
                record
                    .trouble
                    .as_ref()
                    .map(|trouble| format!("{}: {}", trouble.check, trouble.why))
                    .unwrap_or_default(),
            ]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

/// A list of components, and what was found in it.
pub(super) fn described(report: &SbomReport) -> String {
    let record = &report.record;
    let firmware = record.firmware.as_ref().map(|firmware| format!(", firmware {firmware}")).unwrap_or_default();
    let mut text = format!(
        "{} of {}{firmware}: {}, {}\nworst vulnerability: {}\n",
        record.id,
        scope(&record.scope),
        record.format,
        counted(record.components, "component"),
        worst(report)
    );
    let _ = writeln!(text, "{} at {}", record.by, record.at);
    if let Some(published) = &report.published {
        let place = published.had.as_ref().map(|had| format!("{} at {}, counts until {}", had.from, had.at, had.until));
        let _ = writeln!(
            text,
            "from {}, named by the MUD file that {} signed",
            place.unwrap_or_default(),
            published.signer
        );
    }
    for finding in &report.findings {
        let _ = writeln!(text, "  {}", found(finding));
    }
    for (what, components) in
        [("no feed speaks of", &report.uncovered), ("nothing can be asked about", &report.unidentified)]
    {
        if !components.is_empty() {
            let _ = writeln!(text, "  {what}: {}", components.join(", "));
        }
    }
    text
}

fn found(finding: &FindingReport) -> String {
    let mut text = format!("{} {} in {}", tenths(finding.score), finding.id, finding.component);
    match &finding.fixed {
        Some(version) => text.push_str(&format!(", mended in {version}")),
        None => text.push_str(", no version is known in which it is mended"),
    }
    text.push_str(&format!(" ({})", finding.told_by.join(", ")));
    if finding.is_exploited {
        text.push_str("; it is being exploited");
    }
    if let Some(likely) = finding.likely {
        text.push_str(&format!("; exploited within 30 days with {} %", tenths_of(likely)));
    }
    for why in &finding.because {
        text.push_str(&format!("; {why}"));
    }
    if let Some(why) = &finding.excused {
        text.push_str(&format!("; does not count in the score: {why}"));
    }
    text
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Device(device) => device.to_string(),
        Scope::DeviceType(name) | Scope::MudFile(name) => name.clone(),
        Scope::Shown(device) => format!("{device}, by its own word"),
    }
}

fn worst(report: &SbomReport) -> String {
    report.score.map_or_else(|| "cannot be told".into(), tenths)
}

fn tenths(score: u8) -> String {
    format!("{}.{}", score / 10, score % 10)
}

fn tenths_of(thousandths: u16) -> String {
    format!("{}.{}", thousandths / 10, thousandths % 10)
}
