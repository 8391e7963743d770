//! Feeds of what is known to be wrong with software, in bundles that their publisher signs.

use crate::{
    admin::{Connection, private_key},
    output::{Answer, Output, Table},
};
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use landfall_server::{admin::view::FeedsShown, authorizer::FeedReport};
use landfall_tuf::{Archive, publish};
use landfall_types::Time;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const FEEDS: &str = "/v1/verification/feeds";
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Takes over a bundle of feeds, if its publisher has signed it and it is no older than the last one.
    Import {
        /// An archive (tar), or the folder that its files are in.
        bundle: PathBuf,
    },
    /// Shows the feeds that are used, with their ages.
    Show,
    /// Writes the root of a publisher with one key: what the settings of those who use its bundles name.
    Root {
        /// The publisher's private key, PKCS#8 in PEM, Ed25519 or on P-256.
        #[arg(long)]
        key: PathBuf,
        /// For how many days it holds.
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Puts feeds into a bundle and signs it, for servers that reach no publisher.
    Publish {
        /// Files as their publishers give them out, whose names begin with osv, nvd, kev, epss or vex.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The publisher's private key.
        #[arg(long)]
        key: PathBuf,
        /// The number of the bundle: higher than that of the last one; without it, the seconds of the clock.
        #[arg(long)]
        number: Option<u64>,
        /// For how many days it holds: after that, what it says is not known any more.
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// The archive to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Import { bundle } => {
            let archive = archive(bundle)?;
            let shown: FeedsShown = connection.ask(output, "taking over", async |client| {
                client.send(FEEDS, &[], "application/x-tar", archive).await
            })?;
            show(&shown, output)
        }
        Verb::Show => {
            let shown: FeedsShown = connection.ask(output, "asking", async |client| client.get(FEEDS).await)?;
            show(&shown, output)
        }
        Verb::Root { key, days, out } => {
            let root = publish::root(&private_key(key)?, Time::now() + DAY * *days)?;
            write(out, &root)?;
            output.show_as(&json!({ "root": out }), || {
                format!("{} is the root: name it in authorizer.feeds.root", out.display())
            })?;
            Ok(Answer::Yes)
        }
        Verb::Publish { files, key, number, days, out } => publish(files, key, *number, *days, out, output),
    }
}

fn publish(
    files: &[PathBuf],
    key: &Path,
    number: Option<u64>,
    days: u32,
    out: &Path,
    output: &Output,
) -> anyhow::Result<Answer> {
    let mut named = BTreeMap::new();
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is no name of a file", path.display()))?.to_owned();
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(named.insert(name.clone(), content).is_none(), "two files are called {name}");
    }
    let now = Time::now();
    let number = number.unwrap_or_else(|| now.since(Time::from_unix(0)).as_secs());
    let bundle = publish::bundle(&private_key(key)?, number, now + DAY * days, &named)?;
    let archive = Archive::write(&bundle).context("a name is too long for an archive")?;
    write(out, &archive)?;
    output.show_as(&json!({ "bundle": out, "number": number, "files": named.len() }), || {
        format!("{} is bundle {number} with {} files, and holds for {days} days", out.display(), named.len())
    })?;
    Ok(Answer::Yes)
}

fn show(shown: &FeedsShown, output: &Output) -> anyhow::Result<Answer> {
    output.show_as(shown, || match &shown.report {
        None => "no bundle of feeds was taken over yet (landfall verification feed import)".into(),
        Some(report) => described(report),
    })?;
    Ok(shown.report.is_some().into())
}

fn described(report: &FeedReport) -> String {
    let record = &report.record;
    let state = if report.is_fresh { "holds until" } else { "has not held since" };
    let mut table = Table::new(&["feed", "file", "as of", "hours old", "records"], "it has no feed");
    for (file, age) in record.files.iter().zip(&report.ages) {
        table.row([
            file.kind.clone(),
            file.name.clone(),
            file.edition.issued.to_string(),
            age.to_string(),
            file.edition.records.to_string(),
        ]);
    }
    let passed_over = match record.passed_over.is_empty() {
        true => String::new(),
        false => format!("\nof no kind that is known here: {}", record.passed_over.join(", ")),
    };
    format!("imported at {} by {}; {state} {}\n{table}{passed_over}", record.at, record.by, record.fresh_until)
}

/// The archive at `path`, made of the folder if it is one.
fn archive(path: &Path) -> anyhow::Result<Vec<u8>> {
    if !path.is_dir() {
        return fs::read(path).with_context(|| format!("reading {}", path.display()));
    }
    let mut files = BTreeMap::new();
    let mut folders = vec![(path.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().with_context(|| format!("{} is not UTF-8", entry.path().display()))?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{prefix}{name}/")));
            } else if kind.is_file() {
                files.insert(format!("{prefix}{name}"), fs::read(entry.path())?);
            }
        }
    }
    if files.is_empty() {
        bail!("{} holds no bundle", path.display());
    }
    Archive::write(&files).context("a name is too long for an archive")
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}
