//! NetBox, by its REST API (4.x): devices page by page, and their custom fields.

use super::refuse;
use crate::site::{Site, Wrong};
use landfall_net::{
    NetError,
    http::{ClientLimits, Connection},
};
use landfall_types::{
    Fault, Redacted, Refusal,
    http::{Request, Response},
    json,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// So many devices are asked for, or changed, at once.
const PAGE: usize = 200;
/// So many are taken in.
const MOST: usize = 200_000;
/// All of it takes no longer than this.
const DEADLINE: Duration = Duration::from_secs(600);
const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(10), exchange: Duration::from_secs(60), body_bytes: 16 * 1024 * 1024 };
/// The longest text of it that counts.
const TEXT: usize = 256;

/// Where it is.
#[derive(Debug)]
pub(super) struct NetBox {
    site: Site,
    token: Redacted<String>,
}

/// A device as it has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) serial: String,
    /// `active`, `planned`, `decommissioning` and others.
    pub(super) status: String,
    /// Whose it is.
    pub(super) tenant: Option<String>,
    pub(super) fields: Map<String, Value>,
}

/// What is to be written of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) id: u64,
    pub(super) fields: Map<String, Value>,
}

impl NetBox {
    pub(super) fn new(site: Site, token: Redacted<String>) -> Result<Self, Wrong> {
        match token.expose().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            true => Ok(Self { site, token }),
            false => Err(("token-file", "has letters that no token has".into())),
        }
    }

    /// Every device that it has.
    pub(super) async fn devices(&self) -> Result<Vec<Asset>, Refusal> {
        let late = |_| refuse(Fault::Peer, "assets-time", format!("it took longer than {DEADLINE:?}"));
        timeout(DEADLINE, self.pages()).await.map_err(late)?
    }

    async fn pages(&self) -> Result<Vec<Asset>, Refusal> {
        let mut connection = self.site.open(LIMITS).await.map_err(failed)?;
        let mut assets: Vec<Asset> = Vec::new();
        loop {
            // By id, so that what is added meanwhile moves nothing from one page to another.
            let query =
                format!("dcim/devices/?ordering=id&exclude=config_context&limit={PAGE}&offset={}", assets.len());
            let request = Request::get(&self.path(&query));
            let page = self.send(&mut connection, request).await?;
            let Some(Value::Array(results)) = page.get("results") else {
                return Err(malformed("results", "it is no list"));
            };
            let before = assets.len();
            for result in results {
                assets.push(Asset::read(result)?);
            }
            if assets.len() > MOST {
                return Err(malformed("results", "it has more than 200000 devices"));
            }
            match page.get("next") {
                None | Some(Value::Null) => return Ok(assets),
                Some(_) if assets.len() > before => {}
                Some(_) => return Err(malformed("next", "it leads on, and there is nothing")),
            }
        }
    }

    /// Writes into the custom fields of devices.
    pub(super) async fn write(&self, written: &[Written]) -> Result<(), Refusal> {
        let mut connection = self.site.open(LIMITS).await.map_err(failed)?;
        for part in written.chunks(PAGE) {
            let changes: Vec<Value> =
                part.iter().map(|one| json!({ "id": one.id, "custom_fields": one.fields })).collect();
            let body = Value::Array(changes).to_string().into_bytes();
            let request = Request::patch(&self.path("dcim/devices/"), "application/json", body);
            self.send(&mut connection, request).await?;
        }
        Ok(())
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/api/{rest}", self.site.path.trim_end_matches('/'))
    }

    async fn send(&self, connection: &mut Connection, request: Request) -> Result<Value, Refusal> {
        let mut request = request.accept("application/json");
        request.headers.add("authorization", authorization(&self.token));
        let Response { status, body, .. } = connection.send(request).await.map_err(failed)?;
        match status {
            200 => json::parse(&body).map_err(|why| malformed("", why.to_string())),
            400 => {
                // Which of its fields is missing, for instance.
                let said: String =
                    String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(300).collect();
                let why = format!("{} takes not what is written: {said}", self.site);
                Err(refuse(Fault::Peer, "assets-write", why))
            }
            status => Err(refuse(Fault::Peer, "assets-fetch", format!("{} answers with {status}", self.site))),
        }
    }
}

/// Tokens of the second version name themselves (`nbt_KEY.TOKEN`), and are borne as RFC 6750 has it; those of the first are not.
fn authorization(token: &Redacted<String>) -> String {
    let scheme = if token.expose().starts_with("nbt_") { "Bearer" } else { "Token" };
    format!("{scheme} {}", token.expose())
}

impl Asset {
    fn read(value: &Value) -> Result<Self, Refusal> {
        let text = |value: Option<&Value>| -> String {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            text.chars().filter(|letter| !letter.is_control()).take(TEXT).collect()
        };
        let id = value.get("id").and_then(Value::as_u64).ok_or_else(|| malformed("id", "a device has none"))?;
        let status = value.get("status").and_then(|status| status.get("value"));
        let status = status.ok_or_else(|| malformed("status", "a device has none"))?;
        let tenant = value.get("tenant").map(|tenant| text(tenant.get("name"))).filter(|name| !name.is_empty());
        let fields = value.get("custom_fields").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Self {
            id,
            name: text(value.get("name")),
            serial: text(value.get("serial")).trim().to_owned(),
            status: text(Some(status)),
            tenant,
            fields,
        })
    }
}

fn failed(why: NetError) -> Refusal {
    let check = match &why {
        NetError::Timeout { .. } => "assets-time",
        NetError::TooLarge { .. } => "assets-size",
        NetError::Tls(_) | NetError::Refused(_) => "assets-tls",
        _ => "assets-fetch",
    };
    refuse(why.fault(), check, why.to_string())
}

fn malformed(field: &'static str, why: impl Into<String>) -> Refusal {
    refuse(Fault::Malformed, "assets-form", why).field(field)
}
