//! The resolver of a segment (RFC 8520 s8, RFC 9726 s6): what a device is told for a name is what it may reach under it.
//!
//! An answer is released when the kernel has its addresses, and not before. Names that are not in the file of the device's
//! manufacturer are not for it; a public name never leads to a host inside (DNS rebinding).

mod ask;
mod asker;
mod public;
mod serve;

use super::Enforcer;
use crate::settings::{NamesSettings, Others};
use asker::Askers;
use landfall_mud::{
    Class,
    dns::{Answer, Code, Query, kind},
};
use std::{net::IpAddr, sync::Arc};

pub(super) use public::RESOLVERS;
use public::is_public_resolver;
pub(super) use serve::Door;

use super::told::Asker;

/// For how long an answer lives at most: a device asks again before its addresses are taken away.
const LONGEST: u32 = 3600;
/// For how long an address holds that the owner has given.
const OWNERS: u32 = 60;

/// The resolver as it runs.
#[derive(Debug)]
pub(super) struct Names {
    enforcer: Arc<Enforcer>,
    settings: NamesSettings,
    askers: Askers,
}

impl Names {
    pub(super) fn new(enforcer: Arc<Enforcer>, settings: NamesSettings) -> Self {
        Self { enforcer, settings, askers: Askers::default() }
    }

    /// What is said to a message from there; nothing if it is to be left unanswered.
    async fn answer(&self, from: IpAddr, message: &[u8], by_datagram: bool) -> Option<Vec<u8>> {
        if !self.askers.admit(from) {
            count("flood");
            return None;
        }
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(refusal) => {
                count("malformed");
                return refusal;
            }
        };
        let said = self.say(from, &query, by_datagram).await;
        count(said.as_ref().err().map_or("answered", Code::word));
        Some(said.unwrap_or_else(|code| query.decline(code)))
    }

    async fn say(&self, from: IpAddr, query: &Query, by_datagram: bool) -> Result<Vec<u8>, Code> {
        let question = &query.question;
        let name = question.name.as_str();
        // Who is not known yet is once it has been answered: the kernel asks whose address it is.
        let mac = self.askers.interface(&self.enforcer.kernel, from).await.ok_or(Code::Failed)?;
        let asker = self.enforcer.asker(mac).await;
        if self.enforcer.asked_for(mac, name).await.is_some() {
            return Err(Code::Refused);
        }
        if kind::WISHES.contains(&question.kind) {
            return Err(Code::NotImplemented);
        }
        let is_address = matches!(question.kind, kind::A | kind::AAAA);
        if let (Some(addresses), Asker::Meant(..) | Asker::Free | Asker::Confined) = (self.owners(name), &asker) {
            let is_v4 = question.kind == kind::A;
            let addresses = addresses.iter().filter(|address| is_address && address.is_ipv4() == is_v4).copied();
            return Ok(query
                .tell(&Answer { addresses: addresses.collect(), seconds: OWNERS, ..Answer::nothing() }, by_datagram));
        }
        let opens = match asker {
            Asker::Nobody | Asker::Confined => return Err(Code::Refused),
            Asker::Free => None,
            Asker::Meant(port, policy) => {
                // The names by which others than we would be asked.
                if !self.settings.other_resolvers && is_public_resolver(name) {
                    return Err(Code::NoSuchName);
                }
                let is_its = policy.classes().contains(&&Class::Name(name.to_owned()));
                match (is_its, self.settings.others) {
                    (true, _) => Some(port),
                    (false, Others::Resolve) => None,
                    (false, Others::Refuse) => return Err(Code::Refused),
                    (false, Others::Deny) => return Err(Code::NoSuchName),
                }
            }
        };
        // They bring addresses of their own, which nobody would have opened.
        if matches!(question.kind, kind::SVCB | kind::HTTPS) {
            return Ok(query.tell(&Answer::nothing(), by_datagram));
        }
        let (answer, message) =
            ask::ask(&self.enforcer.kernel, &self.settings.upstream, question).await.ok_or(Code::Failed)?;
        if !is_address {
            return query.hand_on(&message, by_datagram).ok_or(Code::Failed);
        }
        let is_local = self.settings.local.iter().any(|domain| is_in(name, domain));
        if let Some(address) = answer.addresses.iter().find(|address| !is_local && !public::is_public(**address)) {
            tracing::warn!(role = "enforcer", name, %address, "a public name leads to a host inside: it is not told to the device");
            count("rebinding");
            return Err(Code::Refused);
        }
        let answer = Answer { seconds: answer.seconds.min(LONGEST), ..answer };
        if let (Some(port), false) = (opens, answer.addresses.is_empty()) {
            let opened = self.enforcer.open(&port, name, &answer.addresses, answer.seconds).await;
            opened.map_err(|why| {
                tracing::error!(role = "enforcer", name, %why, "addresses could not be opened, and are not told");
                Code::Failed
            })?;
        }
        Ok(query.tell(&answer, by_datagram))
    }

    fn owners(&self, name: &str) -> Option<Vec<IpAddr>> {
        self.enforcer.purposes.host(name).map(|addresses| addresses.iter().copied().collect())
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("landfall_enforcer_names_total", "outcome" => outcome).increment(1);
}

/// Whether a name is that of a domain, or of a host in it.
fn is_in(name: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) && !domain.is_empty()
}
