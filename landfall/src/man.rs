//! `landfall man`: one page per command.

use crate::{cli::Cli, output::Answer};
use anyhow::Context;
use clap::CommandFactory;
use std::{io::Write, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Writes landfall.1, landfall-network.1 and so on into this folder, instead of the first to standard output.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Answer> {
    match &args.out {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder)
            .with_context(|| format!("writing manual pages into {}", folder.display()))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
        }
    }
    Ok(Answer::Yes)
}
