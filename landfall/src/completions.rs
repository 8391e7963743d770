//! `landfall completions SHELL`

use crate::{cli::Cli, output::Answer};
use clap::CommandFactory;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "landfall", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Answer::Yes)
}
