//! `landfall application`: what devices are for, and with whom they have to speak for it (SP 1800-36B 4.4 and 7.2).

pub(crate) mod mud;

use crate::output::{Answer, Output};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// MUD files (RFC 8520): with whom a kind of device has to speak, as its manufacturer says.
    #[command(subcommand)]
    Mud(mud::Verb),
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    match &args.verb {
        Verb::Mud(verb) => mud::run(verb, output),
    }
}
