//! `landfall device`: the device's own agent, in this program too.

use crate::output::{Answer, Output};
use landfall_device::cli::{Device, Verdict};
use tracing_subscriber::EnvFilter;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    device: Device,
}

pub(crate) fn run(args: Args, output: &Output) -> anyhow::Result<Answer> {
    let filter = EnvFilter::try_from_env("LANDFALL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(args.device.run(output.json(), &mut std::io::stdout()))? {
        Verdict::Yes => Ok(Answer::Yes),
        Verdict::No => Ok(Answer::No),
        Verdict::Undecided => Ok(Answer::Undecided),
    }
}
