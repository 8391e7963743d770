//! What an exchange is told, and what it asks for.

use super::Agreement;
use crate::{
    backup,
    capabilities::Role,
    config::{ConfigObject, ConfigRequest, ConnectionStatus},
    connector::Group,
    crypto::Secret,
    curve::{Curve, PrivateKey, PublicKey},
    frame::Frame,
    status::Status,
};
use landfall_types::{Fingerprint, Redacted, Refusal, Time};
use std::{sync::Arc, time::Duration};

/// What can happen to an exchange.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// A frame came.
    Frame(Frame),
    /// The answer to [`Output::Agree`]: the x coordinate.
    Agreed(Redacted<Vec<u8>>),
    /// The answer to [`Output::Sign`]: r and s, joined.
    Signed(Vec<u8>),
    /// The answer to [`Output::FindPeer`], or a late one, when a person has scanned the code.
    Peer(PeerKey),
    /// The answer to [`Output::Rule`].
    Ruled(Ruling),
    /// The answer to [`Output::Seal`]: the envelope.
    Sealed(Vec<u8>),
    /// The answer to [`Output::Persist`].
    Persisted,
    /// The answer to [`Output::Join`].
    Joined(ConnectionStatus),
    /// The driver could not do what it was asked; the reason, for the operator.
    Failed(String),
    /// It is [`poll_timeout`](landfall_types::Machine::poll_timeout) or later.
    Timeout,
}

/// What an exchange wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this to the peer.
    Send(Frame),
    /// Agree on a secret with a key that is not in here; answer with [`Input::Agreed`].
    Agree(Agreement),
    /// Sign, with the hash of the key's curve; answer with [`Input::Signed`].
    Sign {
        /// With which key.
        key: KeyRole,
        /// What.
        bytes: Vec<u8>,
    },
    /// Whose bootstrapping key has this hash? Answer with [`Input::Peer`].
    FindPeer {
        /// SHA-256 of the key's SubjectPublicKeyInfo.
        hash: Fingerprint,
    },
    /// As configurator: what does this device get? Answer with [`Input::Ruled`].
    Rule(Box<Facts>),
    /// As configurator: seal our keys for whoever knows this password ([`backup::seal`]); answer with [`Input::Sealed`].
    Seal {
        /// That of this exchange.
        password: Secret,
    },
    /// Make this durable; answer with [`Input::Persisted`]. Nothing that depends on it is said before.
    Persist(Box<Record>),
    /// As enrollee: join with what was received, and tell how it went with [`Input::Joined`].
    Join,
    /// For the operator.
    Event(Event),
    /// It is over.
    Done(Result<Done, Refusal>),
}

/// A key that is not in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// Our bootstrapping key.
    Bootstrap,
    /// The configurator's key that signs connectors.
    CSign,
    /// The configurator's privacy protection key.
    Privacy,
    /// The key in our connector, where it is kept elsewhere.
    NetworkAccess,
}

/// What is known of a bootstrapping key by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerKey {
    /// The key.
    Known(PublicKey),
    /// Nothing, and nobody will be asked.
    Unknown,
    /// Nothing yet; a person is asked to scan the peer's code.
    Awaited,
}

/// What a configurator knows of a device when it decides; all of it verified.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who it is and how that is known.
    pub peer: Authenticated,
    /// What it asks for.
    pub request: ConfigRequest,
    /// Its key for the network: the protocol key, or the new one that was asked for.
    pub key: PublicKey,
    /// The certificate request inside, DER: signed by that key and bound to this exchange.
    pub csr: Option<Vec<u8>>,
}

/// How authentication ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// What we are.
    pub role: Role,
    /// The hash of the peer's bootstrapping key; `None` if it did not show one, or was reconfigured.
    pub peer: Option<Fingerprint>,
    /// Whether the peer proved to hold that key.
    pub peer_proved: bool,
    /// Whether we proved to the peer that we hold ours.
    pub we_proved: bool,
    /// The release of the protocol that both speak.
    pub version: u8,
    /// The curve.
    pub curve: Curve,
}

/// What the configurator decides.
#[derive(Debug)]
pub enum Ruling {
    /// It gets this.
    Provide(Grants),
    /// It shall send a certificate request with these attributes (CsrAttrs of RFC 7030 s4.5.2, DER).
    Csr(Vec<u8>),
    /// It shall make a new key on that curve (DPP s6.4.3.1).
    NewKey(Curve),
    /// It is a configurator, and gets our keys: it can do all that we can from then on (DPP s6.4.6).
    HandOver,
    /// It gets nothing; the peer is told the status.
    Deny(Status, Refusal),
}

/// What a device gets.
#[derive(Debug)]
pub struct Grants {
    /// One for each network, the best first; peers of release 1 get the first one.
    pub objects: Vec<Grant>,
    /// Whether the device shall tell how joining went.
    pub status: bool,
}

/// What a device gets for one network.
#[derive(Debug)]
pub struct Grant {
    /// The configuration object, without connector and keys of the configurator: those are filled in here.
    pub object: ConfigObject,
    /// The groups of the connector, if there shall be one.
    pub groups: Vec<Group>,
    /// When the connector ends.
    pub expiry: Option<Time>,
}

/// What must be durable.
#[derive(Debug)]
pub enum Record {
    /// As configurator: what was issued.
    Issued(Issued),
    /// As configurator: that our keys are about to be handed over, and to whom.
    HandedOver(Authenticated),
    /// As enrollee: what was received.
    Received(Received),
    /// As enrollee that is to be a configurator: the keys of the one that we asked.
    TakenOver(TakenOver),
}

/// What a configurator is about to hand out.
#[derive(Debug)]
pub struct Issued {
    /// To whom.
    pub peer: Authenticated,
    /// The device's key for the network.
    pub key: PublicKey,
    /// The signed connectors.
    pub connectors: Vec<String>,
}

/// What an enrollee has received.
#[derive(Debug)]
pub struct Received {
    /// From whom.
    pub peer: Authenticated,
    /// The configuration objects, checked.
    pub objects: Vec<ConfigObject>,
    /// The key to which the connectors and certificates belong.
    pub key: Arc<PrivateKey>,
}

/// The keys that a configurator has handed over.
#[derive(Debug)]
pub struct TakenOver {
    /// By whom.
    pub peer: Authenticated,
    /// The keys, in its order.
    pub configurators: Vec<backup::Configurator>,
}

/// What the operator may want to know while it goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// A frame was dropped as if it had not come.
    Dropped(Refusal),
    /// The peer's user has to scan our code first.
    PeerPending,
    /// Both have the same keys.
    Authenticated(Authenticated),
    /// The enrollee comes back later.
    ComeBack(Duration),
}

/// How an exchange ended well.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was authenticated.
    pub peer: Authenticated,
    /// The enrollee's word that it took the configuration; release 1 says nothing.
    pub result: Option<Status>,
    /// How joining went, if that was asked for.
    pub connection: Option<ConnectionStatus>,
}
