//! `landfall`: trusted onboarding of IoT devices, and keeping them trustworthy for life (NIST SP 1800-36).

mod admin;
mod application;
mod attest;
mod bench;
mod cli;
mod completions;
mod config;
mod device;
mod factory;
mod inspect;
mod lab;
mod man;
mod network;
mod output;
mod qr;
mod run;
mod transfer;
mod verification;

use clap::Parser;
use cli::{Cli, Noun};
use mimalloc::MiMalloc;
use output::{Answer, Output};
use std::process::ExitCode;

/// Every conversation is a few hundred small pieces of memory, taken by one thread and often given back by another. With glibc's
/// allocator threads wait for each other at that: with 64 devices coming in at once it costs a quarter of the rate.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match dispatch(cli.noun, &output) {
        Ok(answer) => answer.into(),
        Err(error) => output.failed(&error),
    }
}

fn dispatch(noun: Noun, output: &Output) -> anyhow::Result<Answer> {
    match noun {
        Noun::Lab(args) => lab::run(args, output),
        Noun::Run(args) => run::run(&args, output),
        Noun::Config(args) => config::run(&args, output),
        Noun::Device(args) => device::run(args, output),
        Noun::Factory(args) => factory::run(&args, output),
        Noun::Transfer(args) => transfer::run(&args, output),
        Noun::Network(args) => network::run(&args, output),
        Noun::Application(args) => application::run(&args, output),
        Noun::Verification(args) => verification::run(&args, output),
        Noun::Inspect(args) => inspect::run(&args, output),
        Noun::Bench(args) => bench::run(args, output),
        Noun::Completions(args) => completions::run(&args),
        Noun::Man(args) => man::run(&args),
    }
}
