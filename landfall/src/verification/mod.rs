//! `landfall verification`: what is known of devices, what policy makes of it, and the policy itself (SP 1800-36B 4.5).

mod assets;
mod credential;
mod deny;
mod devices;
mod feed;
mod flows;
mod policy;
mod sbom;
mod signals;
mod vex;

use crate::{
    admin::Connection,
    attest,
    output::{Answer, Output},
};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The policy by which devices may join and stay.
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Shows how devices stand.
    Devices {
        /// Only those of this level: full, limited, remediation, quarantine or blocked.
        #[arg(long)]
        level: Option<String>,
        /// Only those after this device id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one device: how it stands and why, what its background comes to, and what is known of it.
    Show(Named),
    /// Shows what is known of a device: every fact with where it comes from, and until when.
    Facts(Named),
    /// What an operator knows of a device.
    #[command(subcommand)]
    Fact(FactVerb),
    /// What software devices run, by lists of components, and what is wrong with it.
    #[command(subcommand)]
    Sbom(sbom::Verb),
    /// What is said of vulnerabilities: that they apply to products, or do not.
    #[command(subcommand)]
    Vex(vex::Verb),
    /// Feeds of what is known to be wrong with software.
    #[command(subcommand)]
    Feed(feed::Verb),
    /// What people and services assert of devices, by credentials that they have signed.
    #[command(subcommand)]
    Credential(credential::Verb),
    /// Asks whether a device may do something that not every device may, or have it done to it.
    Operate {
        /// Its id, or its serial number.
        device: String,
        /// What: `firmware-update`.
        operation: String,
    },
    /// Shows the decisions, with their reasons.
    Decisions {
        /// Only those after this number.
        #[arg(long, value_name = "N")]
        after: Option<u64>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Sources that put too many devices out of action at once, and wait for a person.
    #[command(subcommand)]
    Brake(BrakeVerb),
    /// Deny lists: what no device should be in contact with, and devices that were.
    #[command(subcommand)]
    DenyList(deny::Verb),
    /// Who is told what becomes of devices (webhooks, security events), and whose word of them counts: how each of them stands.
    Signals,
    /// Shows who tells of flows of devices elsewhere, what was refused and why, and what was lost.
    Flows,
    /// Where the network and the asset system (NetBox) do not agree: devices that were discovered and not onboarded, onboarded and not
    /// seen, and others.
    Assets {
        /// Asks the asset system now, instead of showing what was found the last time.
        #[arg(long)]
        now: bool,
    },
    /// Attestation: what good software looks like, and what was made of what devices showed.
    #[command(subcommand)]
    Attest(attest::Verb),
}

#[derive(Debug, Subcommand)]
enum FactVerb {
    /// Says something of a device: `device-trusted=true`. It counts as an operator's word.
    Add {
        /// Its id, or its serial number.
        device: String,
        /// A kind of fact and its value: true or false, a whole number, a text, or texts with commas between them.
        #[arg(value_name = "KIND=VALUE")]
        fact: String,
        /// For how many days it holds; for ever without it.
        #[arg(long)]
        days: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
enum BrakeVerb {
    /// Shows them.
    List,
    /// Lets one go on: it is right.
    Release {
        /// As `brake list` names it.
        source: String,
    },
    /// Has what one told forgotten: it is wrong. For a while (`authorizer.brake.dismissed`) it puts nobody out.
    Dismiss {
        /// As `brake list` names it.
        source: String,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its id, or its serial number.
    device: String,
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let connection = &args.connection;
    match &args.verb {
        Verb::Policy(verb) => policy::run(connection, verb, output),
        Verb::Devices { level, after, limit } => {
            devices::list(connection, level.as_deref(), after.as_deref(), *limit, output)
        }
        Verb::Show(named) => devices::show(connection, &named.device, output),
        Verb::Facts(named) => devices::facts(connection, &named.device, output),
        Verb::Fact(FactVerb::Add { device, fact, days }) => devices::add(connection, device, fact, *days, output),
        Verb::Sbom(verb) => sbom::run(connection, verb, output),
        Verb::Vex(verb) => vex::run(connection, verb, output),
        Verb::Feed(verb) => feed::run(connection, verb, output),
        Verb::Credential(verb) => credential::run(connection, verb, output),
        Verb::Operate { device, operation } => devices::operate(connection, device, operation, output),
        Verb::Decisions { after, limit } => devices::decisions(connection, *after, *limit, output),
        Verb::Brake(BrakeVerb::List) => devices::braked(connection, output),
        Verb::Brake(BrakeVerb::Release { source }) => devices::judge(connection, source, true, output),
        Verb::Brake(BrakeVerb::Dismiss { source }) => devices::judge(connection, source, false, output),
        Verb::DenyList(verb) => deny::run(connection, verb, output),
        Verb::Signals => signals::show(connection, output),
        Verb::Flows => flows::show(connection, output),
        Verb::Assets { now } => assets::show(connection, *now, output),
        Verb::Attest(verb) => attest::run(verb, output),
    }
}
