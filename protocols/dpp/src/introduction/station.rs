//! The station's side of network introduction.

use super::{Introduced, Own, Pending, SECTION, action, attributes, check_transaction, hpke};
use crate::{
    Status,
    curve::PrivateKey,
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
    random::Random,
};
use landfall_types::{Fault, Redacted, Refusal, Time};

/// The Peer Discovery Request, and the wait for its answer. `transaction` tells our requests apart.
///
/// # Errors
/// If our connector is over.
pub fn discover(own: Own, now: Time, transaction: u8) -> Result<(Frame, AwaitDiscovery), Refusal> {
    own.in_force(now)?;
    let mut frame = AttributeWriter::new();
    frame.put_u8(AttributeId::TransactionId, transaction);
    frame.put(AttributeId::Connector, own.connector.as_str().as_bytes());
    own.put_version(&mut frame);
    Ok((action(FrameType::PeerDiscoveryRequest, frame), AwaitDiscovery { own, transaction }))
}

/// Waits for the Peer Discovery Response.
#[derive(Debug)]
pub struct AwaitDiscovery {
    own: Own,
    transaction: u8,
}

impl AwaitDiscovery {
    /// Judges the answer. A bad one leaves this state as it is: it may be somebody else's.
    ///
    /// # Errors
    /// If the frame is wrong, or the access point's connector is not good.
    pub fn answer(&self, now: Time, answer: &Action) -> Result<Pending, Refusal> {
        let attributes = attributes(answer, FrameType::PeerDiscoveryResponse)?;
        check_transaction(&attributes, self.transaction)?;
        match attributes.status()? {
            Status::Ok => {}
            status => {
                let detail = format!("the access point says: {status}");
                return Err(Refusal::new(Fault::Denied, "dpp-status", SECTION, detail).field("DPP Status"));
            }
        }
        let version = attributes.one_u8(AttributeId::ProtocolVersion)?;
        self.own.check(now, attributes.need(AttributeId::Connector)?, version).map_err(|(_, refusal)| refusal)
    }
}

/// The Private Peer Introduction Query, and the wait for its answer: our connector is shown to the access point alone.
///
/// # Errors
/// If our connector is over.
pub fn query(own: Own, now: Time, transaction: u8) -> Result<(Frame, AwaitNotify), Refusal> {
    own.in_force(now)?;
    let mut frame = AttributeWriter::new();
    frame.put_u8(AttributeId::TransactionId, transaction);
    frame.put_u8(AttributeId::ProtocolVersion, own.said());
    Ok((action(FrameType::PrivatePeerIntroductionQuery, frame), AwaitNotify { own, transaction }))
}

/// Waits for the Private Peer Introduction Notify.
#[derive(Debug)]
pub struct AwaitNotify {
    own: Own,
    transaction: u8,
}

impl AwaitNotify {
    /// Judges the access point's connector. A bad one leaves this state as it is.
    ///
    /// # Errors
    /// If the frame is wrong, or the connector is not good.
    pub fn notified(&self, now: Time, notify: &Action) -> Result<Update, Refusal> {
        let attributes = attributes(notify, FrameType::PrivatePeerIntroductionNotify)?;
        check_transaction(&attributes, self.transaction)?;
        let version = attributes.need_u8(AttributeId::ProtocolVersion)?;
        let connector = attributes.need(AttributeId::Connector)?;
        let pending = self.own.check(now, connector, Some(version)).map_err(|(_, refusal)| refusal)?;
        Ok(Update { own: self.own.clone(), transaction: self.transaction, pending })
    }
}

/// The access point is known to be one of our network; our network access key has to agree with its.
#[derive(Debug)]
pub struct Update {
    own: Own,
    transaction: u8,
    pending: Pending,
}

impl Update {
    /// What our network access key has to multiply, and the rest of the way.
    pub const fn pending(&self) -> &Pending {
        &self.pending
    }

    /// The Private Peer Introduction Update, with our connector sealed to the access point, and the keys.
    ///
    /// # Errors
    /// If sealing fails, which it does not on a key that was checked.
    pub fn agreed(self, n: &Redacted<Vec<u8>>, random: &mut dyn Random) -> Result<(Frame, Introduced), Refusal> {
        let recipient = self.pending.point();
        let mut inner = AttributeWriter::new();
        inner.put_u8(AttributeId::ProtocolVersion, self.own.said());
        inner.put(AttributeId::Connector, self.own.connector.as_str().as_bytes());
        let kind = FrameType::PrivatePeerIntroductionUpdate;
        let ephemeral = PrivateKey::generate(recipient.curve(), random);
        let sealed = hpke::seal(recipient, &ephemeral, &[], &Action::header(kind), inner.bytes())
            .map_err(|_| Refusal::new(Fault::Backend, "dpp-hpke", SECTION, "the connector could not be sealed"))?;
        let mut frame = AttributeWriter::new();
        frame.put_u8(AttributeId::TransactionId, self.transaction);
        frame.put(AttributeId::WrappedData, &sealed);
        Ok((action(kind, frame), self.pending.agreed(n)))
    }
}
