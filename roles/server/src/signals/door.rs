//! Where others push their events (RFC 8935) and ask for ours (RFC 8936).

use super::{Speaker, hear::Ear, notice::Notice, outbox::Outbox, shown};
use crate::{RoleError, Shutdown, World};
use landfall_claims::{
    caep::{MEDIA, error_code},
    poll::{Answer, LONGEST_REQUEST, MOST, Poll},
};
use landfall_net::{
    http::{Limits, Server},
    tls::ServerTls,
};
use landfall_types::{
    Fault, Fingerprint, Refusal,
    http::{Method, Request, Response, essence},
};
use serde_json::json;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;

const PUSH: &str = "/ssf/push";
const POLL: &str = "/ssf/poll/";
const KEYS: &str = "/ssf/jwks";
const CONFIGURATION: &str = "/.well-known/ssf-configuration";
/// Who asks and finds nothing waits for something this long.
const WAIT: Duration = Duration::from_secs(25);

/// A stream whose receiver asks.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) name: String,
    pub(super) audience: String,
    /// What is kept of the token that it shows.
    pub(super) token: Fingerprint,
    pub(super) outbox: Arc<Outbox>,
    pub(super) speaker: Arc<Speaker>,
    /// One acknowledgement at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    tls: ServerTls,
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    world: World,
    issuer: String,
    speaker: Option<Arc<Speaker>>,
    streams: Vec<Polled>,
    ear: Arc<Ear>,
}

impl Door {
    pub(super) async fn bind(
        listen: SocketAddr,
        tls: ServerTls,
        world: World,
        issuer: String,
        speaker: Option<Arc<Speaker>>,
        streams: Vec<Polled>,
        ear: Arc<Ear>,
    ) -> Result<Self, RoleError> {
        let what = format!("listening on {listen} (authorizer.signals.listen)");
        let listener = TcpListener::bind(listen).await.map_err(RoleError::while_(what))?;
        Ok(Self { listener, tls, desk: Arc::new(Desk { world, issuer, speaker, streams, ear }) })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    pub(super) async fn serve(self, shutdown: Shutdown) {
        let (desk, ends) = (self.desk, shutdown.clone());
        let handler = move |request: Request, _from| {
            let (desk, ends) = (desk.clone(), ends.clone());
            // In a task of its own: what was begun is finished even if the sender goes away.
            let answer = tokio::spawn(async move { desk.answer(&request, ends).await });
            async move { answer.await.unwrap_or_else(|_| Response::new(500)) }
        };
        let limits = Limits { connections: 256, body_bytes: LONGEST_REQUEST, ..Limits::default() };
        Server::new(self.listener).tls(self.tls).limits(limits).run(handler, shutdown.watch()).await;
    }
}

impl Desk {
    async fn answer(&self, request: &Request, ends: Shutdown) -> Response {
        let wanted = match request.path.as_str() {
            CONFIGURATION | KEYS => Method::Get,
            path if path == PUSH || path.starts_with(POLL) => Method::Post,
            _ => return Response::text(404, "There is nothing here."),
        };
        if request.method != wanted {
            let word = if wanted == Method::Get { "GET" } else { "POST" };
            return Response::text(405, &format!("Use {word}.")).header("allow", word);
        }
        match request.path.as_str() {
            CONFIGURATION => self.configuration(),
            KEYS => self.keys(),
            PUSH => self.pushed(request).await,
            path => self.polled(path.strip_prefix(POLL).unwrap_or_default(), request, ends).await,
        }
    }

    /// RFC 8935 s2.2 and s2.3: accepted when what follows is durable, or refused with a word for why.
    async fn pushed(&self, request: &Request) -> Response {
        if essence(request.headers.first("content-type").unwrap_or_default()) != MEDIA {
            return complaint(400, "invalid_request", "the request is no application/secevent+jwt");
        }
        let Ok(event) = std::str::from_utf8(&request.body) else {
            return complaint(400, "invalid_request", "the request is no token");
        };
        match self.ear.pushed(shown(request), event).await {
            Ok(()) => Response::new(202),
            Err(why) if why.check == "event-token" => unknown(),
            Err(why) if why.fault == Fault::Backend => away(),
            Err(why) => match error_code(&why) {
                None => Response::new(202),
                Some(code) => complaint(400, code, &why.detail),
            },
        }
    }

    /// RFC 8936 s2: what was acknowledged is over, and what is there is told.
    async fn polled(&self, name: &str, request: &Request, ends: Shutdown) -> Response {
        let shown = shown(request);
        // Who has no token of that stream does not learn whether there is one.
        let Some(stream) = self.streams.iter().find(|stream| stream.name == name && Some(stream.token) == shown) else {
            return unknown();
        };
        let poll = match Poll::read(&request.body) {
            Ok(poll) => poll,
            Err(why) => return complaint(400, "invalid_request", &why.to_string()),
        };
        let answered = self.exchange(stream, &poll, ends).await;
        match answered {
            Ok(answer) => Response::with(200, "application/json", answer.to_json().into_bytes()),
            Err(why) => {
                tracing::error!(role = "authorizer", stream = name, %why, "a receiver that asks cannot be answered");
                away()
            }
        }
    }

    async fn exchange(&self, stream: &Polled, poll: &Poll, ends: Shutdown) -> Result<Answer, Refusal> {
        stream.acknowledge(poll).await?;
        let most = poll.most.unwrap_or(MOST).min(MOST);
        let mut decided = self.world.decided.subscribe();
        let until = tokio::time::Instant::now() + WAIT;
        loop {
            decided.borrow_and_update();
            let answer = stream.there(most).await?;
            if !answer.events.is_empty() || most == 0 || poll.at_once || ends.has_begun() {
                return Ok(answer);
            }
            tokio::select! {
                _ = decided.changed() => {}
                () = ends.clone().begun() => {}
                () = tokio::time::sleep_until(until) => return Ok(answer),
            }
        }
    }

    /// SSF 1.0 s7.1: who we are. Streams are in the settings, so there is no place to ask for them.
    fn configuration(&self) -> Response {
        let issuer = &self.issuer;
        let document = json!({
            "spec_version": "1_0",
            "issuer": issuer,
            "jwks_uri": format!("{}{KEYS}", issuer.trim_end_matches('/')),
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
        });
        Response::with(200, "application/json", document.to_string().into_bytes())
    }

    fn keys(&self) -> Response {
        let signer = self.speaker.iter().filter_map(|speaker| speaker.signer.as_ref());
        let keys = signer.filter_map(|signer| {
            let mut key = signer.public_key().to_jwk()?;
            let members = key.as_object_mut()?;
            members.insert("kid".into(), signer.public_key().fingerprint().to_string().into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), "ES256".into());
            Some(key)
        });
        let document = json!({ "keys": keys.collect::<Vec<_>>() });
        Response::with(200, "application/jwk-set+json", document.to_string().into_bytes())
    }
}

impl Polled {
    fn wants(notice: &Notice) -> bool {
        !notice.events().is_empty()
    }

    /// Goes on behind what was taken, or refused.
    async fn acknowledge(&self, poll: &Poll) -> Result<(), Refusal> {
        if poll.taken.is_empty() && poll.refused.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        for (id, why) in &poll.refused {
            let (stream, code, said) = (&self.name, &why.code, &why.description);
            tracing::error!(role = "authorizer", stream, id, code, said, "a receiver refuses a security event");
        }
        let known = self.outbox.delivery().taken;
        let told: BTreeSet<String> = poll.taken.iter().chain(poll.refused.iter().map(|(id, _)| id)).cloned().collect();
        let is_over = |id: &str| known.contains(id) || told.contains(id);
        let (mut after, mut rest, mut is_behind, mut news) = (None, BTreeSet::new(), false, BTreeSet::new());
        for notice in self.outbox.waiting(MOST, Self::wants).await? {
            let ids: Vec<String> = notice.events().into_iter().map(|(id, _)| id).collect();
            news.extend(ids.iter().filter(|id| told.contains(*id) && !known.contains(*id)).cloned());
            is_behind |= !ids.iter().all(|id| is_over(id));
            match is_behind {
                false => after = Some(notice.number),
                true => rest.extend(ids.into_iter().filter(|id| is_over(id))),
            }
        }
        let refused = poll.refused.iter().filter(|(id, _)| news.contains(id)).count() as u64;
        let taken = (news.len() as u64).saturating_sub(refused);
        self.outbox
            .change(|delivery| {
                delivery.after = after.unwrap_or(delivery.after).max(delivery.after);
                delivery.taken = rest;
                delivery.told += taken;
                delivery.refused += refused;
            })
            .await
    }

    /// What there is that was not taken yet.
    async fn there(&self, most: usize) -> Result<Answer, Refusal> {
        let _turn = self.turn.lock().await;
        let (known, now) = (self.outbox.delivery().taken, self.outbox.now());
        let mut answer = Answer::default();
        for notice in self.outbox.waiting(MOST, Self::wants).await? {
            for (id, event) in notice.events().into_iter().filter(|(id, _)| !known.contains(id)) {
                if answer.events.len() >= most {
                    answer.more = true;
                    return Ok(answer);
                }
                let token = self.speaker.token(&notice, id.clone(), event, &self.audience, now);
                answer.events.push((id, token.map_err(|why| super::outbox::backend(&why))?));
            }
        }
        Ok(answer)
    }
}

fn complaint(status: u16, code: &str, why: &str) -> Response {
    let body = json!({ "err": code, "description": why }).to_string();
    Response::with(status, "application/json", body.into_bytes()).header("content-language", "en")
}

/// RFC 8935 s2.3, RFC 6750 s3: a token that is not known.
fn unknown() -> Response {
    complaint(401, "authentication_failed", "no token that is known here was shown")
        .header("www-authenticate", "Bearer")
}

fn away() -> Response {
    Response::text(503, "This cannot be done now.").header("retry-after", "5")
}
