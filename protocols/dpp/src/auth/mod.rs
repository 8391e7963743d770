//! Authentication (s6.2 and s6.3): the responder proves to hold the key of its bootstrapping information, the initiator
//! too if the responder has its information, and both get the same fresh keys.

pub(crate) mod initiator;
mod keys;
mod message;
pub(crate) mod responder;

use crate::{
    capabilities::Role,
    crypto::Secret,
    curve::{PrivateKey, PublicKey},
    exchange::Authenticated,
};
use std::sync::Arc;

/// Whom an initiator wants to reach.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The responder's bootstrapping key.
    pub key: PublicKey,
}

/// What authentication leaves to configuration. The keys are wiped when dropped.
#[derive(Debug)]
pub struct Session {
    /// How it was authenticated.
    pub peer: Authenticated,
    /// Our protocol key.
    pub own: Arc<PrivateKey>,
    /// The peer's protocol key.
    pub other: PublicKey,
    /// The pseudorandom key from which the others come: certificate requests, envelopes and new keys need it.
    pub bk: Secret,
    /// Encrypts configuration.
    pub ke: Secret,
}

impl Session {
    /// What we are.
    pub fn role(&self) -> Role {
        self.peer.role
    }
}
