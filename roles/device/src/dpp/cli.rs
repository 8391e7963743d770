//! The part of the command line that is about Wi-Fi Easy Connect.

use super::{Device, End, Mutual, NetworkSummary, Onboarding, Standing, Succession, TakeOver, Via, touch};
use crate::DeviceError;
use clap::{Args, ValueEnum};
use landfall_dpp::pkex::Code;
use landfall_types::Redacted;
use serde_json::{Value, json};
use std::{
    fmt::Write,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Onboards by Wi-Fi Easy Connect: announces the device, or asks the configurator.
    #[arg(long, value_name = "WAY", num_args = 0..=1, require_equals = true, default_missing_value = "announce")]
    dpp: Option<Way>,
    /// A controller or relay that is known beforehand (port 8908 unless another is named); may be given several times.
    #[arg(long, requires = "dpp", value_name = "HOST[:PORT]")]
    controller: Vec<String>,
    /// The configurator's bootstrapping URI, if it is not in the bundle; nobody else may take the device then.
    #[arg(long, requires = "dpp", value_name = "URI")]
    configurator: Option<String>,
    /// An NDEF message with that URI, as the configurator has said it by NFC.
    #[arg(long, requires = "dpp", value_name = "FILE", conflicts_with = "configurator")]
    configurator_nfc: Option<PathBuf>,
    /// Whether the configurator must prove who it is; by default if its URI is known.
    #[arg(long, requires = "dpp", value_name = "WHEN")]
    mutual: Option<Mutual>,
    /// Listens there for configurators that begin by themselves.
    #[arg(long, requires = "dpp", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A file with a code that the configurator has too: the device makes itself known by it. `-` reads standard input.
    #[arg(long, requires = "dpp", value_name = "CODE-FILE", conflicts_with_all = ["listen", "via"])]
    pkex: Option<PathBuf>,
    /// By what the configurator tells the code from others.
    #[arg(long, requires = "pkex", value_name = "ID")]
    identifier: Option<String>,
    /// Its button was pushed: the configurator whose button is pushed at the same time takes the device.
    #[arg(long, requires = "dpp", conflicts_with_all = ["listen", "via", "pkex"])]
    push_button: bool,
    /// Who takes part in the exchange.
    #[arg(long, requires = "dpp", value_name = "WHO")]
    via: Option<Via>,
    /// The control socket of the wpa_supplicant that shall join the network.
    #[arg(long, requires = "dpp", value_name = "SOCKET")]
    radio: Option<PathBuf>,
    /// Asks the configurator for its own keys in the place of networks, and leaves them there in an envelope for
    /// `landfall network configurator restore`; its operator has to allow it (`landfall network configurator hand-over`).
    #[arg(long, requires_all = ["dpp", "passphrase"], value_name = "FILE", conflicts_with = "via")]
    take_over: Option<PathBuf>,
    /// The file with the passphrase for that envelope, of 16 characters or more; `-` reads standard input.
    #[arg(long, requires = "take_over", value_name = "PASSPHRASE-FILE", conflicts_with = "pkex")]
    passphrase: Option<PathBuf>,
    /// Onboards even if there are networks; those stay until there are others.
    #[arg(long, requires = "dpp")]
    again: bool,
}

/// Who sends the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// The device says that it is there, and the configurator begins.
    Announce,
    /// The device begins.
    Ask,
}

impl Options {
    /// Whether Wi-Fi Easy Connect is asked for.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.dpp.is_some()
    }

    /// Flags stand above the file.
    pub(crate) fn apply(&self, config: &mut super::Config) -> Result<(), DeviceError> {
        config.controllers.extend(self.controller.iter().cloned());
        if let Some(message) = &self.configurator_nfc {
            config.configurator = Some(touch::configurator(message)?.to_string());
        }
        config.configurator = self.configurator.clone().or(config.configurator.take());
        config.mutual = self.mutual.or(config.mutual);
        config.listen = self.listen.or(config.listen);
        config.via = self.via.unwrap_or(config.via);
        config.radio = self.radio.clone().or(config.radio.take());
        Ok(())
    }

    /// The device, which asks for keys if it was told to.
    pub(crate) fn device(&self, config: crate::Config) -> Result<Device, DeviceError> {
        /// The envelope's format has a passphrase hashed a thousand times only.
        const SHORTEST: usize = 16;
        let device = device(config)?;
        let Some((envelope, passphrase)) = self.take_over.clone().zip(self.passphrase.as_deref()) else {
            return Ok(device);
        };
        let passphrase = secret(passphrase)?;
        match passphrase.expose().len() {
            SHORTEST.. => Ok(device.taking_over(TakeOver { envelope, passphrase })),
            _ => Err(DeviceError::Config(format!("a passphrase has {SHORTEST} characters or more"))),
        }
    }

    pub(crate) fn onboarding(&self, attempts: Option<u32>, limit: Option<Duration>) -> Result<Onboarding, DeviceError> {
        let code = self.pkex.as_deref().map(|path| code(path, self.identifier.as_deref())).transpose()?;
        Ok(Onboarding {
            initiate: self.dpp == Some(Way::Ask),
            code,
            push_button: self.push_button,
            again: self.again,
            attempts,
            limit,
        })
    }
}

/// The code in a file.
fn code(path: &Path, identifier: Option<&str>) -> Result<Code, DeviceError> {
    let wrong = |why: String| DeviceError::Config(format!("{}: {why}", path.display()));
    Code::new(identifier, secret(path)?.expose().as_bytes()).map_err(|why| wrong(why.to_string()))
}

/// A file's one line without its end.
fn secret(path: &Path) -> Result<Redacted<String>, DeviceError> {
    let content = match path.as_os_str() == "-" {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(path),
    };
    let wrong = |why: io::Error| DeviceError::Config(format!("{}: {why}", path.display()));
    let content = content.map(Redacted::new).map_err(wrong)?;
    Ok(Redacted::new(content.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// The answer to `onboard`, or `reconfigure`, for programs and for people, and whether it is yes.
pub(crate) fn answer(end: &End, again: bool) -> (Value, String, bool) {
    let (member, word) = if again { ("reconfigured", "Reconfigured") } else { ("onboarded", "Onboarded") };
    match end {
        End::Refused(refusal) => {
            (json!({ member: false, "refusal": refusal }), format!("Not {member}: {refusal}\n"), false)
        }
        End::TakenOver(Succession { keys, authenticated, told }) => {
            let result = json!({ "keys": keys, "configurator-authenticated": authenticated, "reported": told });
            (json!({ "taken-over": true, "result": result }), format!("{keys} keys were handed over.\n"), true)
        }
        End::Onboarded { standing, enrolled } => {
            let (told, took) = match enrolled {
                Some(enrolled) => (enrolled.told, Some(enrolled.took)),
                None => (true, None),
            };
            let mut result = serde_json::to_value(standing).unwrap_or_default();
            if let Some(members) = result.as_object_mut() {
                members.insert("before".into(), enrolled.is_none().into());
                members.insert("reported".into(), told.into());
                let joined = enrolled.as_ref().and_then(|enrolled| enrolled.connection.as_ref());
                if let Some(joined) = joined {
                    members.insert("joined".into(), joined.result.to_string().into());
                }
                members.insert("took-ms".into(), took.map_or(0, |took| took.as_millis() as u64).into());
            }
            let first = match took {
                None => format!("{word} already."),
                Some(took) => format!("{word} in {} ms.", took.as_millis()),
            };
            let told = if told { "" } else { "The configurator could not be told.\n" };
            (json!({ member: true, "result": result }), format!("{first}\n{told}{}", networks_in_words(standing)), true)
        }
    }
}

/// Where the device stands, for people.
pub(crate) fn in_words(standing: &Standing) -> String {
    let Standing { serial_number, model, uri, bootstrapping_key, configurator, .. } = standing;
    let mut words = format!("{serial_number} ({model})\n  URI        {uri}\n  key        {bootstrapping_key}\n");
    if let Some(configurator) = configurator {
        let _ = writeln!(words, "  belongs to {configurator}");
    }
    match standing.networks.is_empty() {
        true => words + "No networks.\n",
        false => words + &networks_in_words(standing),
    }
}

fn networks_in_words(standing: &Standing) -> String {
    let mut words = String::new();
    for NetworkSummary { ssid, akm, groups, expiry, certificate } in &standing.networks {
        // Writing to a string cannot fail.
        let _ = writeln!(words, "  network    {ssid} by {akm}");
        if !groups.is_empty() {
            let _ = writeln!(words, "    groups   {}", groups.join(", "));
        }
        if let Some(expiry) = expiry {
            let _ = writeln!(words, "    until    {expiry}");
        }
        if let Some(certificate) = certificate {
            let _ = writeln!(words, "    cert     {} until {}", certificate.subject, certificate.not_after);
        }
    }
    if let Some(assurance) = standing.assurance {
        let _ = writeln!(words, "  {assurance}");
    }
    words
}

/// The device, which must know Wi-Fi Easy Connect.
pub(crate) fn device(config: crate::Config) -> Result<Device, DeviceError> {
    Device::open(config)?.ok_or_else(|| DeviceError::Config("the bundle has no part for Wi-Fi Easy Connect".into()))
}
