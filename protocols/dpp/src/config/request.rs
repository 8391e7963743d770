//! What an enrollee says of itself when it asks for its configuration (DPP s6.4.2, table 17).

use crate::{
    bounds,
    json::{self, JsonError, Object},
    net_role::NetRole,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

const SECTION: &str = "DPP s6.4.2";
/// Operating classes listed.
const BANDS: usize = 256;

/// A configuration request object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRequest {
    /// `name`: what it calls itself.
    pub name: String,
    /// `wi-fi_tech`: `infra` for a network with access points.
    pub wifi_tech: String,
    /// `netRole`: what it wants to be.
    pub net_role: NetRole,
    /// `mudurl`: where its MUD file is (RFC 8520).
    pub mud_url: Option<String>,
    /// `bandSupport`: the operating classes that it can use; empty if it does not say.
    pub bands: Vec<u8>,
    /// `pkcs10`: a certification request, DER.
    pub pkcs10: Option<Vec<u8>>,
    /// `capabilities`: bit 0 says that it takes SAE password identifiers; from release 3 on.
    pub capabilities: Option<u32>,
    /// Members of others, as they came.
    pub others: Map<String, Value>,
}

impl ConfigRequest {
    /// The technology of networks with access points.
    pub const INFRA: &'static str = "infra";
    /// The bit in `capabilities` for SAE password identifiers.
    pub const SAE_PASSWORD_ID: u32 = 1;

    /// A request that says no more than it has to.
    pub fn new(name: impl Into<String>, net_role: NetRole) -> Self {
        Self {
            name: name.into(),
            wifi_tech: Self::INFRA.into(),
            net_role,
            mud_url: None,
            bands: Vec::new(),
            pkcs10: None,
            capabilities: None,
            others: Map::new(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is too long, not JSON without duplicate names, or a member is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut object = Object::parse(bytes, bounds::JSON, "configuration request", SECTION)?;
        let name = object.need_text("name", bounds::NAME)?;
        let wifi_tech = object.need_text("wi-fi_tech", bounds::NAME)?;
        let net_role = object.need_text("netRole", bounds::NAME)?.into();
        let mud_url = object.text("mudurl", bounds::NAME)?;
        let bands = object.array("bandSupport", BANDS)?.unwrap_or_default();
        let class = |band: &Value| band.as_u64().and_then(|class| u8::try_from(class).ok());
        let bands = bands.iter().map(class).collect::<Option<_>>();
        let bands = bands.ok_or_else(|| object.error("bandSupport", "has an item that is not an operating class"))?;
        let pkcs10 = object.base64("pkcs10", bounds::JSON)?;
        let capabilities = object.number("capabilities")?;
        Ok(Self { name, wifi_tech, net_role, mud_url, bands, pkcs10, capabilities, others: object.others() })
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        members.insert("name".into(), self.name.as_str().into());
        members.insert("wi-fi_tech".into(), self.wifi_tech.as_str().into());
        members.insert("netRole".into(), self.net_role.as_str().into());
        if let Some(url) = &self.mud_url {
            members.insert("mudurl".into(), url.as_str().into());
        }
        if !self.bands.is_empty() {
            members.insert("bandSupport".into(), self.bands.clone().into());
        }
        if let Some(request) = &self.pkcs10 {
            members.insert("pkcs10".into(), STANDARD.encode(request).into());
        }
        if let Some(bits) = self.capabilities {
            members.insert("capabilities".into(), bits.into());
        }
        json::add_others(&mut members, &self.others);
        json::write(members)
    }
}
