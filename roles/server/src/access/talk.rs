//! One request of an access point, and its answer.

use super::{
    Access,
    client::Client,
    judge::Known,
    session::{Asking, Kept, Session},
    usage::Usage,
};
use crate::{
    authorizer::sources::of_place,
    enforcer::{Enforcer, Plug},
};
use landfall_eap::{
    packet::{Message, Packet},
    radius::{Asked, Code, Place, Received, Secret, Ticket},
    tls::{
        self,
        server::{Input, Output, Shown},
    },
};
use landfall_types::{Changes, DeviceId, Event, Fault, Machine, Outcome, Process, Refusal};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The log of who was in the network, for how long, and how much went to and fro, as access points tell it (RFC 2866).
pub const ACCOUNTING_LOG: &str = "network-accounting";

/// A conversation with a device.
#[derive(Debug)]
pub(super) struct Talk {
    tls: tls::Server,
    shown: Option<Shown>,
    coming: Option<Coming>,
}

/// A device that has yet to hear that it may come in: where it will be is on its way to the disk meanwhile.
#[derive(Debug)]
struct Coming {
    known: Known,
    place: Place,
    is_here: bool,
    kept: Kept,
}

/// A genuine request.
#[derive(Debug)]
pub(super) enum Opened {
    /// It is new.
    Asked(Box<Asked<Talk>>),
    /// It was answered before, with this.
    Answered(Vec<u8>),
}

impl Access {
    /// What came by UDP, where whoever is not known or has another secret gets no answer.
    pub(super) async fn receive(&self, from: SocketAddr, bytes: &[u8]) {
        let known = self.clients.iter().find_map(|client| Some((client, client.at(from.ip())?)));
        let Some((client, secret)) = known else {
            let why = refusal("access-client", "RFC 2865 s3", "no access point is known there");
            return self.ignored(from, &why.field("access.client"));
        };
        match self.open(secret, from, bytes) {
            Ok(Some(opened)) => {
                if let Some(answer) = self.reply(client, opened).await
                    && let Err(why) = self.socket.send_to(&answer, from).await
                {
                    tracing::warn!(%from, %why, "an answer to an access point could not be sent");
                }
            }
            Ok(None) => {}
            Err(why) => self.ignored(from, &why),
        }
    }

    /// What came from an access point; nothing if it is being answered already.
    ///
    /// # Errors
    /// It is not genuine, or no request.
    pub(super) fn open(&self, secret: &Secret, from: SocketAddr, bytes: &[u8]) -> Result<Option<Opened>, Refusal> {
        Ok(match self.desk().receive(self.world.clock.now(), from, secret, bytes)? {
            Received::Asked(asked) => Some(Opened::Asked(asked)),
            Received::Answer(answer) => Some(Opened::Answered(answer)),
            Received::Underway => None,
        })
    }

    /// What is answered to it.
    pub(super) async fn reply(&self, client: &Client, opened: Opened) -> Option<Vec<u8>> {
        match opened {
            Opened::Asked(asked) => self.answer(client, *asked).await,
            Opened::Answered(answer) => Some(answer),
        }
    }

    async fn answer(&self, client: &Client, asked: Asked<Talk>) -> Option<Vec<u8>> {
        let begun = Instant::now();
        let largest = asked.largest_eap();
        let Asked { ticket, code, attributes, eap, conversation, goes_on } = asked;
        let asking = || Asking::of(client, &ticket, &attributes);
        if code == Code::AccountingRequest {
            let asking = asking();
            let usage = Usage::of(&attributes);
            if let (Some((enforcer, plug)), true) = (self.plugged(&asking), usage.is_end()) {
                enforcer.left(plug).await;
            }
            let ended = self.ended(client, ticket.from().ip(), &usage);
            return self.account(client, &ticket, &usage, ended).await;
        }
        let Some(eap) = eap else {
            return match self.by_address(client, asking(), &attributes).await {
                Ok((name, password, place)) => {
                    self.close(name.clone(), Outcome::Done, begun).await;
                    let now = self.world.clock.now();
                    Some(self.desk().accept_by_password(now, &ticket, (&password, random()?), (&name, &place)))
                }
                Err(why) => Some(self.refuse(&ticket, None, why, begun).await),
            };
        };
        let Packet::Response(message) = eap else {
            let why = refusal("access-method", "RFC 3579 s2.1", "an access point passes on responses of devices only");
            return Some(self.refuse(&ticket, None, why, begun).await);
        };
        let failure = Packet::Failure { identifier: message.identifier };
        let talk = match (goes_on, conversation) {
            (true, Some(talk)) => Ok(talk),
            (true, None) => {
                Err(refusal("access-conversation", "RFC 3579 s2.6.1", "it goes on with a conversation that is over"))
            }
            (false, _) => {
                tls::Server::new(self.tls.config(), largest).map(|tls| Talk { tls, shown: None, coming: None })
            }
        };
        match talk {
            Ok(talk) => self.go_on(&ticket, &asking, talk, message, begun).await,
            Err(why) => Some(self.refuse(&ticket, Some(&failure), why, begun).await),
        }
    }

    async fn go_on(
        &self,
        ticket: &Ticket,
        asking: &(dyn Fn() -> Asking + Sync),
        mut talk: Talk,
        message: Message,
        begun: Instant,
    ) -> Option<Vec<u8>> {
        let now = self.world.clock.now();
        let failure = Packet::Failure { identifier: message.identifier };
        if let Err(why) = talk.tls.handle(now, Input::Response(message)) {
            // The conversation ends with this: the device begins anew.
            return Some(self.refuse(ticket, Some(&failure), why, begun).await);
        }
        loop {
            match talk.tls.poll_output()? {
                Output::Send(packet) => {
                    let state = random()?;
                    return Some(self.desk().challenge(now, ticket, &packet, talk, state));
                }
                Output::Judge(shown) => {
                    let asking = asking();
                    let ruling = match self.judge(&shown) {
                        Ok(known) if self.plugged(&asking).is_none() => {
                            self.expect(known, asking).await.map(|coming| talk.coming = Some(coming))
                        }
                        ruling => ruling.map(drop),
                    };
                    talk.shown = Some(shown);
                    talk.tls.handle(now, Input::Ruled(ruling)).ok()?;
                }
                Output::Admitted { success, keys } => {
                    return Some(match self.admit(talk, asking).await {
                        Ok((known, place)) => {
                            self.was_guest(&known).await;
                            self.close(known.name.clone(), Outcome::Done, begun).await;
                            self.desk().accept(now, ticket, &success, (&keys, random()?), (&known.name, &place))
                        }
                        Err(why) => self.refuse(ticket, Some(&failure), why, begun).await,
                    });
                }
                Output::Refused { failure, why } => return Some(self.refuse(ticket, Some(&failure), why, begun).await),
            }
        }
    }

    /// Who is let in, and where; at a port of this machine it is there when this returns.
    async fn admit(&self, talk: Talk, asking: &(dyn Fn() -> Asking + Sync)) -> Result<(Known, Place), Refusal> {
        let shown = talk.shown.ok_or_else(nobody)?;
        let Coming { known, place, is_here, kept } = match talk.coming {
            Some(coming) => coming,
            None => self.expect(self.judge(&shown)?, asking()).await?,
        };
        let id = &known.device;
        let still = match kept.durable(&self.world.store).await {
            // Whoever takes the device off the records from here on finds the session, and whoever did so before, while the
            // device had yet to hear of it or this was written, is found here.
            Ok(()) => self.judge_again(&known, &shown),
            Err(why) => Err(unwritten(why)),
        };
        match (&still, &self.enforcer) {
            (Err(_), Some(enforcer)) if is_here => drop(enforcer.put_out(id).await),
            (Ok(()), Some(enforcer)) if is_here => self.tell_place(id, &place, enforcer.clone()),
            _ => {}
        }
        still.map(|()| (known, place))
    }

    /// Has a place for the device, of which the access point is not told yet.
    async fn expect(&self, known: Known, asking: Asking) -> Result<Coming, Refusal> {
        let now = self.world.clock.now();
        let place = within(known.place.clone(), known.ends.since(now));
        let until = place.session_timeout.map_or(known.ends, |seconds| now + Duration::from_secs(seconds.into()));
        let is_here = match self.plugged(&asking) {
            Some((enforcer, plug)) => {
                enforcer.admit(&known.device, plug, place.vlan.as_deref(), until).await?.is_some()
            }
            None => false,
        };
        let session = Session::begun(asking, &known.device, known.by.clone(), &place, is_here, (now, until));
        let kept = self.begin_to_keep(&session).map_err(unwritten)?;
        Ok(Coming { known, place, is_here, kept })
    }

    /// The port of this machine at which the device is, if it is at one.
    fn plugged<'a>(&'a self, asking: &'a Asking) -> Option<(&'a Arc<Enforcer>, &'a Plug)> {
        self.enforcer.as_ref().zip(asking.plug.as_ref())
    }

    /// Has the authorizer know where a device is; nobody waits for that.
    fn tell_place(&self, device: &DeviceId, place: &Place, enforcer: Arc<Enforcer>) {
        let (gate, now) = (self.world.authorizer.clone(), self.world.clock.now());
        if gate.authorizer().is_none() {
            return;
        }
        let (device, segment) = (device.clone(), place.vlan.clone().unwrap_or_default());
        tokio::spawn(async move {
            let facts = of_place(&device, &segment, enforcer.knows_intent(&device).await, now);
            if let Err(why) = gate.tell(facts).await {
                tracing::warn!(role = "access", %why, "where a device is could not be told");
            }
        });
    }

    /// Acknowledged once it is durable (RFC 2866 s4.2); until then the access point tells it again.
    async fn account(&self, client: &Client, ticket: &Ticket, usage: &Usage, ended: Changes) -> Option<Vec<u8>> {
        let now = self.world.clock.now();
        let written = match ended.append(ACCOUNTING_LOG, &usage.entry(now, &client.name)) {
            Ok(changes) => self.world.store.commit(changes).await.map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        match written {
            Ok(_) => Some(self.desk().accounted(now, ticket)),
            Err(why) => {
                tracing::error!(client = client.name, why, "what an access point tells could not be written");
                self.desk().forget(ticket);
                None
            }
        }
    }

    async fn refuse(&self, ticket: &Ticket, failure: Option<&Packet>, why: Refusal, begun: Instant) -> Vec<u8> {
        self.close(String::new(), Outcome::Refused(why), begun).await;
        self.desk().reject(self.world.clock.now(), ticket, failure)
    }

    pub(super) async fn close(&self, device: String, outcome: Outcome, begun: Instant) {
        let (at, process, role, action) = (self.world.clock.now(), Process::Network, "access", "device-admitted");
        self.world
            .recorder
            .close(Event { at, process, role, action, device, outcome, duration: begun.elapsed() })
            .await;
    }

    /// What gets no answer is told to the operator.
    pub(super) fn ignored(&self, from: SocketAddr, why: &Refusal) {
        metrics::counter!("landfall_access_ignored_total", "check" => why.check.to_string()).increment(1);
        tracing::warn!(role = "access", %from, %why, "a request got no answer");
    }
}

/// A place for no longer than the certificate is good, if that is soon; else it is looked after here.
pub(super) fn within(place: Place, left: Duration) -> Place {
    // More is not understood everywhere.
    let most = u32::from(u16::MAX);
    let left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
    let session_timeout = match place.session_timeout {
        Some(seconds) => Some(seconds.min(left)),
        None => (left <= most).then_some(left),
    };
    Place { session_timeout, ..place }
}

fn refusal(check: &'static str, section: &'static str, detail: &str) -> Refusal {
    Refusal::new(Fault::Peer, check, section, detail)
}

fn unwritten(why: String) -> Refusal {
    Refusal::new(Fault::Backend, "access-records", "landfall", why)
}

fn nobody() -> Refusal {
    refusal("access-certificate", "RFC 5216 s5.3", "it has shown no certificate")
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut octets = [0; N];
    aws_lc_rs::rand::fill(&mut octets).ok()?;
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_inside_for_longer_than_its_certificate_is_good() {
        let asked = |session_timeout, left| {
            let place = Place { session_timeout, ..Place::default() };
            within(place, Duration::from_secs(left)).session_timeout
        };
        assert_eq!(asked(Some(3600), 86_400), Some(3600));
        assert_eq!(asked(Some(3600), 60), Some(60));
        assert_eq!(asked(None, 60), Some(60));
        // RFC 3580 s3.17: none would mean for ever.
        assert_eq!(asked(Some(3600), 0), Some(1));
        assert_eq!(asked(None, 1_000_000), None);
    }
}
