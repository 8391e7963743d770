//! `landfall factory` for Wi-Fi Easy Connect: bootstrapping keys, their labels and their lists.

use crate::output::{Answer, Output, counted};
use anyhow::{Context, bail};
use landfall_dpp::{Curve, Uri, curve::PublicKey};
use landfall_lifecycle::factory::{BatchId, DppProduct};
use landfall_pki::pem;
use landfall_server::{
    factory::{Factory, ListFormat, Which},
    labels::{Format, Layout},
};
use landfall_types::SerialNumber;
use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// What devices are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// A birth credential (IDevID) alone.
    Brski,
    /// A bootstrapping key beside it, for Wi-Fi Easy Connect.
    Dpp,
}

/// What their bootstrapping is like.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Wi-Fi Easy Connect (--protocol dpp)")]
pub(crate) struct DppArgs {
    /// What the devices are made for.
    #[arg(long, value_enum, default_value = "brski", help_heading = None)]
    protocol: Protocol,
    /// The curve of the bootstrapping keys: P-256, P-384, P-521, BP-256, BP-384 or BP-512.
    #[arg(long, default_value = "P-256", value_parser = curve)]
    curve: Curve,
    /// The release that the devices speak.
    #[arg(long, default_value_t = 3, value_name = "1|2|3", value_parser = clap::value_parser!(u8).range(1..=3))]
    release: u8,
    /// Where they listen on the air, such as 81/1,115/36.
    #[arg(long, value_name = "CLASS/CHANNEL,…")]
    channels: Option<String>,
    /// Where they listen on TCP.
    #[arg(long, value_name = "HOST")]
    dpp_host: Option<String>,
    /// The address of a radio is this and the counter of the serial number.
    #[arg(long, value_name = "12 DIGITS")]
    mac_base: Option<String>,
    /// The only configurator that the devices take: its URI, or a file with that or with its public key in PEM.
    #[arg(long, value_name = "URI|FILE")]
    configurator: Option<String>,
}

fn curve(name: &str) -> Result<Curve, String> {
    Curve::named(&name.to_ascii_uppercase()).ok_or_else(|| "there is no such curve".into())
}

impl DppArgs {
    pub(crate) fn product(&self) -> anyhow::Result<Option<DppProduct>> {
        if self.protocol == Protocol::Brski {
            return Ok(None);
        }
        Ok(Some(DppProduct {
            curve: self.curve,
            version: Some(self.release),
            channels: self.channels.clone(),
            host: self.dpp_host.clone(),
            mac_base: self.mac_base.clone(),
            configurator: self.configurator.as_deref().map(configurator).transpose()?,
        }))
    }
}

/// The URI of a configurator.
fn configurator(given: &str) -> anyhow::Result<String> {
    let text = match given.starts_with(Uri::SCHEME) {
        true => given.to_owned(),
        false => fs::read_to_string(given).with_context(|| format!("reading {given}"))?,
    };
    if text.trim().starts_with(Uri::SCHEME) {
        return Ok(text.trim().to_owned());
    }
    let blocks = pem::decode(&text).with_context(|| format!("reading {given}"))?;
    let block = blocks.iter().find(|block| block.label == "PUBLIC KEY");
    let block = block.with_context(|| format!("{given} holds neither a URI nor a public key in PEM"))?;
    let key = PublicKey::from_spki(&block.der).with_context(|| format!("reading {given}"))?;
    Ok(Uri::of(key).to_string())
}

/// Which devices are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct WhichArgs {
    /// Only those with these serial numbers.
    #[arg(value_name = "SERIAL")]
    serial_numbers: Vec<SerialNumber>,
    /// Only those of this batch.
    #[arg(long, conflicts_with = "serial_numbers")]
    batch: Option<String>,
}

impl WhichArgs {
    fn which(&self) -> Which {
        match &self.batch {
            Some(batch) => Which::Batch(BatchId::from(batch.as_str())),
            None if self.serial_numbers.is_empty() => Which::All,
            None => Which::Serials(self.serial_numbers.clone()),
        }
    }
}

/// What labels stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Paper {
    /// A4 with 24 labels.
    A4,
    /// US letter with 24 labels.
    Letter,
    /// A page of 70 by 37 mm for each label, as label printers take them.
    Single,
}

impl Paper {
    const fn layout(self) -> Layout {
        match self {
            Self::A4 => Layout::A4_24,
            Self::Letter => Layout::LETTER_24,
            Self::Single => Layout::SINGLE,
        }
    }
}

/// Where labels go.
#[derive(Debug, clap::Args)]
pub(crate) struct LabelArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Where the sheets go: NAME.pdf, or NAME.svg or NAME.png for one file a page.
    #[arg(long, value_name = "FILE", required_unless_present = "pictures")]
    out: Option<PathBuf>,
    /// What the labels are printed on.
    #[arg(long, value_enum, default_value = "a4")]
    paper: Paper,
    /// Writes a QR picture alone for each device into this folder, instead of sheets.
    #[arg(long, value_name = "FOLDER", conflicts_with = "out")]
    pictures: Option<PathBuf>,
    /// Whether the pictures are svg or png.
    #[arg(long, value_name = "svg|png", default_value = "svg")]
    format: String,
}

pub(crate) fn labels(args: &LabelArgs, factory: &Factory, output: &Output) -> anyhow::Result<Answer> {
    let which = args.which.which();
    if let Some(folder) = &args.pictures {
        let format = match Format::of(Path::new(&format!("x.{}", args.format))) {
            Some(format @ (Format::Svg | Format::Png)) => format,
            _ => bail!("--format is svg or png"),
        };
        let bar = output.progress(factory.how_many(&which)?, "pictures");
        let count = factory.write_pictures(&which, folder, format, &|done| bar.set_position(done))?;
        bar.finish_and_clear();
        output.show_as(&serde_json::json!({ "pictures": count, "folder": folder }), || {
            format!("{} in {}", counted(count, "picture"), folder.display())
        })?;
        return Ok(Answer::Yes);
    }
    let out = args.out.as_deref().context("--out says where the labels go")?;
    let files = sheets(factory, &which, out, args.paper, output)?;
    output.show_as(&serde_json::json!({ "files": files }), || written(&files))?;
    Ok(Answer::Yes)
}

/// Writes sheets of labels; the files.
pub(crate) fn sheets(
    factory: &Factory,
    which: &Which,
    out: &Path,
    paper: Paper,
    output: &Output,
) -> anyhow::Result<Vec<PathBuf>> {
    let bar = output.progress(factory.how_many(which)?, "labels");
    let files = factory.write_labels(which, out, paper.layout(), &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(files)
}

/// What was written, in words.
pub(crate) fn written(files: &[PathBuf]) -> String {
    match files {
        [] => "no device has a bootstrapping key".into(),
        [one] => format!("labels in {}", one.display()),
        [first, .., last] => format!("labels in {} files, {} to {}", files.len(), first.display(), last.display()),
    }
}

/// Where a list of URIs goes.
#[derive(Debug, clap::Args)]
pub(crate) struct UriArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Where to: NAME.csv, or NAME.jsonl; `-` is standard output, in JSON lines.
    #[arg(long, default_value = "-", value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn uris(args: &UriArgs, factory: &Factory, output: &Output) -> anyhow::Result<Answer> {
    let csv = args.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let format = if csv { ListFormat::Csv } else { ListFormat::JsonLines };
    let which = args.which.which();
    if args.out.as_os_str() == "-" {
        let mut stdout = BufWriter::new(std::io::stdout().lock());
        factory.write_uris(&which, format, &mut stdout)?;
        stdout.flush()?;
        return Ok(Answer::Yes);
    }
    let writing = || format!("writing {}", args.out.display());
    let mut file = BufWriter::new(fs::File::create(&args.out).with_context(writing)?);
    let count = factory.write_uris(&which, format, &mut file)?;
    file.flush().with_context(writing)?;
    output.show_as(&serde_json::json!({ "uris": count, "file": args.out }), || {
        format!("{} in {}", counted(count, "URI"), args.out.display())
    })?;
    Ok(Answer::Yes)
}
