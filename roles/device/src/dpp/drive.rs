//! Drives an exchange over one connection: frames, the bootstrapping key, the store, the radio and the clock.

use super::{
    Watch,
    birth::Identity,
    enrollee::{Enrolled, Outcome, Succession},
    networks::{Keep, Networks},
    radio::Join,
};
use crate::DeviceError;
use landfall_dpp::{
    config::ConnectionStatus,
    exchange::{Event, Exchange, Input, Output, PeerKey, Record, TakenOver},
};
use landfall_net::dpp::Link;
use landfall_types::{Fault, Fingerprint, Machine, Refusal, Time};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// What an exchange needs of the world.
pub(super) struct World<'a> {
    pub(super) identity: &'a Identity,
    pub(super) keep: &'a dyn Keep,
    pub(super) join: &'a dyn Join,
    pub(super) watch: Watch<'a>,
    /// How long to wait for a peer that has not begun an exchange.
    pub(super) patience: Duration,
    /// What the device has, if it was found again by the configurator that it has it from.
    pub(super) before: Option<&'a Networks>,
    /// Whether what the configurator proves shows only that it was there at the right time.
    pub(super) duckling: bool,
}

/// Drives `exchange`, whose first inputs are `first`, to its end.
pub(super) async fn drive(
    mut exchange: Exchange,
    first: Input,
    link: &mut Link,
    world: World<'_>,
) -> Result<Outcome, DeviceError> {
    let mut driver =
        Driver { world, begun: Instant::now(), received: None, taken_over: None, connection: None, dropped: None };
    let mut next = Some(first);
    loop {
        let input = match next.take() {
            Some(input) => input,
            None => match wait(link, exchange.poll_timeout(), driver.world.patience).await {
                Ok(input) => input,
                Err(error) => return Ok(driver.lost(&error)),
            },
        };
        exchange.handle(Time::now(), input).map_err(|refusal| DeviceError::Defect(refusal.to_string()))?;
        // An output that wants an answer is the last one until the answer comes.
        while let Some(output) = exchange.poll_output() {
            match output {
                Output::Send(frame) => {
                    if let Err(error) = link.send(&frame).await {
                        return Ok(driver.lost(&error.to_string()));
                    }
                }
                // Nobody but this peer speaks on this connection: it will not begin better than it did.
                Output::Event(Event::Dropped(refusal)) if exchange.waits_for() == "AwaitRequest" => {
                    return Ok(Outcome::Refused(refusal));
                }
                Output::Done(Ok(_)) => return Ok(driver.done(true)),
                Output::Done(Err(refusal)) => return Ok(driver.refused(refusal)),
                other => next = driver.act(other).await.or(next),
            }
        }
    }
}

/// Waits for a frame, or until the exchange wants to be woken; for so long if it does not.
pub(super) async fn wait(link: &mut Link, timeout: Option<Time>, patience: Duration) -> Result<Input, String> {
    /// The clock of the machine may be set while we sleep.
    const NAP: Duration = Duration::from_secs(30);
    let begun = Instant::now();
    loop {
        let left = timeout.map_or(patience, |at| at.since(Time::now()));
        tokio::select! {
            frame = link.next() => return match frame {
                Ok(Some(frame)) => Ok(Input::Frame(frame)),
                Ok(None) => Err("the other end closed the connection".into()),
                Err(error) => Err(error.to_string()),
            },
            () = sleep_until(Instant::now() + left.min(NAP)) => {}
        }
        match timeout {
            Some(at) if Time::now() >= at => return Ok(Input::Timeout),
            None if begun.elapsed() >= patience => return Err("no request came that could be answered".into()),
            _ => {}
        }
    }
}

struct Driver<'a> {
    world: World<'a>,
    begun: Instant,
    /// What is durable.
    received: Option<Arc<Networks>>,
    taken_over: Option<Succession>,
    connection: Option<ConnectionStatus>,
    /// Why the last frame that was dropped was.
    dropped: Option<Refusal>,
}

impl Driver<'_> {
    /// Does what is wanted; what the exchange has to be told of it, if it waits for that.
    async fn act(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Agree(agreement) => Some(match self.world.identity.key.agree(&agreement) {
                Ok(secret) => Input::Agreed(secret),
                Err(error) => Input::Failed(error.to_string()),
            }),
            Output::FindPeer { hash } => Some(Input::Peer(self.peer(hash))),
            Output::Persist(record) => Some(match *record {
                Record::Received(received) => {
                    let mut networks = Networks::of(received, Time::now(), self.world.before);
                    networks.authenticated &= !self.world.duckling;
                    self.persist(networks)
                }
                Record::TakenOver(taken) => self.take_over(&taken),
                Record::Issued(_) | Record::HandedOver(_) => not_ours("issue connectors"),
            }),
            Output::Join => {
                let networks = self.received.clone()?;
                (self.world.watch)("joins the network, as the configurator wants to hear how that goes");
                let status = self.world.join.join(&networks).await;
                self.connection = Some(status.clone());
                Some(Input::Joined(status))
            }
            Output::Event(event) => {
                (self.world.watch)(&in_words(&event));
                if let Event::Dropped(refusal) = event {
                    self.dropped = Some(refusal);
                }
                None
            }
            Output::Sign { .. } | Output::Seal { .. } => Some(not_ours("use a key of a configurator")),
            Output::Rule(_) => Some(not_ours("decide what others get")),
            Output::Send(_) | Output::Done(_) => None,
        }
    }

    fn peer(&self, hash: Fingerprint) -> PeerKey {
        match &self.world.identity.configurator {
            Some(uri) if uri.key.bootstrap_hash() == hash => PeerKey::Known(uri.key.clone()),
            _ => PeerKey::Unknown,
        }
    }

    fn persist(&mut self, networks: Networks) -> Input {
        let networks = Arc::new(networks);
        match self.world.keep.keep(Arc::clone(&networks)) {
            Ok(()) => {
                self.received = Some(networks);
                Input::Persisted
            }
            Err(error) => Input::Failed(error.to_string()),
        }
    }

    fn take_over(&mut self, taken: &TakenOver) -> Input {
        match self.world.keep.take_over(taken) {
            Ok(()) => {
                let (keys, authenticated) = (taken.configurators.len(), taken.peer.peer_proved);
                self.taken_over = Some(Succession { keys, authenticated, told: false });
                Input::Persisted
            }
            Err(error) => Input::Failed(error.to_string()),
        }
    }

    fn done(&mut self, told: bool) -> Outcome {
        if let Some(succession) = self.taken_over.take() {
            return Outcome::TakenOver(Succession { told, ..succession });
        }
        match self.received.take() {
            Some(networks) => {
                let connection = self.connection.take();
                let enrolled = Enrolled { networks, told, connection, took: self.begun.elapsed() };
                Outcome::Enrolled(Box::new(enrolled))
            }
            None => Outcome::Refused(Refusal::new(
                Fault::Peer,
                "dpp-nothing",
                "DPP s6.4.3",
                "the exchange ended without a configuration",
            )),
        }
    }

    /// What is durable was taken, whether the configurator heard of it or not.
    fn refused(&mut self, refusal: Refusal) -> Outcome {
        match self.received.is_some() || self.taken_over.is_some() {
            true => self.done(false),
            false => Outcome::Refused(refusal),
        }
    }

    fn lost(&mut self, why: &dyn std::fmt::Display) -> Outcome {
        // A frame that we dropped says more than that nothing followed it.
        let refusal = self.dropped.take();
        let lost = || Refusal::new(Fault::Backend, "dpp-connection", "DPP s12", why.to_string());
        self.refused(refusal.unwrap_or_else(lost))
    }
}

fn not_ours(what: &str) -> Input {
    Input::Failed(format!("a device does not {what}"))
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Dropped(refusal) => format!("drops a frame: {refusal}"),
        Event::PeerPending => "waits for the configurator's user to scan our code".into(),
        Event::Authenticated(peer) => {
            let both = if peer.peer_proved { "both sides proved who they are" } else { "only we proved who we are" };
            format!("authenticated on {}, release {}: {both}", peer.curve, peer.version)
        }
        Event::ComeBack(delay) => format!("comes back in {} ms", delay.as_millis()),
    }
}
