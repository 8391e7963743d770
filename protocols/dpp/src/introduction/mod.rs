//! Network introduction (s6.6): a station and an access point that the same configurator has signed for show each other
//! their connectors and have a pairwise master key, without any password.
//!
//! [`station`] and [`access_point`] are the two sides. Each state is a value, and what comes next is a method that
//! consumes it. The network access keys may be kept elsewhere: [`Pending::point`] is what they have to multiply.

pub mod access_point;
mod hpke;
pub mod station;

use crate::{
    Status,
    connector::{Connector, ConnectorError, SignedConnector},
    crypto::{self, Secret},
    curve::{Curve, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
};
use landfall_types::{Fault, Redacted, Refusal, Time};

const SECTION: &str = "DPP s6.6";

/// What a device shows and believes: its connector, and the key that signed it.
#[derive(Clone, Debug)]
pub struct Own {
    connector: SignedConnector,
    csign: PublicKey,
    version: u8,
}

impl Own {
    /// A device with that connector of the configurator whose C-sign key is `csign`. It speaks the release `version`.
    ///
    /// # Errors
    /// If `csign` did not sign the connector.
    pub fn new(connector: SignedConnector, csign: PublicKey, version: u8) -> Result<Self, ConnectorError> {
        connector.verify_signature(&csign)?;
        Ok(Self { connector, csign, version })
    }

    /// Our network access key.
    pub const fn key(&self) -> &PublicKey {
        &self.connector.unverified().key
    }

    /// The connector.
    pub const fn connector(&self) -> &SignedConnector {
        &self.connector
    }

    /// The C-sign key.
    pub const fn csign(&self) -> &PublicKey {
        &self.csign
    }

    /// The version that is said: the signed one, so that the peer can compare.
    fn said(&self) -> u8 {
        self.connector.unverified().version.unwrap_or(self.version)
    }

    fn put_version(&self, frame: &mut AttributeWriter) {
        if self.said() >= 2 {
            frame.put_u8(AttributeId::ProtocolVersion, self.said());
        }
    }

    /// Our own connector has to hold, too.
    fn in_force(&self, now: Time) -> Result<(), Refusal> {
        Ok(self.connector.unverified().in_force(now)?)
    }

    /// Judges the peer's connector and what it says of its version.
    fn check(&self, now: Time, connector: &[u8], version: Option<u8>) -> Result<Pending, (Status, Refusal)> {
        let own = self.connector.unverified();
        let check = || {
            let text = std::str::from_utf8(connector)
                .map_err(|_| ConnectorError::Jws { field: "DPP Connector", why: "is not text" })?;
            let peer = SignedConnector::parse(text)?;
            let peer = peer.verify(&self.csign, now)?;
            own.matches(peer)?;
            Ok(peer.clone())
        };
        let peer: Connector = check().map_err(|error: ConnectorError| (error.status(), error.refusal()))?;
        // An attacker between the two could take the version out to make them speak an older one; the signed one stays.
        match peer.version {
            Some(signed @ 2..) if version.unwrap_or(1) != signed => {
                let detail = format!("the connector is signed for version {signed}, the peer says another");
                let refusal = Refusal::new(Fault::Peer, "dpp-introduction-version", SECTION, detail);
                Err((Status::NoMatch, refusal.field("Protocol Version")))
            }
            _ => Ok(Pending { own: own.key.clone(), peer, expiry: own.expiry }),
        }
    }
}

/// The peer's connector is good; the network access keys have to agree.
#[derive(Clone, Debug)]
pub struct Pending {
    own: PublicKey,
    peer: Connector,
    expiry: Option<Time>,
}

impl Pending {
    /// What our network access key has to multiply: the peer's.
    pub const fn point(&self) -> &PublicKey {
        &self.peer.key
    }

    /// The keys, from the x coordinate of that product.
    pub fn agreed(self, n: &Redacted<Vec<u8>>) -> Introduced {
        let expiry = [self.expiry, self.peer.expiry].into_iter().flatten().min();
        let (pmk, pmkid) = (pmk(self.own.curve(), n.expose()), pmkid(&self.own, &self.peer.key));
        Introduced { peer: self.peer, pmk, pmkid, expiry }
    }
}

/// Two devices that can begin the four-way handshake.
#[derive(Clone, Debug)]
pub struct Introduced {
    /// The peer's connector, verified.
    pub peer: Connector,
    /// The pairwise master key.
    pub pmk: Secret,
    /// Its identifier.
    pub pmkid: [u8; 16],
    /// When the first of the two connectors ends, and the key with it.
    pub expiry: Option<Time>,
}

/// PMK = HKDF(<>, "DPP PMK", N.x).
pub fn pmk(curve: Curve, n: &[u8]) -> Secret {
    crypto::derive(curve, &[b"DPP PMK"], &[n])
}

/// The first 16 octets of SHA-256(min(NK.x, PK.x) | max(NK.x, PK.x)).
pub fn pmkid(one: &PublicKey, other: &PublicKey) -> [u8; 16] {
    let (low, high) = if one.x() <= other.x() { (one, other) } else { (other, one) };
    let digest = crypto::sha256(&[low.x(), high.x()]).0;
    std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}

fn action(kind: FrameType, frame: AttributeWriter) -> Frame {
    Frame::Action(Action { kind, attributes: frame.into_bytes() })
}

/// The attributes of a frame of that kind.
fn attributes(action: &Action, kind: FrameType) -> Result<Attributes<'_>, Refusal> {
    if action.kind == kind {
        return Ok(action.attributes()?);
    }
    Err(Refusal::new(Fault::Peer, "dpp-order", SECTION, format!("{} does not belong here", action.kind)))
}

fn check_transaction(attributes: &Attributes<'_>, expected: u8) -> Result<(), Refusal> {
    if attributes.need_u8(AttributeId::TransactionId)? == expected {
        return Ok(());
    }
    let detail = "the answer is to another request";
    Err(Refusal::new(Fault::Peer, "dpp-transaction", SECTION, detail).field("Transaction ID"))
}
