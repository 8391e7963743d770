//! The vendor's cloud, as far as the network layer makes a device ready for it (C.2.1): it knows its devices by the IDevIDs beside
//! their bootstrapping keys, and they know it by what the factory gave them.

use super::{Device, Maker, Shown, Site};
use crate::lab::place::Place;
use anyhow::{Context, Result, bail, ensure};
use landfall_brski::TlsPeer;
use landfall_net::{
    http::{ClientLimits, Connection, Server},
    tls::{ClientAuth, ClientTls, ServerTls, TlsIdentity},
};
use landfall_pki::{Anchors, Certificate, PathPolicy, SoftwareKey, pem, validate};
use landfall_types::{
    Time,
    http::{Request, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

/// Where it tells a device what its owner wants of it.
const PATH: &str = "/configuration";
const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(10), exchange: Duration::from_secs(10), body_bytes: 4096 };

/// A cloud that runs until it is dropped.
struct Cloud {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Cloud {
    async fn open(maker: &Maker) -> Result<Self> {
        let tls = ServerTls::new(&maker.server, ClientAuth::Required)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the cloud")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let root = Arc::new(Anchors::of([maker.root.clone()]));
        let server = Server::new(listener).tls(tls).run(
            move |request, from| {
                let (root, client) = (root.clone(), from.tls.clone());
                async move { answer(&request, client.as_ref(), &root) }
            },
            stopped,
        );
        tokio::spawn(server);
        Ok(Self { address, _stop: stop })
    }

    /// What it has for a device, which authenticates with its IDevID and trusts the cloud of its own maker alone.
    async fn asked_by(&self, device: &Device) -> Result<Response> {
        let bundle = &device.bundle;
        let key = bundle.key.as_ref().context("the device keeps its key")?.0.expose();
        let block = pem::decode(key)?.into_iter().next().context("no key in the bundle")?;
        let mut chain = vec![Certificate::from_pem(&bundle.idevid)?];
        chain.extend(Certificate::chain_from_pem(&bundle.chain)?);
        let identity = TlsIdentity { chain, signer: Arc::new(SoftwareKey::from_pkcs8_der(&block.der)?) };
        let anchors = Anchors::of(Certificate::chain_from_pem(&bundle.masa_anchors)?);
        let tls = ClientTls::named(anchors, Some(&identity))?;
        let place = format!("localhost:{}", self.address.port()).parse()?;
        Ok(Connection::open(&place, Some(&tls), LIMITS).await?.send(Request::get(PATH)).await?)
    }
}

fn answer(request: &Request, client: Option<&TlsPeer>, root: &Anchors) -> Response {
    let Some((own, above)) = client.and_then(|client| client.chain.split_first()) else {
        return Response::text(401, "who asks?");
    };
    match validate(own, above, root, &PathPolicy::at(Time::now())) {
        Ok(_) if request.path == PATH => {
            let serial = own.subject_serial_number().map(|serial| serial.to_string()).unwrap_or_default();
            Response::with(200, "application/json", format!("{{\"for\":\"{serial}\"}}").into_bytes())
        }
        Ok(_) => Response::text(404, "there is nothing there"),
        Err(refusal) => Response::text(403, &refusal.to_string()),
    }
}

/// S2.C2-ready: a device that is inside has what it needs to pull its configuration: a network, and an identity that the cloud
/// of its maker knows; another maker's of the same name neither gets anything nor is given anything.
pub(super) async fn ready(place: &Place, site: &Site) -> Result<Shown> {
    let cloud = Cloud::open(&site.kestrel).await?;
    let (device, joined) = site.onboarded(place, &site.lamp).await?;
    ensure!(joined.standing.valid, "it has no network");
    let answer = cloud.asked_by(&device).await?;
    let has = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200 && has.contains(&device.serial), "the cloud answers {}: {has}", answer.status);
    let namesake = Maker::found(place, "Kestrel Devices")?;
    let other = namesake.make(place, &site.lamp)?;
    let Err(distrust) = cloud.asked_by(&other).await else { bail!("another maker's device trusts the cloud") };
    // It would take any cloud; this one does not take it.
    let mut gullible = namesake.make(place, &site.lamp)?;
    gullible.bundle.masa_anchors.clone_from(&device.bundle.masa_anchors);
    let refused = cloud.asked_by(&gullible).await?;
    ensure!(refused.status == 403, "the cloud answers another maker's device {}", refused.status);
    Ok(Shown {
        shown: format!(
            "{} has {} and an IDevID; to the lab, with its key and in its place, a cloud of the maker's that the lab plays answers {has}",
            device.serial,
            joined.names().join(", ")
        ),
        refused: format!(
            "another maker's of the same name, by the cloud: {}; by that device: {distrust:#}",
            String::from_utf8_lossy(&refused.body)
        ),
    })
}
