//! One exchange with one peer: authentication (s6.2 and s6.3), then configuration (s6.4).
//!
//! [`Exchange`] is the machine. Whoever drives it carries its frames over TCP, through a relay or over the air, answers
//! its requests for what long-lived keys do, and decides what the peer gets. The states live beside the messages that
//! they wait for: [`auth`] and `configuration`, each with both sides.

mod agreement;
mod config;
mod context;
mod io;

pub use agreement::Agreement;
pub use config::{Config, ConfiguratorConfig, EnrolleeConfig, Mutual, Timing};
pub(crate) use context::{Context, Next, State, finished, silent, unexpected};
pub use io::{
    Authenticated, Done, Event, Facts, Grant, Grants, Input, Issued, KeyRole, Output, PeerKey, Received, Record,
    Ruling, TakenOver,
};

use crate::{auth, frame::Frame, random::Random};
use landfall_types::{Machine, Refusal, Time};
use std::sync::Arc;

/// One exchange with one peer.
pub struct Exchange {
    context: Context,
    state: Box<dyn State>,
}

impl Exchange {
    /// An exchange that begins with our Authentication Request to the holder of `peer` (DPP s6.3.2). Tell it
    /// [`Input::Start`].
    pub fn initiator(config: Arc<Config>, peer: auth::Peer, random: Box<dyn Random>) -> Self {
        Self { context: Context::new(config, random), state: auth::initiator::start(peer) }
    }

    /// An exchange that waits for a peer's Authentication Request (DPP s6.3.3).
    pub fn responder(config: Arc<Config>, random: Box<dyn Random>) -> Self {
        Self { context: Context::new(config, random), state: auth::responder::start() }
    }

    /// An exchange that begins with configuration, on keys agreed before: by reconfiguration (s6.5). Drain it at once.
    pub fn configuration(config: Arc<Config>, session: auth::Session, now: Time, random: Box<dyn Random>) -> Self {
        let mut context = Context::new(config, random);
        context.now = now;
        let state = crate::configuration::start(&mut context, session);
        Self { context, state }
    }

    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        self.state.name() == "Finished"
    }

    /// What it waits for, for people.
    pub fn waits_for(&self) -> &'static str {
        self.state.name()
    }

    fn step(&mut self, input: Input) {
        let state = std::mem::replace(&mut self.state, finished());
        self.state = state.on(&mut self.context, input);
    }

    fn frame(&mut self, frame: Frame) {
        // A repeated frame gets the same reply, and never a new nonce; one that is being answered waits for its reply.
        if !self.context.repeats(&frame) {
            self.context.receiving(frame.clone());
            self.step(Input::Frame(frame));
        }
    }
}

impl Machine for Exchange {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver answers what it was not asked. What a peer does wrong is dropped with an
    /// [`Event::Dropped`], since anyone can send a frame, or ends the exchange with [`Output::Done`].
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.context.now = now;
        match input {
            _ if self.is_over() => {}
            Input::Frame(frame) => self.frame(frame),
            Input::Timeout if !self.context.is_due() => {}
            Input::Timeout if self.context.sent_again() => {}
            Input::Failed(why) => {
                self.context.failed(why);
                self.state = finished();
            }
            input => {
                if matches!(input, Input::Timeout) {
                    self.context.deadline = None;
                }
                self.step(input);
            }
        }
        match self.context.misuse.take() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.context.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.is_over() { None } else { self.context.deadline }
    }
}
