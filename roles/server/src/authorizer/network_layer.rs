//! The network-layer onboarding authorization service (SP 1800-36B 4.5, steps 5a and 5b): where our own policies let a device
//! join, it is asked too, and its answer is the answer. Without one nobody joins.
//!
//! It is asked by what [`Joining`] and [`Ruling`] are in JSON, as docs/openapi.json has it at `/v1/verification/join`, so that another
//! authorizer can be asked, or whatever an owner has written.

use super::SECTION;
use crate::{
    RoleError,
    identity::Identity,
    settings::{NetworkLayerSettings, Settings},
    site::{Site, Wrong},
};
use landfall_assurance::{Fact, Level, Question, Reason, Ruling};
use landfall_element::SecureElement;
use landfall_net::{NetError, http::ClientLimits, tls::TlsIdentity};
use landfall_types::{
    DeviceId, Fault, Fingerprint, Refusal,
    http::{Request, Response, essence},
    json,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::{sync::Semaphore, time::timeout};

/// A question goes through so many authorizers.
const HOPS: usize = 8;
const ANSWER: usize = 256 * 1024;
/// So many of its reasons are kept, with so many letters each.
const REASONS: usize = 16;
const LETTERS: usize = 256;
/// What a policy of its own is called here.
const NAME: &str = "network-layer";

/// Whether a device may join, as an authorizer is asked it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Joining {
    /// Which.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What has been found out about it just now; of no other device.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub facts: Vec<Fact>,
    /// The authorizers that have asked on: the SHA-256 of the certificate with which each did, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub via: Vec<Fingerprint>,
}

/// Where it is asked.
#[derive(Debug)]
pub struct NetworkLayer {
    site: Site,
    /// As which we ask.
    ourselves: Fingerprint,
    deadline: Duration,
    /// So much is asked at a time.
    places: Semaphore,
}

impl NetworkLayer {
    /// What `authorizer.network-layer` means in `settings`, with the key in `element`.
    pub(super) fn read(
        asked: &NetworkLayerSettings,
        settings: &Settings,
        element: Option<&dyn SecureElement>,
    ) -> Result<Self, RoleError> {
        let read = || -> Result<Self, Wrong> {
            let element = element.ok_or(("identity", "cannot be had, as there are no keys".to_owned()))?;
            let identity = Identity::load(&asked.identity, |path| settings.resolve(path), element)
                .map_err(|why| ("identity", why.to_string()))?;
            let ourselves = identity.certificate().map_err(|why| ("identity", why.to_string()))?.fingerprint();
            let deadline = asked.deadline.duration();
            if deadline.is_zero() {
                return Err(("deadline", "is nothing, so nobody would ever join".into()));
            }
            if !(1..=1024).contains(&asked.at_once) {
                return Err(("at-once", "is not from 1 to 1024".into()));
            }
            let site = Site::read_as(&asked.url, &asked.anchors, Some(&TlsIdentity::from(identity)), settings)?;
            Ok(Self { site, ourselves, deadline, places: Semaphore::new(asked.at_once) })
        };
        read().map_err(|(field, why)| RoleError::new(format!("authorizer.network-layer.{field}"), why))
    }

    /// Whether a question has been here before, or has come too far.
    pub(super) fn follow(&self, via: &[Fingerprint]) -> Result<(), Refusal> {
        match via.contains(&self.ourselves) || via.len() >= HOPS {
            false => Ok(()),
            true => Err(refuse(Fault::Denied, "network-layer-loop", "authorizers ask each other in a circle")),
        }
    }

    /// What it says to a device that may join by our own policies. What is no answer is a refusal, by name.
    pub(super) async fn ask(&self, joining: &Joining) -> Ruling {
        let answered = match self.follow(&joining.via) {
            Err(why) => Err(why),
            Ok(()) => timeout(self.deadline, self.exchange(joining)).await.unwrap_or_else(|_late| {
                Err(refuse(Fault::Backend, "network-layer-late", format!("it took longer than {:?}", self.deadline)))
            }),
        };
        let outcome = answered.as_ref().map_or_else(|why| why.check.to_string(), |ruling| ruling.level.to_string());
        metrics::counter!("landfall_authorizer_network_layer_total", "outcome" => outcome).increment(1);
        answered.unwrap_or_else(|why| {
            tracing::error!(role = "authorizer", device = %joining.device, site = %self.site, %why, "nobody joins without the network-layer authorization service");
            blocked(&why)
        })
    }

    async fn exchange(&self, joining: &Joining) -> Result<Ruling, Refusal> {
        let _place = self.places.acquire().await.map_err(|_| super::away())?;
        let mut asked = joining.clone();
        asked.via.push(self.ourselves);
        let body = serde_json::to_vec(&asked)
            .map_err(|why| refuse(Fault::Misuse, "network-layer-question", why.to_string()))?;
        let limits = ClientLimits { connect: self.deadline, exchange: self.deadline, body_bytes: ANSWER };
        let mut connection = self.site.open(limits).await.map_err(failed)?;
        let request = Request::post(&self.site.path, "application/json", body);
        read(&connection.send(request).await.map_err(failed)?)
    }
}

/// Our own ruling, and the one of the network-layer authorization service: a device joins as far as both let it.
pub(super) fn both(own: Ruling, theirs: Ruling) -> Ruling {
    let mut both = own;
    if theirs.level < both.level && theirs.reasons.is_empty() {
        both.reasons.push(reason(NAME.into(), &theirs.why()));
    }
    both.level = both.level.min(theirs.level);
    match both.level {
        Level::Blocked => both.permitted_by.clear(),
        _ => both.permitted_by.push(NAME.into()),
    }
    let named = |it: Reason| match it.policy.starts_with(NAME) {
        // From further on, or what kept it from answering.
        true => reason(it.policy, &it.says),
        false => reason(format!("{NAME}/{}", it.policy), &it.says),
    };
    both.reasons.extend(theirs.reasons.into_iter().take(REASONS).map(named));
    both.next_check = both.next_check.into_iter().chain(theirs.next_check).min();
    both
}

fn read(answer: &Response) -> Result<Ruling, Refusal> {
    let malformed = |why: String| refuse(Fault::Malformed, "network-layer-answer", why);
    match answer.status {
        200 => {}
        // RFC 5842 s7.2.
        508 => return Err(refuse(Fault::Denied, "network-layer-loop", "authorizers ask each other in a circle")),
        status => {
            let why = format!("it answers with the status {status}");
            return Err(refuse(Fault::Peer, "network-layer-status", why));
        }
    }
    if essence(answer.headers.first("content-type").unwrap_or_default()) != "application/json" {
        return Err(malformed("it is no application/json".into()));
    }
    let answer = json::parse(&answer.body).map_err(|why| malformed(why.to_string()))?;
    let ruling: Ruling = serde_json::from_value(answer).map_err(|why| malformed(why.to_string()))?;
    match ruling.question {
        Question::Join => Ok(ruling),
        _ => Err(malformed("it answers another question".into()).field("question")),
    }
}

/// What it comes to if there is no answer.
fn blocked(why: &Refusal) -> Ruling {
    Ruling {
        question: Question::Join,
        level: Level::Blocked,
        reasons: vec![reason(why.check.to_string(), &why.detail)],
        permitted_by: Vec::new(),
        facts: Vec::new(),
        missing: Vec::new(),
        stale: Vec::new(),
        excused: Vec::new(),
        revoke: false,
        next_check: None,
    }
}

/// A reason of somebody else's. It rests on no facts of ours, so that nobody here can mend it.
fn reason(policy: String, says: &str) -> Reason {
    let plain = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(LETTERS).collect::<String>();
    const SAYS: &str = "the network-layer authorization service: ";
    let says = match says.starts_with(SAYS) {
        true => plain(says),
        false => format!("{SAYS}{}", plain(says)),
    };
    Reason { policy: plain(&policy), says, kinds: Vec::new() }
}

fn failed(why: NetError) -> Refusal {
    let check = match &why {
        NetError::Refused(_) | NetError::Tls(_) => "network-layer-certificate",
        NetError::Timeout { .. } => "network-layer-late",
        NetError::TooLarge { .. } => "network-layer-answer",
        NetError::Io { .. } | NetError::Http(_) | NetError::Misuse(_) => "network-layer-unreachable",
    };
    refuse(why.fault(), check, why.to_string())
}

fn refuse(fault: Fault, check: &'static str, why: impl Into<String>) -> Refusal {
    Refusal::new(fault, check, SECTION, why)
}
