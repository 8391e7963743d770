//! What both sides are told, what they ask for, and what they have in common.

use super::Code;
use crate::{curve::PublicKey, frame::Frame};
use landfall_types::{Fault, Redacted, Refusal, Time};
use std::{collections::VecDeque, time::Duration};

/// How one side behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The code. Its owner keeps a clone, since failures count beyond this exchange.
    pub code: Code,
    /// Our bootstrapping key; the private half stays with whoever answers [`Output::Agree`].
    pub bootstrap: PublicKey,
    /// The release of DPP that we speak.
    pub version: u8,
    /// Which forms of PKEX we take part in.
    pub versions: Versions,
    /// What carries the frames.
    pub link: Link,
    /// How long is waited for what.
    pub timing: Timing,
}

/// Which forms of PKEX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// That of release 1, which is bound to MAC addresses.
    One,
    /// That of release 2 and later.
    Two,
    /// Either; an initiator begins with the second.
    #[default]
    Both,
}

impl Versions {
    pub(super) fn includes(self, version: Self) -> bool {
        self == Self::Both || self == version
    }
}

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// TCP. The form of release 1 is not to be had: there are no MAC addresses to bind it to.
    Tcp,
    /// The air.
    Air {
        /// Our MAC address.
        own: [u8; 6],
    },
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For an answer, before the frame is sent again.
    pub response: Duration,
    /// How often a frame is sent again.
    pub retries: u32,
    /// As responder: for the initiator to go on.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { response: Duration::from_secs(2), retries: 4, patience: Duration::from_secs(15) }
    }
}

/// What can happen.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// A frame came.
    Frame {
        /// It.
        frame: Frame,
        /// The sender's MAC address, over the air.
        from: Option<[u8; 6]>,
    },
    /// The answer to [`Output::Agree`]: the x coordinate.
    Agreed(Redacted<Vec<u8>>),
    /// The driver could not do what it was asked; the reason, for the operator.
    Failed(String),
    /// It is [`poll_timeout`](landfall_types::Machine::poll_timeout) or later.
    Timeout,
}

/// What one side wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this to the peer; an initiator over the air sends to everyone until it is answered.
    Send(Frame),
    /// Multiply this point by our bootstrapping key; answer with [`Input::Agreed`].
    Agree(PublicKey),
    /// A frame was dropped as if it had not come. For the operator.
    Dropped(Refusal),
    /// It is over.
    Done(Result<Done, Refusal>),
}

/// What was learnt. It is believed only for an authentication in which both sides prove their keys (DPP s5.6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The peer's bootstrapping key.
    pub peer: PublicKey,
    /// The release that the peer speaks.
    pub version: u8,
}

/// Time, outputs, and what was said last.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) config: Config,
    pub(super) now: Time,
    pub(super) outputs: VecDeque<Output>,
    pub(super) deadline: Option<Time>,
    pub(super) over: bool,
    /// A frame that is sent again until it is answered, and how often still.
    asking: Option<(Frame, u32)>,
    /// A frame that was answered, and the answer.
    replied: Option<(Frame, Frame)>,
}

impl Outbox {
    pub(super) fn new(config: Config) -> Self {
        let outputs = VecDeque::new();
        Self { config, now: Time::EPOCH, outputs, deadline: None, over: false, asking: None, replied: None }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn ask(&mut self, frame: Frame) {
        self.asking = Some((frame.clone(), self.config.timing.retries));
        self.deadline = Some(self.now + self.config.timing.response);
        self.push(Output::Send(frame));
    }

    /// The frame that was asked with is answered.
    pub(super) fn answered(&mut self) {
        self.asking = None;
        self.deadline = None;
    }

    pub(super) fn reply(&mut self, to: Frame, frame: Frame) {
        self.replied = Some((to, frame.clone()));
        self.deadline = Some(self.now + self.config.timing.patience);
        self.push(Output::Send(frame));
    }

    /// Answers a frame that was answered before with the same, even when all is over: the answer may have been lost.
    pub(super) fn repeats(&mut self, frame: &Frame) -> bool {
        let reply = self.replied.as_ref().filter(|(to, _)| to == frame).map(|(_, reply)| reply.clone());
        reply.map(|reply| self.push(Output::Send(reply))).is_some()
    }

    /// Whether the frame that waits for an answer was sent once more.
    pub(super) fn sent_again(&mut self) -> bool {
        let Some((frame, left @ 1..)) = &mut self.asking else { return false };
        *left -= 1;
        let frame = frame.clone();
        self.deadline = Some(self.now + self.config.timing.response);
        self.push(Output::Send(frame));
        true
    }

    pub(super) fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    pub(super) fn done(&mut self, result: Result<Done, Refusal>) {
        self.answered();
        self.over = true;
        self.push(Output::Done(result));
    }
}

/// The driver did what it was not asked.
pub(super) fn unasked(state: &'static str, input: &Input) -> Refusal {
    Refusal::new(Fault::Misuse, "dpp-driver", "", format!("{state} cannot take {input:?}"))
}

/// That the driver failed.
pub(super) fn failed(why: String) -> Refusal {
    Refusal::new(Fault::Backend, "dpp-backend", "", why)
}
