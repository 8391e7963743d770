//! The device's own agent, as a program that is built without anything of a server.

use clap::Parser;
use landfall_device::cli::{Device, Verdict, complain};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The agent of a device: it joins a network with what the factory gave it, and keeps its place there.
#[derive(Parser)]
#[command(name = "landfall-device", version, about, long_about = None)]
struct Cli {
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    device: Device,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("LANDFALL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(2),
    };
    match runtime.block_on(cli.device.run(cli.json, &mut std::io::stdout())) {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        Ok(Verdict::Undecided) => ExitCode::from(2),
        Err(error) => {
            complain(&error, cli.json);
            ExitCode::from(2)
        }
    }
}
