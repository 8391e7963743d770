//! The enrollee's side of reconfiguration.

use super::{
    Keys, Nonces, SECTION, attributes, check_curves, check_nonce, check_transaction, malformed, opened, sealed,
};
use crate::{
    Curve, Role, Status,
    auth::Session,
    config::ConnectionStatus,
    connector::SignedConnector,
    curve::{PrivateKey, PublicKey},
    exchange::Authenticated,
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
    introduction::Own,
    random::Random,
};
use landfall_types::{Fault, Redacted, Refusal, Time};
use std::sync::Arc;

/// By what its configurator recognises a device: a random point, made once and kept. Announcements hide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(pub PublicKey);

impl Identity {
    /// A fresh one, on the curve of the configurator's keys.
    pub fn generate(curve: Curve, random: &mut dyn Random) -> Self {
        Self(PrivateKey::generate(curve, random).public().clone())
    }

    /// The Reconfig Announcement: only the holder of the privacy key can tell that two of them are of one device.
    ///
    /// # Errors
    /// If the configurator's keys and the identity are not on one curve.
    pub fn announce(&self, own: &Own, privacy: &PublicKey, random: &mut dyn Random) -> Result<Frame, Refusal> {
        // A-NONCE = a·G, E'-id = E-id + a·ppKey.
        let a = PrivateKey::generate(privacy.curve(), random);
        let masked = a.multiply(privacy).and_then(|mask| self.0.plus(&mask)).map_err(malformed)?;
        let mut frame = AttributeWriter::new();
        frame.put(AttributeId::CSignKeyHash, &own.csign().key_id().0);
        frame.put_u16le(AttributeId::FiniteCyclicGroup, own.key().curve().group());
        frame.put(AttributeId::ANonce, &a.public().to_wire());
        frame.put(AttributeId::EnrolleeId, &masked.to_wire());
        Ok(Frame::Action(Action { kind: FrameType::ReconfigAnnouncement, attributes: frame.into_bytes() }))
    }
}

/// Judges a Reconfig Authentication Request.
///
/// # Errors
/// If the frame is wrong, or the connector is not that of a configurator for our groups, signed by ours and in force.
pub fn requested(
    own: &Own,
    now: Time,
    request: &Action,
    status: &ConnectionStatus,
    random: &mut dyn Random,
) -> Result<AwaitAgreed, Refusal> {
    let attributes = attributes(request, FrameType::ReconfigAuthenticationRequest)?;
    let transaction = attributes.need_u8(AttributeId::TransactionId)?;
    let peer_version = super::version(&attributes)?;
    let connector = SignedConnector::parse(super::connector_text(&attributes)?)?;
    let peer = connector.verify(own.csign(), now)?;
    let curve = check_curves(own.key(), peer)?;
    own.connector().unverified().may_be_reconfigured_by(peer)?;
    let configurator = attributes.need_len(AttributeId::ConfiguratorNonce, curve.nonce_len())?.to_vec();
    let protocol = PrivateKey::generate(curve, random);
    let mut enrollee = vec![0; curve.nonce_len()];
    random.fill(&mut enrollee);
    let nonces = Nonces { configurator, enrollee };
    let (own, point, status) = (own.clone(), peer.key.clone(), status.to_json());
    Ok(AwaitAgreed { own, point, protocol, nonces, transaction, peer_version, status })
}

/// The configurator is ours; M = (cR + pR)·CI is asked for, cR being our network access key.
#[derive(Debug)]
pub struct AwaitAgreed {
    own: Own,
    point: PublicKey,
    protocol: PrivateKey,
    nonces: Nonces,
    transaction: u8,
    peer_version: u8,
    status: String,
}

impl AwaitAgreed {
    /// The point: CI.
    pub const fn point(&self) -> &PublicKey {
        &self.point
    }

    /// What has to be added to our network access key before it multiplies the point: pR.
    pub const fn addend(&self) -> &PrivateKey {
        &self.protocol
    }

    /// The Reconfig Authentication Response, with the x coordinate of M. `version` is the release that we speak.
    pub fn agreed(self, m: &Redacted<Vec<u8>>, version: u8) -> (Frame, AwaitConfirm) {
        let keys = Keys::derive(self.point.curve(), &self.nonces, m.expose());
        let mut outer = AttributeWriter::new();
        outer.put_u8(AttributeId::TransactionId, self.transaction);
        outer.put_u8(AttributeId::ProtocolVersion, version);
        outer.put(AttributeId::Connector, self.own.connector().as_str().as_bytes());
        outer.put(AttributeId::EnrolleeNonce, &self.nonces.enrollee);
        outer.put(AttributeId::ResponderProtocolKey, &self.protocol.public().to_wire());
        let mut inner = AttributeWriter::new();
        inner.put(AttributeId::ConfiguratorNonce, &self.nonces.configurator);
        inner.put(AttributeId::ConnStatus, self.status.as_bytes());
        let frame = sealed(FrameType::ReconfigAuthenticationResponse, outer, &keys.ke, &inner);
        let Self { protocol, nonces, transaction, peer_version, point, .. } = self;
        (frame, AwaitConfirm { protocol, nonces, transaction, version, peer_version, peer: point, keys })
    }
}

/// Waits for the Reconfig Authentication Confirm.
#[derive(Debug)]
pub struct AwaitConfirm {
    protocol: PrivateKey,
    nonces: Nonces,
    transaction: u8,
    version: u8,
    peer_version: u8,
    peer: PublicKey,
    keys: Keys,
}

impl AwaitConfirm {
    /// Checks that the configurator has the same keys.
    ///
    /// # Errors
    /// The state, and why the frame was not taken: it may be somebody else's, and the right one may follow.
    pub fn confirmed(self, confirm: &Action) -> Result<Reconfigured, (Box<Self>, Refusal)> {
        match self.flags(confirm) {
            Ok(flags) => Ok(Reconfigured {
                replace_key: flags & 1 == 1,
                protocol: self.protocol,
                configurator: self.peer,
                version: self.peer_version,
                keys: self.keys,
            }),
            Err(refusal) => Err((Box::new(self), refusal)),
        }
    }

    fn flags(&self, confirm: &Action) -> Result<u8, Refusal> {
        let kind = FrameType::ReconfigAuthenticationConfirm;
        let attributes = attributes(confirm, kind)?;
        let status = attributes.status()?;
        if status != Status::Ok {
            let detail = format!("the configurator says: {status}");
            return Err(Refusal::new(Fault::Denied, "dpp-status", SECTION, detail).field("DPP Status"));
        }
        let inner = opened(kind, &attributes, &self.keys.ke)?;
        let inner = crate::frame::Attributes::parse(inner.expose())?;
        check_transaction(&inner, self.transaction)?;
        // It repeats what we said in the clear, so that nobody can have lowered it.
        if inner.need_u8(AttributeId::ProtocolVersion)? != self.version {
            let detail = "the configurator heard another version than we said";
            return Err(Refusal::new(Fault::Peer, "dpp-reconfig-version", SECTION, detail).field("Protocol Version"));
        }
        check_nonce(&inner, AttributeId::ConfiguratorNonce, &self.nonces.configurator)?;
        check_nonce(&inner, AttributeId::EnrolleeNonce, &self.nonces.enrollee)?;
        Ok(inner.need_u8(AttributeId::ReconfigFlags)?)
    }
}

/// Our configurator is authenticated; configuration can begin.
#[derive(Debug)]
pub struct Reconfigured {
    /// Whether the new connector is for the protocol key; otherwise for the network access key that we have.
    pub replace_key: bool,
    /// Our protocol key of this exchange.
    pub protocol: PrivateKey,
    /// The key in the configurator's connector.
    pub configurator: PublicKey,
    /// The release that the configurator speaks.
    pub version: u8,
    /// The keys of this exchange.
    pub keys: Keys,
}

impl Reconfigured {
    /// What configuration goes on with. `held` is the network access key that we have, `version` the release that we
    /// speak, and `known` says whether the configurator proved its bootstrapping key when we were first configured: its
    /// connector proves that it is the same, and no more.
    pub fn into_session(self, held: Arc<PrivateKey>, version: u8, known: bool) -> Session {
        let own = if self.replace_key { Arc::new(self.protocol) } else { held };
        let peer = Authenticated {
            role: Role::Enrollee,
            peer: None,
            peer_proved: known,
            we_proved: true,
            version: version.min(self.version),
            curve: self.configurator.curve(),
        };
        Session { peer, own, other: self.configurator, bk: self.keys.bk, ke: self.keys.ke }
    }
}
