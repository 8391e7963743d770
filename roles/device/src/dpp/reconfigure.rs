//! Reconfiguration (DPP s6.5): a device that was configured before finds its configurator again, shows it who it is and
//! nobody else, and is configured anew. What it has stays until it has something else.

use super::{
    Networks, Session,
    drive::{World, drive, wait},
    enrollee::{CONNECT, Enrollee, Outcome, unreachable},
};
use crate::{DeviceError, agent::random};
use landfall_dpp::{
    Status,
    config::ConnectionStatus,
    connector::SignedConnector,
    curve::PublicKey,
    exchange::{Exchange, Input},
    frame::{Action, Frame},
    introduction::Own,
    random::Random,
    reconfiguration::{
        self,
        enrollee::{self, Identity, Reconfigured},
    },
};
use landfall_net::{dpp::Link, http::Endpoint};
use landfall_types::{Fault, Refusal, Time};

const SECTION: &str = "DPP s6.5";

impl Enrollee {
    /// Announces itself at a controller or relay as a device that has `networks`, and is configured anew by whoever
    /// signed its connector.
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn reconfigure(
        &self,
        networks: &Networks,
        controller: &Endpoint,
        session: Session<'_>,
    ) -> Result<Outcome, DeviceError> {
        let mut link = match Link::open(controller, CONNECT).await {
            Ok(link) => link,
            Err(error) => return Ok(unreachable(controller, &error)),
        };
        let Session { keep, join, mut random, watch } = session;
        watch(&format!("announces itself again at {controller}"));
        let reconfigured = match self.find_again(networks, &mut link, &mut *random).await {
            Ok(reconfigured) => reconfigured,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        watch("the configurator is the one that signed our connector");
        let session = reconfigured.into_session(networks.key.clone(), self.wishes.release, networks.authenticated);
        let exchange = Exchange::configuration(self.config(), session, Time::now(), random);
        let (identity, patience, before) = (&self.identity, self.wishes.patience, Some(networks));
        // The exchange has begun already.
        drive(
            exchange,
            Input::Timeout,
            &mut link,
            World { identity, keep, join, watch, patience, before, duckling: false },
        )
        .await
    }

    async fn find_again(
        &self,
        networks: &Networks,
        link: &mut Link,
        random: &mut dyn Random,
    ) -> Result<Reconfigured, Refusal> {
        let (own, privacy) = networks.shown(self.wishes.release)?;
        let identity = networks.identity.as_ref().ok_or_else(|| missing("what the configurator knows us by"))?;
        send(link, &identity.announce(&own, &privacy, random)?).await?;
        let request = self.next(link, "Reconfig Authentication Request").await?;
        let pending = enrollee::requested(&own, Time::now(), &request, &networks.status(Time::now()), random)?;
        let secret = networks.key.plus(pending.addend()).and_then(|key| key.agree(pending.point()));
        let secret = secret.map_err(|why| Refusal::new(Fault::Peer, "dpp-reconfig-key", SECTION, why.to_string()))?;
        let (response, confirming) = pending.agreed(&secret, self.wishes.release);
        send(link, &response).await?;
        let confirm = self.next(link, "Reconfig Authentication Confirm").await?;
        confirming.confirmed(&confirm).map_err(|(_, refusal)| refusal)
    }

    async fn next(&self, link: &mut Link, what: &str) -> Result<Action, Refusal> {
        let silent = |why: String| Refusal::new(Fault::Peer, "dpp-silence", SECTION, format!("no {what}: {why}"));
        match wait(link, None, self.wishes.patience).await.map_err(silent)? {
            Input::Frame(Frame::Action(action)) => Ok(action),
            _ => Err(silent("something else came".into())),
        }
    }
}

impl Networks {
    /// What the device shows its configurator, and the key that hides who it is from others.
    fn shown(&self, release: u8) -> Result<(Own, PublicKey), Refusal> {
        let credentials = self.objects.iter().map(|object| &object.credential);
        let found = credentials.filter_map(|credential| {
            Some((credential.connector.as_ref()?, credential.csign.as_ref()?, credential.privacy_key.as_ref()?))
        });
        let (connector, csign, privacy) = found.into_iter().next().ok_or_else(|| {
            missing("a connector with the configurator's keys, which it gives to devices of release 2 and later")
        })?;
        let own = Own::new(SignedConnector::parse(connector)?, csign.key.clone(), release)?;
        Ok((own, privacy.key.clone()))
    }

    /// Something to be recognised by, and by the configurator alone; made once for each configuration.
    pub(crate) fn identify(&mut self) {
        let privacy = self.objects.iter().find_map(|object| object.credential.privacy_key.as_ref());
        let made = privacy.map(|privacy| Identity::generate(privacy.key.curve(), &mut random));
        self.identity = self.identity.take().or(made);
    }

    /// Why the device comes again: its connector is over, or will be.
    fn status(&self, now: Time) -> ConnectionStatus {
        let over = self.expiry().is_some_and(|expiry| expiry <= now);
        let result = if over { Status::InvalidConnector } else { Status::Ok };
        let ssid = self.objects.first().map(|object| object.discovery.ssid.clone());
        ConnectionStatus { result, ssid, channels: Vec::new() }
    }

    /// When the first of the connectors ends, if one does.
    fn expiry(&self) -> Option<Time> {
        let connectors = self.objects.iter().filter_map(|object| object.credential.connector.as_deref());
        connectors.filter_map(|text| SignedConnector::parse(text).ok()?.unverified().expiry).min()
    }

    /// When the device is to get itself others, if these end.
    pub(crate) fn due(&self) -> Option<Time> {
        self.expiry().map(|expiry| reconfiguration::due(self.obtained, expiry, &mut random))
    }
}

async fn send(link: &mut Link, frame: &Frame) -> Result<(), Refusal> {
    let lost = |why: landfall_net::NetError| Refusal::new(Fault::Backend, "dpp-connection", "DPP s12", why.to_string());
    link.send(frame).await.map_err(lost)
}

fn missing(what: &str) -> Refusal {
    Refusal::new(Fault::Misuse, "dpp-reconfig-nothing", SECTION, format!("the device has not {what}"))
}
