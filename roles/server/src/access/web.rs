//! RADIUS servers of others that ask by HTTP whether a device may be let in, such as freeradius by rlm_rest: they carry out
//! EAP-TLS, and the records here say who may come, and where it is to be.

use super::{
    Access,
    client::Client,
    judge::{self, denied},
    session::{Asking, Session, Shown},
    talk::within,
};
use crate::{RoleError, registrar::CertificateRecord, role::Shutdown};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_eap::radius::{Attributes, Kind, Place};
use landfall_lifecycle::network::DomainDevice;
use landfall_net::{
    http::{Limits, Server},
    tls::ServerTls,
};
use landfall_pki::Certificate;
use landfall_types::{
    Fault, Outcome, Refusal,
    http::{Method, Request, Response},
};
use serde_json::{Map, Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// Where it is asked.
pub const AUTHORIZE_PATH: &str = "/v1/access/authorize";

/// Where other servers ask.
#[derive(Debug)]
pub(super) struct Web {
    listener: TcpListener,
    tls: ServerTls,
}

impl Web {
    pub(super) async fn bind(address: SocketAddr, tls: ServerTls) -> Result<Self, RoleError> {
        let what = format!("listening on {address} (access.web.listen)");
        let listener = TcpListener::bind(address).await.map_err(RoleError::while_(what))?;
        Ok(Self { listener, tls })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    pub(super) async fn serve(self, access: Arc<Access>, shutdown: Shutdown) {
        let handler = move |request: Request, from: Arc<landfall_net::http::ConnInfo>| {
            let access = access.clone();
            async move { access.asked(&request, from.remote).await }
        };
        Server::new(self.listener).tls(self.tls).limits(Limits::default()).run(handler, shutdown.watch()).await;
    }
}

impl Access {
    async fn asked(&self, request: &Request, from: Option<SocketAddr>) -> Response {
        let begun = Instant::now();
        if request.path != AUTHORIZE_PATH {
            return Response::text(404, "There is nothing here.");
        }
        if request.method != Method::Post {
            return Response::text(405, "It is asked by POST.");
        }
        let (Some(client), Some(from)) = (self.with_token(request), from) else {
            let why = Refusal::new(Fault::Peer, "access-client", "RFC 7617 s2", "no server has this name and token");
            if let Some(from) = from {
                self.ignored(from, &why.field("Authorization"));
            }
            return Response::text(401, "Name and token are not known.")
                .header("www-authenticate", "Basic realm=\"access\"");
        };
        match self.authorize(client, from.ip(), &request.body).await {
            Ok((device, place)) => {
                self.close(device.identity.serial_number.to_string(), Outcome::Done, begun).await;
                Response::with(200, "application/json", answer(&device, &place).to_string().into_bytes())
            }
            Err(why) => {
                let status = if why.fault == Fault::Backend { 503 } else { 403 };
                self.close(String::new(), Outcome::Refused(why), begun).await;
                Response::text(status, "It is not to be let in.")
            }
        }
    }

    /// The server with the name and token of the request (RFC 7617 s2).
    fn with_token(&self, request: &Request) -> Option<&Client> {
        let (scheme, given) = request.headers.first("authorization")?.split_once(' ')?;
        let given = STANDARD.decode(given.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let colon = given.iter().position(|byte| *byte == b':')?;
        let (name, token) = (given.get(..colon)?, given.get(colon + 1..)?);
        self.clients.iter().find(|client| client.name.as_bytes() == name && client.has_token(token))
    }

    /// Whether the device whose certificate was shown there is to be let in, and where.
    async fn authorize(&self, client: &Client, from: IpAddr, body: &[u8]) -> Result<(DomainDevice, Place), Refusal> {
        let asked = Asked::parse(body)?;
        let failed = |why: String| Refusal::new(Fault::Backend, "access-records", "landfall", why);
        let judge = || {
            let found = self.world.store.snapshot(|store| {
                let record = store.find::<CertificateRecord>(&asked.serial)?;
                let Some(record) = record.filter(|record| record.elsewhere.is_none()) else { return Ok(None) };
                let fingerprint = record.issued.fingerprint;
                let device = judge::standing(store, &fingerprint, &asked.serial)?;
                Ok::<_, landfall_store::ReadError>(Some((record.record, device)))
            });
            let (record, device) = found.map_err(|why| failed(why.to_string()))?.ok_or_else(|| {
                let detail = format!("there is no certificate with the serial number {} on record", asked.serial);
                denied("access-record", "SP 1800-36B 4.3", detail)
            })?;
            Ok::<_, Refusal>((record, device?))
        };
        let (record, device) = judge()?;
        let now = self.world.clock.now();
        let certificate = Certificate::from_der(&record.issued.certificate).map_err(|why| failed(why.to_string()))?;
        let ends = certificate.not_after();
        if ends <= now {
            return Err(denied("access-certificate", "RFC 5280 s4.1.2.5", "its certificate has ended".into()));
        }
        let place = within(self.place(&device.identity)?, ends.since(now));
        let until = place.session_timeout.map_or(ends, |it| now + Duration::from_secs(it.into()));
        // Orders go to the access point itself, if it is known here.
        let access_point = asked.access_point.unwrap_or(from);
        let told = self.clients.iter().find(|known| known.at(access_point).is_some()).unwrap_or(client);
        let asking = Asking::elsewhere(told, access_point, &asked.attributes);
        let by = Shown::Certificate(record.issued.fingerprint);
        let session = Session::begun(asking, &device.identity.device, by, &place, false, (now, until));
        self.keep(&session).await.map_err(failed)?;
        // Whoever takes the device off the records from here on finds the session.
        judge()?;
        Ok((device, place))
    }
}

/// What is asked.
struct Asked {
    serial: String,
    access_point: Option<IpAddr>,
    attributes: Attributes,
}

impl Asked {
    /// Reads attributes as rlm_rest writes them: `{"User-Name": {"type": "string", "value": ["someone"]}}`.
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let wrong = |detail: &str| Refusal::new(Fault::Malformed, "access-request", "rlm_rest", detail);
        let body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| wrong("it is no JSON object of attributes"))?;
        let text = |name: &str| {
            let value = body.get(name)?;
            let value = value.get("value").unwrap_or(value);
            let value = value.get(0).unwrap_or(value);
            value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
        };
        let serial = text("TLS-Client-Cert-Serial");
        let serial = serial.ok_or_else(|| wrong("it has no certificate").field("TLS-Client-Cert-Serial"))?;
        let named = [
            ("NAS-Identifier", Kind::NAS_IDENTIFIER),
            ("Calling-Station-Id", Kind::CALLING_STATION_ID),
            ("Acct-Session-Id", Kind::ACCT_SESSION_ID),
        ];
        let mut attributes =
            named.into_iter().fold(Attributes::default(), |attributes, (name, kind)| match text(name) {
                Some(value) => attributes.with(kind, value),
                None => attributes,
            });
        let address = |name| text(name).and_then(|text| text.parse::<IpAddr>().ok());
        let access_point = address("NAS-IP-Address").or_else(|| address("NAS-IPv6-Address"));
        attributes = match access_point {
            Some(IpAddr::V4(v4)) => attributes.with(Kind::NAS_IP_ADDRESS, v4.octets()),
            Some(IpAddr::V6(v6)) => attributes.with(Kind::NAS_IPV6_ADDRESS, v6.octets()),
            None => attributes,
        };
        Ok(Self { serial: serial.to_ascii_lowercase(), access_point, attributes })
    }
}

/// The attributes of an acceptance, as rlm_rest reads them.
fn answer(device: &DomainDevice, place: &Place) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| {
        answer.insert(format!("reply:{name}"), json!({ "value": [value], "op": ":=" }));
    };
    put("User-Name", device.identity.serial_number.as_str().into());
    if let Some(vlan) = &place.vlan {
        // RFC 3580 s3.31.
        put("Tunnel-Type", "VLAN".into());
        put("Tunnel-Medium-Type", "IEEE-802".into());
        put("Tunnel-Private-Group-Id", vlan.as_str().into());
    }
    if let Some(filter) = &place.filter {
        put("Filter-Id", filter.as_str().into());
    }
    if let Some(seconds) = place.session_timeout {
        put("Session-Timeout", seconds.into());
        put("Termination-Action", "RADIUS-Request".into());
    }
    Value::Object(answer)
}
