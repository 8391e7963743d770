//! Presence announcement (DPP s6.2): a device that nobody has scanned yet tells every channel that it is there, until a
//! configurator that knows its key begins authentication.

use crate::{
    channel::Channel,
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
};
use landfall_types::{Fault, Fingerprint, Machine, Refusal, Time};
use std::{collections::VecDeque, time::Duration};

const SECTION: &str = "DPP s6.2";

/// The announcement of a key by its chirp hash.
pub fn announcement(hash: &Fingerprint) -> Frame {
    let mut frame = AttributeWriter::new();
    frame.put(AttributeId::ResponderBootstrapHash, &hash.0);
    Frame::Action(Action { kind: FrameType::PresenceAnnouncement, attributes: frame.into_bytes() })
}

/// Which key is announced: the chirp hash, by which its owner finds it.
///
/// # Errors
/// If it is another frame, or not whole.
pub fn announced(action: &Action) -> Result<Fingerprint, Refusal> {
    if action.kind != FrameType::PresenceAnnouncement {
        let detail = format!("{} is not a presence announcement", action.kind);
        return Err(Refusal::new(Fault::Peer, "dpp-order", SECTION, detail));
    }
    Ok(Fingerprint(action.attributes()?.need_array(AttributeId::ResponderBootstrapHash)?))
}

/// Where a configurator listens on 5 GHz in most countries.
pub const FIVE_GHZ: Channel = Channel { class: 115, channel: 44 };

/// The channels on which a device announces itself that knows of no others: 6 at 2.4 GHz, 44 or 149 at 5 GHz, 2 at 60 GHz.
pub const fn usual_channels(five_ghz: Channel) -> [Channel; 3] {
    [Channel { class: 81, channel: 6 }, five_ghz, Channel { class: 180, channel: 2 }]
}

/// How a device announces itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its key, by its chirp hash.
    pub hash: Fingerprint,
    /// The channels of its bootstrapping information; if there are none, those that the specification names.
    pub channels: Vec<Channel>,
    /// Where a configurator may listen on 5 GHz in this country.
    pub five_ghz: Channel,
    /// How long it listens on a channel.
    pub listen: Duration,
    /// How long it rests between rounds.
    pub rest: Duration,
    /// After how many rounds it looks for access points again.
    pub rounds: u32,
}

impl Config {
    /// The usual behaviour.
    pub const fn new(hash: Fingerprint, channels: Vec<Channel>) -> Self {
        Self {
            hash,
            channels,
            five_ghz: FIVE_GHZ,
            listen: Duration::from_secs(2),
            rest: Duration::from_secs(30),
            rounds: 4,
        }
    }

    fn preferred(&self) -> Vec<Channel> {
        match self.channels.as_slice() {
            [] => usual_channels(self.five_ghz).to_vec(),
            channels => channels.to_vec(),
        }
    }
}

/// What can happen to a device that announces itself. When it is authenticated, it is simply dropped.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// The answer to [`Output::Scan`]: channels of access points with the Configurator Connectivity Element.
    Scanned(Vec<Channel>),
    /// It is [`poll_timeout`](Machine::poll_timeout) or later.
    Timeout,
}

/// What it wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Look for access points whose beacons have the Configurator Connectivity Element; answer with [`Input::Scanned`].
    Scan,
    /// Go to this channel, send the frame to everyone, and stay to listen.
    Announce {
        /// Where.
        channel: Channel,
        /// What.
        frame: Frame,
    },
}

/// A device that announces itself until it is dropped. It skips a channel that its radio does not have when told to
/// announce there: nothing depends on any single one.
#[derive(Debug)]
pub struct Chirper {
    config: Config,
    state: State,
    outputs: VecDeque<Output>,
    deadline: Option<Time>,
}

#[derive(Debug)]
enum State {
    AwaitStart,
    AwaitScan,
    Announcing { channels: Vec<Channel>, next: usize, round: u32 },
}

impl Chirper {
    /// A device that has not begun.
    pub const fn new(config: Config) -> Self {
        Self { config, state: State::AwaitStart, outputs: VecDeque::new(), deadline: None }
    }

    fn scan(&mut self) -> State {
        self.outputs.push_back(Output::Scan);
        self.deadline = None;
        State::AwaitScan
    }

    /// Announces on the next channel of this round, or rests, or looks around anew.
    fn announce(&mut self, now: Time, channels: Vec<Channel>, next: usize, round: u32) -> State {
        if let Some(channel) = channels.get(next).copied() {
            self.outputs.push_back(Output::Announce { channel, frame: announcement(&self.config.hash) });
            let last = next + 1 == channels.len();
            let rest = if last { self.config.rest } else { Duration::ZERO };
            self.deadline = Some(now + self.config.listen + rest);
            return State::Announcing { channels, next: next + 1, round };
        }
        if round + 1 >= self.config.rounds { self.scan() } else { self.announce(now, channels, 0, round + 1) }
    }
}

impl Machine for Chirper {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// It fails only if the driver tells it what it was not asked.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        let due = self.deadline.is_some_and(|deadline| deadline <= now);
        self.state = match (std::mem::replace(&mut self.state, State::AwaitStart), input) {
            (State::AwaitStart, Input::Start) => self.scan(),
            (State::AwaitScan, Input::Scanned(found)) => {
                let mut channels = self.config.preferred();
                for channel in found {
                    if !channels.contains(&channel) && channels.len() < crate::bounds::CHANNELS {
                        channels.push(channel);
                    }
                }
                self.announce(now, channels, 0, 0)
            }
            (State::Announcing { channels, next, round }, Input::Timeout) if due => {
                self.announce(now, channels, next, round)
            }
            (state, Input::Timeout) => state,
            (state, input) => {
                self.state = state;
                return Err(Refusal::new(Fault::Misuse, "dpp-driver", "", format!("cannot take {input:?} now")));
            }
        };
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }
}
