//! Asking devices themselves what they consist of, where their manufacturer's file says so (RFC 9472 s5, `sbom-local-well-known`).
//!
//! Nobody vouches for the name of a web server in a device, but the domain vouches for the device: it shows the network credential
//! that it got here, and has to be the very device that is meant. By plain HTTP or CoAP nobody could tell who answers.

use super::seek::{CHECKS, LIST};
use crate::{World, fetch::Found, registrar::CertificateRecord};
use landfall_lifecycle::{device::State, network::DomainDevice};
use landfall_net::{
    http::{ClientLimits, Connection, Endpoint},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{Anchors, Certificate};
use landfall_types::{DeviceId, Fault, Refusal, http::Request};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// Where it is, on each device.
pub(super) const PATH: &str = "/.well-known/sbom";
/// For each of connecting and the handshake, and for the rest.
const CONNECT: Duration = Duration::from_secs(5);
const EXCHANGE: Duration = Duration::from_secs(60);

/// What comes of looking where a device is.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send + 'a>>;

/// Who knows where devices are.
pub trait Whereabouts: fmt::Debug + Send + Sync {
    /// The addresses that a device has now, as far as the network knows.
    fn of<'a>(&'a self, device: &'a DeviceId) -> Addresses<'a>;
}

/// How devices are asked.
#[derive(Clone, Debug)]
pub struct Devices {
    whereabouts: Arc<dyn Whereabouts>,
    tls: ClientTls,
    port: u16,
}

impl Devices {
    /// Those whose certificates lead to `domain`, at that port of where they are; we show them `identity`.
    ///
    /// # Errors
    /// If the identity's key is not its certificate's, or there are no anchors.
    pub fn new(
        whereabouts: Arc<dyn Whereabouts>,
        domain: Anchors,
        identity: &TlsIdentity,
        port: u16,
    ) -> Result<Self, landfall_net::NetError> {
        Ok(Self { whereabouts, tls: ClientTls::anchored(domain, Vec::new(), Some(identity))?, port })
    }

    /// The list of that device, from itself.
    ///
    /// # Errors
    /// If it is nowhere that is known, somebody else is there, or it has none.
    pub(super) async fn ask(&self, world: &World, device: &DeviceId) -> Result<Found, Refusal> {
        let unknown = "the network does not know yet where the device is";
        let mut last = CHECKS.refuse(Fault::Backend, "sbom-local-address", unknown.into());
        for address in self.whereabouts.of(device).await {
            match self.at(world, device, SocketAddr::new(address, self.port)).await {
                Ok(found) => return Ok(found),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn at(&self, world: &World, device: &DeviceId, address: SocketAddr) -> Result<Found, Refusal> {
        let backend = |why: String| CHECKS.refuse(Fault::Backend, CHECKS.fetch, format!("{address}: {why}"));
        let stream = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(|why| backend(why.to_string()))?,
            Err(_) => return Err(backend("it does not answer".into())),
        };
        let limits = ClientLimits { connect: CONNECT, exchange: EXCHANGE, body_bytes: LIST.most };
        let endpoint = Endpoint::from(address);
        let failed = |why| CHECKS.failed(&why);
        let mut connection = Connection::over(stream, &endpoint, Some(&self.tls), limits).await.map_err(failed)?;
        let shown = connection.peer().and_then(|peer| peer.certificate());
        let shown = shown.ok_or_else(|| refuse("sbom-local-certificate", "it shows no certificate".into()))?;
        is_that_device(world, device, shown)?;
        let answer = connection.send(Request::get(PATH).accept(LIST.accept)).await.map_err(failed)?;
        // Wherever else it would lead, it is not the device that is there.
        if answer.status != 200 {
            let why = format!("{address} answers {}", answer.status);
            return Err(CHECKS.refuse(Fault::Peer, CHECKS.fetch, why));
        }
        let from = format!("https://{endpoint}{PATH}");
        let from = from.parse().map_err(|why| refuse("sbom-local-address", format!("{from}: {why}")))?;
        Ok(Found { body: answer.body, from, address: address.ip() })
    }
}

fn refuse(check: &'static str, why: String) -> Refusal {
    CHECKS.refuse(Fault::Denied, check, why)
}

/// Whether that is a certificate of the device which counts now. That its issuer is ours and that its key was used, TLS has shown.
fn is_that_device(world: &World, device: &DeviceId, shown: &Certificate) -> Result<(), Refusal> {
    let (now, fingerprint) = (world.clock.now(), shown.fingerprint());
    let found = world.store.snapshot(|store| {
        let issued = CertificateRecord::by_fingerprint(store, &fingerprint)?;
        Ok((issued, store.find::<DomainDevice>(device.as_str())?))
    });
    let (issued, known) = found.map_err(|why: landfall_store::ReadError| {
        CHECKS.refuse(Fault::Backend, "sbom-local-records", why.to_string())
    })?;
    let Some(issued) = issued else {
        return Err(refuse(
            "sbom-local-certificate",
            "who answers shows a certificate that was not issued here".into(),
        ));
    };
    if issued.issued.device.id != *device {
        let why = format!("who answers is another device, {}", issued.issued.device.id);
        return Err(refuse("sbom-local-device", why));
    }
    if issued.revoked.is_some() || issued.issued.not_after < now {
        return Err(refuse("sbom-local-revoked", "the certificate of who answers was revoked, or has expired".into()));
    }
    match known.is_some_and(|known| matches!(known.record.state, State::Enrolled | State::Connected)) {
        true => Ok(()),
        false => Err(refuse("sbom-local-outside", "the device is not inside".into())),
    }
}
