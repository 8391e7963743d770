//! The command line, declared once: parsing, help, man pages and completions all come from it.

use clap::{Parser, Subcommand};

/// Lets IoT devices join a network in a trusted way, and keeps them trustworthy for their whole life.
///
/// The nouns factory, transfer, network, application and verification are the five processes of NIST SP 1800-36.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Exit status: 0 yes, 1 no (denied, invalid, not found), 2 it could not be done.\n\
                        Start with `landfall lab`.")]
pub(crate) struct Cli {
    /// Writes JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Runs the whole reference architecture on this machine and onboards devices through it.
    Lab(crate::lab::Args),
    /// Runs server roles from landfall.toml.
    Run(crate::run::Args),
    /// Writes a landfall.toml to start from, or says what is wrong with one.
    Config(crate::config::Args),
    /// The device's own agent: onboard, status, renew, reset.
    Device(crate::device::Args),
    /// Makes devices: birth credentials, and the manufacturer's records of them (SP 1800-36B 4.1).
    Factory(Box<crate::factory::Args>),
    /// Hands devices over: sales, resale, and what the MASA vouched for (SP 1800-36B 4.2).
    Transfer(crate::transfer::Args),
    /// Lets devices join: the domain, its devices, and who may come (SP 1800-36B 4.3).
    Network(crate::network::Args),
    /// Says what devices are for: MUD files (SP 1800-36B 7.2). Onboarding to application services (4.4) comes in a later version.
    Application(crate::application::Args),
    /// Verifies devices continuously: what is known of them, and what policy makes of it (SP 1800-36B 4.5).
    Verification(crate::verification::Args),
    /// Says what a file is, checks it, and explains each finding with its section.
    Inspect(crate::inspect::Args),
    /// Measures onboardings against what their cryptography alone costs on this machine.
    Bench(crate::bench::Args),
    /// Writes the completion script of a shell.
    Completions(crate::completions::Args),
    /// Writes the manual pages.
    Man(crate::man::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
