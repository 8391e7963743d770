//! `landfall run`: server roles, from their settings to their drain.

use crate::output::{Answer, Output};
use anyhow::Context;
use landfall_server::{RoleName, Settings, open, server, settings::LogFormat, shutdown};
use std::{io::IsTerminal, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Which settings a command goes by.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// The settings file.
    #[arg(long, value_name = "FILE", env = "LANDFALL_CONFIG", default_value = "landfall.toml", global = true)]
    pub(crate) config: PathBuf,
}

impl Server {
    /// The settings in the file.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::load(&self.config)?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "SIGTERM and SIGINT drain: no new connection is taken, and exchanges under way are finished.")]
pub(crate) struct Args {
    /// Which roles: masa, registrar, proxy, configurator. Without any, all that have a table in the settings.
    #[arg(value_name = "ROLE")]
    roles: Vec<RoleName>,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let settings = args.server.settings()?;
    log(&settings)?;
    open::enough_files(&settings);
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        let (trigger, shutdown) = shutdown();
        // Listened for before anything else: a signal that comes during the start must not be lost.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = server::Server::build(&settings, &args.roles, shutdown).await.with_context(|| {
            format!("{} (`landfall config check` looks at all of it)", args.server.config.display())
        })?;
        if output.json() {
            let addresses = server.addresses();
            output.show_as(&serde_json::json!({ "roles": addresses }), String::new)?;
        }
        let running = tokio::spawn(server.run());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("draining");
            trigger.pull();
            // Asked a second time, it does not wait for what is under way.
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(2);
        });
        running.await.context("running")??;
        Ok(Answer::Yes)
    })
}

fn log(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log.level).context("log.level")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
