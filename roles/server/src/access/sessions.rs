//! Where devices are inside, so that they can be put out (RFC 5176).

use super::{Access, client::Client};
use crate::enforcer::Plug;
use landfall_eap::radius::{
    Attributes, Kind, Order, Secret, Ticket,
    order::{Input, Output, Reply},
};
use landfall_types::{DeviceId, Fault, Machine, Refusal, Time};
use serde::Serialize;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::net::UdpSocket;

/// A device is at so many places at the most: one of them moves, the others have been left without a word.
const MOST: usize = 8;

/// Where devices were let in last.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<DeviceId, Vec<Session>>>);

/// One place at which a device was let in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The access point's name, for the operator.
    client: String,
    secret: Secret,
    /// Where the access point takes orders.
    orders: Option<SocketAddr>,
    /// What names the session (RFC 5176 s3).
    named: Attributes,
    /// Where it is, if that may be a port of this machine.
    pub(super) plug: Option<Plug>,
    /// Whether it is.
    pub(super) is_here: bool,
}

impl Session {
    /// The one that the access point asks for.
    pub(super) fn of(client: &Client, ticket: &Ticket, attributes: &Attributes) -> Self {
        let kinds = [
            Kind::NAS_IDENTIFIER,
            Kind::NAS_IP_ADDRESS,
            Kind::NAS_IPV6_ADDRESS,
            Kind::CALLING_STATION_ID,
            Kind::ACCT_SESSION_ID,
        ];
        Self {
            client: client.name.clone(),
            secret: client.secret.clone(),
            orders: client.orders.map(|port| SocketAddr::new(ticket.from().ip(), port)),
            plug: Plug::of(ticket.from().ip(), attributes),
            is_here: false,
            named: kinds.into_iter().fold(Attributes::default(), |named, kind| named.with_all_of(kind, attributes)),
        }
    }
}

impl Sessions {
    /// Remembers where a device was let in.
    pub(super) fn keep(&self, device: &DeviceId, session: Session) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = sessions.entry(device.clone()).or_default();
        held.retain(|other| other.named != session.named);
        if held.len() == MOST {
            held.remove(0);
        }
        held.push(session);
    }

    fn take(&self, device: &DeviceId, wanted: impl Fn(&Session) -> bool) -> Vec<Session> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, kept) = sessions.remove(device).unwrap_or_default().into_iter().partition(wanted);
        if !Vec::is_empty(&kept) {
            sessions.insert(device.clone(), kept);
        }
        taken
    }
}

impl Access {
    /// Puts a device out wherever it is inside: what its access points said to it, each with its name.
    ///
    /// It is not let in again if it is off the records, which is to be the case before.
    pub async fn put_out(&self, device: &DeviceId) -> Vec<(String, Result<(), Refusal>)> {
        self.order_out(device, |_| true).await
    }

    /// The same, but not at the ports of this machine.
    pub(super) async fn put_out_elsewhere(&self, device: &DeviceId) {
        self.order_out(device, |session| !session.is_here).await;
    }

    async fn order_out(
        &self,
        device: &DeviceId,
        wanted: impl Fn(&Session) -> bool,
    ) -> Vec<(String, Result<(), Refusal>)> {
        let mut said = Vec::new();
        for session in self.sessions.take(device, wanted) {
            let client = session.client.clone();
            let reply = disconnect(session, self.world.clock.now()).await;
            if let Err(why) = &reply {
                tracing::warn!(role = "access", client, %device, %why, "a device could not be put out");
            }
            said.push((client, reply));
        }
        said
    }
}

async fn disconnect(session: Session, now: Time) -> Result<(), Refusal> {
    let failed = |what: &str| Refusal::new(Fault::Backend, "access-order", "RFC 5176 s2.3", what.to_owned());
    let to = session.orders.ok_or_else(|| failed("this access point takes no orders (access.client.orders)"))?;
    let own: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let io = |why: std::io::Error| failed(&why.to_string());
    let socket = UdpSocket::bind((own, 0)).await.map_err(io)?;
    socket.connect(to).await.map_err(io)?;

    let begun = tokio::time::Instant::now();
    let mut order = Order::disconnect(session.named, 1, session.secret, now);
    let mut datagram = vec![0; landfall_eap::bounds::RADIUS];
    loop {
        while let Some(output) = order.poll_output() {
            match output {
                Output::Send(bytes) => {
                    // Whether it arrives is seen by its answer.
                    let _ = socket.send(&bytes).await;
                }
                Output::Ended(Reply::Done) => return Ok(()),
                Output::Ended(Reply::Not(why)) => return Err(why),
            }
        }
        let at = || now + Duration::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
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
            tracing::debug!(client = session.client, %why, "no answer to our order");
        }
    }
}

/// What an access point tells of a session (RFC 2866 s5).
#[derive(Debug)]
pub(super) struct Usage {
    status: Option<u32>,
    name: Option<String>,
    station: Option<String>,
    session: Option<String>,
    seconds: Option<u32>,
    octets_in: Option<u32>,
    octets_out: Option<u32>,
}

/// What the log has of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UsageEntry<'a> {
    at: Time,
    client: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets_out: Option<u32>,
}

impl Usage {
    pub(super) fn of(attributes: &Attributes) -> Self {
        Self {
            status: attributes.number(Kind::ACCT_STATUS_TYPE),
            name: attributes.text(Kind::USER_NAME),
            station: attributes.text(Kind::CALLING_STATION_ID),
            session: attributes.text(Kind::ACCT_SESSION_ID),
            seconds: attributes.number(Kind::ACCT_SESSION_TIME),
            octets_in: attributes.number(Kind::ACCT_INPUT_OCTETS),
            octets_out: attributes.number(Kind::ACCT_OUTPUT_OCTETS),
        }
    }

    /// Whether it says that a session is over.
    pub(super) fn is_end(&self) -> bool {
        self.status == Some(2)
    }

    pub(super) fn entry<'a>(&'a self, at: Time, client: &'a str) -> UsageEntry<'a> {
        let status = match self.status {
            Some(1) => "start",
            Some(2) => "stop",
            Some(3) => "interim",
            Some(7) => "on",
            Some(8) => "off",
            _ => "other",
        };
        let Self { name, station, session, .. } = self;
        UsageEntry {
            at,
            client,
            status,
            name: name.as_deref(),
            station: station.as_deref(),
            session: session.as_deref(),
            seconds: self.seconds,
            octets_in: self.octets_in,
            octets_out: self.octets_out,
        }
    }
}
