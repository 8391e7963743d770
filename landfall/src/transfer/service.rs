//! `landfall transfer` as a tenant of a supply chain service elsewhere.

use crate::{
    admin::{certificates, private_key},
    output::{Answer, Output, counted},
    transfer::book::{Failed, Totals},
};
use anyhow::{Context, bail};
use landfall_net::tls::{ClientTls, TlsIdentity};
use landfall_pki::Anchors;
use landfall_server::{
    book::{AT_ONCE, Lines},
    supply_chain::{LineResult, ServiceClient},
};
use landfall_types::{OwnerId, Redacted};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which service, and as whom.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Supply chain service")]
pub(crate) struct ServiceArgs {
    /// The service, HOST:PORT.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) service: Option<String>,
    /// What its certificate leads to, in PEM.
    #[arg(long, value_name = "FILE", requires = "service")]
    service_anchor: Option<PathBuf>,
    /// A file that holds our token there.
    #[arg(long, value_name = "FILE", requires = "service", conflicts_with = "tenant_certificate")]
    token_file: Option<PathBuf>,
    /// Our certificate there, in PEM, with those above it; its key is in the file beside it that ends in .key.
    #[arg(long, value_name = "FILE", requires = "service")]
    tenant_certificate: Option<PathBuf>,
}

impl ServiceArgs {
    pub(crate) fn client(&self) -> anyhow::Result<ServiceClient> {
        let (Some(service), Some(anchor)) = (&self.service, &self.service_anchor) else {
            bail!("a service is reached with --service and --service-anchor");
        };
        let identity = match &self.tenant_certificate {
            None => None,
            Some(path) => {
                let signer = Arc::new(private_key(&path.with_extension("key"))?);
                Some(TlsIdentity { chain: certificates(path)?, signer })
            }
        };
        let token = match &self.token_file {
            None => None,
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                Some(Redacted::new(text.trim().to_owned()))
            }
        };
        if identity.is_none() && token.is_none() {
            bail!("--token-file or --tenant-certificate says who we are");
        }
        let tls = ClientTls::named(Anchors::of(certificates(anchor)?), identity.as_ref())?;
        Ok(ServiceClient::new(service.parse()?, tls, token.as_ref()))
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Registers all devices of a file.
pub(crate) fn upload(args: &ServiceArgs, file: &Path, output: &Output) -> anyhow::Result<Answer> {
    let reading = || format!("reading {}", file.display());
    let input = BufReader::new(fs::File::open(file).with_context(reading)?);
    let (mut client, runtime) = (args.client()?, runtime()?);
    let (mut lines, mut batch, mut total) = (Lines::default(), Vec::new(), Totals::default());
    let waiting = output.waiting("uploading");
    let mut send = |batch: &mut Vec<(u64, String)>, total: &mut Totals| -> anyhow::Result<()> {
        let (numbers, texts): (Vec<u64>, Vec<String>) = batch.drain(..).unzip();
        if texts.is_empty() {
            return Ok(());
        }
        // Said again after a connection that broke, what was taken already is taken all the same.
        let results = runtime.block_on(client.upload(texts.join("\n").into_bytes()))?;
        if results.len() != numbers.len() {
            bail!("the service answered for {} of {} devices", results.len(), numbers.len());
        }
        for (line, result) in numbers.into_iter().zip(results) {
            match result {
                LineResult { ok: true, .. } => total.added += 1,
                LineResult { error, .. } => total.failed.push(Failed { line, error: error.unwrap_or_default() }),
            }
        }
        waiting.set_message(format!("uploading: {} so far", counted(total.added, "device")));
        Ok(())
    };
    for (number, line) in (1..).zip(input.lines()) {
        match lines.read(&line.with_context(reading)?) {
            None => {}
            Some(Ok(entry)) => batch.push((number, serde_json::to_string(&entry)?)),
            Some(Err(refusal)) => total.failed.push(Failed { line: number, error: refusal.to_string() }),
        }
        if batch.len() == AT_ONCE {
            send(&mut batch, &mut total)?;
        }
    }
    send(&mut batch, &mut total)?;
    waiting.finish_and_clear();
    total.failed.sort_by_key(|failed| failed.line);
    output.show_as(&total, || total.to_string())?;
    Ok(total.failed.is_empty().into())
}

/// Sells devices to another tenant.
pub(crate) fn sell(
    args: &ServiceArgs,
    to: &str,
    order: Option<&str>,
    devices: &[String],
    output: &Output,
) -> anyhow::Result<Answer> {
    let order =
        order.context("--order is the number of the sale, by which it can be said again if the answer is lost")?;
    let to: OwnerId = to.parse()?;
    let (mut client, runtime) = (args.client()?, runtime()?);
    let bar = output.progress(devices.len() as u64, "devices");
    let (mut sold, mut failed) = (0_u64, Vec::new());
    for part in devices.chunks(AT_ONCE) {
        let results = runtime.block_on(client.sell(&to, order, part))?;
        for (device, result) in part.iter().zip(results) {
            match result {
                LineResult { ok: true, .. } => sold += 1,
                LineResult { error, .. } => {
                    failed.push(serde_json::json!({ "device": device, "error": error.unwrap_or_default() }));
                }
            }
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    output.show_as(&serde_json::json!({ "sold": sold, "failed": failed }), || {
        let text =
            |one: &serde_json::Value, name: &str| one.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let lines = failed.iter().map(|one| format!("\n{}: {}", text(one, "device"), text(one, "error")));
        format!("{} sold to {to}, {} not{}", counted(sold, "device"), failed.len(), lines.collect::<String>())
    })?;
    Ok(failed.is_empty().into())
}

/// The devices that a file names: a serial number or a key's hash a line, or a list of URIs with their serial numbers.
pub(crate) fn named_in(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut lines = Lines::default();
    let mut devices = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match lines.read(line) {
            None => {}
            Some(Ok(entry)) => {
                let uri: landfall_dpp::Uri = entry.dpp_uri.parse().with_context(|| format!("in {}", file.display()))?;
                devices.push(uri.key.bootstrap_hash().to_string());
            }
            Some(Err(_)) => devices.push(line.to_owned()),
        }
    }
    Ok(devices)
}
