//! `landfall transfer` for Wi-Fi Easy Connect on a server: the tenants, and the book of who may act for which device.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table, counted},
    qr,
    transfer::with_next,
};
use anyhow::{Context, bail};
use landfall_dpp::{Uri, nfc};
use landfall_server::{
    admin::{
        ClientError,
        view::{
            BookDevice, DevicesAdded, DevicesReleased, Failure, NewDevices, NewTenant, Page, PerDevice, TenantView,
        },
    },
    book::{AT_ONCE, Entry, Lines},
};
use landfall_types::{Model, SerialNumber};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// A device and how its URI is told.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct AddArgs {
    /// A picture of its QR code, PNG or JPEG.
    #[arg(long, value_name = "FILE", group = "source")]
    qr: Option<PathBuf>,
    /// Its bootstrapping URI.
    #[arg(long, value_name = "DPP:…", group = "source")]
    uri: Option<String>,
    /// Its NFC record: an NDEF message as it was read.
    #[arg(long, value_name = "FILE", group = "source")]
    nfc: Option<PathBuf>,
    /// What it is to become in the network: sta, ap or configurator.
    #[arg(long)]
    role: Option<String>,
    /// Its serial number, if the URI does not tell it.
    #[arg(long)]
    serial_number: Option<SerialNumber>,
    /// Its model, if the URI does not tell it.
    #[arg(long)]
    model: Option<Model>,
    #[command(flatten)]
    whose: Whose,
}

/// Whose book.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Whose {
    /// Whose book, where a server has those of several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

pub(crate) fn add(connection: &Connection, args: &AddArgs, output: &Output) -> anyhow::Result<Answer> {
    let (uri, via) = match (&args.qr, &args.uri, &args.nfc) {
        (Some(picture), ..) => (in_picture(picture)?, "qr"),
        (_, Some(uri), _) => (uri.trim().to_owned(), "uri"),
        (.., Some(record)) => {
            let bytes = fs::read(record).with_context(|| format!("reading {}", record.display()))?;
            let (uri, _) = nfc::decode(&bytes).with_context(|| format!("reading {}", record.display()))?;
            (uri.to_string(), "nfc")
        }
        (None, None, None) => bail!("say --qr, --uri or --nfc"),
    };
    let mut device = serde_json::json!({ "dppUri": uri });
    let others = [
        ("dppRole", args.role.clone()),
        ("serialNumber", args.serial_number.as_ref().map(ToString::to_string)),
        ("model", args.model.as_ref().map(ToString::to_string)),
    ];
    for (name, value) in others.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        if let Some(members) = device.as_object_mut() {
            members.insert(name.into(), value.into());
        }
    }
    let new = NewDevices { tenant: args.whose.tenant.clone(), via: via.into(), devices: vec![device] };
    let added = post(connection, &new, output)?;
    output.show_as(&added, || match (added.devices.first(), added.failed.first()) {
        (Some(device), _) => format!("{} is in the book; its key's hash is {}", name(device), device.bootstrap_hash),
        (_, Some(failure)) => failure.error.clone(),
        _ => "nothing was added".into(),
    })?;
    Ok(added.failed.is_empty().into())
}

/// The one bootstrapping URI among the codes in a picture.
fn in_picture(path: &Path) -> anyhow::Result<String> {
    let mut texts = qr::read(path)?;
    texts.retain(|text| text.starts_with(Uri::SCHEME));
    texts.dedup();
    match texts.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("{}: the QR code in it is no bootstrapping URI (DPP:…)", path.display()),
        _ => bail!("{}: {} devices are in it; take a picture of one", path.display(), texts.len()),
    }
}

/// Brings all devices of a file into the book.
pub(crate) fn import(connection: &Connection, file: &Path, whose: &Whose, output: &Output) -> anyhow::Result<Answer> {
    let reading = || format!("reading {}", file.display());
    let input = BufReader::new(fs::File::open(file).with_context(reading)?);
    let (mut lines, mut batch, mut total) = (Lines::default(), Vec::new(), Totals::default());
    let waiting = output.waiting("importing");
    for (number, line) in (1..).zip(input.lines()) {
        match lines.read(&line.with_context(reading)?) {
            None => {}
            Some(Ok(entry)) => batch.push((number, entry)),
            Some(Err(refusal)) => total.failed.push(Failed { line: number, error: refusal.to_string() }),
        }
        if batch.len() == AT_ONCE {
            send(connection, whose, &mut batch, &mut total, output)?;
            waiting.set_message(format!("importing: {} so far", counted(total.added, "device")));
        }
    }
    send(connection, whose, &mut batch, &mut total, output)?;
    waiting.finish_and_clear();
    total.failed.sort_by_key(|failed| failed.line);
    output.show_as(&total, || total.to_string())?;
    Ok(total.failed.is_empty().into())
}

/// What became of a file.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Totals {
    /// How many devices were taken.
    pub(crate) added: u64,
    /// What was not.
    pub(crate) failed: Vec<Failed>,
}

/// A line that was not taken.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Failed {
    pub(crate) line: u64,
    pub(crate) error: String,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// More than these only hide what stands above them.
        const SHOWN: usize = 20;
        write!(f, "{} taken, {} not", counted(self.added, "device"), self.failed.len())?;
        self.failed.iter().take(SHOWN).try_for_each(|Failed { line, error }| write!(f, "\nline {line}: {error}"))?;
        match self.failed.len() {
            more if more > SHOWN => write!(f, "\nand {} more", more - SHOWN),
            _ => Ok(()),
        }
    }
}

fn send(
    connection: &Connection,
    whose: &Whose,
    batch: &mut Vec<(u64, Entry)>,
    total: &mut Totals,
    output: &Output,
) -> anyhow::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let (numbers, entries): (Vec<u64>, Vec<Entry>) = batch.drain(..).unzip();
    let devices = entries.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let added = post(connection, &NewDevices { tenant: whose.tenant.clone(), via: "file".into(), devices }, output)?;
    total.added += added.devices.len() as u64;
    for Failure { serial_number: place, error } in added.failed {
        let line = place.parse().ok().and_then(|place: usize| numbers.get(place).copied()).unwrap_or_default();
        total.failed.push(Failed { line, error });
    }
    Ok(())
}

fn post(connection: &Connection, new: &NewDevices, output: &Output) -> anyhow::Result<DevicesAdded> {
    connection.ask(output, "adding", async |client| client.post("/v1/transfer/devices", new).await)
}

pub(crate) fn devices(
    connection: &Connection,
    whose: &Whose,
    after: Option<&str>,
    limit: Option<usize>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let limit = limit.map(|limit| limit.to_string());
    let query = [("tenant", whose.tenant.as_deref()), ("after", after), ("limit", limit.as_deref())];
    let page: Page<BookDevice> =
        connection.ask(output, "asking", async |client| client.list("/v1/transfer/devices", &query).await)?;
    output.show_as(&page, || {
        let mut table = Table::new(&["serial", "model", "key", "came by", "at", "state"], "no device is in the book");
        for device in &page.items {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            table.row([
                or_dash(&device.serial_number),
                or_dash(&device.model),
                device.bootstrap_hash.chars().take(16).collect(),
                device.via.clone(),
                device.received.to_string(),
                if device.held { "held".into() } else { "released".into() },
            ]);
        }
        with_next(table, page.next.as_deref())
    })?;
    Ok(Answer::Yes)
}

/// Takes devices out of the book.
pub(crate) fn remove(
    connection: &Connection,
    whose: &Whose,
    devices: &[String],
    output: &Output,
) -> anyhow::Result<Answer> {
    let asked = DevicesReleased { tenant: whose.tenant.clone(), devices: devices.to_vec() };
    let result: PerDevice =
        connection.ask(output, "removing", async |client| client.post("/v1/transfer/devices/release", &asked).await)?;
    super::per_device(&result, "removed", output)
}

/// Makes a tenant known; without a name, shows all.
pub(crate) fn tenant(
    connection: &Connection,
    name: Option<&str>,
    certificates: &[PathBuf],
    token: Option<&Path>,
    output: &Output,
) -> anyhow::Result<Answer> {
    let Some(name) = name else {
        let page: Page<TenantView> =
            connection.ask(output, "asking", async |client| client.get("/v1/transfer/tenants?limit=1000").await)?;
        output.show_as(&page, || {
            let mut table = Table::new(&["tenant", "certificates", "tokens"], "no tenant is known");
            for tenant in &page.items {
                table.row([tenant.tenant.clone(), tenant.certificates.len().to_string(), tenant.tokens.to_string()]);
            }
            table.to_string()
        })?;
        return Ok(Answer::Yes);
    };
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let new = NewTenant {
        tenant: name.to_owned(),
        certificates: certificates.iter().map(read).collect::<Result<_, _>>()?,
        token: token.is_some(),
        revoke_tokens: false,
    };
    let known = connection
        .ask(output, "making it known", async |client| client.post::<TenantView>("/v1/transfer/tenants", &new).await);
    let mut known: TenantView = known.map_err(|why: anyhow::Error| match why.downcast::<ClientError>() {
        Ok(why) => why.into(),
        Err(why) => why,
    })?;
    let secret = known.token.take();
    if let (Some(path), Some(secret)) = (token, &secret) {
        write_private(path, secret).with_context(|| format!("writing {}", path.display()))?;
    }
    output.show_as(&known, || {
        let token = token.map(|path| format!("; its new token is in {}", path.display())).unwrap_or_default();
        format!(
            "{} is known by {} and {}{token}",
            known.tenant,
            counted(known.certificates.len(), "certificate"),
            counted(known.tokens, "token")
        )
    })?;
    Ok(Answer::Yes)
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn name(device: &BookDevice) -> String {
    device.serial_number.clone().unwrap_or_else(|| "the device".into())
}
