//! What became of a configuration: whether the enrollee got onto the network (DPP s6.4.5.2).

use crate::{
    bounds,
    channel::{self, Channel},
    json::{self, JsonError, Object},
    status::Status,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Map;

const SECTION: &str = "DPP s6.4.5.2";

/// A connection status object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// `result`: how it went.
    pub result: Status,
    /// `ssid64`: which network was tried.
    pub ssid: Option<Vec<u8>>,
    /// `channelList`: where it was looked for.
    pub channels: Vec<Channel>,
}

impl ConnectionStatus {
    /// Reads it.
    ///
    /// # Errors
    /// If it is too long, not JSON without duplicate names, or a member is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut object = Object::parse(bytes, bounds::JSON, "connection status", SECTION)?;
        let result = object.number("result")?.ok_or_else(|| object.error("result", "is missing"))?;
        let result = u8::try_from(result).ok().and_then(|number| Status::try_from(number).ok());
        let result = result.ok_or_else(|| object.error("result", "is not the number of a status"))?;
        let ssid = object.base64url("ssid64", bounds::NAME)?;
        let channels = match object.text("channelList", bounds::JSON)? {
            None => Vec::new(),
            Some(list) => channel::parse_list(&list).map_err(|why| object.error("channelList", why))?,
        };
        Ok(Self { result, ssid, channels })
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        members.insert("result".into(), u8::from(self.result).into());
        if let Some(ssid) = &self.ssid {
            members.insert("ssid64".into(), URL_SAFE_NO_PAD.encode(ssid).into());
        }
        if !self.channels.is_empty() {
            members.insert("channelList".into(), channel::write_list(&self.channels).into());
        }
        json::write(members)
    }
}
