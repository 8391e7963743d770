//! The factory line as a whole: what was made and rejected, for others to know.

use super::{Answer, Output, Table, counted, proof};
use crate::{admin::Connection, transfer::ServiceArgs};
use anyhow::{Context, bail};
use clap::Subcommand;
use landfall_lifecycle::factory::{BatchId, FactoryDevice, LOG, Reject, Station};
use landfall_server::{
    admin::view::Count,
    book::Entry,
    factory::{ExportFormat, Factory, FactoryError, News, Which, news, signature_of, told, verify_manifest},
    supply_chain::{LineResult, ServiceError, Withdrawal},
};
use landfall_store::Store;
use landfall_types::Time;
use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Whole records in JSON, a line each.
    Json,
    /// Comma-separated values.
    Csv,
    /// A signed manifest.
    Manifest,
}

#[derive(Debug, Subcommand)]
pub(super) enum ManifestVerb {
    /// Checks that a manifest is just as the factory signed it.
    Verify {
        /// The manifest.
        manifest: PathBuf,
        /// Its signature; without it, the file beside it that ends in .p7s.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// The manufacturer's root certificate, in PEM; may be repeated.
        #[arg(long = "anchor", value_name = "FILE", required = true)]
        anchors: Vec<PathBuf>,
    },
}

/// Which rejects.
#[derive(Debug, clap::Args)]
pub(super) struct RejectsArgs {
    /// Only those of this batch.
    #[arg(long)]
    batch: Option<String>,
    /// Only those of this station.
    #[arg(long = "of-station", value_name = "NAME")]
    of: Option<Station>,
}

pub(super) fn export(
    factory: &Factory,
    out: &Path,
    format: Format,
    batch: Option<&str>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let which = batch.map_or(Which::All, |batch| Which::Batch(BatchId::from(batch)));
    let format = match format {
        Format::Json => ExportFormat::JsonLines,
        Format::Csv => ExportFormat::Csv,
        Format::Manifest if out.as_os_str() == "-" => bail!("a manifest and its signature need a file to be in"),
        Format::Manifest => {
            let count = factory.write_manifest(&which, out)?;
            let signature = signature_of(out);
            let json = serde_json::json!({ "devices": count, "manifest": out, "signature": signature });
            output.show_as(&json, || {
                format!("{} in {}, signed in {}", counted(count, "device"), out.display(), signature.display())
            })?;
            return Ok(Answer::Yes);
        }
    };
    if out.as_os_str() == "-" {
        let mut stdout = BufWriter::new(io::stdout().lock());
        factory.export_as(&which, format, &mut stdout)?;
        stdout.flush()?;
        return Ok(Answer::Yes);
    }
    let writing = || format!("writing {}", out.display());
    let mut file = BufWriter::new(fs::File::create(out).with_context(writing)?);
    factory.export_as(&which, format, &mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).with_context(writing)?;
    Ok(Answer::Yes)
}

pub(super) fn manifest(verb: &ManifestVerb, output: &Output) -> anyhow::Result<Answer> {
    let ManifestVerb::Verify { manifest, signature, anchors } = verb;
    let anchors = proof::verifier(anchors)?.makers;
    let signature = signature.clone().unwrap_or_else(|| signature_of(manifest));
    let bytes = fs::read(&signature).with_context(|| format!("reading {}", signature.display()))?;
    let verified = match verify_manifest(manifest, &bytes, &anchors, Time::now()) {
        Ok(verified) => verified,
        Err(FactoryError::Refused(refusal)) => {
            output.show_as(&serde_json::json!({ "refused": refusal }), || refusal.to_string())?;
            return Ok(Answer::No);
        }
        Err(why) => return Err(why.into()),
    };
    output.show_as(&verified, || {
        let batch = verified.batch.as_ref().map(|batch| format!("batch {batch}: ")).unwrap_or_default();
        format!(
            "{batch}{} and {}, signed by {} at {}",
            counted(verified.devices, "device"),
            counted(verified.rejects, "reject"),
            verified.signer,
            verified.signed
        )
    })?;
    Ok(Answer::Yes)
}

pub(super) fn rejects(factory: &Factory, asked: &RejectsArgs, output: &Output) -> anyhow::Result<Answer> {
    let batch = asked.batch.as_deref().map(BatchId::from);
    let mut rejects: Vec<Reject> = Vec::new();
    factory.each_reject(&mut |reject| {
        let batch = batch.is_none() || batch == reject.batch;
        if batch && (asked.of.is_none() || asked.of == reject.station) {
            rejects.push(reject);
        }
        Ok(())
    })?;
    output.show_as(&rejects, || {
        let mut table = Table::new(&["at", "device", "station", "batch", "check", "reason"], "nothing was rejected");
        for reject in &rejects {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            table.row([
                reject.at.to_string(),
                reject.device.clone(),
                or_dash(reject.station.as_ref().map(ToString::to_string)),
                or_dash(reject.batch.as_ref().map(ToString::to_string)),
                reject.check.clone(),
                reject.reason.clone(),
            ]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

/// How many records go to a server in one request.
const PAGE: usize = 500;

/// Hands what `to` has not heard yet to `tell`, page by page, and remembers each page that `tell` says was taken whole.
fn tell_news(
    store: &Store,
    to: &str,
    all: bool,
    output: &Output,
    tell: &mut dyn FnMut(&[FactoryDevice]) -> anyhow::Result<bool>,
) -> anyhow::Result<u64> {
    let bar = output.progress(store.log_head(LOG)?.seq, "records");
    let (mut after, mut sent, mut whole) = (all.then_some(0), 0, true);
    while let Some(News { devices, upto }) = news(store, to, after, PAGE)? {
        whole &= tell(&devices)?;
        // What was not taken is told again the next time.
        if whole {
            told(store, to, upto)?;
        }
        (after, sent) = (Some(upto), sent + devices.len() as u64);
        bar.set_position(upto);
    }
    bar.finish_and_clear();
    Ok(sent)
}

pub(super) fn publish(connection: &Connection, all: bool, store: &Store, output: &Output) -> anyhow::Result<Answer> {
    let mut count = 0;
    let to = format!("masa {}", connection.name()?);
    let sent = tell_news(store, &to, all, output, &mut |devices| {
        let taken: Count =
            connection.ask(output, "publishing", async |client| client.post("/v1/factory/devices", &devices).await)?;
        count += taken.count;
        Ok(true)
    })?;
    output.show_as(&Count { count }, || format!("{}, {count} of them new to the MASA", counted(sent, "record")))?;
    Ok(Answer::Yes)
}

pub(super) fn publish_to_service(
    service: &ServiceArgs,
    all: bool,
    store: &Store,
    output: &Output,
) -> anyhow::Result<Answer> {
    let mut client = service.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut count, mut failed, mut back) = (0u64, Vec::new(), TakenBack::default());
    let to = format!("service {}", service.service.as_deref().unwrap_or_default());
    tell_news(store, &to, all, output, &mut |devices| {
        back.tell(devices, |struck_off| runtime.block_on(client.withdraw(struck_off)))?;
        let entries: Vec<Entry> =
            devices.iter().filter(|device| device.void.is_none()).filter_map(Entry::of_made).collect();
        if entries.is_empty() {
            return Ok(true);
        }
        let lines: Vec<String> = entries.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let results = runtime.block_on(client.upload(lines.join("\n").into_bytes()))?;
        answered_for_all(results.len(), entries.len())?;
        let before = failed.len();
        for (entry, result) in entries.iter().zip(results) {
            match result.ok {
                true => count += 1,
                false => failed.push(serde_json::json!({
                    "serial-number": entry.serial_number, "error": result.error.unwrap_or_default(),
                })),
            }
        }
        Ok(failed.len() == before)
    })?;
    let TakenBack { count: taken_back, failed: kept } = back;
    let json =
        serde_json::json!({ "registered": count, "failed": failed, "withdrawn": taken_back, "not-withdrawn": kept });
    output.show_as(&json, || {
        let list = |of: &[serde_json::Value]| of.iter().map(|one| format!("\n{one}")).collect::<String>();
        let mut text = format!("{} registered, {} not{}", counted(count, "device"), failed.len(), list(&failed));
        if taken_back > 0 {
            text += &format!("\n{} struck off: nobody gets them there", counted(taken_back, "device"));
        }
        if !kept.is_empty() {
            text += &format!("\nstruck off, but others have them: tell whom you sold them to{}", list(&kept));
        }
        text
    })?;
    Ok((failed.is_empty() && kept.is_empty()).into())
}

/// How many characters of a reason a service is told.
const LONGEST_REASON: usize = 250;

/// What became, at a service, of devices that were struck off.
#[derive(Default)]
struct TakenBack {
    count: u64,
    /// Those that were sold before: nobody but their buyers gives them up, so that saying it again would change nothing.
    failed: Vec<serde_json::Value>,
}

impl TakenBack {
    fn tell(
        &mut self,
        devices: &[FactoryDevice],
        withdraw: impl FnOnce(&[Withdrawal]) -> Result<Vec<LineResult>, ServiceError>,
    ) -> anyhow::Result<()> {
        let struck_off =
            devices.iter().filter_map(|device| Some((device, device.dpp.as_ref()?, device.void.as_ref()?)));
        let (devices, struck_off): (Vec<_>, Vec<_>) = struck_off
            .map(|(device, dpp, void)| {
                let why = void.why.chars().take(LONGEST_REASON).collect();
                (device, Withdrawal { bootstrap_hash: dpp.bootstrap_hash, why })
            })
            .unzip();
        if struck_off.is_empty() {
            return Ok(());
        }
        let results = withdraw(&struck_off)?;
        answered_for_all(results.len(), struck_off.len())?;
        for (device, result) in devices.iter().zip(results) {
            match result.error.filter(|_| !result.ok) {
                None => self.count += 1,
                Some(error) => self.failed.push(serde_json::json!({
                    "serial-number": device.serial_number, "error": error,
                })),
            }
        }
        Ok(())
    }
}

fn answered_for_all(answers: usize, asked: usize) -> anyhow::Result<()> {
    match answers == asked {
        true => Ok(()),
        false => bail!("the service answered for {answers} of {asked} devices"),
    }
}
