//! What the service says when it does not do what it was asked.

use super::Answer;
use crate::book::BookError;
use landfall_types::{Fault, OwnerId, Refusal, http::Response};
use std::fmt::Display;

const SECTION: &str = "NIST SP 1800-36B s4.2";

pub(super) fn refused(tenant: &OwnerId, status: u16, refusal: Refusal) -> Answer {
    // A tenant is told what is wrong with what it sent; why it does not get what is another's is for the operator.
    let told = match refusal.fault {
        Fault::Malformed => refusal.to_string(),
        _ => "This cannot be done.".into(),
    };
    Answer { response: Response::text(status, &told), about: tenant.to_string(), refusal: Some(refusal) }
}

pub(super) fn malformed(tenant: &OwnerId, why: impl Display) -> Answer {
    refused(tenant, 400, Refusal::new(Fault::Malformed, "supply-chain-request", SECTION, why.to_string()))
}

pub(super) fn no_length(tenant: &OwnerId) -> Answer {
    let refusal = Refusal::new(Fault::Malformed, "content-length", "RFC 9110 s15.5.12", "the request has no length");
    refused(tenant, 411, refusal)
}

pub(super) fn too_many(tenant: &OwnerId) -> Answer {
    let refusal =
        Refusal::new(Fault::Denied, "tenant-requests", "RFC 6585 s4", "the tenant has too many requests under way");
    let mut answer = refused(tenant, 429, refusal);
    answer.response = answer.response.header("retry-after", "1");
    answer
}

pub(super) fn unavailable(why: &dyn Display) -> Answer {
    let refusal = Refusal::new(Fault::Backend, "supply-chain-store", SECTION, why.to_string());
    let response = Response::text(503, "This cannot be done now.").header("retry-after", "5");
    Answer { response, about: String::new(), refusal: Some(refusal) }
}

pub(super) fn done(tenant: &OwnerId, about: impl Into<String>, body: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => {
            let about = format!("{tenant}: {}", about.into());
            Answer { response: Response::with(200, "application/json", body), about, refusal: None }
        }
        Err(why) => unavailable(&why),
    }
}

impl From<BookError> for Answer {
    fn from(why: BookError) -> Self {
        unavailable(&why)
    }
}
