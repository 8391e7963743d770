//! `landfall bench`: onboardings against what their cryptography alone costs.

use crate::output::{Answer, Output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, _: &Output) -> anyhow::Result<Answer> {
    anyhow::bail!("the benchmarks are not part of this build")
}
