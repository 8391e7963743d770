//! NFC negotiated handover: what the configurator says to a device that touches it, and what the device has said (DPP s5.4).

use crate::{
    admin::Connection,
    output::{Answer, Output},
};
use anyhow::{Context, bail};
use landfall_dpp::{
    System, Uri,
    nfc::handover::{self, Kind},
};
use landfall_server::admin::view::ConfiguratorView;
use std::{fs, path::PathBuf};

/// Which message is to be said.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The file to write: an NDEF message for the device.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Answers this Handover Request of a device, which it writes a Handover Select for; without it, it writes a Handover Request.
    /// `landfall transfer add --nfc` takes the device into the book by either message of its own.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// Whose configurator, if it is not that of the owner of the service.
    #[arg(long)]
    tenant: Option<String>,
}

/// Writes the message.
pub(super) fn run(connection: &Connection, options: &Options, output: &Output) -> anyhow::Result<Answer> {
    let path = "/v1/network/configurator";
    let views: Vec<ConfiguratorView> = connection.ask(output, "asking", async |client| client.get(path).await)?;
    let own = |view: &ConfiguratorView| options.tenant.as_ref().is_none_or(|tenant| view.tenant == *tenant);
    let view = views.into_iter().find(own).context("there is no configurator of that tenant")?;
    let keys = view.keys.iter().map(|key| key.uri.parse::<Uri>()).collect::<Result<Vec<_>, _>>()?;
    let first = keys.first().context("the configurator has no bootstrapping key")?;
    let (uri, kind) = match &options.answer {
        None => (first.clone(), Kind::request(&mut System)),
        Some(request) => {
            let message = fs::read(request).with_context(|| format!("reading {}", request.display()))?;
            let (theirs, kind) =
                handover::decode(&message).with_context(|| format!("reading {}", request.display()))?;
            if kind == Kind::Select {
                bail!("{} is an answer already", request.display());
            }
            let curve = theirs.key.curve();
            let own = keys.iter().find(|uri| uri.key.curve() == curve);
            let own = own.with_context(|| format!("the configurator has no key on {curve}"))?.clone();
            (handover::select(&theirs, own)?, Kind::Select)
        }
    };
    fs::write(&options.out, handover::encode(&uri, kind))
        .with_context(|| format!("writing {}", options.out.display()))?;
    output.show_as(&serde_json::json!({ "file": options.out, "uri": uri.to_string() }), || {
        format!("{} is for the device; it says {uri}", options.out.display())
    })?;
    Ok(Answer::Yes)
}
