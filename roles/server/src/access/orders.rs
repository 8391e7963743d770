//! Orders to access points (RFC 5176): that a device is to be elsewhere, or out.

use super::{
    Access,
    client::Client,
    session::{Owed, Session, Shown},
};
use landfall_eap::radius::{
    Order, Place,
    order::{Input, Output, Reply},
};
use landfall_lifecycle::network::DomainDevice;
use landfall_types::{Changes, DeviceId, Event, Fault, Machine, Outcome, Process, Record, Refusal, Time};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;

/// An order in vain is given again after so long, each time after twice as long.
const AGAIN: Duration = Duration::from_secs(30);
/// But not later than that.
const AT_LEAST: Duration = Duration::from_secs(3600);

/// How often it is given at least.
const TRIES: u32 = 6;

/// hostapd remembers for half a minute what it was told of an address (`RADIUS_ACL_TIMEOUT`), and lets the device in again by that without
/// asking.
const REMEMBERED: Duration = Duration::from_secs(31);

/// What is to be done about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing: the device is where it is to be.
    Nothing,
    /// The device is to be there.
    Move(Place),
    /// It is to be out, for that reason.
    Out(Refusal),
}

/// Nobody else gives orders about a session while this lives.
struct Turn<'a>(&'a Access, String);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy().remove(&self.1);
    }
}

impl Access {
    /// Puts a device out wherever it is inside: what its access points said to it, each with its name.
    ///
    /// It is not let in again if it is off the records, which is to be the case before.
    pub async fn put_out(&self, device: &DeviceId) -> Vec<(String, Result<(), Refusal>)> {
        let mut said = Vec::new();
        for session in self.sessions_of(device) {
            let Some(_turn) = self.turn(&session) else { continue };
            let client = session.client.clone();
            said.push((client, self.disconnect(session).await));
        }
        said
    }

    /// Sees to it that a device is where it is to be by the records of this moment, wherever it is inside. At the ports of
    /// this machine it is when this returns; other access points are told meanwhile.
    pub async fn review(self: &Arc<Self>, device: &DeviceId) {
        for session in self.sessions_of(device) {
            self.settle(session).await;
        }
    }

    /// Does what is to be done about one session.
    pub(super) async fn settle(self: &Arc<Self>, session: Session) {
        let due = match self.due(&session) {
            Due::Nothing if session.owed.is_none() => return,
            Due::Out(_) if session.is_put_out(self.world.clock.now()) => return,
            due => due,
        };
        if let (Some(enforcer), true) = (&self.enforcer, session.is_here) {
            // Rules first: they act with the next frame.
            match &due {
                Due::Nothing => {}
                Due::Out(_) => drop(enforcer.put_out(&session.device).await),
                Due::Move(place) => drop(enforcer.relocate(&session.device, place.vlan.as_deref()).await),
            }
        }
        let access = self.clone();
        tokio::spawn(async move {
            let Some(_turn) = access.turn(&session) else { return };
            match due {
                Due::Nothing => access.write(&Session { owed: None, ..session }).await,
                Due::Move(place) => access.relocate(session, &place).await,
                Due::Out(why) => {
                    tracing::info!(role = "access", device = %session.device, %why, "a device is put out");
                    drop(access.disconnect(session).await);
                }
            }
        });
    }

    /// Moves a session where the access point can do that, and ends it elsewhere: the device comes in again, to its place.
    async fn relocate(&self, session: Session, place: &Place) {
        if session.is_here {
            return self.write(&session.placed(place)).await;
        }
        // Of a device that had a VLAN and is to have none, nothing can be said (RFC 3580 s3.31).
        let can_be_said = place.vlan.is_some() || session.vlan.is_none();
        if self.client_named(&session.client).is_some_and(|client| client.changes) && can_be_said {
            let begun = Instant::now();
            let reply = self.order(&session, Some(place)).await;
            self.told(&session, "device-moved", reply.clone(), begun).await;
            match reply {
                Ok(()) => return self.write(&session.placed(place)).await,
                // RFC 5176 s3.5: an access point that does not take it may still end the session.
                Err(why) => tracing::warn!(client = session.client, %why, "a device is put out instead of moved"),
            }
        }
        drop(self.disconnect(session).await);
    }

    /// Ends a session. What is not done now is tried again.
    async fn disconnect(&self, session: Session) -> Result<(), Refusal> {
        let begun = Instant::now();
        let reply = match self.order(&session, None).await {
            Err(why) if why.check == "radius-no-session" => Ok(()),
            reply => reply,
        };
        self.told(&session, "device-put-out", reply.clone(), begun).await;
        let tries = session.owed.as_ref().map_or(0, |owed| owed.tries) + 1;
        let now = self.world.clock.now();
        // Whose time is over long since is not there any more, whatever its access point does not say.
        let is_over = session.until + super::GRACE <= now && tries >= TRIES;
        match &reply {
            Err(_) if !is_over => {
                let wait = AGAIN.saturating_mul(2_u32.saturating_pow(tries - 1)).min(AT_LEAST);
                let owed = Some(Owed { tries, again: now + wait });
                self.write(&Session { owed, ..session }).await;
            }
            Ok(()) if now < session.remembered_until() => {
                let owed = Some(Owed { tries, again: session.remembered_until() });
                self.write(&Session { owed, ..session }).await;
            }
            _ => {
                if let Err(why) = self.world.store.commit(Changes::new().delete::<Session>(session.key())).await {
                    tracing::warn!(%why, "a session that is over is still on record");
                }
            }
        }
        reply
    }

    /// Tells the access point of a session that the device is to be there, or out.
    async fn order(&self, session: &Session, place: Option<&Place>) -> Result<(), Refusal> {
        let failed = |what: &str| Refusal::new(Fault::Backend, "access-order", "RFC 5176 s2.3", what.to_owned());
        let client = self.client_named(&session.client);
        let client = client.ok_or_else(|| failed("this access point is no more in the settings (access.client)"))?;
        let to = client.orders.map(|port| SocketAddr::new(session.from, port));
        let (to, secret) = to.zip(client.secret.clone()).ok_or_else(|| {
            failed("this access point takes no orders (access.client.orders), or has no secret to know them by")
        })?;
        let (now, named) = (self.world.clock.now(), session.named()?);
        let identifier = self.orders.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let order = match place {
            None => Order::disconnect(named, identifier, secret, now),
            Some(place) => Order::change(named.with_place(place), identifier, secret, now),
        };
        give(order, now, to, client).await.map_err(|why| why.unwrap_or_else(|io| failed(&io.to_string())))
    }

    async fn told(&self, session: &Session, action: &'static str, reply: Result<(), Refusal>, begun: Instant) {
        let found = self.world.store.find::<DomainDevice>(session.device.as_str()).ok().flatten();
        let device = found.map_or_else(|| session.device.to_string(), |it| it.identity.serial_number.to_string());
        let outcome = reply.map_or_else(Outcome::Refused, |()| Outcome::Done);
        let (at, process, role) = (self.world.clock.now(), Process::Network, "access");
        self.world
            .recorder
            .close(Event { at, process, role, action, device, outcome, duration: begun.elapsed() })
            .await;
    }

    async fn write(&self, session: &Session) {
        // One that ended or began anew meanwhile is not brought back.
        let written = match self.world.store.find::<Session>(&session.key()) {
            Ok(Some(found)) => Changes::new().put_if(session, found.version).map_err(|why| why.to_string()),
            Ok(None) => return,
            Err(why) => Err(why.to_string()),
        };
        let written = match written {
            Ok(changes) => self.world.store.commit(changes).await.map(drop).map_err(|why| why.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = written {
            tracing::warn!(role = "access", device = %session.device, why, "what an access point said could not be written");
        }
    }

    fn sessions_of(&self, device: &DeviceId) -> Vec<Session> {
        Session::of_device(&self.world.store, device).unwrap_or_else(|why| {
            tracing::error!(role = "access", %device, %why, "where a device is inside cannot be read");
            Vec::new()
        })
    }

    fn turn(&self, session: &Session) -> Option<Turn<'_>> {
        let key = session.key();
        self.busy().insert(key.clone()).then(|| Turn(self, key))
    }
}

impl Session {
    /// Until when its access point may let the device in again without asking, at the latest.
    fn remembered_until(&self) -> Time {
        match self.by {
            Shown::Password(_) => self.since + REMEMBERED,
            Shown::Certificate(_) | Shown::Guest(_) => self.since,
        }
    }

    /// Whether its access point has done as it was told, and need not hear it again before it has forgotten that it let the device in.
    fn is_put_out(&self, now: Time) -> bool {
        let again = self.owed.as_ref().map(|owed| owed.again);
        again == Some(self.remembered_until()) && now < self.remembered_until()
    }

    fn placed(self, place: &Place) -> Self {
        Self { vlan: place.vlan.clone(), filter: place.filter.clone(), owed: None, ..self }
    }
}

/// Gives an order until it is answered or given up.
async fn give(
    mut order: Order,
    start: Time,
    to: SocketAddr,
    client: &Client,
) -> Result<(), Result<Refusal, std::io::Error>> {
    let own: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await.map_err(Err)?;
    socket.connect(to).await.map_err(Err)?;
    let begun = tokio::time::Instant::now();
    let mut datagram = vec![0; landfall_eap::bounds::RADIUS];
    loop {
        while let Some(output) = order.poll_output() {
            match output {
                Output::Send(bytes) => {
                    // Whether it arrives is seen by its answer.
                    let _ = socket.send(&bytes).await;
                }
                Output::Ended(Reply::Done) => return Ok(()),
                Output::Ended(Reply::Not(why)) => return Err(Ok(why)),
            }
        }
        let at = || start + Duration::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let left = order.poll_timeout().map_or(Duration::ZERO, |until| until.since(at()));
        let input = match tokio::time::timeout(left, socket.recv(&mut datagram)).await {
            Ok(Ok(length)) => Input::Datagram(datagram.get(..length).unwrap_or_default().to_vec()),
            // Nobody is there, or not yet; it is tried again in its time.
            Ok(Err(_)) => {
                tokio::time::sleep(left).await;
                Input::Timeout
            }
            Err(_) => Input::Timeout,
        };
        if let Err(why) = order.handle(at(), input) {
            tracing::debug!(client = client.name, %why, "no answer to our order");
        }
    }
}
