//! `landfall network`: the domain, its devices, and who may come (SP 1800-36B 4.3).

mod access_point;
mod configurator;
mod devices;
mod freeradius;
mod guest;
mod init;
mod mud;
mod segments;
mod status;
mod touch;
mod violations;

use crate::{
    admin::Connection,
    output::{Answer, Output},
};
use clap::Subcommand;
use landfall_pki::Algorithm;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the domain: root, intermediate and issuing CA, and the registrar's certificate.
    Init {
        /// The organization that stands in every subject.
        #[arg(long, default_value = "Example network")]
        organization: String,
        /// A DNS name or address that the registrar serves; may be repeated.
        #[arg(long = "name", value_name = "NAME", default_value = "localhost")]
        names: Vec<String>,
        /// The algorithm of all keys: p256, p384 or ed25519.
        #[arg(long, default_value = "p256")]
        algorithm: Algorithm,
        /// The folder for the certificates, below the settings' data.
        #[arg(long, default_value = "domain")]
        folder: PathBuf,
    },
    /// Makes an operator's certificate and key, for the admin API from elsewhere.
    Operator {
        /// The operator's name.
        name: String,
        /// Where to write NAME.pem and NAME.key.
        #[arg(long, default_value = ".")]
        out: PathBuf,
        /// How many days it is good for.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// The folder with the domain's certificates, below the settings' data.
        #[arg(long, default_value = "domain")]
        folder: PathBuf,
    },
    /// Shows the devices of this domain, and those that wanted to be.
    Devices {
        /// Only those in this state, such as awaiting-approval, connected, refused or revoked.
        #[arg(long)]
        state: Option<String>,
        /// Only those after this device id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one device: how far it is and why, its certificates, what it reported.
    Show(Named),
    /// Lets a device in that waits for a person.
    Approve(Judged),
    /// Keeps a device out.
    Deny(Judged),
    /// Throws a device out: its certificates are revoked, and it gets no others.
    Revoke(Judged),
    /// Takes a revocation back: the device may ask anew.
    Reinstate(Judged),
    /// Lets a device go, for resale for example: its certificates are revoked, decisions about it forgotten.
    Forget(Judged),
    /// Deletes a device's credentials: it may be onboarded anew, to the same network or to another one.
    DeleteCredentials(Judged),
    /// Puts a device into quarantine: at once where it is, and whenever it comes in from now on.
    Quarantine(Judged),
    /// Takes a device out of quarantine.
    Release(Judged),
    /// Devices that somebody else owns, and that may be in this network for some time.
    #[command(subcommand)]
    Guest(guest::Verb),
    /// Shows the parts of the network on the server's bridges, and who is behind which port.
    Segments,
    /// Shows who may speak with whom, by whose word, and where that came from: manufacturers' files, or the owner's own.
    Mud {
        /// Only this device, by id or serial number, with every rule.
        device: Option<String>,
        /// Draws it too.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Shows what devices did against what their manufacturers say of them, with whom and why it was dropped, and how much was.
    Violations {
        /// Only this device, by serial number.
        device: Option<String>,
    },
    /// The configurator of Wi-Fi Easy Connect: its keys, and devices that it reaches out to or does not answer.
    #[command(subcommand)]
    Configurator(configurator::Verb),
    /// Writes hostapd's settings for an access point or switch: with `--controller` for one that relays to the configurator
    /// and serves its networks, otherwise for networks and ports where devices show their certificates to `[access]`.
    ApConfig(configurator::AccessPoint),
    /// Fetches vouchers ahead, so that devices can join while their MASA is away; without serial numbers, shows them.
    Prefetch {
        /// The devices' serial numbers.
        #[arg(value_name = "SERIAL", requires = "vendor", requires = "issuer")]
        serial_numbers: Vec<String>,
        /// Whose devices, as the settings call it.
        #[arg(long)]
        vendor: Option<String>,
        /// The certificate of the CA that issued their IDevIDs, in PEM.
        #[arg(long, value_name = "FILE")]
        issuer: Option<PathBuf>,
        /// Where their MASA is, if the settings do not say it.
        #[arg(long, value_name = "URL")]
        masa: Option<String>,
    },
    /// Shows how every exchange ended, and why.
    Audit {
        /// Only those after this number.
        #[arg(long, value_name = "N")]
        after: Option<u64>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Checks every hash of the log instead.
        #[arg(long)]
        verify: bool,
    },
    /// Shows the certificates that were issued.
    Certificates {
        /// Only those that are `good` or `revoked`.
        #[arg(long)]
        state: Option<String>,
        /// Only those after this serial number.
        #[arg(long, value_name = "SERIAL")]
        after: Option<String>,
    },
    /// Writes the revocation list, in DER.
    Crl {
        /// Where to; `-` is standard output.
        #[arg(long, default_value = "crl.der")]
        out: PathBuf,
    },
    /// Shows the policy that is in force, or replaces it.
    Policy {
        /// A TOML file with the new one.
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
    },
    /// Writes settings for a RADIUS server of others, which asks Landfall who may come in, and where.
    AaaConfig(freeradius::Args),
    /// Shows what runs, and what depends on whom.
    Status,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its id, or its serial number.
    device: String,
}

#[derive(Debug, clap::Args)]
struct Judged {
    /// Its id, or its serial number.
    device: String,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let connection = &args.connection;
    match &args.verb {
        Verb::Init { organization, names, algorithm, folder } => {
            init::domain(&connection.server, organization, names, *algorithm, folder, output)
        }
        Verb::Operator { name, out, days, folder } => {
            init::operator(&connection.server, name, out, *days, folder, output)
        }
        Verb::Devices { state, after, limit } => {
            devices::list(connection, state.as_deref(), after.as_deref(), *limit, output)
        }
        Verb::Show(named) => devices::show(connection, &named.device, output),
        Verb::Approve(judged) => devices::judge(connection, "approve", judged, output),
        Verb::Deny(judged) => devices::judge(connection, "deny", judged, output),
        Verb::Revoke(judged) => devices::judge(connection, "revoke", judged, output),
        Verb::Reinstate(judged) => devices::judge(connection, "reinstate", judged, output),
        Verb::Forget(judged) => devices::judge(connection, "forget", judged, output),
        Verb::DeleteCredentials(judged) => devices::judge(connection, "delete-credentials", judged, output),
        Verb::Quarantine(judged) => devices::judge(connection, "quarantine", judged, output),
        Verb::Release(judged) => devices::judge(connection, "release", judged, output),
        Verb::Guest(verb) => guest::run(connection, verb, output),
        Verb::Segments => segments::show(connection, output),
        Verb::Mud { device, svg } => mud::show(connection, device.as_deref(), svg.as_deref(), output),
        Verb::Violations { device } => violations::show(connection, device.as_deref(), output),
        Verb::Configurator(verb) => configurator::run(connection, verb, output),
        Verb::ApConfig(access_point) => configurator::access_point(connection, access_point, output),
        Verb::Prefetch { serial_numbers, vendor, issuer, masa } => match (serial_numbers.is_empty(), vendor, issuer) {
            (false, Some(vendor), Some(issuer)) => {
                devices::prefetch(connection, serial_numbers, vendor, issuer, masa.as_deref(), output)
            }
            _ => devices::prefetched(connection, output),
        },
        Verb::Audit { verify: true, .. } => status::verify(connection, output),
        Verb::Audit { after, limit, .. } => status::audit(connection, *after, *limit, output),
        Verb::Certificates { state, after } => {
            devices::certificates(connection, state.as_deref(), after.as_deref(), output)
        }
        Verb::Crl { out } => status::crl(connection, out, output),
        Verb::Policy { set } => status::policy(connection, set.as_deref(), output),
        Verb::AaaConfig(args) => freeradius::config(&connection.server, args, output),
        Verb::Status => status::status(connection, output),
    }
}
