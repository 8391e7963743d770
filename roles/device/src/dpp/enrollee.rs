//! One exchange with one configurator.

use super::{
    Watch,
    birth::Identity,
    drive::{World, drive},
    networks::{Keep, Networks},
    radio::Join,
};
use crate::DeviceError;
use landfall_dpp::{
    Capabilities, NetRole, Random, Role, Uri,
    auth::Peer,
    config::{ConfigRequest, ConnectionStatus},
    exchange::{Config, EnrolleeConfig, Exchange, Input, Mutual, Timing},
    frame::{Action, AttributeId, AttributeWriter, Frame, FrameType},
};
use landfall_net::{dpp::Link, http::Endpoint};
use landfall_types::{Fault, Refusal};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a connection may take to come about.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// A device that wants to be configured.
#[derive(Clone, Debug)]
pub struct Enrollee {
    /// Who it is.
    pub identity: Identity,
    /// What it wants.
    pub wishes: Wishes,
}

/// What a device wants, and how it goes about it.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// What it asks the configurator for.
    pub request: ConfigRequest,
    /// Whether it makes certificate requests with its protocol key.
    pub certificates: bool,
    /// The highest release that it speaks.
    pub release: u8,
    /// Whether the configurator must prove who it is.
    pub mutual: Mutual,
    /// How long it waits for an answer to an announcement, and for the first word of whoever connects.
    pub patience: Duration,
    /// How long it waits within an exchange.
    pub timing: Timing,
}

impl Wishes {
    /// A station of that name that takes whatever fits, from a configurator that is known if there is one.
    pub fn new(name: &str, identity: &Identity) -> Self {
        let mutual = if identity.configurator.is_some() { Mutual::Required } else { Mutual::IfKnown };
        Self {
            request: ConfigRequest::new(name, NetRole::Sta),
            certificates: true,
            release: 3,
            mutual,
            patience: Duration::from_secs(2),
            timing: Timing::RELIABLE,
        }
    }
}

/// What an exchange uses of the device.
pub struct Session<'a> {
    /// Keeps what is received.
    pub keep: &'a dyn Keep,
    /// Joins the network, if the configurator wants to hear how that goes.
    pub join: &'a dyn Join,
    /// Where protocol keys and nonces come from.
    pub random: Box<dyn Random>,
    /// Who watches.
    pub watch: Watch<'a>,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome {
    /// The device has a configuration.
    Enrolled(Box<Enrolled>),
    /// The configurator handed its keys over, which were kept.
    TakenOver(Succession),
    /// It has none, for this reason.
    Refused(Refusal),
}

/// What a device got, and how.
#[derive(Debug)]
pub struct Enrolled {
    /// What it was given, which was kept.
    pub networks: Arc<Networks>,
    /// Whether the configurator was told so.
    pub told: bool,
    /// How joining went, if the configurator wanted to hear that.
    pub connection: Option<ConnectionStatus>,
    /// How long the exchange took.
    pub took: Duration,
}

/// What a configurator-to-be got, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// How many keys that sign or signed connectors.
    pub keys: usize,
    /// Whether the configurator proved who it is.
    pub authenticated: bool,
    /// Whether it was told that they were taken.
    pub told: bool,
}

impl Enrollee {
    /// Announces the device at a controller or relay, and answers it (DPP s6.2.3): a controller that knows the device's
    /// URI and may take it sends an Authentication Request. One that does not says nothing.
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn announce(&self, controller: &Endpoint, session: Session<'_>) -> Result<Outcome, DeviceError> {
        let announcement = Action { kind: FrameType::PresenceAnnouncement, attributes: self.announcement() };
        let mut link = match Link::open(controller, CONNECT).await {
            Ok(link) => link,
            Err(error) => return Ok(unreachable(controller, &error)),
        };
        (session.watch)(&format!("announces itself at {controller}"));
        match link.send(&Frame::Action(announcement)).await {
            Ok(()) => self.respond(&mut link, session).await,
            Err(error) => Ok(unreachable(controller, &error)),
        }
    }

    /// Asks a configurator by its URI (DPP s6.3.2).
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn ask(&self, configurator: &Uri, at: &Endpoint, session: Session<'_>) -> Result<Outcome, DeviceError> {
        let mut link = match Link::open(at, CONNECT).await {
            Ok(link) => link,
            Err(error) => return Ok(unreachable(at, &error)),
        };
        let Session { keep, join, random, watch } = session;
        watch(&format!("asks the configurator at {at}"));
        let peer = Peer { key: configurator.key.clone() };
        let exchange = Exchange::initiator(self.config(), peer, random);
        let world = World {
            identity: &self.identity,
            keep,
            join,
            watch,
            patience: self.wishes.patience,
            before: None,
            duckling: false,
        };
        drive(exchange, Input::Start, &mut link, world).await
    }

    /// Answers a configurator that connected to the device.
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn answer(&self, mut link: Link, session: Session<'_>) -> Result<Outcome, DeviceError> {
        (session.watch)(&format!("{} connects", link.peer()));
        self.respond(&mut link, session).await
    }

    async fn respond(&self, link: &mut Link, session: Session<'_>) -> Result<Outcome, DeviceError> {
        let Session { keep, join, random, watch } = session;
        let first = match timeout(self.wishes.patience, link.next()).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return Ok(silent("the other end closed the connection")),
            Ok(Err(error)) => return Ok(silent(&error.to_string())),
            Err(_) => return Ok(silent("no Authentication Request came in time")),
        };
        let exchange = Exchange::responder(self.config(), random);
        let world = World {
            identity: &self.identity,
            keep,
            join,
            watch,
            patience: self.wishes.patience,
            before: None,
            duckling: false,
        };
        drive(exchange, Input::Frame(first), link, world).await
    }

    /// The one attribute: who we are, for those who know it (DPP s6.2.3).
    fn announcement(&self) -> Vec<u8> {
        let mut attributes = AttributeWriter::new();
        attributes.put(AttributeId::ResponderBootstrapHash, &self.identity.uri.key.chirp_hash().0);
        attributes.into_bytes()
    }

    pub(super) fn config(&self) -> Arc<Config> {
        let Wishes { request, certificates, release, mutual, timing, .. } = &self.wishes;
        Arc::new(Config {
            bootstrap: self.identity.uri.key.clone(),
            capabilities: Capabilities::from(Role::Enrollee),
            version: *release,
            mutual: *mutual,
            channel: None,
            configurator: None,
            enrollee: Some(EnrolleeConfig { request: request.clone(), certificates: *certificates }),
            timing: *timing,
        })
    }
}

pub(super) fn unreachable(endpoint: &Endpoint, error: &landfall_net::NetError) -> Outcome {
    Outcome::Refused(Refusal::new(Fault::Backend, "dpp-unreachable", "DPP s12", format!("{endpoint}: {error}")))
}

fn silent(detail: &str) -> Outcome {
    Outcome::Refused(Refusal::new(Fault::Peer, "dpp-silence", "DPP s6.2.3", detail))
}
