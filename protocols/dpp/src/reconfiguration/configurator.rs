//! The configurator's side of reconfiguration.

use super::{
    Keys, Nonces, SECTION, attributes, check_curves, check_nonce, check_transaction, malformed, opened, sealed,
};
use crate::{
    Curve, Role, Status,
    auth::Session,
    config::ConnectionStatus,
    connector::{Connector, SignedConnector},
    curve::{self, PrivateKey, PublicKey},
    exchange::Authenticated,
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    introduction::Own,
    random::Random,
};
use landfall_types::{Fault, Fingerprint, Redacted, Refusal};
use std::sync::Arc;

/// A device announces itself to the configurator that knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The curve of the device's network access key: that of the exchange.
    pub curve: Curve,
    a_nonce: PublicKey,
    masked: PublicKey,
}

/// To which configurator an announcement speaks: the hash of its C-sign key.
///
/// # Errors
/// If it is another frame, or not whole.
pub fn addressee(announcement: &Action) -> Result<Fingerprint, Refusal> {
    let attributes = attributes(announcement, FrameType::ReconfigAnnouncement)?;
    Ok(Fingerprint(attributes.need_array(AttributeId::CSignKeyHash)?))
}

impl Announcement {
    /// Reads an announcement to the configurator with this C-sign key.
    ///
    /// # Errors
    /// If it is another frame, not whole, to another configurator, or of a curve that is not known.
    pub fn parse(announcement: &Action, csign: &PublicKey) -> Result<Self, Refusal> {
        if addressee(announcement)? != csign.key_id() {
            let detail = "it is to another configurator";
            return Err(Refusal::new(Fault::Peer, "dpp-reconfig-csign", SECTION, detail).field("C-sign Key Hash"));
        }
        let attributes = attributes(announcement, FrameType::ReconfigAnnouncement)?;
        let group = u16::from_le_bytes(attributes.need_array(AttributeId::FiniteCyclicGroup)?);
        let curve = Curve::of_group(group).ok_or_else(|| {
            let detail = format!("group {group} is not one of DPP");
            Refusal::new(Fault::Incompatible, "dpp-reconfig-group", SECTION, detail).field("Finite Cyclic Group")
        })?;
        let point = |id: AttributeId| {
            PublicKey::from_wire(csign.curve(), attributes.need(id)?).map_err(|error| malformed(error).field(id.name()))
        };
        Ok(Self { curve, a_nonce: point(AttributeId::ANonce)?, masked: point(AttributeId::EnrolleeId)? })
    }

    /// What the privacy key has to multiply: A-NONCE, and that point plus the generator, which settles the sign.
    ///
    /// # Errors
    /// If the second is infinite, which no device brings about.
    pub fn points(&self) -> Result<[PublicKey; 2], Refusal> {
        let shifted = self.a_nonce.plus(&PublicKey::generator(self.a_nonce.curve())).map_err(malformed)?;
        Ok([self.a_nonce.clone(), shifted])
    }

    /// Who it is: E-id = E'-id − ppKey·A-NONCE, from the x coordinates of the two products. `privacy` is the public half.
    ///
    /// # Errors
    /// If the products are not those of the privacy key.
    pub fn identify(&self, privacy: &PublicKey, x: &[u8], x_shifted: &[u8]) -> Result<PublicKey, Refusal> {
        let mask = curve::full_point(privacy, &self.a_nonce, x, x_shifted).map_err(malformed)?;
        self.masked.minus(&mask).map_err(malformed)
    }
}

/// The Reconfig Authentication Request, and the wait for its answer. `own` has the role of a configurator in its
/// connector, and its key is on the curve of the device's.
pub fn request(own: Own, version: u8, transaction: u8, random: &mut dyn Random) -> (Frame, AwaitResponse) {
    let mut nonce = vec![0; own.key().curve().nonce_len()];
    random.fill(&mut nonce);
    let mut frame = AttributeWriter::new();
    frame.put_u8(AttributeId::TransactionId, transaction);
    frame.put_u8(AttributeId::ProtocolVersion, version);
    frame.put(AttributeId::Connector, own.connector().as_str().as_bytes());
    frame.put(AttributeId::ConfiguratorNonce, &nonce);
    let kind = FrameType::ReconfigAuthenticationRequest;
    let frame = Frame::Action(Action { kind, attributes: frame.into_bytes() });
    (frame, AwaitResponse { own, transaction, nonce })
}

/// Waits for the Reconfig Authentication Response.
#[derive(Debug)]
pub struct AwaitResponse {
    own: Own,
    transaction: u8,
    nonce: Vec<u8>,
}

impl AwaitResponse {
    /// Judges the connector in an answer. A bad one leaves this state as it is: it may be somebody else's.
    ///
    /// # Errors
    /// If the frame is wrong, or the connector is not one that our C-sign key has signed. One that is over is taken:
    /// this is how it gets replaced.
    pub fn answered(&self, response: &Action) -> Result<AwaitAgreed, Refusal> {
        let attributes = attributes(response, FrameType::ReconfigAuthenticationResponse)?;
        check_transaction(&attributes, self.transaction)?;
        let version = super::version(&attributes)?;
        let connector = SignedConnector::parse(super::connector_text(&attributes)?)?;
        let enrollee = connector.verify_signature(self.own.csign())?.clone();
        let curve = check_curves(self.own.key(), &enrollee)?;
        enrollee.may_be_reconfigured_by(self.own.connector().unverified())?;
        let nonce = attributes.need_len(AttributeId::EnrolleeNonce, curve.nonce_len())?.to_vec();
        let protocol = attributes.need(AttributeId::ResponderProtocolKey)?;
        let key = |error| malformed(error).field("Responder Protocol Key");
        let protocol = PublicKey::from_wire(curve, protocol).map_err(key)?;
        attributes.wrapped()?;
        Ok(AwaitAgreed {
            point: enrollee.key.plus(&protocol).map_err(key)?,
            nonces: Nonces { configurator: self.nonce.clone(), enrollee: nonce },
            transaction: self.transaction,
            response: response.clone(),
            enrollee,
            protocol,
            version,
        })
    }
}

/// The device's connector is ours; M = cI·(CR + PR) is asked for, cI being the key in our connector.
#[derive(Debug)]
pub struct AwaitAgreed {
    point: PublicKey,
    nonces: Nonces,
    transaction: u8,
    response: Action,
    enrollee: Connector,
    protocol: PublicKey,
    version: u8,
}

impl AwaitAgreed {
    /// The point: CR + PR.
    pub const fn point(&self) -> &PublicKey {
        &self.point
    }

    /// The Reconfig Authentication Confirm, with the x coordinate of M. `replace_key` asks the device to take its new
    /// protocol key for the new connector.
    ///
    /// # Errors
    /// If the device does not prove to hold its connector's key.
    pub fn agreed(self, m: &Redacted<Vec<u8>>, replace_key: bool) -> Result<(Frame, Reconfigured), Refusal> {
        let keys = Keys::derive(self.point.curve(), &self.nonces, m.expose());
        let attributes = self.response.attributes()?;
        let inner = opened(self.response.kind, &attributes, &keys.ke)?;
        let inner = Attributes::parse(inner.expose())?;
        check_nonce(&inner, AttributeId::ConfiguratorNonce, &self.nonces.configurator)?;
        let status = ConnectionStatus::parse(inner.need(AttributeId::ConnStatus)?);
        let status = status.map_err(|error| malformed(error).field("Conn Status"))?;

        let mut outer = AttributeWriter::new();
        outer.put_u8(AttributeId::Status, Status::Ok.into());
        let mut inner = AttributeWriter::new();
        inner.put_u8(AttributeId::TransactionId, self.transaction);
        inner.put_u8(AttributeId::ProtocolVersion, self.version);
        inner.put(AttributeId::ConfiguratorNonce, &self.nonces.configurator);
        inner.put(AttributeId::EnrolleeNonce, &self.nonces.enrollee);
        inner.put_u8(AttributeId::ReconfigFlags, replace_key.into());
        let frame = sealed(FrameType::ReconfigAuthenticationConfirm, outer, &keys.ke, &inner);
        let Self { enrollee, protocol, version, .. } = self;
        Ok((frame, Reconfigured { enrollee, protocol, replace_key, version, status, keys }))
    }
}

/// The device is authenticated by the key of its connector; configuration can begin.
#[derive(Debug)]
pub struct Reconfigured {
    /// The device's connector, perhaps expired.
    pub enrollee: Connector,
    /// The device's protocol key of this exchange.
    pub protocol: PublicKey,
    /// Whether the new connector is for that key; otherwise for the one that the device has.
    pub replace_key: bool,
    /// The release that the device speaks.
    pub version: u8,
    /// Why it announced itself.
    pub status: ConnectionStatus,
    /// The keys of this exchange.
    pub keys: Keys,
}

impl Reconfigured {
    /// What configuration goes on with. `own` is the key in our connector, `version` the release that we speak, and
    /// `known` says whether the device authenticated us by our bootstrapping key when it was first configured: our
    /// connector proves that we are the same, and no more.
    pub fn into_session(self, own: Arc<PrivateKey>, version: u8, known: bool) -> Session {
        let other = if self.replace_key { self.protocol } else { self.enrollee.key };
        let peer = Authenticated {
            role: Role::Configurator,
            peer: None,
            peer_proved: true,
            we_proved: known,
            version: version.min(self.version),
            curve: own.curve(),
        };
        Session { peer, own, other, bk: self.keys.bk, ke: self.keys.ke }
    }
}
