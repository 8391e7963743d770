//! `landfall application` (SP 1800-36B 4.4): not in this version.

use crate::output::Answer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

pub(crate) fn run(_: &Args) -> anyhow::Result<Answer> {
    anyhow::bail!(
        "application-layer onboarding, streamlined and independent comes with version 0.3; \
         this version covers factory, transfer and network (see `landfall help`)"
    )
}
