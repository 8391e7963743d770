//! `landfall transfer`: who owns which device, and what the MASA vouched for (SP 1800-36B 4.2).

mod book;
mod service;

use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
};
use anyhow::Context;
use book::{AddArgs, Whose};
use clap::Subcommand;
use landfall_server::admin::view::{
    CustomerView, LogLine, LogVerified, NewCustomer, NewSale, Ownership, Page, PerDevice, Resale,
};
pub(crate) use service::ServiceArgs;
use std::{fs, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes a customer known, by certificates of its domain; without any, shows all customers.
    Customer {
        /// Its name in the sales records.
        #[arg(requires = "certificates")]
        owner: Option<String>,
        /// A certificate of its domain, in PEM: of the CA that its registrars lead to. May be repeated.
        #[arg(long = "certificate", value_name = "FILE")]
        certificates: Vec<PathBuf>,
        /// It may have vouchers without a nonce, to fetch them ahead.
        #[arg(long)]
        nonceless: bool,
    },
    /// Records a sale: from now on only the buyer's registrars get vouchers for these devices. With --service, hands
    /// their bootstrapping keys over to another tenant of a supply chain service.
    Sale {
        /// Their serial numbers; with --service, the hashes of their keys too.
        #[arg(required_unless_present = "devices", value_name = "SERIAL")]
        serial_numbers: Vec<String>,
        /// A file that names them, one a line, or a list of their URIs.
        #[arg(long, value_name = "FILE", conflicts_with = "serial_numbers", requires = "service")]
        devices: Option<PathBuf>,
        #[command(flatten)]
        service: ServiceArgs,
        /// Who bought them: a customer that is known.
        #[arg(long)]
        to: String,
        /// Who sold them, if it is not the manufacturer.
        #[arg(long, value_name = "OWNER")]
        from: Option<String>,
        /// The number of the order or invoice.
        #[arg(long)]
        order: Option<String>,
    },
    /// Releases devices from their owner, so that the next one can claim them.
    Resale {
        /// Their serial numbers.
        #[arg(required = true, value_name = "SERIAL")]
        serial_numbers: Vec<String>,
        /// The owner who says so; without it, the manufacturer does on its behalf.
        #[arg(long, value_name = "OWNER")]
        by: Option<String>,
    },
    /// Makes a tenant of the supply chain service known; without a name, shows all tenants.
    Tenant {
        /// Its name.
        name: Option<String>,
        /// A certificate by which its clients are known, in PEM. May be repeated.
        #[arg(long = "certificate", value_name = "FILE", requires = "name")]
        certificates: Vec<PathBuf>,
        /// Makes a token for it, and writes it to this file.
        #[arg(long, value_name = "FILE", requires = "name")]
        token: Option<PathBuf>,
    },
    /// Registers devices at a supply chain service, from a list of their URIs.
    Upload {
        /// The list: CSV or JSON lines as `landfall factory uris` writes them, or a URI a line.
        file: PathBuf,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Brings a device into the book, by its QR code, its URI or its NFC record: from then on it may join.
    Add(AddArgs),
    /// Brings all devices of a list into the book.
    Import {
        /// The list: CSV or JSON lines, or a URI a line.
        file: PathBuf,
        #[command(flatten)]
        whose: Whose,
    },
    /// Shows the devices in the book.
    Devices {
        #[command(flatten)]
        whose: Whose,
        /// Only those after this hash.
        #[arg(long, value_name = "HASH")]
        after: Option<String>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Takes devices out of the book: they were given away or lost, and do not join any more.
    Remove {
        /// Their serial numbers, or the hashes of their keys.
        #[arg(required = true, value_name = "DEVICE")]
        devices: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Shows who owns which device.
    List {
        /// Only those after this device id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows the vouchers that the MASA issued, or checks that their log was not changed.
    Log {
        /// Checks every hash of the log.
        #[arg(long)]
        verify: bool,
        /// Only those after this number.
        #[arg(long, value_name = "N")]
        after: Option<u64>,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Answer> {
    let connection = &args.connection;
    match &args.verb {
        Verb::Customer { owner: None, .. } => customers(connection, output),
        Verb::Customer { owner: Some(owner), certificates, nonceless } => {
            customer(connection, owner, certificates, *nonceless, output)
        }
        Verb::Sale { serial_numbers, devices, service, to, order, .. } if service.service.is_some() => {
            let devices = match devices {
                Some(file) => service::named_in(file)?,
                None => serial_numbers.clone(),
            };
            service::sell(service, to, order.as_deref(), &devices, output)
        }
        Verb::Sale { serial_numbers, to, from, order, .. } => {
            let sale = NewSale {
                serial_numbers: serial_numbers.clone(),
                owner: to.clone(),
                seller: from.clone(),
                order: order.clone(),
            };
            let result = connection
                .ask(output, "recording the sale", async |client| client.post("/v1/transfer/sales", &sale).await)?;
            per_device(&result, "sold", output)
        }
        Verb::Resale { serial_numbers, by } => {
            let resale = Resale { serial_numbers: serial_numbers.clone(), by: by.clone() };
            let result = connection
                .ask(output, "releasing", async |client| client.post("/v1/transfer/resale", &resale).await)?;
            per_device(&result, "released", output)
        }
        Verb::Tenant { name, certificates, token } => {
            book::tenant(connection, name.as_deref(), certificates, token.as_deref(), output)
        }
        Verb::Upload { file, service } => service::upload(service, file, output),
        Verb::Add(args) => book::add(connection, args, output),
        Verb::Import { file, whose } => book::import(connection, file, whose, output),
        Verb::Devices { whose, after, limit } => book::devices(connection, whose, after.as_deref(), *limit, output),
        Verb::Remove { devices, whose } => book::remove(connection, whose, devices, output),
        Verb::List { after, limit } => list(connection, after.as_deref(), *limit, output),
        Verb::Log { verify: true, .. } => verify(connection, output),
        Verb::Log { after, limit, .. } => log(connection, *after, *limit, output),
    }
}

fn customer(
    connection: &Connection,
    owner: &str,
    certificates: &[PathBuf],
    nonceless: bool,
    output: &Output,
) -> anyhow::Result<Answer> {
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let new = NewCustomer {
        owner: owner.to_owned(),
        certificates: certificates.iter().map(read).collect::<Result<_, _>>()?,
        nonceless: nonceless.then_some(true),
    };
    let known: CustomerView =
        connection.ask(output, "making it known", async |client| client.post("/v1/transfer/customers", &new).await)?;
    output.show_as(&known, || {
        format!("{} is known by {}", known.owner, counted(known.certificates.len(), "certificate"))
    })?;
    Ok(Answer::Yes)
}

fn customers(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let page: Page<CustomerView> =
        connection.ask(output, "asking", async |client| client.get("/v1/transfer/customers?limit=1000").await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["owner", "certificates", "nonceless"], "no customer is known");
        for customer in &page.items {
            let nonceless = if customer.nonceless { "yes" } else { "no" };
            table.row([customer.owner.clone(), customer.certificates.len().to_string(), nonceless.into()]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

fn per_device(result: &PerDevice, done: &str, output: &Output) -> anyhow::Result<Answer> {
    output.show_as(result, || {
        let failed = result.failed.iter().map(|failure| format!("\n{}: {}", failure.serial_number, failure.error));
        format!("{} {done}, {} not{}", result.done.len(), result.failed.len(), failed.collect::<String>())
    })?;
    Ok(result.failed.is_empty().into())
}

fn list(connection: &Connection, after: Option<&str>, limit: Option<usize>, output: &Output) -> anyhow::Result<Answer> {
    let limit = limit.map(|limit| limit.to_string());
    let query = [("after", after), ("limit", limit.as_deref())];
    let page: Page<Ownership> =
        connection.ask(output, "asking", async |client| client.list("/v1/transfer/sales", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["serial", "owner", "since", "basis", "vouchers"], "no device has an owner");
        for item in &page.items {
            table.row([
                item.serial_number.clone(),
                item.owner.clone().unwrap_or_else(|| "-".into()),
                item.since.map_or_else(|| "-".into(), |since| since.to_string()),
                item.basis.clone().unwrap_or_else(|| "released".into()),
                item.vouchers.to_string(),
            ]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

fn log(connection: &Connection, after: Option<u64>, limit: Option<usize>, output: &Output) -> anyhow::Result<Answer> {
    let (after, limit) = (after.map(|n| n.to_string()), limit.map(|n| n.to_string()));
    let query = [("after", after.as_deref()), ("limit", limit.as_deref())];
    let page: Page<LogLine> =
        connection.ask(output, "asking", async |client| client.list("/v1/transfer/issued", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["number", "at", "device", "assertion", "nonce", "owner"], "no voucher was issued");
        for line in &page.items {
            let field = |name: &str| line.entry.get(name).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
            let nonce = if line.entry.get("nonce").is_some_and(serde_json::Value::is_string) { "yes" } else { "no" };
            let (at, device, assertion) = (field("at"), field("device"), field("assertion"));
            table.row([line.seq.to_string(), at, device, assertion, nonce.into(), field("owner")]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

fn verify(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let verified: LogVerified = connection
        .ask(output, "checking every hash", async |client| client.get("/v1/logs/masa-issued/verify").await)?;
    output.show_as(&verified, || match &verified.error {
        None => format!("{}, every hash is right; head {}", counted(verified.entries, "voucher"), verified.head),
        Some(why) => format!("THE LOG WAS CHANGED: {why}"),
    })?;
    Ok(verified.intact.into())
}

/// A table, and how to see what comes after it.
pub(crate) fn with_next(table: Table, next: Option<&str>) -> String {
    match next {
        Some(next) => format!("{table}more: --after {next}"),
        None => table.to_string(),
    }
}
