//! `landfall verification` (SP 1800-36B 4.5): not in this version.

use crate::output::Answer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

pub(crate) fn run(_: &Args) -> anyhow::Result<Answer> {
    anyhow::bail!(
        "continuous verification of devices: attestation, posture, revocation of access comes with version 0.4; \
         this version covers factory, transfer and network (see `landfall help`)"
    )
}
