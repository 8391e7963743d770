//! `landfall config`: a settings file to start from, and what is wrong with one.

use crate::{
    output::{Answer, Output},
    run::Server,
};
use anyhow::Context;
use clap::Subcommand;
use landfall_server::settings::{self, Settings};
use serde::Serialize;
use std::{fs, io::Write, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Writes a commented landfall.toml that says every setting and its default.
    Init {
        /// Where to write it; `-` is standard output.
        #[arg(default_value = "landfall.toml")]
        file: PathBuf,
        /// Replaces a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Says what is wrong with a landfall.toml, including the files that it names.
    Check(Server),
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    match &args.verb {
        Verb::Init { file, force } => init(file, *force, output),
        Verb::Check(server) => check(server, output),
    }
}

fn init(file: &PathBuf, force: bool, output: &Output) -> anyhow::Result<Answer> {
    if file.as_os_str() == "-" {
        std::io::stdout().lock().write_all(Settings::commented().as_bytes())?;
        return Ok(Answer::Yes);
    }
    let mut options = fs::OpenOptions::new();
    let options = match force {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    let advice = if force { "" } else { " (it is not replaced without --force)" };
    options
        .open(file)
        .and_then(|mut open| open.write_all(Settings::commented().as_bytes()))
        .with_context(|| format!("writing {}{advice}", file.display()))?;
    output.show_as(&serde_json::json!({ "written": file }), || {
        format!(
            "Wrote {}. Next: `landfall network init` makes a domain, `landfall factory init` a manufacturer;\n\
             `landfall config check` says what is still missing.",
            file.display()
        )
    })?;
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct Checked<'a> {
    file: &'a PathBuf,
    problems: Vec<settings::Problem>,
}

fn check(server: &Server, output: &Output) -> anyhow::Result<Answer> {
    let problems = match Settings::load(&server.config) {
        Ok(settings) => settings::check(&settings),
        Err(settings::SettingsError::Wrong { key, why, .. }) => vec![settings::Problem::new(key, why)],
        Err(unreadable) => return Err(unreadable.into()),
    };
    let checked = Checked { file: &server.config, problems };
    output.show_as(&checked, || match checked.problems.is_empty() {
        true => format!("{}: nothing is wrong with it", server.config.display()),
        false => checked.problems.iter().map(|problem| format!("{problem}\n")).collect(),
    })?;
    Ok(checked.problems.is_empty().into())
}
