//! A device as it is told to a book, and the files with many of them.

use landfall_dpp::Uri;
use landfall_lifecycle::{
    factory::FactoryDevice,
    transfer::{Bootstrapping, DppRole, Held, Via},
};
use landfall_types::{DeviceId, Fault, Fingerprint, Model, OwnerId, Refusal, SerialNumber, Time, json};
use serde::{Deserialize, Serialize};

/// A device as it is told: its bootstrapping URI, and what else is known of it. Members that are not known here are
/// passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its bootstrapping URI (DPP s5.2.1).
    pub dpp_uri: String,
    /// What it is to become in the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpp_role: Option<DppRole>,
    /// Its serial number; without it, the one that the URI tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<SerialNumber>,
    /// Its model; without it, the one that the URI tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Its IDevID, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The hash of the only configurator's key that it takes, if it was given one when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configurator: Option<Fingerprint>,
}

impl Entry {
    /// A device of which only the URI is known.
    pub fn of(uri: impl Into<String>) -> Self {
        Self { dpp_uri: uri.into(), dpp_role: None, serial_number: None, model: None, device: None, configurator: None }
    }

    /// What the factory tells of a device that it made; nothing if it has no bootstrapping key.
    pub fn of_made(device: &FactoryDevice) -> Option<Self> {
        let dpp = device.dpp.as_ref()?;
        Some(Self {
            serial_number: Some(device.serial_number.clone()),
            model: Some(device.model.clone()),
            device: Some(device.device.clone()),
            configurator: dpp.configurator,
            ..Self::of(&dpp.uri)
        })
    }

    /// Reads one JSON object; a name that stands in it twice is refused.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let value = json::parse(text).map_err(|why| why.to_string())?;
        serde_json::from_value(value).map_err(|why| why.to_string())
    }

    /// The record for the book of `tenant`. The URI is read, so what is no URI does not come into a book.
    pub fn bootstrapping(&self, tenant: &OwnerId, via: Via, received: Time) -> Result<Bootstrapping, Refusal> {
        let uri: Uri = self.dpp_uri.parse()?;
        let told = uri.information.as_deref().map(Told::read).unwrap_or_default();
        Ok(Bootstrapping {
            tenant: tenant.clone(),
            bootstrap_hash: uri.key.bootstrap_hash(),
            chirp_hash: uri.key.chirp_hash(),
            uri: self.dpp_uri.clone(),
            serial_number: self.serial_number.clone().or(told.serial_number),
            model: self.model.clone().or(told.model),
            device: self.device.clone(),
            role: self.dpp_role,
            configurator: self.configurator,
            received,
            via,
            state: Held::Held,
        })
    }
}

impl From<&Bootstrapping> for Entry {
    fn from(record: &Bootstrapping) -> Self {
        Self {
            dpp_uri: record.uri.clone(),
            dpp_role: record.role,
            serial_number: record.serial_number.clone(),
            model: record.model.clone(),
            device: record.device.clone(),
            configurator: record.configurator,
        }
    }
}

/// What a URI's information field tells, as our factory writes it: `SN=KT-0001 model=THERMOSTAT-1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The serial number.
    pub serial_number: Option<SerialNumber>,
    /// The model.
    pub model: Option<Model>,
}

impl Told {
    /// Reads the field; what has another form tells nothing, except that others write `SN=` too.
    pub fn read(information: &str) -> Self {
        let (serial, model) = match information.split_once(" model=") {
            Some((serial, model)) => (serial, Some(model)),
            None => (information, None),
        };
        Self {
            serial_number: serial.strip_prefix("SN=").and_then(|serial| serial.parse().ok()),
            model: model.and_then(|model| model.parse().ok()),
        }
    }

    /// Writes the field. What may not stand in it (DPP s5.2.1: printable ASCII but `;`) is written as a hyphen.
    pub fn write(serial: &SerialNumber, model: &Model) -> String {
        let plain = |c: char| if matches!(c, ' '..='~') && c != ';' { c } else { '-' };
        format!("SN={serial} model={model}").chars().map(plain).collect()
    }
}

/// Reads files with many devices, line by line: a JSON object a line, a URI a line, or comma-separated values whose
/// first line names the columns as JSON names the members.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    columns: Option<Vec<String>>,
}

impl Lines {
    /// The device in the next line; `None` if the line has none.
    pub fn read(&mut self, line: &str) -> Option<Result<Entry, Refusal>> {
        let line = line.trim();
        let found =
            match &self.columns {
                _ if line.is_empty() => return None,
                Some(columns) => row(columns, line),
                None if line.starts_with('{') => Entry::from_json(line.as_bytes()),
                None if line.starts_with(Uri::SCHEME) => Ok(Entry::of(line)),
                None => match values(line) {
                    Ok(columns) if columns.iter().any(|column| column == URI_COLUMN) => {
                        self.columns = Some(columns);
                        return None;
                    }
                    _ => Err("it is neither a JSON object, nor a URI, nor the names of columns with dppUri among them"
                        .into()),
                },
            };
        Some(found.map_err(|why| Refusal::new(Fault::Malformed, "bootstrapping-line", "NIST SP 1800-36B s4.2", why)))
    }
}

const URI_COLUMN: &str = "dppUri";
/// The columns that [`csv`] writes.
const COLUMNS: [&str; 6] = [URI_COLUMN, "dppRole", "serialNumber", "model", "device", "configurator"];

/// The first line of a file with comma-separated values.
pub fn csv_head() -> String {
    COLUMNS.join(",")
}

/// `entry` as a line of comma-separated values (RFC 4180).
pub fn csv(entry: &Entry) -> String {
    let Entry { dpp_uri, dpp_role, serial_number, model, device, configurator } = entry;
    let values: [Option<String>; 6] = [
        Some(dpp_uri.clone()),
        dpp_role.map(|role| role.as_str().to_owned()),
        serial_number.as_ref().map(ToString::to_string),
        model.as_ref().map(ToString::to_string),
        device.as_ref().map(ToString::to_string),
        configurator.as_ref().map(ToString::to_string),
    ];
    let quoted = |value: &Option<String>| match value.as_deref() {
        None => String::new(),
        Some(value) => format!("\"{}\"", value.replace('"', "\"\"")),
    };
    values.iter().map(quoted).collect::<Vec<_>>().join(",")
}

fn row(columns: &[String], line: &str) -> Result<Entry, String> {
    let values = values(line)?;
    if values.len() != columns.len() {
        return Err(format!("it has {} values, and there are {} columns", values.len(), columns.len()));
    }
    let named = columns.iter().zip(values).filter(|(_, value)| !value.is_empty());
    let object = named.map(|(column, value)| (column.clone(), value.into())).collect();
    serde_json::from_value(serde_json::Value::Object(object)).map_err(|why| why.to_string())
}

/// The values in a line (RFC 4180 s2), of which none goes over to the next line.
fn values(line: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => closed(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at(end);
                (value.trim().to_owned(), after)
            }
        };
        values.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => return Ok(values),
            None => return Err("something stands between a quoted value and the next comma".into()),
        }
    }
}

/// A quoted value and what comes after its closing quote.
fn closed(quoted: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quoted value is not closed")?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((value, after)),
        }
    }
}
