//! Two endpoints under a virtual clock, with a network between them that loses, doubles and reorders.
//!
//! Nothing sleeps: time jumps to the next message or timeout. One seed makes one run, so a failure can be repeated.

use crate::Rng;
use landfall_types::{Machine, Time};
use std::{collections::BTreeMap, fmt::Debug, time::Duration};

/// What a side does about one output of its machine.
#[derive(Debug)]
pub enum Act<Input, Message> {
    /// It goes to the other side.
    Send(Message),
    /// The surroundings answer at once: a signature, "it is persisted".
    Answer(Input),
    /// Nothing comes of it.
    Nothing,
}

/// One side: a machine, and what stands around it.
pub trait Side {
    /// The protocol core.
    type Machine: Machine<Error: Debug>;
    /// What crosses the network.
    type Message: Clone;

    /// The core.
    fn machine(&mut self) -> &mut Self::Machine;

    /// What the core is told when a message arrives.
    fn arrived(&mut self, message: Self::Message) -> <Self::Machine as Machine>::Input;

    /// What the core is told when its timeout has come.
    fn timeout(&mut self) -> <Self::Machine as Machine>::Input;

    /// Does what the core wants done.
    fn act(
        &mut self,
        now: Time,
        output: <Self::Machine as Machine>::Output,
    ) -> Act<<Self::Machine as Machine>::Input, Self::Message>;
}

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// How long a message takes at least.
    pub latency: Duration,
    /// How much longer it may take; messages overtake each other within this.
    pub jitter: Duration,
    /// How many of a hundred are lost.
    pub loss: u8,
    /// How many of a hundred arrive twice.
    pub duplication: u8,
}

impl Link {
    /// A network that delivers everything once and in order.
    pub const PERFECT: Self =
        Self { latency: Duration::from_millis(1), jitter: Duration::ZERO, loss: 0, duplication: 0 };
    /// A network that is as bad as they come.
    pub const BAD: Self =
        Self { latency: Duration::from_millis(20), jitter: Duration::from_millis(200), loss: 20, duplication: 10 };
}

/// Two sides and the network between them.
#[derive(Debug)]
pub struct Pair<A: Side, B: Side<Message = A::Message>> {
    /// One side.
    pub a: A,
    /// The other.
    pub b: B,
    /// The time on everyone's clock.
    pub now: Time,
    link: Link,
    rng: Rng,
    /// By time of arrival, then in the order of sending.
    under_way: BTreeMap<(Time, u64), (End, A::Message)>,
    sent: u64,
    /// Errors of either machine, in order; a run goes on after them, as a program would.
    pub errors: Vec<(End, String)>,
}

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The side `a`.
    A,
    /// The side `b`.
    B,
}

impl<A: Side, B: Side<Message = A::Message>> Pair<A, B> {
    /// Both sides at `now`; nothing has happened yet.
    pub fn new(a: A, b: B, link: Link, seed: u64, now: Time) -> Self {
        Self { a, b, now, link, rng: Rng::new(seed), under_way: BTreeMap::new(), sent: 0, errors: Vec::new() }
    }

    /// Tells side `a` something, such as to start.
    pub fn tell_a(&mut self, input: <A::Machine as Machine>::Input) {
        let (sent, error) = turn(&mut self.a, self.now, Some(input));
        self.note(End::A, sent, error);
    }

    /// Tells side `b` something.
    pub fn tell_b(&mut self, input: <B::Machine as Machine>::Input) {
        let (sent, error) = turn(&mut self.b, self.now, Some(input));
        self.note(End::B, sent, error);
    }

    /// Goes on until nothing is under way and nobody waits for a timeout, or `end` has come. True if all is quiet.
    pub fn run_until(&mut self, end: Time) -> bool {
        while let Some(at) = self.next_event() {
            if at > end {
                self.now = end;
                return false;
            }
            self.now = self.now.max(at);
            self.step();
        }
        true
    }

    fn next_event(&mut self) -> Option<Time> {
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let timeouts = [self.a.machine().poll_timeout(), self.b.machine().poll_timeout()];
        timeouts.into_iter().flatten().chain(arrival).min()
    }

    /// One message or timeout that is due now.
    fn step(&mut self) {
        let due = self.under_way.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        if let Some((_, (to, message))) = due.then(|| self.under_way.pop_first()).flatten() {
            match to {
                End::A => {
                    let input = self.a.arrived(message);
                    self.tell_a(input);
                }
                End::B => {
                    let input = self.b.arrived(message);
                    self.tell_b(input);
                }
            }
        } else if self.a.machine().poll_timeout().is_some_and(|at| at <= self.now) {
            let input = self.a.timeout();
            self.tell_a(input);
        } else {
            let input = self.b.timeout();
            self.tell_b(input);
        }
    }

    fn note(&mut self, from: End, messages: Vec<A::Message>, error: Option<String>) {
        self.errors.extend(error.map(|error| (from, error)));
        let to = match from {
            End::A => End::B,
            End::B => End::A,
        };
        for message in messages {
            if self.rng.percent(self.link.loss) {
                continue;
            }
            let copies = 1 + u8::from(self.rng.percent(self.link.duplication));
            for _ in 0..copies {
                let jitter = u64::try_from(self.link.jitter.as_millis()).unwrap_or(u64::MAX);
                let late = Duration::from_millis(self.rng.below(jitter.saturating_add(1)));
                self.sent += 1;
                self.under_way.insert((self.now + self.link.latency + late, self.sent), (to, message.clone()));
            }
        }
    }
}

/// Gives one side an input and does all that its machine then wants done; what it sends, and why it stopped.
fn turn<S: Side>(
    side: &mut S,
    now: Time,
    input: Option<<S::Machine as Machine>::Input>,
) -> (Vec<S::Message>, Option<String>) {
    let (mut sent, mut error) = (Vec::new(), None);
    let mut next = input;
    loop {
        if let Some(input) = next.take() {
            error = side.machine().handle(now, input).err().map(|error| format!("{error:?}")).or(error);
        }
        let Some(output) = side.machine().poll_output() else { return (sent, error) };
        match side.act(now, output) {
            Act::Send(message) => sent.push(message),
            Act::Answer(input) => next = Some(input),
            Act::Nothing => {}
        }
    }
}
