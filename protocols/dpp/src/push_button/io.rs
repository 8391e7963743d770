//! What both sides are told, what they ask for, and how long they wait.

use crate::{channel::Channel, curve::PublicKey, frame::Frame, pkex};
use landfall_types::{Fault, Redacted, Refusal};
use std::time::Duration;

/// How one side behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// How long is waited for what.
    pub timing: Timing,
    /// The same within PKEX.
    pub pkex: pkex::Timing,
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a push is good for.
    pub window: Duration,
    /// As configurator: how long a device that announced itself is remembered, so that a second one is noticed.
    pub memory: Duration,
    /// As configurator: how long it listens for other devices, from the first announcement to the beginning of PKEX.
    pub monitoring: Duration,
    /// As configurator: an announcement so soon after an answer is not answered again.
    pub pause: Duration,
    /// As enrollee: how often it announces itself on one channel before it goes to the next.
    pub repetitions: u32,
    /// As enrollee: the time between two of these announcements.
    pub gap: Duration,
    /// As enrollee: how long it rests, once it has been answered and has gone through all channels again.
    pub rest: Duration,
    /// As enrollee: the time between two announcements when it only waits for PKEX.
    pub listen: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(100),
            memory: Duration::from_secs(120),
            monitoring: Duration::from_secs(15),
            pause: Duration::from_millis(50),
            repetitions: 3,
            gap: Duration::from_millis(50),
            rest: Duration::from_secs(10),
            listen: Duration::from_millis(500),
        }
    }
}

/// What can happen.
#[derive(Debug)]
pub enum Input {
    /// The button was pushed. Here is the public half of a bootstrapping key made for this push; the private half stays
    /// with whoever answers [`Output::Agree`]. A push during another begins anew.
    Pushed(PublicKey),
    /// A frame came.
    Frame {
        /// It.
        frame: Frame,
        /// The sender's MAC address.
        from: [u8; 6],
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
    /// As enrollee: go to this channel, send this to everyone, and stay to listen.
    Announce {
        /// Where.
        channel: Channel,
        /// What.
        frame: Frame,
    },
    /// Send this to one peer, on the channel on which it was heard.
    Send {
        /// The peer's MAC address.
        to: [u8; 6],
        /// What.
        frame: Frame,
    },
    /// Multiply this point by the bootstrapping key of this push; answer with [`Input::Agreed`].
    Agree(PublicKey),
    /// A frame was dropped as if it had not come. For the operator.
    Dropped(Refusal),
    /// What the push has led to. The peer's key is believed only for an authentication in which both sides prove theirs,
    /// which the configurator begins.
    Done(Result<pkex::Done, Refusal>),
}

/// The driver did what it was not asked.
pub(super) fn unasked(state: &'static str, input: &Input) -> Refusal {
    Refusal::new(Fault::Misuse, "dpp-driver", "", format!("{state} cannot take {input:?}"))
}

/// That the driver failed.
pub(super) fn failed(why: String) -> Refusal {
    Refusal::new(Fault::Backend, "dpp-backend", "", why)
}
