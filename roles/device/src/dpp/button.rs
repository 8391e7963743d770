//! Push button (DPP release 3): a device whose button was pushed looks for the one configurator whose button was pushed at
//! the same time, and takes what that gives it.
//!
//! Every place where a configurator may be is heard at once, as on one channel: a second configurator that answers is one
//! too many.

use super::{
    Session,
    drive::{World, drive},
    enrollee::{CONNECT, Enrollee, Outcome},
    search::Search,
};
use crate::DeviceError;
use landfall_dpp::{
    Channel, System, Uri,
    exchange::{Agreement, Exchange, KeyRole, Mutual},
    frame::Frame,
    pkex::{self, Done},
    push_button::{self, Config, Input, Output, Timing},
};
use landfall_net::{NetError, dpp::Link, http::Endpoint};
use landfall_types::{Fault, Machine, Refusal, Time};
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};
use tokio::time::{sleep, timeout};

const SECTION: &str = "DPP release 3, push button";
/// There are no channels on TCP.
const ANYWHERE: Channel = Channel { class: 81, channel: 6 };
/// Nothing is lost on TCP, so that once is often enough.
const GAP: Duration = Duration::from_millis(250);

/// Connections to everyone who may answer; each stands for a radio with an address of its own.
#[derive(Debug, Default)]
struct Links {
    opened: u16,
    open: Vec<([u8; 6], Link)>,
}

impl Enrollee {
    /// Announces that the button was pushed to all who are found, and is configured by the only one that answers. It
    /// rests for `rest` before it takes that one to be the only one.
    pub(super) async fn push(
        &self,
        search: &mut Search,
        rest: Duration,
        session: Session<'_>,
    ) -> Result<Outcome, DeviceError> {
        let mut links = Links::default();
        let watch = session.watch;
        watch("announces that its button was pushed");
        let (from, done) = match self.look(search, &mut links, rest, session.watch).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let key = done.peer;
        if self.identity.configurator.as_ref().is_some_and(|only| only.key != key) {
            let detail = "the configurator whose button was pushed is not the one that may take the device";
            return Ok(Outcome::Refused(Refusal::new(Fault::Denied, "dpp-pb-configurator", SECTION, detail)));
        }
        let Some(mut link) = links.take(from) else { return Ok(Outcome::Refused(lost("the connection is gone"))) };
        watch("the configurator's button was pushed too");
        let mut known = self.clone();
        known.identity.configurator = Some(Uri::of(key));
        known.wishes.mutual = Mutual::Required;
        let first = match timeout(self.wishes.patience, link.next()).await {
            Ok(Ok(Some(frame))) => frame,
            _ => return Ok(Outcome::Refused(lost("no Authentication Request followed"))),
        };
        let Session { keep, join, random, .. } = session;
        let exchange = Exchange::responder(known.config(), random);
        // SP 1800-36B s6.1.2: whoever pushes a button is believed to be the owner.
        let duckling = self.identity.configurator.is_none();
        let (identity, patience) = (&known.identity, self.wishes.patience);
        let world = World { identity, keep, join, watch, patience, before: None, duckling };
        drive(exchange, landfall_dpp::exchange::Input::Frame(first), &mut link, world).await
    }

    /// The configurator, and by which connection it was found; or why there is none.
    async fn look(
        &self,
        search: &mut Search,
        links: &mut Links,
        rest: Duration,
        watch: super::Watch<'_>,
    ) -> Result<Result<([u8; 6], Done), Refusal>, DeviceError> {
        let mut last = lost("nobody is there");
        for place in search.places() {
            if let Err(error) = links.open(place).await {
                last = lost(&format!("{place}: {error}"));
                watch(&last.to_string());
            }
        }
        if links.open.is_empty() && !search.goes_on() {
            return Ok(Err(last));
        }
        let response = self.wishes.timing.response;
        let config = Config {
            timing: Timing { repetitions: 1, gap: GAP, rest, ..Timing::default() },
            pkex: pkex::Timing { response, retries: 0, patience: response },
        };
        let mut machine = push_button::Enrollee::new(config, vec![ANYWHERE], Box::new(System));
        let mut inputs = VecDeque::from([Input::Pushed(self.identity.uri.key.clone())]);
        let mut spoken = None;
        loop {
            while let Some(input) = inputs.pop_front() {
                machine.handle(Time::now(), input).map_err(|refusal| DeviceError::Defect(refusal.to_string()))?;
                while let Some(output) = machine.poll_output() {
                    match output {
                        Output::Announce { frame, .. } => links.send_to_all(&frame).await,
                        Output::Send { to, frame } => {
                            links.send(to, &frame).await;
                            spoken = Some(to);
                        }
                        Output::Agree(point) => inputs.push_back(self.agree(point)),
                        Output::Dropped(refusal) => watch(&refusal.to_string()),
                        Output::Done(Err(refusal)) => return Ok(Err(refusal)),
                        Output::Done(Ok(done)) => {
                            return Ok(spoken.map(|from| (from, done)).ok_or_else(|| lost("nobody was answered")));
                        }
                    }
                }
            }
            let Some(at) = machine.poll_timeout() else { return Ok(Err(lost("it came to no end"))) };
            tokio::select! {
                (from, frame) = links.next() => inputs.push_back(Input::Frame { frame, from }),
                place = search.new_place() => drop(links.open(&place).await),
                // A little later, since a deadline that is not quite reached is none.
                () = sleep(at.since(Time::now()) + Duration::from_millis(1)) => inputs.push_back(Input::Timeout),
            }
        }
    }

    fn agree(&self, point: landfall_dpp::curve::PublicKey) -> Input {
        match self.identity.key.agree(&Agreement { key: KeyRole::Bootstrap, point, addend: None }) {
            Ok(secret) => Input::Agreed(secret),
            Err(error) => Input::Failed(error.to_string()),
        }
    }
}

impl Links {
    async fn open(&mut self, place: &Endpoint) -> Result<(), NetError> {
        let link = Link::open(place, CONNECT).await?;
        let [a, b] = self.opened.to_be_bytes();
        self.opened = self.opened.wrapping_add(1);
        self.open.push(([2, 0, 0, 0, a, b], link));
        Ok(())
    }

    /// Whoever cannot be told anything is not heard of any more.
    async fn send_to_all(&mut self, frame: &Frame) {
        let mut left = Vec::new();
        for (from, mut link) in self.open.drain(..) {
            if link.send(frame).await.is_ok() {
                left.push((from, link));
            }
        }
        self.open = left;
    }

    async fn send(&mut self, to: [u8; 6], frame: &Frame) {
        if let Some(mut link) = self.take(to)
            && link.send(frame).await.is_ok()
        {
            self.open.push((to, link));
        }
    }

    fn take(&mut self, from: [u8; 6]) -> Option<Link> {
        let at = self.open.iter().position(|(known, _)| *known == from)?;
        Some(self.open.swap_remove(at).1)
    }

    /// The next frame from anyone. Nothing is lost if it is dropped while it waits.
    async fn next(&mut self) -> ([u8; 6], Frame) {
        poll_fn(|context| {
            let mut at = 0;
            while let Some((from, link)) = self.open.get_mut(at) {
                let from = *from;
                let polled = pin!(link.next()).poll(context);
                match polled {
                    Poll::Ready(Ok(Some(frame))) => return Poll::Ready((from, frame)),
                    Poll::Ready(_) => drop(self.open.swap_remove(at)),
                    Poll::Pending => at += 1,
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn lost(why: &str) -> Refusal {
    Refusal::new(Fault::Backend, "dpp-pb-connection", "DPP s12", why)
}
