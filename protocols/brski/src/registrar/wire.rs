//! How a refusal is told to the pledge: by [`status`], except for what the MASA did wrong.

use crate::status;
use landfall_types::{Outcome, Refusal, http::Response};
use std::time::Duration;

/// A refusal, and on which side it arose.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    /// What the MASA sent cannot be used, and the pledge is not to blame.
    upstream: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, upstream: false }
    }
}

impl Refused {
    pub(super) fn upstream(refusal: impl Into<Refusal>) -> Self {
        Self { refusal: refusal.into(), upstream: true }
    }

    /// The response to the pledge.
    pub(super) fn response(&self, retry_after: Duration) -> Response {
        if self.upstream {
            return Response::text(502, "The manufacturer's service gave an answer that cannot be used.\n");
        }
        let response = status::response(&self.refusal);
        match response.status {
            // RFC 8995 s5.6: a 202 makes the pledge come back with the same request, after this time.
            202 | 503 => response.header("retry-after", retry_after.as_secs().to_string()),
            _ => response,
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome::Refused(self.refusal)
    }
}
