//! A toy protocol over a bad network: each number is sent until it is acknowledged.

use landfall_testkit::{Act, Link, NOW, Pair, Rng, Side};
use landfall_types::{Machine, Time};
use std::{collections::VecDeque, time::Duration};

const LAST: u32 = 50;

#[derive(Clone, Copy, Debug)]
enum Message {
    Number(u32),
    Seen(u32),
}

#[derive(Clone, Copy, Debug)]
enum Input {
    Start,
    Message(Message),
    Timeout,
    Persisted(u32),
}

#[derive(Debug)]
enum Output {
    Send(Message),
    Persist(u32),
}

/// Sends numbers one by one, or notes them down and acknowledges: what it is told says which.
#[derive(Default)]
struct Toy {
    next: u32,
    noted: Vec<u32>,
    outputs: VecDeque<Output>,
    retry: Option<Time>,
}

impl Machine for Toy {
    type Input = Input;
    type Output = Output;
    type Error = ();

    fn handle(&mut self, now: Time, input: Input) -> Result<(), ()> {
        match input {
            Input::Message(Message::Number(number)) if !self.noted.contains(&number) => {
                self.outputs.push_back(Output::Persist(number));
            }
            Input::Message(Message::Number(number)) => self.outputs.push_back(Output::Send(Message::Seen(number))),
            Input::Persisted(number) => {
                self.noted.push(number);
                self.outputs.push_back(Output::Send(Message::Seen(number)));
            }
            Input::Message(Message::Seen(number)) if number != self.next => {}
            Input::Start | Input::Timeout | Input::Message(Message::Seen(_)) => {
                self.next += u32::from(matches!(input, Input::Message(_)));
                self.retry = (self.next < LAST).then_some(now + Duration::from_secs(1));
                self.outputs.extend((self.next < LAST).then_some(Output::Send(Message::Number(self.next))));
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.retry
    }
}

#[derive(Default)]
struct Host {
    toy: Toy,
    trace: Vec<String>,
}

impl Side for Host {
    type Machine = Toy;
    type Message = Message;

    fn machine(&mut self) -> &mut Toy {
        &mut self.toy
    }

    fn arrived(&mut self, message: Message) -> Input {
        Input::Message(message)
    }

    fn timeout(&mut self) -> Input {
        Input::Timeout
    }

    fn act(&mut self, now: Time, output: Output) -> Act<Input, Message> {
        self.trace.push(format!("{now} {output:?}"));
        match output {
            Output::Send(message) => Act::Send(message),
            Output::Persist(number) => Act::Answer(Input::Persisted(number)),
        }
    }
}

fn run(link: Link, seed: u64) -> Pair<Host, Host> {
    let mut pair = Pair::new(Host::default(), Host::default(), link, seed, NOW);
    pair.tell_a(Input::Start);
    assert!(pair.run_until(NOW + Duration::from_secs(10_000)), "seed {seed}: it comes to an end");
    pair
}

#[test]
fn everything_arrives_once_over_any_network() {
    for seed in 0..50 {
        for link in [Link::PERFECT, Link::BAD] {
            let pair = run(link, seed);
            assert_eq!(pair.b.toy.noted, (0..LAST).collect::<Vec<_>>(), "seed {seed}");
            assert!(pair.errors.is_empty());
        }
    }
}

#[test]
fn a_bad_network_is_bad() {
    let (perfect, bad) = (run(Link::PERFECT, 1), run(Link::BAD, 1));
    assert_eq!(perfect.a.trace.len(), LAST as usize, "nothing is sent twice over a perfect network");
    assert!(bad.a.trace.len() > LAST as usize, "something is lost on a bad one");
    assert!(bad.now > perfect.now);
}

#[test]
fn a_seed_is_a_run() {
    let trace = |seed| run(Link::BAD, seed).a.trace;
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn a_run_stops_in_time() {
    let nowhere = Link { loss: 100, ..Link::PERFECT };
    let mut pair = Pair::new(Host::default(), Host::default(), nowhere, 1, NOW);
    pair.tell_a(Input::Start);
    let end = NOW + Duration::from_secs(60);
    assert!(!pair.run_until(end));
    assert_eq!(pair.now, end);
    assert_eq!(pair.a.trace.len(), 61, "one attempt a second");
}

#[test]
fn numbers_are_below_their_end() {
    let mut rng = Rng::new(3);
    assert!((0..1000).all(|_| rng.below(10) < 10));
    assert_eq!(rng.below(0), 0);
    assert!((0..1000).all(|_| rng.percent(100) && !rng.percent(0)));
}
