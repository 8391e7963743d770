//! Wi-Fi Easy Connect: the configurator's keys, devices that it reaches out to or that got no answer, and access points.

use crate::{
    admin::Connection,
    output::{Answer, Output, Table},
};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Subcommand;
use landfall_server::admin::view::{
    AccessPointFile, Backup, ConfiguratorView, Count, HandOver, HandOverAllowed, Introduced, NewAccessPoint, NewBackup,
    NewPkexCode, PkexCode, PkexName, PushButton, Reach, Rotation, Secret, Unanswered,
};
use landfall_server::labels::Code;
use landfall_types::Redacted;
use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{IsTerminal, Write as _},
    net::IpAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Shows its bootstrapping URIs: a device that has one can authenticate the network.
    Show {
        /// Only that of this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Shows the devices that got no answer lately, and why.
    Refused,
    /// Reaches out to a device that waits at the host in its URI, or that an access point hears.
    Reach {
        /// Its serial number, or the SHA-256 of its bootstrapping key.
        device: String,
        /// HOST:PORT of an access point that listens, where the device's URI names no host.
        #[arg(long, value_name = "HOST:PORT")]
        by: Option<String>,
        /// Whose device it is, if it is not that of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Writes the keys that sign connectors into an envelope, for another configurator to go on with.
    Backup {
        /// The file to write; it is for nobody else to read.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The file with the passphrase that opens the envelope, of 16 characters or more; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        passphrase: PathBuf,
        /// Whose, if it is not that of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Lets a configurator that the book has down as one (`role` `configurator`) get the keys that sign connectors, once and within
    /// ten minutes, when it asks for them by Wi-Fi Easy Connect.
    HandOver {
        /// Its serial number, or the SHA-256 of its bootstrapping key.
        device: String,
        /// Whose keys, if not those of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Writes what the configurator says by NFC to a device that touches it (negotiated handover): each has the other's key then.
    Nfc(super::touch::Options),
    /// Takes in the keys of an envelope; the latest of them signs connectors from now on.
    Restore {
        /// The envelope.
        file: PathBuf,
        /// The file with its passphrase; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        passphrase: PathBuf,
        /// Whose, if it is not that of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// The codes by which devices that are expected can be introduced (PKEX).
    #[command(subcommand)]
    Pkex(Pkex),
    /// Pushes the button: the one device whose own button is pushed at the same time is taken in.
    PushButton {
        #[command(flatten)]
        device: Expected,
        /// The curve of its key, if it is not P-256.
        #[arg(long)]
        curve: Option<String>,
    },
    /// Makes a new key that signs connectors; what the old one signed is believed until it ends.
    Rotate {
        /// Whose, if it is not that of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Pkex {
    /// Takes a code for one device; five wrong guesses end it.
    Add {
        /// The file with the code; `-` reads standard input.
        code: PathBuf,
        /// By what the device tells the code from others.
        #[arg(long, value_name = "ID")]
        identifier: Option<String>,
        #[command(flatten)]
        device: Expected,
    },
    /// Shows which codes there are, and how often each has failed; never the codes themselves.
    List,
    /// Forgets a code.
    Remove {
        /// Its identifier, if it has one.
        #[arg(long, value_name = "ID")]
        identifier: Option<String>,
        /// Whose it is, if it is not that of the owner of the service.
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// A device that is expected, as far as it is known.
#[derive(Debug, clap::Args)]
pub(super) struct Expected {
    /// The serial number of the device.
    #[arg(long, value_name = "NUMBER")]
    serial_number: Option<String>,
    /// Its model.
    #[arg(long)]
    model: Option<String>,
    /// What it is to become in the network: sta or ap.
    #[arg(long)]
    role: Option<String>,
    /// Whose device it is, if it is not that of the owner of the service.
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AccessPoint {
    /// Its name, for people.
    name: String,
    /// The address at which it reaches the configurator.
    #[arg(long, value_name = "ADDRESS")]
    controller: Option<IpAddr>,
    /// Its wireless interface.
    #[arg(long, default_value = "wlan0")]
    pub(super) interface: String,
    /// ADDRESS:PORT of its RADIUS server, for networks with 802.1X.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) radius: Option<String>,
    /// How many days its connectors last; without it, they do not end.
    #[arg(long, value_name = "N", requires = "controller")]
    days: Option<u32>,
    /// The folder to write the files to; they are for nobody else to read.
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: PathBuf,
    /// The folder in which the access point will have them, if it is another one.
    #[arg(long, value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,
    /// Whose it is, if it is not that of the owner of the service.
    #[arg(long, requires = "controller")]
    tenant: Option<String>,
    #[command(flatten)]
    pub(super) access: super::access_point::Options,
}

impl AccessPoint {
    /// Where files are written, and where the access point will have them.
    pub(super) fn folders(&self) -> anyhow::Result<(&Path, PathBuf)> {
        let out = self.out.as_path();
        fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => out.canonicalize().with_context(|| format!("finding {}", out.display()))?,
        };
        Ok((out, folder))
    }

    /// Its name: with `[access]`, that of the `[[access.client]]` whose secret it has.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn run(connection: &Connection, verb: &Verb, output: &Output) -> anyhow::Result<Answer> {
    match verb {
        Verb::Show { tenant } => show(connection, tenant.as_deref(), output),
        Verb::Refused => refused(connection, output),
        Verb::Reach { device, by, tenant } => {
            let reach = Reach { tenant: tenant.clone(), device: device.clone(), by: by.clone() };
            let path = "/v1/network/configurator/reach";
            let _: Count = connection.ask(output, "configuring", async |client| client.post(path, &reach).await)?;
            output.show_as(&serde_json::json!({ "device": device }), || format!("{device} has its configuration"))?;
            Ok(Answer::Yes)
        }
        Verb::HandOver { device, tenant } => {
            let to = HandOver { tenant: tenant.clone(), device: device.clone() };
            let path = "/v1/network/configurator/hand-over";
            let allowed: HandOverAllowed =
                connection.ask(output, "allowing it", async |client| client.post(path, &to).await)?;
            output
                .show_as(&allowed, || format!("{device} gets the keys, if it asks for them until {}", allowed.until))?;
            Ok(Answer::Yes)
        }
        Verb::Nfc(options) => super::touch::run(connection, options, output),
        Verb::Backup { out, passphrase, tenant } => {
            let new = NewBackup { tenant: tenant.clone(), passphrase: secret(passphrase)? };
            let path = "/v1/network/configurator/backup";
            let backup: Backup =
                connection.ask(output, "sealing the keys", async |client| client.post(path, &new).await)?;
            let envelope = STANDARD.decode(&backup.envelope).context("the envelope is not base64")?;
            let name = out.file_name().and_then(|name| name.to_str()).context("name a file to write")?;
            let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let written = write_secret(folder, name, &envelope)?;
            output.show_as(&serde_json::json!({ "file": written }), || {
                format!("the keys are in {}; whoever opens it can sign connectors", written.display())
            })?;
            Ok(Answer::Yes)
        }
        Verb::Restore { file, passphrase, tenant } => {
            let envelope = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let passphrase = Some(secret(passphrase)?);
            let backup = Backup { tenant: tenant.clone(), envelope: STANDARD.encode(envelope), passphrase };
            let path = "/v1/network/configurator/restore";
            let view: ConfiguratorView =
                connection.ask(output, "taking in the keys", async |client| client.post(path, &backup).await)?;
            output.show_as(&view, || {
                let key = view.signers.last().map(String::as_str).unwrap_or_default();
                format!("connectors of {} are signed by {key} from now on", view.tenant)
            })?;
            Ok(Answer::Yes)
        }
        Verb::Pkex(verb) => pkex(connection, verb, output),
        Verb::PushButton { device: Expected { serial_number, model, role, tenant }, curve } => {
            let push = PushButton {
                tenant: tenant.clone(),
                curve: curve.clone(),
                serial_number: serial_number.clone(),
                model: model.clone(),
                role: role.clone(),
            };
            let path = "/v1/network/configurator/push-button";
            let found: Introduced =
                connection.ask(output, "waiting for the device whose button is pushed", async |client| {
                    client.post(path, &push).await
                })?;
            output.show_as(&found, || format!("{} has its configuration", found.device))?;
            Ok(Answer::Yes)
        }
        Verb::Rotate { tenant } => {
            let (path, rotation) = ("/v1/network/configurator/rotate", Rotation { tenant: tenant.clone() });
            let view: ConfiguratorView =
                connection.ask(output, "making a key", async |client| client.post(path, &rotation).await)?;
            output.show_as(&view, || {
                let key = view.signers.last().map(String::as_str).unwrap_or_default();
                format!("connectors of {} are signed by {key} from now on", view.tenant)
            })?;
            Ok(Answer::Yes)
        }
    }
}

fn pkex(connection: &Connection, verb: &Pkex, output: &Output) -> anyhow::Result<Answer> {
    let path = "/v1/network/configurator/pkex";
    match verb {
        Pkex::Add { code, identifier, device: Expected { serial_number, model, role, tenant } } => {
            let new = NewPkexCode {
                tenant: tenant.clone(),
                identifier: identifier.clone(),
                code: secret(code)?,
                serial_number: serial_number.clone(),
                model: model.clone(),
                role: role.clone(),
            };
            let added: PkexCode =
                connection.ask(output, "keeping the code", async |client| client.post(path, &new).await)?;
            output.show_as(&added, || {
                let device = added.serial_number.as_deref().unwrap_or("one device");
                format!("{device} of {} can be introduced by the code, once", added.tenant)
            })?;
            Ok(Answer::Yes)
        }
        Pkex::List => {
            let codes: Vec<PkexCode> = connection.ask(output, "asking", async |client| client.get(path).await)?;
            output.show_as(&codes, || {
                let mut table =
                    Table::new(&["tenant", "identifier", "device", "since", "failures"], "there are no codes");
                for code in &codes {
                    let device = code.serial_number.clone().or_else(|| code.device.clone());
                    let failures =
                        if code.dead { format!("{}: dead", code.failures) } else { code.failures.to_string() };
                    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
                    let identifier = or_dash(code.identifier.clone());
                    table.row([code.tenant.clone(), identifier, or_dash(device), code.made.to_string(), failures]);
                }
                table.to_string()
            })?;
            Ok(Answer::Yes)
        }
        Pkex::Remove { identifier, tenant } => {
            let name = PkexName { tenant: tenant.clone(), identifier: identifier.clone() };
            let path = "/v1/network/configurator/pkex/remove";
            let removed: Count =
                connection.ask(output, "forgetting the code", async |client| client.post(path, &name).await)?;
            output.show_as(&removed, || "the code is forgotten".into())?;
            Ok(Answer::Yes)
        }
    }
}

/// The secret in a file, without the end of its line: arguments are for everybody on the machine to read.
fn secret(path: &Path) -> anyhow::Result<Secret> {
    let content = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => fs::read_to_string(path),
    };
    let content = Redacted::new(content.with_context(|| format!("reading {}", path.display()))?);
    Ok(Secret(Redacted::new(content.expose().trim_end_matches(['\r', '\n']).to_owned())))
}

fn show(connection: &Connection, tenant: Option<&str>, output: &Output) -> anyhow::Result<Answer> {
    let mut views: Vec<ConfiguratorView> =
        connection.ask(output, "asking", async |client| client.get("/v1/network/configurator").await)?;
    views.retain(|view| tenant.is_none_or(|tenant| view.tenant == tenant));
    output.show_as(&views, || views.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok((!views.is_empty()).into())
}

fn text(view: &ConfiguratorView) -> String {
    let mut text = format!("configurator of {}\n", view.tenant);
    for network in &view.networks {
        let _ = writeln!(text, "network  {} by {}", network.ssid, network.kind);
    }
    if let Some(signer) = view.signers.last() {
        let _ = writeln!(text, "signs as {signer}");
    }
    for key in &view.keys {
        let _ = writeln!(text, "{:<8} {}", key.curve, key.uri);
    }
    // A person who sees the screen may have a device that scans it.
    if let Some(key) = view.keys.first().filter(|_| std::io::stdout().is_terminal())
        && let Ok(code) = Code::of(&key.uri)
    {
        let _ = writeln!(text, "\n{}", code.text());
    }
    text
}

fn refused(connection: &Connection, output: &Output) -> anyhow::Result<Answer> {
    let path = "/v1/network/configurator/refused?limit=1000";
    let refused: Vec<Unanswered> = connection.ask(output, "asking", async |client| client.get(path).await)?;
    output.show_as(&refused, || {
        let mut table = Table::new(&["last", "times", "device", "from", "why"], "every device got an answer");
        for one in &refused {
            let device = one.device.chars().take(16).collect();
            let why = format!("{}: {}", one.check, one.why);
            table.row([one.last.to_string(), one.count.to_string(), device, one.from.clone(), why]);
        }
        table.to_string()
    })?;
    Ok(Answer::Yes)
}

pub(super) fn access_point(
    connection: &Connection,
    access_point: &AccessPoint,
    output: &Output,
) -> anyhow::Result<Answer> {
    let Some(controller) = access_point.controller else {
        return super::access_point::write(&connection.server, access_point, output);
    };
    let (out, folder) = access_point.folders()?;
    let new = NewAccessPoint {
        tenant: access_point.tenant.clone(),
        name: access_point.name.clone(),
        interface: access_point.interface.clone(),
        controller: controller.to_string(),
        radius: access_point.radius.clone(),
        days: access_point.days,
        folder: folder.display().to_string(),
    };
    let path = "/v1/network/configurator/access-point";
    let files: Vec<AccessPointFile> =
        connection.ask(output, "making the settings", async |client| client.post(path, &new).await)?;
    let mut written = Vec::new();
    for file in &files {
        written.push(write_secret(out, &file.name, file.content.as_bytes())?);
    }
    output.show_as(&serde_json::json!({ "files": written }), || {
        let mut table = Table::new(&["file"], "");
        for file in &written {
            table.row([file.display().to_string()]);
        }
        format!(
            "{table}\nNobody but hostapd has to read them. Make them anew when devices with passwords came or went."
        )
    })?;
    Ok(Answer::Yes)
}

/// A file that only its owner can read, in the place of what was there: never, not even for a moment, open to others.
pub(super) fn write_secret(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<PathBuf> {
    if name.contains(['/', '\0']) || name.starts_with('.') {
        bail!("{name:?} cannot name a file");
    }
    let (path, draft) = (folder.join(name), folder.join(format!("{name}.draft")));
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    written().with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
