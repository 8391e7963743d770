//! `landfall lab`: the reference architecture on this machine.

use crate::output::{Answer, Output};
use landfall_reference::lab::{self, BUILDS, Options};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status 1 if a row of the table failed. A row that was not run says why, and is no pass.")]
pub(crate) struct Args {
    /// Only this build of the guide; without it, all that this version has.
    #[arg(long, value_name = "N", value_parser = clap::builder::PossibleValuesParser::new(BUILDS.iter().map(|(name, _)| *name)))]
    build: Option<String>,
    /// Only scenarios whose id begins so, such as S1 or S1.C3.
    #[arg(long, value_name = "ID")]
    scenario: Option<String>,
    /// Leave copies of what crossed the wire there, one folder per device.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Leave everything running, and say how to look around.
    #[arg(long)]
    keep: bool,
    /// Run devices beside the servers on loopback, even as root.
    #[arg(long)]
    loopback: bool,
}

pub(crate) fn run(args: Args, output: &Output) -> anyhow::Result<Answer> {
    let Args { build, scenario, evidence, keep, loopback } = args;
    let (quiet, program) = (output.json(), std::env::current_exe()?);
    let report = lab::run(Options { build, scenario, evidence, keep, quiet, loopback, program })?;
    if output.json() {
        output.show_as(&report, String::new)?;
    }
    Ok(report.holds().into())
}
