//! A device, and the access point in front of it.

use super::super::{
    device::{anchors, enrol, take_voucher},
    ground::Ground,
};
use anyhow::{Context, Result, bail, ensure};
use landfall_eap::{
    packet::{self, Message},
    radius::{Attributes, Authenticator, Code, Kind, Packet, Secret},
    tls::{Keys, Peer, peer::Output},
};
use landfall_pki::Certificate;
use landfall_types::{Machine, Redacted, Time, contract::drain};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};

/// What access point and servers share.
pub(super) const SECRET: &str = "a secret of the benchmark";
/// An access point asks again after so long (RFC 5080 s2.2.1), and so often.
const AGAIN: Duration = Duration::from_secs(1);
const TIMES: usize = 20;

/// A device with its LDevID, which trusts the domain and the other servers.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) serial: String,
    pub(super) tls: Arc<ClientConfig>,
}

/// Where a device is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    /// The port.
    pub(super) port: &'a str,
    /// Its hardware address.
    pub(super) mac: &'a str,
}

/// At no port of this machine.
pub(super) const ELSEWHERE: Spot<'_> = Spot { port: "elsewhere", mac: "02-00-00-00-00-01" };

/// Onboards devices, as far as to their LDevID.
pub(super) async fn onboarded(ground: &Arc<Ground>, foreign: &Certificate, count: u32) -> Result<Vec<Device>> {
    let trusted = anchors(ground)?;
    let domain = std::fs::read_to_string(ground.domain_folder().join("root.pem")).context("the domain's root")?;
    let roots = Arc::new(roots(&[&Certificate::from_pem(&domain)?, foreign])?);
    let mut devices = Vec::new();
    for device in ground.devices(count)? {
        take_voucher(&device.agent).await?;
        let (chain, key) = enrol(&device, ground, &trusted).await?;
        let serial = chain.first().and_then(Certificate::subject_serial_number).context("an LDevID of nobody")?;
        let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
        let key = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().expose().clone());
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.clone());
        let mut config = config.with_client_auth_cert(chain, key.into())?;
        config.resumption = Resumption::disabled();
        devices.push(Device { serial: serial.to_string(), tls: Arc::new(config) });
    }
    Ok(devices)
}

pub(super) fn roots(certificates: &[&Certificate]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from(certificate.der().to_vec()))?;
    }
    Ok(roots)
}

impl Device {
    /// Shows its certificate, takes the server's, and comes to the same keys as the access point: after so many requests.
    pub(super) async fn come_in(&self, server: SocketAddr, at: Spot<'_>) -> Result<u8> {
        let mut asks = Asks::of(server).await?;
        let name = ServerName::try_from("localhost")?;
        let mut device = Peer::new(self.tls.clone(), name, "@bench", landfall_eap::bounds::EAP);
        let identity = Message { identifier: 1, kind: packet::IDENTITY, data: Vec::new() };
        let mut said = packet::Packet::Request(identity);
        loop {
            device.handle(Time::now(), said)?;
            let response = match drain(&mut device).pop() {
                Some(Output::Send(response)) => response,
                Some(Output::Joined(keys)) => return asks.compare(&keys).map(|()| asks.identifier),
                Some(Output::Refused(why)) => bail!("{why}"),
                None => bail!("the device has nothing to say"),
            };
            said = asks.ask(&response, at).await?;
        }
    }
}

/// The access point.
struct Asks {
    socket: UdpSocket,
    secret: Secret,
    identifier: u8,
    state: Attributes,
    /// The last answer, and the authenticator of its request.
    last: Option<(Authenticator, Packet)>,
}

impl Asks {
    async fn of(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(server).await?;
        let secret = Secret::new(Redacted::new(SECRET.as_bytes().to_vec()))?;
        Ok(Self { socket, secret, identifier: 0, state: Attributes::default(), last: None })
    }

    /// Hands on what the device says, and gives what the server says to it.
    async fn ask(&mut self, response: &packet::Packet, at: Spot<'_>) -> Result<packet::Packet> {
        let mut authenticator = [0; 16];
        ::aws_lc_rs::rand::fill(&mut authenticator).ok().context("no random octets")?;
        self.identifier = self.identifier.wrapping_add(1);
        let attributes = Attributes::default()
            .with(Kind::USER_NAME, "@bench")
            .with(Kind::NAS_IDENTIFIER, "bench")
            .with(Kind::NAS_PORT_ID, at.port)
            .with(Kind::CALLING_STATION_ID, at.mac)
            .with_number(Kind::FRAMED_MTU, 1400)
            .with_eap(response)
            .with_all_of(Kind::STATE, &self.state);
        let request = Packet { code: Code::AccessRequest, identifier: self.identifier, authenticator, attributes };
        let answer = self.answer(&request.seal_request(&self.secret), &authenticator).await?;
        self.state = Attributes::default().with_all_of(Kind::STATE, &answer.attributes);
        let said = answer.attributes.eap().with_context(|| format!("{:?} without EAP", answer.code))?;
        self.last = Some((authenticator, answer));
        Ok(packet::Packet::parse(&said)?)
    }

    async fn answer(&self, request: &[u8], authenticator: &Authenticator) -> Result<Packet> {
        let mut datagram = vec![0; landfall_eap::bounds::RADIUS];
        for _ in 0..TIMES {
            // A server that is not there yet is said to be none; the request is sent again like one that was lost.
            let _ = self.socket.send(request).await;
            match timeout(AGAIN, self.socket.recv(&mut datagram)).await {
                Ok(Ok(length)) => {
                    let bytes = datagram.get(..length).unwrap_or_default();
                    return Ok(Packet::open_answer(bytes, authenticator, &self.secret)?);
                }
                Ok(Err(_)) => tokio::time::sleep(AGAIN / 5).await,
                Err(_) => {}
            }
        }
        bail!("the server does not answer")
    }

    fn compare(&self, keys: &Keys) -> Result<()> {
        let (request, answer) = self.last.as_ref().context("nothing was answered")?;
        ensure!(answer.code == Code::AccessAccept, "{:?} instead of an acceptance", answer.code);
        let (first, second) = answer.attributes.keys(&self.secret, request).context("an acceptance without keys")?;
        ensure!(keys.msk.expose().starts_with(&[first, second].concat()), "the keys are others");
        Ok(())
    }
}
