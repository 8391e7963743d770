//! PKEX (DPP s5.6): with a short code that its owner gave to both, a device and a configurator make their bootstrapping
//! keys known to each other, and go on to authenticate each other with them.

use super::{
    Session,
    drive::{World, drive, wait},
    enrollee::{CONNECT, Enrollee, Outcome, unreachable},
};
use crate::DeviceError;
use landfall_dpp::{
    System, Uri,
    auth::Peer,
    exchange::{Agreement, Exchange, Input, KeyRole, Mutual},
    pkex::{self, Code, Config, Done, Initiator, Output, Timing, Versions},
};
use landfall_net::{dpp::Link, http::Endpoint};
use landfall_types::{Fault, Machine, Refusal, Time};

impl Enrollee {
    /// Makes itself known to whoever has the same code, and is configured by it. Both sides are authenticated, as that
    /// is what the code is for (DPP s5.6.4).
    ///
    /// # Errors
    /// If the device itself fails.
    pub async fn introduce(
        &self,
        code: &Code,
        configurator: &Endpoint,
        session: Session<'_>,
    ) -> Result<Outcome, DeviceError> {
        let mut link = match Link::open(configurator, CONNECT).await {
            Ok(link) => link,
            Err(error) => return Ok(unreachable(configurator, &error)),
        };
        let Session { keep, join, random, watch } = session;
        watch(&format!("shows {configurator} that it has the code"));
        let done = match self.learn(code, &mut link).await? {
            Ok(done) => done,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let key = done.peer;
        if self.identity.configurator.as_ref().is_some_and(|only| only.key != key) {
            let detail = "whoever has the code is not the configurator that may take the device";
            return Ok(Outcome::Refused(Refusal::new(Fault::Denied, "dpp-pkex-configurator", "DPP s5.6", detail)));
        }
        watch("the configurator has the code too");
        let mut known = self.clone();
        known.identity.configurator = Some(Uri::of(key.clone()));
        known.wishes.mutual = Mutual::Required;
        let exchange = Exchange::initiator(known.config(), Peer { key }, random);
        let world = World {
            identity: &known.identity,
            keep,
            join,
            watch,
            patience: self.wishes.patience,
            before: None,
            duckling: false,
        };
        drive(exchange, Input::Start, &mut link, world).await
    }

    /// The peer's bootstrapping key, or why it does not become known.
    async fn learn(&self, code: &Code, link: &mut Link) -> Result<Result<Done, Refusal>, DeviceError> {
        let retries = 0;
        let config = Config {
            code: code.clone(),
            bootstrap: self.identity.uri.key.clone(),
            version: self.wishes.release,
            versions: Versions::Two,
            link: pkex::Link::Tcp,
            timing: Timing { response: self.wishes.timing.response, retries, ..Timing::default() },
        };
        let mut initiator = Initiator::new(config, Box::new(System));
        let mut next = Some(pkex::Input::Start);
        let mut dropped = None;
        loop {
            let input = match next.take() {
                Some(input) => input,
                None => match wait(link, initiator.poll_timeout(), self.wishes.patience).await {
                    Ok(Input::Frame(frame)) => pkex::Input::Frame { frame, from: None },
                    Ok(_) => pkex::Input::Timeout,
                    // Whoever has another code, or none, hangs up.
                    Err(why) => return Ok(Err(dropped.unwrap_or_else(|| lost(&why)))),
                },
            };
            initiator.handle(Time::now(), input).map_err(|refusal| DeviceError::Defect(refusal.to_string()))?;
            while let Some(output) = initiator.poll_output() {
                match output {
                    Output::Send(frame) => {
                        if let Err(error) = link.send(&frame).await {
                            return Ok(Err(lost(&error.to_string())));
                        }
                    }
                    Output::Agree(point) => {
                        let agreement = Agreement { key: KeyRole::Bootstrap, point, addend: None };
                        next = Some(match self.identity.key.agree(&agreement) {
                            Ok(secret) => pkex::Input::Agreed(secret),
                            Err(error) => pkex::Input::Failed(error.to_string()),
                        });
                    }
                    Output::Dropped(refusal) => dropped = Some(refusal),
                    Output::Done(done) => return Ok(done),
                }
            }
        }
    }
}

fn lost(why: &str) -> Refusal {
    let detail = format!("{why}: perhaps it has another code, or expects no device");
    Refusal::new(Fault::Peer, "dpp-pkex-code", "DPP s5.6", detail)
}
