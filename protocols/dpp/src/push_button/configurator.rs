//! The side that configures.

use super::{
    heard::Heard,
    io::{Config, Input, Output, failed, unasked},
    message::{self, Answer},
    session::{Exchange, Shared, pkex_config},
};
use crate::{
    curve::PublicKey,
    frame::{Action, Frame, FrameType},
    pkex::{self, Done, Initiator},
    random::Random,
};
use landfall_types::{Fingerprint, Machine, Refusal, Time};
use std::collections::VecDeque;

/// A configurator with a button. It listens all the time, so that it knows of devices whose buttons were pushed before
/// its own.
pub struct Configurator {
    config: Config,
    random: Shared,
    heard: Heard,
    state: State,
    now: Time,
    outputs: VecDeque<Output>,
}

enum State {
    Idle,
    AwaitAnnouncement(Push),
    Monitoring(Box<Monitoring>),
    Exchanging(Box<Exchanging>),
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::AwaitAnnouncement(_) => "AwaitAnnouncement",
            Self::Monitoring(_) => "Monitoring",
            Self::Exchanging(_) => "Exchanging",
        }
    }
}

/// The button was pushed.
struct Push {
    bootstrap: PublicKey,
    expires: Time,
}

/// One device has announced itself and is answered; perhaps there is another.
struct Monitoring {
    push: Push,
    answer: Answer,
    /// When its first announcement came.
    since: Time,
    /// When it was answered last.
    answered: Time,
}

/// The device is alone.
struct Exchanging {
    monitoring: Monitoring,
    exchange: Exchange<Initiator>,
}

impl Configurator {
    /// A configurator whose button has not been pushed.
    pub fn new(config: Config, random: Box<dyn Random>) -> Self {
        Self {
            config,
            random: Shared::new(random),
            heard: Heard::default(),
            state: State::Idle,
            now: Time::EPOCH,
            outputs: VecDeque::new(),
        }
    }

    /// Whether its button was pushed and nothing has come of it yet.
    pub const fn is_active(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    fn on_frame(&mut self, state: State, frame: Frame, from: [u8; 6]) -> Result<State, Refusal> {
        match (&frame, state) {
            (Frame::Action(action), state) if action.kind == FrameType::PbPresenceAnnouncement => {
                self.on_announcement(state, action, from)
            }
            (_, State::Exchanging(state)) => {
                let input = pkex::Input::Frame { frame, from: Some(from) };
                self.tell(state, input)
            }
            (Frame::Action(action), state) => {
                self.outputs.push_back(Output::Dropped(message::not_pushed(action.kind)));
                Ok(state)
            }
            (Frame::Gas(_), state) => Ok(state),
        }
    }

    fn on_announcement(&mut self, state: State, action: &Action, from: [u8; 6]) -> Result<State, Refusal> {
        let device = match message::announced(action) {
            Ok(device) => device,
            Err(refusal) => {
                self.outputs.push_back(Output::Dropped(refusal));
                return Ok(state);
            }
        };
        let overlaps = self.heard.overlaps(self.now, self.config.timing.memory, device);
        match state {
            State::Idle => Ok(State::Idle),
            _ if overlaps => Ok(self.end(Err(message::overlap("the buttons of two devices were pushed")))),
            State::AwaitAnnouncement(push) => Ok(self.begin(push, device, from)),
            State::Monitoring(mut state) => {
                self.answer(&mut state, from);
                if self.now.since(state.since) < self.config.timing.monitoring {
                    return Ok(State::Monitoring(state));
                }
                self.exchange(*state, from)
            }
            State::Exchanging(mut state) => {
                // It has not heard that PKEX began: it is asked again by and by.
                state.exchange.heard_at(from);
                self.answer(&mut state.monitoring, from);
                Ok(State::Exchanging(state))
            }
        }
    }

    /// The first announcement since the button was pushed.
    fn begin(&mut self, push: Push, enrollee: Fingerprint, from: [u8; 6]) -> State {
        let mut nonce = vec![0; push.bootstrap.curve().nonce_len()];
        self.random.fill(&mut nonce);
        let answer = Answer { configurator: push.bootstrap.chirp_hash(), enrollee, nonce };
        self.outputs.push_back(Output::Send { to: from, frame: answer.to_frame() });
        State::Monitoring(Box::new(Monitoring { push, answer, since: self.now, answered: self.now }))
    }

    /// Answers a device that announces itself again, unless it has just been.
    fn answer(&mut self, state: &mut Monitoring, from: [u8; 6]) {
        if self.now.since(state.answered) >= self.config.timing.pause {
            state.answered = self.now;
            self.outputs.push_back(Output::Send { to: from, frame: state.answer.to_frame() });
        }
    }

    fn exchange(&mut self, monitoring: Monitoring, from: [u8; 6]) -> Result<State, Refusal> {
        let config = match pkex_config(&self.config, &monitoring.push.bootstrap, &monitoring.answer.nonce) {
            Ok(config) => config,
            Err(refusal) => return Ok(self.end(Err(refusal))),
        };
        let initiator = Initiator::new(config, Box::new(self.random.clone()));
        let exchange = Exchange::new(initiator, monitoring.answer.enrollee, from);
        self.tell(Box::new(Exchanging { monitoring, exchange }), pkex::Input::Start)
    }

    fn tell(&mut self, mut state: Box<Exchanging>, input: pkex::Input) -> Result<State, Refusal> {
        let end = state.exchange.tell(self.now, input, &mut self.outputs)?;
        let Some(result) = end else { return Ok(State::Exchanging(state)) };
        if result.is_ok() {
            self.heard.forget(&state.monitoring.answer.enrollee);
        }
        Ok(self.end(result))
    }

    fn end(&mut self, result: Result<Done, Refusal>) -> State {
        self.outputs.push_back(Output::Done(result));
        State::Idle
    }

    fn expires(&self) -> Option<Time> {
        match &self.state {
            State::Idle => None,
            State::AwaitAnnouncement(push) => Some(push.expires),
            State::Monitoring(state) => Some(state.push.expires),
            State::Exchanging(state) => Some(state.monitoring.push.expires),
        }
    }
}

impl Machine for Configurator {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver answers what it was not asked; then the push may be lost.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.now = now;
        let is_over = self.expires().is_some_and(|expires| expires <= now);
        self.state = match (std::mem::replace(&mut self.state, State::Idle), input) {
            (_, Input::Pushed(bootstrap)) => {
                State::AwaitAnnouncement(Push { bootstrap, expires: now + self.config.timing.window })
            }
            (State::Idle, Input::Failed(_) | Input::Timeout) => State::Idle,
            (_, Input::Timeout) if is_over => self.end(Err(message::window())),
            (State::Exchanging(state), Input::Timeout) => self.tell(state, pkex::Input::Timeout)?,
            (state, Input::Timeout) => state,
            (_, Input::Failed(why)) => self.end(Err(failed(why))),
            (state, Input::Frame { frame, from }) => self.on_frame(state, frame, from)?,
            (State::Exchanging(state), Input::Agreed(x)) => self.tell(state, pkex::Input::Agreed(x))?,
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
        let exchange = match &self.state {
            State::Exchanging(state) => state.exchange.poll_timeout(),
            _ => None,
        };
        self.expires().into_iter().chain(exchange).min()
    }
}
