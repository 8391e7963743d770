//! `landfall lab`: the reference architecture on this machine.

use crate::output::{Answer, Output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, _: &Output) -> anyhow::Result<Answer> {
    anyhow::bail!("the lab is not part of this build")
}
