//! The side that is configured.

use super::{
    io::{Config, Input, Output, failed, unasked},
    message::{self, Answer},
    session::{Exchange, Shared, pkex_config},
};
use crate::{
    bounds,
    channel::Channel,
    curve::PublicKey,
    frame::{Action, Frame, FrameType},
    pkex::{self, Done, Responder},
    presence,
    random::Random,
};
use landfall_types::{Fingerprint, Machine, Refusal, Time};
use std::collections::VecDeque;

/// A device with a button.
pub struct Enrollee {
    config: Config,
    channels: Vec<Channel>,
    random: Shared,
    state: State,
    now: Time,
    outputs: VecDeque<Output>,
}

enum State {
    Idle,
    Announcing(Box<Announcing>),
    AwaitExchange(Box<AwaitExchange>),
    /// The peer's key is learnt. Our last answer is repeated to a configurator that did not get it.
    Over(Box<Exchange<Responder>>),
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Announcing(_) => "Announcing",
            Self::AwaitExchange(_) => "AwaitExchange",
            Self::Over(_) => "Over",
        }
    }
}

/// The button was pushed.
struct Push {
    bootstrap: PublicKey,
    /// By this hash the key is announced.
    hash: Fingerprint,
    expires: Time,
}

/// It goes from channel to channel.
struct Announcing {
    push: Push,
    set: Set,
    /// Where in the list of channels.
    at: usize,
    /// How often it has announced itself there.
    times: u32,
    found: Option<Found>,
    next: Time,
}

/// Which time it goes through all channels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Until a configurator answers.
    Seeking,
    /// Once more from the beginning: there may be another configurator.
    Confirming,
    /// Once more after a rest, for configurators whose buttons are pushed a little later.
    Last,
}

/// A configurator answered.
struct Found {
    answer: Answer,
    from: [u8; 6],
    channel: Channel,
}

/// It stays with the configurator, the only one, and goes on announcing itself until PKEX has begun.
struct AwaitExchange {
    push: Push,
    found: Found,
    exchange: Exchange<Responder>,
    /// When to announce next, unless PKEX has begun.
    next: Time,
}

impl Enrollee {
    /// A device whose button has not been pushed. `channels` are those on which it looks for configurators, best those
    /// of access points with the Configurator Connectivity Element; if there are none, those that the specification
    /// names for announcements.
    pub fn new(config: Config, mut channels: Vec<Channel>, random: Box<dyn Random>) -> Self {
        if channels.is_empty() {
            channels = presence::usual_channels(presence::FIVE_GHZ).to_vec();
        }
        channels.truncate(bounds::CHANNELS);
        Self {
            config,
            channels,
            random: Shared::new(random),
            state: State::Idle,
            now: Time::EPOCH,
            outputs: VecDeque::new(),
        }
    }

    /// Whether its button was pushed and nothing has come of it yet.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, State::Announcing(_) | State::AwaitExchange(_))
    }

    fn push(&mut self, bootstrap: PublicKey) -> Result<State, Refusal> {
        let hash = bootstrap.chirp_hash();
        let push = Push { bootstrap, hash, expires: self.now + self.config.timing.window };
        let state = Announcing { push, set: Set::Seeking, at: 0, times: 0, found: None, next: self.now };
        self.announce(Box::new(state))
    }

    /// Announces itself where it is, or goes on to the next channel, set or state.
    fn announce(&mut self, mut state: Box<Announcing>) -> Result<State, Refusal> {
        let timing = self.config.timing;
        if state.times >= timing.repetitions {
            (state.at, state.times) = (state.at + 1, 0);
        }
        let Some(channel) = self.channels.get(state.at).copied() else {
            (state.at, state.times) = (0, 0);
            match (state.set, state.found.take()) {
                (_, None) => {}
                (Set::Seeking, found) => (state.set, state.found) = (Set::Confirming, found),
                (Set::Confirming, found) => {
                    (state.set, state.found) = (Set::Last, found);
                    state.next = self.now + timing.rest;
                    return Ok(State::Announcing(state));
                }
                (Set::Last, Some(found)) => return self.await_exchange(state.push, found),
            }
            return self.announce(state);
        };
        state.times += 1;
        state.next = self.now + timing.gap;
        self.outputs.push_back(Output::Announce { channel, frame: message::announcement(&state.push.hash) });
        Ok(State::Announcing(state))
    }

    fn await_exchange(&mut self, push: Push, found: Found) -> Result<State, Refusal> {
        let config = match pkex_config(&self.config, &push.bootstrap, &found.answer.nonce) {
            Ok(config) => config,
            Err(refusal) => return Ok(self.end(Err(refusal))),
        };
        let responder = Responder::new(config, Box::new(self.random.clone()));
        let exchange = Exchange::new(responder, found.answer.configurator, found.from);
        let state = AwaitExchange { push, found, exchange, next: self.now };
        Ok(self.announce_again(Box::new(state)))
    }

    fn announce_again(&mut self, mut state: Box<AwaitExchange>) -> State {
        state.next = self.now + self.config.timing.listen;
        let (channel, frame) = (state.found.channel, message::announcement(&state.push.hash));
        self.outputs.push_back(Output::Announce { channel, frame });
        State::AwaitExchange(state)
    }

    fn on_frame(&mut self, state: State, frame: Frame, from: [u8; 6]) -> Result<State, Refusal> {
        let Frame::Action(action) = &frame else { return Ok(state) };
        match (state, action.kind) {
            (State::Announcing(state), FrameType::PbPresenceAnnouncementResponse) => {
                Ok(self.on_answer(state, action, from))
            }
            (State::AwaitExchange(state), FrameType::PbPresenceAnnouncementResponse) => {
                let verdict = self.judge(&state.push, Some(&state.found), action);
                Ok(if verdict.is_some_and(|answer| answer.is_err()) {
                    self.overlap()
                } else {
                    State::AwaitExchange(state)
                })
            }
            (State::AwaitExchange(mut state), _) => {
                state.exchange.heard_at(from);
                self.tell(state, pkex::Input::Frame { frame, from: Some(from) })
            }
            (State::Over(mut exchange), _) => {
                exchange.heard_at(from);
                exchange.tell(self.now, pkex::Input::Frame { frame, from: Some(from) }, &mut self.outputs)?;
                Ok(State::Over(exchange))
            }
            (state, kind) => {
                self.outputs.push_back(Output::Dropped(message::not_pushed(kind)));
                Ok(state)
            }
        }
    }

    fn on_answer(&mut self, mut state: Box<Announcing>, action: &Action, from: [u8; 6]) -> State {
        match self.judge(&state.push, state.found.as_ref(), action) {
            None => {}
            Some(Err(Overlap)) => return self.overlap(),
            Some(Ok(answer)) if state.found.is_none() => {
                let channel = self.channels.get(state.at).copied();
                state.found = channel.map(|channel| Found { answer, from, channel });
            }
            Some(Ok(_)) => {}
        }
        State::Announcing(state)
    }

    /// What an answer says; `None` if it is not whole.
    fn judge(&mut self, push: &Push, found: Option<&Found>, action: &Action) -> Option<Result<Answer, Overlap>> {
        match Answer::parse(action) {
            Err(refusal) => {
                self.outputs.push_back(Output::Dropped(refusal));
                None
            }
            // A configurator that speaks to another device, or another configurator, or two that claim to be one.
            Ok(answer) if answer.enrollee != push.hash => Some(Err(Overlap)),
            Ok(answer) if found.is_some_and(|found| found.answer != answer) => Some(Err(Overlap)),
            Ok(answer) => Some(Ok(answer)),
        }
    }

    fn tell(&mut self, mut state: Box<AwaitExchange>, input: pkex::Input) -> Result<State, Refusal> {
        match state.exchange.tell(self.now, input, &mut self.outputs)? {
            None => Ok(State::AwaitExchange(state)),
            Some(Ok(done)) => {
                self.outputs.push_back(Output::Done(Ok(done)));
                Ok(State::Over(Box::new(state.exchange)))
            }
            Some(Err(refusal)) => Ok(self.end(Err(refusal))),
        }
    }

    fn overlap(&mut self) -> State {
        self.end(Err(message::overlap("two configurators answer, or one that speaks to another device")))
    }

    fn end(&mut self, result: Result<Done, Refusal>) -> State {
        self.outputs.push_back(Output::Done(result));
        State::Idle
    }

    fn on_timeout(&mut self, state: State) -> Result<State, Refusal> {
        let now = self.now;
        match state {
            State::Announcing(state) if state.push.expires <= now => Ok(self.end(Err(message::window()))),
            State::AwaitExchange(state) if state.push.expires <= now => Ok(self.end(Err(message::window()))),
            State::Announcing(state) if state.next <= now => self.announce(state),
            State::AwaitExchange(state) if state.exchange.poll_timeout().is_some() => {
                self.tell(state, pkex::Input::Timeout)
            }
            State::AwaitExchange(state) if state.next <= now => Ok(self.announce_again(state)),
            state => Ok(state),
        }
    }
}

/// There is somebody else.
struct Overlap;

impl Machine for Enrollee {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver answers what it was not asked; then the push may be lost.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.now = now;
        self.state = match (std::mem::replace(&mut self.state, State::Idle), input) {
            (_, Input::Pushed(bootstrap)) => self.push(bootstrap)?,
            (state, Input::Timeout) => self.on_timeout(state)?,
            (state @ (State::Idle | State::Over(_)), Input::Failed(_)) => state,
            (_, Input::Failed(why)) => self.end(Err(failed(why))),
            (state, Input::Frame { frame, from }) => self.on_frame(state, frame, from)?,
            (State::AwaitExchange(state), Input::Agreed(x)) => self.tell(state, pkex::Input::Agreed(x))?,
            (state, input) => {
                let misuse = unasked(state.name(), &input);
                self.state = state;
                return Err(misuse);
            }
        };
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Idle | State::Over(_) => None,
            State::Announcing(state) => Some(state.next.min(state.push.expires)),
            State::AwaitExchange(state) => {
                Some(state.exchange.poll_timeout().unwrap_or(state.next).min(state.push.expires))
            }
        }
    }
}
