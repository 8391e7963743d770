//! Telling receivers: webhooks with a tag (Standard Webhooks 1.0), and security events that are pushed (RFC 8935). Each is told of one
//! thing after the other, in order, until it has taken it.

use super::{
    Speaker,
    notice::{Kind, Notice},
    outbox::Outbox,
};
use crate::{Shutdown, World, site::Site, supply_chain::bearer};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_claims::caep::MEDIA;
use landfall_net::http::{ClientLimits, Connection};
use landfall_types::{
    Redacted,
    http::{Request, Response},
};
use std::{sync::Arc, time::Duration};

/// So many notices are read at a time.
const PART: usize = 50;
/// Nobody is left alone for longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// It is looked that often whether something has become too old.
const LOOK: Duration = Duration::from_secs(60);
/// Whoever is told has so long to say that he has taken it.
const LIMITS: ClientLimits =
    ClientLimits { connect: Duration::from_secs(10), exchange: Duration::from_secs(30), body_bytes: 16 * 1024 };

/// A receiver that is told.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) outbox: Arc<Outbox>,
    pub(super) site: Site,
    pub(super) way: Way,
    /// The first pause after something went wrong.
    pub(super) retry: Duration,
}

#[derive(Debug)]
pub(super) enum Way {
    Webhook { key: Box<hmac::Key>, kinds: Vec<Kind> },
    Push { speaker: Arc<Speaker>, audience: String, token: Option<Redacted<String>> },
}

/// What became of a notice.
enum Sent {
    /// So much of it was taken, and so much refused for good.
    Done { taken: u64, refused: u64 },
    /// It has to be told again.
    Failed(String),
}

impl Receiver {
    pub(super) async fn run(self, world: World, shutdown: Shutdown) {
        let (mut decided, mut connection, mut pause) = (world.decided.subscribe(), None, self.retry);
        while !shutdown.has_begun() {
            decided.borrow_and_update();
            let waits = match self.outbox.waiting(PART, |notice| self.way.wants(notice)).await {
                Ok(notices) if notices.is_empty() => {
                    tokio::select! {
                        () = shutdown.clone().begun() => return,
                        _ = decided.changed() => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                    continue;
                }
                Ok(notices) => tokio::select! {
                    () = shutdown.clone().begun() => return,
                    went = self.tell(&notices, &mut connection) => went,
                },
                Err(why) => Err(why.to_string()),
            };
            match waits {
                Ok(()) => {
                    self.outbox.trouble(None);
                    pause = self.retry;
                }
                Err(why) => {
                    connection = None;
                    self.outbox.trouble(Some(why));
                    tokio::select! {
                        () = shutdown.clone().begun() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn tell(&self, notices: &[Notice], connection: &mut Option<Connection>) -> Result<(), String> {
        for notice in notices {
            match self.send(notice, connection).await {
                Sent::Done { taken, refused } => {
                    self.outbox.told(notice.number, taken, refused).await.map_err(|why| why.to_string())?;
                    let outcome = if refused == 0 { "taken" } else { "refused" };
                    metrics::counter!("landfall_signals_told_total", "outcome" => outcome).increment(1);
                }
                Sent::Failed(why) => {
                    metrics::counter!("landfall_signals_told_total", "outcome" => "failed").increment(1);
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    async fn send(&self, notice: &Notice, connection: &mut Option<Connection>) -> Sent {
        match &self.way {
            Way::Webhook { key, .. } => {
                let body = notice.body(self.outbox.delivery().skipped).to_string();
                let at = self.outbox.now().as_unix().to_string();
                let mut request = Request::post(&self.site.path, "application/json", body.clone().into_bytes());
                request.headers.add("webhook-id", notice.id.as_str());
                request.headers.add("webhook-timestamp", at.as_str());
                request.headers.add("webhook-signature", tag(key, &notice.id, &at, &body));
                match self.post(request, connection).await {
                    Ok(response) if (200..300).contains(&response.status) => Sent::Done { taken: 1, refused: 0 },
                    Ok(response) => Sent::Failed(format!("{} answers with {}", self.site, response.status)),
                    Err(why) => Sent::Failed(why),
                }
            }
            Way::Push { speaker, audience, token } => {
                let (mut taken, mut refused) = (0, 0);
                for (id, event) in notice.events() {
                    let token_of_event = match speaker.token(notice, id, event, audience, self.outbox.now()) {
                        Ok(signed) => signed,
                        Err(why) => return Sent::Failed(why.to_string()),
                    };
                    let mut request = Request::post(&self.site.path, MEDIA, token_of_event.into_bytes());
                    request.headers.add("accept", "application/json");
                    if let Some(token) = token {
                        request.headers.add("authorization", bearer(token));
                    }
                    match self.post(request, connection).await {
                        Ok(response) if (200..300).contains(&response.status) => taken += 1,
                        // RFC 8935 s2.3: it will say the same of the same event again.
                        Ok(response) if response.status == 400 && is_final(&response) => {
                            let (receiver, said) = (self.outbox.delivery().receiver, complaint(&response));
                            tracing::error!(
                                role = "authorizer",
                                receiver,
                                id = notice.id,
                                said,
                                "a receiver refuses a security event"
                            );
                            refused += 1;
                        }
                        Ok(response) => return Sent::Failed(format!("{} answers with {}", self.site, response.status)),
                        Err(why) => return Sent::Failed(why),
                    }
                }
                Sent::Done { taken, refused }
            }
        }
    }

    async fn post(&self, request: Request, connection: &mut Option<Connection>) -> Result<Response, String> {
        let failed = |why: landfall_net::NetError| format!("{}: {why}", self.site);
        let mut open = match connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => self.site.open(LIMITS).await.map_err(failed)?,
        };
        let response = open.send(request).await.map_err(failed)?;
        *connection = Some(open);
        Ok(response)
    }
}

impl Way {
    fn wants(&self, notice: &Notice) -> bool {
        match self {
            Self::Webhook { kinds, .. } => kinds.contains(&notice.kind),
            Self::Push { .. } => !notice.events().is_empty(),
        }
    }
}

/// Standard Webhooks 1.0: a tag over the id, the time and the body.
fn tag(key: &hmac::Key, id: &str, at: &str, body: &str) -> String {
    format!("v1,{}", STANDARD.encode(hmac::sign(key, format!("{id}.{at}.{body}").as_bytes())))
}

/// The key of a webhook's tags, as Standard Webhooks writes it.
pub(super) fn key(text: &Redacted<String>) -> Result<hmac::Key, String> {
    let wrong = || "has no whsec_ with 24 to 64 octets in base64 in its first line".to_owned();
    let octets = text.expose().strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).map(Redacted::new);
    let octets = octets.filter(|octets| (24..=64).contains(&octets.expose().len())).ok_or_else(wrong)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, octets.expose()))
}

fn said(response: &Response) -> Option<serde_json::Value> {
    landfall_types::json::parse(&response.body).ok()
}

fn is_final(response: &Response) -> bool {
    said(response).is_some_and(|said| said.get("err").is_some_and(serde_json::Value::is_string))
}

fn complaint(response: &Response) -> String {
    let said = said(response).unwrap_or_default();
    let words = ["err", "description"].map(|name| said.get(name).and_then(|word| word.as_str()).unwrap_or_default());
    words.join(": ").chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_tag_is_that_of_standard_webhooks() {
        let key = key(&Redacted::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into())).unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(tag(&key, id, at, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La", "whsec_!"]
        {
            assert!(key(&Redacted::new(text.into())).is_err(), "{text}");
        }
        assert!(key(&Redacted::new(format!("whsec_{}", STANDARD.encode([7; 65])))).is_err());
    }
}
