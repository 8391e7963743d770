//! What an enrollee is given: a network and how to get onto it (DPP s4.5, s6.4.3).

use crate::{
    bounds,
    config::Credential,
    json::{self, JsonError, Object},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

pub(super) const SECTION: &str = "DPP s4.5";
/// The longest network name, in octets (IEEE 802.11 s9.4.2.2).
const SSID: usize = 32;

/// A configuration object.
#[derive(Clone, Debug)]
pub struct ConfigObject {
    /// `wi-fi_tech`: `infra` for a network with access points.
    pub wifi_tech: String,
    /// `discovery`: which network.
    pub discovery: Discovery,
    /// `cred`: how to get onto it.
    pub credential: Credential,
    /// Members of others, as they came.
    pub others: Map<String, Value>,
}

/// A network's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Discovery {
    /// Its octets, at most 32.
    pub ssid: Vec<u8>,
    /// `ssid_charset`: the encoding of those octets by its number at IANA (MIBenum), if it is not said to be UTF-8.
    pub charset: Option<u32>,
}

impl From<&str> for Discovery {
    fn from(ssid: &str) -> Self {
        Self { ssid: ssid.as_bytes().to_vec(), charset: None }
    }
}

impl ConfigObject {
    /// A network with access points.
    pub fn infra(discovery: Discovery, credential: Credential) -> Self {
        Self { wifi_tech: "infra".into(), discovery, credential, others: Map::new() }
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is too long, not JSON without duplicate names, or a member is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut object = Object::parse(bytes, bounds::JSON, "configuration object", SECTION)?;
        let wifi_tech = object.need_text("wi-fi_tech", bounds::NAME)?;
        let mut discovery = object.object("discovery")?.ok_or_else(|| object.error("discovery", "is missing"))?;
        let discovery = Discovery::read(&mut discovery)?;
        let mut credential = object.object("cred")?.ok_or_else(|| object.error("cred", "is missing"))?;
        let credential = Credential::read(&mut credential)?;
        Ok(Self { wifi_tech, discovery, credential, others: object.others() })
    }

    /// Writes it. It may hold secrets.
    pub fn to_json(&self) -> landfall_types::Redacted<String> {
        let mut members = Map::new();
        members.insert("wi-fi_tech".into(), self.wifi_tech.as_str().into());
        members.insert("discovery".into(), self.discovery.to_value());
        members.insert("cred".into(), self.credential.to_value());
        json::add_others(&mut members, &self.others);
        json::write(members).into()
    }
}

impl Discovery {
    fn read(object: &mut Object) -> Result<Self, JsonError> {
        let coded = object.base64url("ssid64", 2 * SSID)?;
        let plain = object.text("ssid", SSID)?;
        // A peer may send both, for readers of release 1.
        let ssid = coded.or(plain.map(String::into_bytes)).ok_or_else(|| object.error("ssid", "is missing"))?;
        if ssid.len() > SSID {
            return Err(object.error("ssid64", "has more than 32 octets"));
        }
        Ok(Self { ssid, charset: object.number("ssid_charset")? })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        // DPP s4.5.3: octets in another encoding than UTF-8 cannot stand in JSON as they are.
        match (std::str::from_utf8(&self.ssid), self.charset) {
            (Ok(text), None) => members.insert("ssid".into(), text.into()),
            _ => members.insert("ssid64".into(), URL_SAFE_NO_PAD.encode(&self.ssid).into()),
        };
        if let Some(charset) = self.charset {
            members.insert("ssid_charset".into(), charset.into());
        }
        Value::Object(members)
    }
}
