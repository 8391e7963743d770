//! PKEX within a push: the same on both sides.

use super::{
    io::{Config, Output},
    message::{self, IDENTIFIER},
};
use crate::{
    curve::PublicKey,
    pkex::{self, Code, Done, Link, NotACode, Versions},
    random::Random,
};
use landfall_types::{Fault, Fingerprint, Machine, Refusal, Time, contract::drain};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

/// The release from which on there is a push button.
const VERSION: u8 = 3;

/// How PKEX is run: as from release 2 on, with the nonce as code.
pub(super) fn pkex_config(config: &Config, bootstrap: &PublicKey, nonce: &[u8]) -> Result<pkex::Config, Refusal> {
    let not_a_code = |why: NotACode| Refusal::new(Fault::Malformed, "dpp-pb-nonce", message::SECTION, why.to_string());
    Ok(pkex::Config {
        code: Code::new(Some(IDENTIFIER), nonce).map_err(not_a_code)?,
        bootstrap: bootstrap.clone(),
        version: VERSION,
        versions: Versions::Two,
        // Only the form of release 1 is bound to what carries it.
        link: Link::Tcp,
        timing: config.pkex,
    })
}

/// One side of PKEX with the peer whose key was announced.
pub(super) struct Exchange<M> {
    machine: M,
    announced: Fingerprint,
    /// Where the peer was heard last.
    to: [u8; 6],
}

impl<M: Machine<Input = pkex::Input, Output = pkex::Output, Error = Refusal>> Exchange<M> {
    pub(super) const fn new(machine: M, announced: Fingerprint, to: [u8; 6]) -> Self {
        Self { machine, announced, to }
    }

    pub(super) fn heard_at(&mut self, from: [u8; 6]) {
        self.to = from;
    }

    /// Tells PKEX something; its result, if that ends it.
    pub(super) fn tell(
        &mut self,
        now: Time,
        input: pkex::Input,
        outputs: &mut VecDeque<Output>,
    ) -> Result<Option<Result<Done, Refusal>>, Refusal> {
        self.machine.handle(now, input)?;
        let (mut end, mut sent) = (None, Vec::new());
        for output in drain(&mut self.machine) {
            match output {
                pkex::Output::Send(frame) => sent.push(Output::Send { to: self.to, frame }),
                pkex::Output::Agree(point) => outputs.push_back(Output::Agree(point)),
                pkex::Output::Dropped(refusal) => outputs.push_back(Output::Dropped(refusal)),
                pkex::Output::Done(result) => end = Some(result.and_then(|done| self.check(done))),
            }
        }
        // Whoever reveals another key than was announced is not shown ours.
        if !matches!(end, Some(Err(_))) {
            outputs.extend(sent);
        }
        Ok(end)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    fn check(&self, done: Done) -> Result<Done, Refusal> {
        if done.peer.chirp_hash() == self.announced { Ok(done) } else { Err(message::other_key()) }
    }
}

/// One source of randomness for one push after another.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Box<dyn Random>>>);

impl Shared {
    pub(super) fn new(random: Box<dyn Random>) -> Self {
        Self(Arc::new(Mutex::new(random)))
    }
}

impl Random for Shared {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(out);
    }

    fn is_system(&self) -> bool {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_system()
    }
}
