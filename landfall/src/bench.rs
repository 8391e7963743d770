//! `landfall bench`: onboardings against what their cryptography alone costs.

use crate::output::{Answer, Output};
use anyhow::Context;
use clap::Subcommand;
use landfall_lifecycle::factory::BundleForm;
use landfall_reference::bench::{access, book, dpp, factory, measure, mud, report, verification};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Whole onboardings: voucher, status, CA certificates, enrolment, a new connection with the LDevID.
    Brski(Load),
    /// Vouchers: provisional connection, voucher, status.
    Voucher(Load),
    /// Enrolments of devices that have their voucher.
    Est(Load),
    /// Authentication and configuration by Wi-Fi Easy Connect, with a connector, over TCP.
    Dpp(Dpp),
    /// Devices from the factory: keys, birth credentials, records and bundles.
    Factory(Line),
    /// Devices that come in by EAP-TLS over RADIUS, with a full handshake each time.
    Access(Access),
    /// Rules of what manufacturers say: loading them, packets through a bridge with few devices and many, and what leaks before them.
    Mud(Mud),
    /// Look-ups in the device book by what a device announces (Wi-Fi Easy Connect), with few devices and with many.
    ChirpLookup(Book),
    /// Facts that change, until what follows from them is durable and in effect.
    Verification(Verification),
}

#[derive(Clone, Debug, clap::Args)]
struct Verification {
    /// How many devices there are.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: usize,
    /// How many facts change in a second.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rate: u32,
    /// For how many seconds.
    #[arg(long, value_name = "N", default_value_t = 30)]
    seconds: u32,
    /// Where the store is made, and removed afterwards.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<std::path::PathBuf>,
}

#[derive(Clone, Debug, clap::Args)]
struct Mud {
    /// MUD files (`*.json`) to load; without it made-up ones, in the sizes of those of 28 real devices.
    #[arg(long, value_name = "FOLDER")]
    files: Option<std::path::PathBuf>,
    /// How many devices the rules know; may be repeated.
    #[arg(long = "devices", value_name = "N", default_values_t = [10, 1000, 10_000])]
    devices: Vec<usize>,
}

#[derive(Clone, Debug, clap::Args)]
struct Book {
    /// How many devices the book has.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    count: u64,
    /// How many look-ups of each kind.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    look_ups: u32,
    /// Where the store is made, and removed afterwards: ten million devices need about 10 GB.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<std::path::PathBuf>,
}

#[derive(Clone, Debug, clap::Args)]
struct Line {
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    count: u32,
    /// Their bundles are lines of larger files, and no file each.
    #[arg(long, conflicts_with = "tpm")]
    lines: bool,
    /// Their keys are in a TPM, which swtpm simulates.
    #[arg(long)]
    tpm: bool,
    /// Where the database and the bundles are made, and removed afterwards: a million devices need about 10 GB.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<std::path::PathBuf>,
}

#[derive(Clone, Debug, clap::Args)]
struct Dpp {
    #[command(flatten)]
    load: Load,
    /// Whether the devices authenticate the configurator too.
    #[arg(long)]
    mutual: bool,
    /// Another program in the devices' place: it begins by itself, one exchange at a time, and mutually.
    #[arg(long, value_enum)]
    peer: Option<DppPeer>,
}

#[derive(Clone, Debug, clap::Args)]
struct Access {
    #[command(flatten)]
    load: Load,
    /// Another program to be measured beside ours; may be repeated.
    #[arg(long = "peer", value_enum)]
    peers: Vec<AccessPeer>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum AccessPeer {
    /// The installed FreeRADIUS.
    Freeradius,
    /// The server in the installed hostapd.
    Hostapd,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DppPeer {
    /// The installed wpa_supplicant.
    WpaSupplicant,
}

#[derive(Clone, Debug, clap::Args)]
struct Load {
    /// How many at each degree of parallelism.
    #[arg(long, value_name = "N", default_value_t = 500)]
    count: u32,
    /// How many at once; may be repeated.
    #[arg(long = "parallel", value_name = "N", default_values_t = [1, 8, 64])]
    parallel: Vec<usize>,
}

pub(crate) fn run(args: Args, output: &Output) -> anyhow::Result<Answer> {
    let (what, load) = match args.what {
        What::Brski(load) => (measure::What::Brski, load),
        What::Voucher(load) => (measure::What::Voucher, load),
        What::Est(load) => (measure::What::Est, load),
        What::Dpp(asked) => return easy_connect(&asked, output),
        What::Factory(line) => return make(&line, output),
        What::Access(asked) => return come_in(&asked, output),
        What::Mud(asked) => return intent(&asked, output),
        What::ChirpLookup(book) => return look_ups(&book, output),
        What::Verification(asked) => return verify(&asked, output),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let waiting = output.waiting("preparing");
    let progress = |what: &str| waiting.set_message(what.to_owned());
    let measured = runtime.block_on(measure::measure(what, load.count, &load.parallel, progress))?;
    waiting.finish_and_clear();
    output.show_as(&measured, || report::text(&measured))?;
    Ok(measured.loads.iter().all(|load| load.load.errors == 0).into())
}

fn easy_connect(asked: &Dpp, output: &Output) -> anyhow::Result<Answer> {
    let devices = match asked {
        Dpp { peer: Some(DppPeer::WpaSupplicant), .. } => dpp::Devices::WpaSupplicant,
        Dpp { mutual: true, .. } => dpp::Devices::Mutual,
        Dpp { mutual: false, .. } => dpp::Devices::OneWay,
    };
    let waiting = output.waiting("preparing");
    let progress = |what: &str| waiting.set_message(what.to_owned());
    let (count, parallel) = (asked.load.count as usize, &asked.load.parallel);
    let measured = tokio::runtime::Runtime::new()?.block_on(dpp::measure(devices, count, parallel, progress))?;
    waiting.finish_and_clear();
    output.show_as(&measured, || dpp::text(&measured))?;
    Ok(measured.loads.iter().all(|load| load.load.errors == 0).into())
}

fn intent(asked: &Mud, output: &Output) -> anyhow::Result<Answer> {
    let waiting = output.waiting("preparing");
    let progress = |what: &str| waiting.set_message(what.to_owned());
    let work = mud::measure(asked.files.as_deref(), &asked.devices, progress);
    let measured = tokio::runtime::Runtime::new()?.block_on(work)?;
    waiting.finish_and_clear();
    match measured {
        Ok(measured) => {
            output.show_as(&measured, || mud::text(&measured))?;
            Ok((measured.leak.leaked_bytes == 0).into())
        }
        Err(why) => {
            output.show_as(&serde_json::json!({ "not-run": why }), || format!("not run: {why}"))?;
            Ok(Answer::Yes)
        }
    }
}

fn make(asked: &Line, output: &Output) -> anyhow::Result<Answer> {
    let folder = temporary(asked.folder.as_deref())?;
    let bar = output.progress(u64::from(asked.count), "devices");
    let progress = |done| bar.set_position(done);
    match asked.tpm {
        false => {
            let bundles = if asked.lines { BundleForm::Lines } else { BundleForm::File };
            let measured = factory::measure(folder.path(), asked.count, bundles, &progress)?;
            bar.finish_and_clear();
            output.show_as(&measured, || factory::text(&measured))?;
        }
        true => {
            let measured = factory::measure_tpm(folder.path(), asked.count, &progress)?;
            let measured = measured.context("swtpm is not installed")?;
            bar.finish_and_clear();
            output.show_as(&measured, || factory::tpm_text(&measured))?;
        }
    }
    Ok(Answer::Yes)
}

fn temporary(folder: Option<&std::path::Path>) -> std::io::Result<tempfile::TempDir> {
    folder.map_or_else(tempfile::tempdir, tempfile::tempdir_in)
}

fn come_in(asked: &Access, output: &Output) -> anyhow::Result<Answer> {
    let peers = asked.peers.iter().map(|peer| match peer {
        AccessPeer::Freeradius => access::Server::FreeRadius,
        AccessPeer::Hostapd => access::Server::Hostapd,
    });
    let servers: Vec<_> = std::iter::once(access::Server::Landfall).chain(peers).collect();
    let waiting = output.waiting("preparing");
    let progress = |what: &str| waiting.set_message(what.to_owned());
    let work = access::measure(&servers, asked.load.count, &asked.load.parallel, progress);
    let measured = tokio::runtime::Runtime::new()?.block_on(work)?;
    waiting.finish_and_clear();
    output.show_as(&measured, || access::text(&measured))?;
    Ok(measured.loads.iter().all(|load| load.load.errors == 0).into())
}

fn look_ups(asked: &Book, output: &Output) -> anyhow::Result<Answer> {
    let folder = temporary(asked.folder.as_deref())?;
    let bar = output.progress(asked.count, "devices");
    let measured = book::measure(folder.path(), asked.count, asked.look_ups, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    output.show_as(&measured, || book::text(&measured))?;
    Ok(Answer::Yes)
}

fn verify(asked: &Verification, output: &Output) -> anyhow::Result<Answer> {
    let folder = temporary(asked.folder.as_deref())?;
    let bar = output.progress(asked.count as u64, "devices");
    let work =
        verification::measure(folder.path(), asked.count, asked.rate, asked.seconds, |done| bar.set_position(done));
    let measured = tokio::runtime::Runtime::new()?.block_on(work)?;
    bar.finish_and_clear();
    output.show_as(&measured, || verification::text(&measured))?;
    Ok((measured.errors == 0).into())
}
