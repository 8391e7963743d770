//! What the device consists of, for its owner's servers to ask (RFC 9472 s5, `sbom-local-well-known`).
//!
//! It is served over TLS with the network credential, which says which device it is, and to servers of the device's own domain alone:
//! what a device consists of tells others where to attack it.

use crate::{Agent, DeviceError, file};
use landfall_brski::pledge::{Credential, Trusted};
use landfall_net::{
    http::{ConnInfo, Limits, Server},
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_types::{
    Refusal, Time,
    http::{Method, Request, Response},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    time::sleep,
};

const PATH: &str = "/.well-known/sbom";
/// The longest list that is served, in octets.
const LARGEST: u64 = 16 * 1024 * 1024;
/// How often it is looked whether another program has renewed the credential.
const LOOK: Duration = Duration::from_secs(30);
/// An owner's servers ask once a day.
const LIMITS: Limits = Limits {
    connections: 8,
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    head_bytes: 8 * 1024,
    request: Duration::from_secs(30),
    body_bytes: 1024,
    stall: Duration::from_secs(15),
    requests: 8,
    drain: Duration::from_secs(5),
};

impl Agent {
    /// Serves the list of components for as long as it is polled, if that is wanted, with the newest credential; `renewed` says that
    /// there is another.
    pub(crate) async fn serve_sbom(&self, renewed: &Notify) -> Result<Refusal, DeviceError> {
        let Some(at) = self.config.software.serve else { return std::future::pending().await };
        loop {
            let credential = self.credential()?;
            // What the device is asked is worth less than its place in the network, which ends with whoever serves this.
            let listener = match TcpListener::bind(at).await {
                Ok(listener) => listener,
                Err(why) => {
                    tracing::error!(role = "device", %at, %why, "the list of components is not served");
                    sleep(LOOK).await;
                    continue;
                }
            };
            let (stop, stopped) = watch::channel(false);
            tokio::select! {
                () = self.serve_with(&credential, listener, stopped)? => {}
                changed = self.has_another(&credential, renewed) => changed?,
            }
            drop(stop);
        }
    }

    fn serve_with(
        &self,
        credential: &Credential,
        listener: TcpListener,
        stopped: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = ()> + use<>, DeviceError> {
        let identity = TlsIdentity { chain: credential.presented(), signer: self.element.signer(&credential.key)? };
        let tls = ServerTls::new(&identity, ClientAuth::Required)?;
        let (credential, config) = (Arc::new(credential.clone()), Arc::new(self.config.clone()));
        let answer = move |request: Request, from: Arc<ConnInfo>| {
            let (credential, config) = (credential.clone(), config.clone());
            async move {
                let client = from.tls.clone();
                let (domain, now) = (credential.domain(), Time::now());
                // RFC 7030 s3.6.1: a server of the domain is known by its purpose, and not by its name.
                let is_ours = client.is_some_and(|client| {
                    Trusted::by_anchors(client, &domain, &credential.registrar, config.clock, now).is_ok()
                });
                match is_ours {
                    true => answered(&request, config.software.sbom.as_deref()),
                    false => Response::text(403, "This is for servers of the device's own domain."),
                }
            }
        };
        Ok(Server::new(listener).tls(tls).limits(LIMITS).run(answer, stopped))
    }

    /// Until there is another credential than that.
    async fn has_another(&self, credential: &Credential, renewed: &Notify) -> Result<(), DeviceError> {
        loop {
            tokio::select! {
                () = renewed.notified() => {}
                () = sleep(LOOK) => {}
            }
            if self.credential()?.ldevid != credential.ldevid {
                return Ok(());
            }
        }
    }
}

fn answered(request: &Request, sbom: Option<&std::path::Path>) -> Response {
    if request.path != PATH {
        return Response::text(404, "There is nothing here.");
    }
    if request.method != Method::Get {
        return Response::new(405).header("allow", "GET");
    }
    match sbom.map(|path| file::read_up_to(LARGEST, path)) {
        Some(Ok(Some(sbom))) => Response::with(200, landfall_attest::shown::media_type(&sbom), sbom),
        Some(Ok(None)) | None => Response::text(404, "There is no list of components."),
        Some(Err(why)) => {
            tracing::warn!(role = "device", %why, "the list of components cannot be read");
            Response::new(500)
        }
    }
}
