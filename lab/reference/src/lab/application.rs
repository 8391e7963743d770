//! A small application service: it takes devices in that show an attestation result of their registrar, over TLS with the
//! network credentials of both sides (the guide's 4.4 and 7.7).

use super::{party::Owner, place::Place};
use anyhow::{Context, Result};
use landfall_attest::{Ear, Tier};
use landfall_brski::TlsPeer;
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::{Anchors, PathPolicy, PublicKey, validate};
use landfall_server::{Identity, Settings, open, settings::IdentitySettings};
use landfall_types::{
    Fault, Refusal, Time,
    http::{Request, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How old a result may be: this service wants to know what a device runs now.
const FRESH: Duration = Duration::from_secs(60);
const SECTION: &str = "SP 1800-36B 4.4";

/// A service that runs.
pub(super) struct Service {
    /// Where devices find it.
    pub(super) address: String,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Service {
    /// Starts one in that owner's domain, which believes the owner's registrar about devices.
    pub(super) async fn start(place: &Place, owner: &Owner) -> Result<Self> {
        let identity = identity(owner)?;
        let verifier = identity.chain.first().context("the registrar has no certificate")?.public_key().clone();
        let tls = ServerTls::new(&identity.into(), ClientAuth::Required)?;
        let any = if place.has_link() { "[::]" } else { "127.0.0.1" };
        let listener = TcpListener::bind(format!("{any}:0")).await?;
        let address: SocketAddr = listener.local_addr()?;
        let judge = Arc::new((Anchors::of([owner.root.clone()]), verifier));
        let (stop, stopped) = watch::channel(false);
        let server = Server::new(listener).tls(tls);
        let running = tokio::spawn(server.run(
            move |request, from| {
                let (judge, client) = (judge.clone(), from.tls.clone());
                async move { answer(&request, client.as_ref(), &judge.0, &judge.1) }
            },
            stopped,
        ));
        Ok(Self { address: place.seen_by_devices(address), stop, running })
    }

    /// Stops it.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.running.await;
    }
}

/// What servers of that owner show.
pub(super) fn identity(owner: &Owner) -> Result<Identity> {
    let settings = Settings::load(&owner.registrar.settings)?;
    let domain = settings.data.join("domain");
    let shown = IdentitySettings::at("registrar.pem");
    Ok(Identity::load(&shown, |name| domain.join(name), &*open::element(&settings)?)?)
}

fn answer(request: &Request, client: Option<&TlsPeer>, domain: &Anchors, verifier: &PublicKey) -> Response {
    match welcome(&String::from_utf8_lossy(&request.body), client, domain, verifier, Time::now()) {
        Ok(given) => Response::with(200, "application/json", given.into_bytes()),
        Err(refusal) => Response::text(403, &refusal.to_string()),
    }
}

/// Whether the device is in the domain, and its own result is good and of now; what it gets then.
fn welcome(
    token: &str,
    client: Option<&TlsPeer>,
    domain: &Anchors,
    verifier: &PublicKey,
    now: Time,
) -> Result<String, Refusal> {
    let refuse = |check, why: String| Err(Refusal::new(Fault::Denied, check, SECTION, why));
    let Some((own, above)) = client.and_then(|client| client.chain.split_first()) else {
        return refuse("application-client", "it shows no certificate".into());
    };
    validate(own, above, domain, &PathPolicy::at(now))?;
    let ear = Ear::verify(token, std::slice::from_ref(verifier), now)?;
    let serial = own.subject_serial_number().map(|serial| serial.to_string()).unwrap_or_default();
    if ear.subject != serial {
        return refuse("application-device", format!("the result is about {}, and this is {serial}", ear.subject));
    }
    if now.since(ear.at) > FRESH {
        return refuse("application-freshness", format!("the result is of {}", ear.at));
    }
    match ear.tier {
        Tier::Affirming => Ok(serde_json::json!({ "topic": format!("heating/{serial}") }).to_string()),
        other => refuse("application-tier", format!("the device is {other}")),
    }
}
