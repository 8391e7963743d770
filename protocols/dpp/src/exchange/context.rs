//! What all states of an exchange share.

use super::{Config, Done, Event, Input, Output};
use crate::{frame::Frame, random::Random};
use landfall_types::{Fault, Refusal, Time};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// What a state turns into.
pub(crate) type Next = Box<dyn State>;

/// A state is named for what it waits for, and an input consumes it.
pub(crate) trait State: Send {
    /// Takes what happened.
    fn on(self: Box<Self>, cx: &mut Context, input: Input) -> Next;

    /// What it waits for.
    fn name(&self) -> &'static str;

    /// Goes on waiting after what it does not wait for. Anyone can send a frame, a person may scan a code that is not
    /// needed any more, and a driver may be slow; what a driver must not do is answer what it was not asked.
    fn otherwise(self: Box<Self>, cx: &mut Context, input: Input) -> Next
    where
        Self: Sized + 'static,
    {
        match input {
            Input::Frame(frame) => cx.ignore(unexpected(&frame)),
            Input::Timeout | Input::Peer(_) => {}
            input => cx.unasked(self.name(), &input),
        }
        self
    }

    /// Goes on waiting after a frame that is no good.
    fn ignoring(self: Box<Self>, cx: &mut Context, refusal: Refusal) -> Next
    where
        Self: Sized + 'static,
    {
        cx.ignore(refusal);
        self
    }
}

/// A frame that does not belong here.
pub(crate) fn unexpected(frame: &Frame) -> Refusal {
    let detail = format!("{} does not belong here", frame.name());
    Refusal::new(Fault::Peer, "dpp-order", "DPP s6", detail)
}

/// That the peer says nothing.
pub(crate) fn silent(what: &'static str) -> Refusal {
    Refusal::new(Fault::Peer, "dpp-silence", "DPP s6", format!("no {what} came in time"))
}

/// Configuration, randomness, time, outputs, and what was said last.
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) random: Box<dyn Random>,
    pub(crate) now: Time,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) deadline: Option<Time>,
    pub(crate) misuse: Option<Refusal>,
    asking: Option<Asking>,
    received: Option<Frame>,
    replied: Option<(Frame, Frame)>,
}

/// A frame that is sent again until it is answered.
struct Asking {
    frame: Frame,
    left: u32,
    end: Time,
}

impl Context {
    pub(super) fn new(config: Arc<Config>, random: Box<dyn Random>) -> Self {
        Self {
            config,
            random,
            now: Time::EPOCH,
            outputs: VecDeque::new(),
            deadline: None,
            misuse: None,
            asking: None,
            received: None,
            replied: None,
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Sends a frame to which no answer is awaited.
    pub(crate) fn send(&mut self, frame: Frame) {
        self.push(Output::Send(frame));
    }

    /// Sends the answer to the frame received last, and keeps it in case that frame comes again.
    pub(crate) fn reply(&mut self, frame: Frame) {
        if let Some(received) = self.received.take() {
            self.replied = Some((received, frame.clone()));
        }
        self.send(frame);
    }

    /// Answers the frame received last; if that comes again, it may get another answer.
    pub(crate) fn reply_for_now(&mut self, frame: Frame) {
        self.received = None;
        self.replied = None;
        self.send(frame);
    }

    /// Sends a frame, and again while nothing comes, for `patience` after the last time.
    pub(crate) fn ask(&mut self, frame: Frame, patience: Duration) {
        self.repeat(frame.clone(), patience);
        self.send(frame);
    }

    /// Sends a frame that was sent already again while nothing comes, for `patience` after the last time.
    pub(crate) fn repeat(&mut self, frame: Frame, patience: Duration) {
        let timing = self.config.timing;
        let end = self.now + timing.response * timing.retries + patience;
        self.asking = Some(Asking { frame, left: timing.retries, end });
        self.deadline = Some(if timing.retries == 0 { end } else { self.now + timing.response });
    }

    /// Waits quietly.
    pub(crate) fn wait(&mut self, patience: Duration) {
        self.asking = None;
        self.deadline = Some(self.now + patience);
    }

    /// Waits for as long as it takes.
    pub(crate) fn rest(&mut self) {
        self.asking = None;
        self.deadline = None;
    }

    /// What was received last is the answer; it does not get one itself.
    pub(crate) fn answered(&mut self) {
        self.asking = None;
        self.received = None;
    }

    /// Drops a frame as if it had not come: whoever can send one could end the exchange otherwise.
    pub(crate) fn ignore(&mut self, refusal: Refusal) {
        self.received = None;
        self.event(Event::Dropped(refusal));
    }

    /// The driver did what it was not asked.
    pub(crate) fn unasked(&mut self, state: &'static str, input: &Input) {
        self.misuse = Some(Refusal::new(Fault::Misuse, "dpp-driver", "", format!("{state} cannot take {input:?}")));
    }

    /// Ends the exchange with a refusal.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> Next {
        self.push(Output::Done(Err(refusal)));
        finished()
    }

    /// Ends the exchange well.
    pub(crate) fn done(&mut self, done: Done) -> Next {
        self.push(Output::Done(Ok(done)));
        finished()
    }

    pub(super) fn failed(&mut self, why: String) {
        self.push(Output::Done(Err(Refusal::new(Fault::Backend, "dpp-backend", "", why))));
    }

    pub(super) fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    /// Whether the frame that waits for an answer was sent once more instead of giving up.
    pub(super) fn sent_again(&mut self) -> bool {
        let every = self.config.timing.response;
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.left > 0) else { return false };
        asking.left -= 1;
        self.deadline = Some(if asking.left == 0 { asking.end.max(self.now + every) } else { self.now + every });
        let frame = asking.frame.clone();
        self.send(frame);
        true
    }

    pub(super) fn receiving(&mut self, frame: Frame) {
        self.received = Some(frame);
    }

    /// Whether the frame was seen before; if it was answered, it is answered again with the same.
    pub(super) fn repeats(&mut self, frame: &Frame) -> bool {
        if self.received.as_ref() == Some(frame) {
            return true;
        }
        let reply = self.replied.as_ref().filter(|(received, _)| received == frame).map(|(_, reply)| reply.clone());
        reply.is_some_and(|reply| {
            self.send(reply);
            true
        })
    }
}

struct Finished;

impl State for Finished {
    fn on(self: Box<Self>, _: &mut Context, _: Input) -> Next {
        self
    }

    fn name(&self) -> &'static str {
        "Finished"
    }
}

/// Nothing more comes.
pub(crate) fn finished() -> Next {
    Box::new(Finished)
}
