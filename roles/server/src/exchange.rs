//! The end of every exchange: one answer, one event.

use crate::world::World;
use landfall_brski::TlsPeer;
use landfall_pki::{Certificate, Signer};
use landfall_store::CommitError;
use landfall_types::{Event, Fault, Outcome, Process, Refusal, http::Response};
use std::{future::Future, time::Instant};

/// What kind of exchange it is, for its event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) process: Process,
    pub(crate) role: &'static str,
    pub(crate) action: &'static str,
}

/// An exchange under way: what it has come to so far.
#[derive(Debug)]
pub(crate) struct Ending {
    kind: Kind,
    begun: Instant,
    /// The device, in words that an operator recognises.
    pub(crate) device: String,
    response: Option<Response>,
    outcome: Option<Outcome>,
    /// Somebody else has meanwhile written what this exchange was about to write.
    contested: bool,
}

/// How often an exchange begins anew when another one about the same device comes first.
const ATTEMPTS: usize = 4;

/// Makes the attempt again while others come first, and gives the last. Each sees what the winner has written: so of two
/// equal requests at the same time, the second gets what the first got.
pub(crate) async fn uncontested<A>(attempt: impl Fn() -> A) -> (Ending, Option<Refusal>)
where
    A: Future<Output = (Ending, Option<Refusal>)>,
{
    for _ in 1..ATTEMPTS {
        let (ending, broken) = attempt().await;
        if !ending.contested {
            return (ending, broken);
        }
    }
    attempt().await
}

impl Ending {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, begun: Instant::now(), device: String::new(), response: None, outcome: None, contested: false }
    }

    /// About the device that a TLS client says it is, for the record of what is refused before it is believed.
    #[must_use]
    pub(crate) fn about(mut self, client: Option<&TlsPeer>) -> Self {
        let claimed = client.and_then(TlsPeer::certificate).and_then(Certificate::subject_serial_number);
        self.device = claimed.map(|serial| serial.to_string()).unwrap_or_default();
        self
    }

    pub(crate) fn respond(&mut self, response: Response) {
        self.response = Some(response);
    }

    pub(crate) fn close(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// A commit failed; says why.
    pub(crate) fn uncommitted(&mut self, why: &CommitError) -> String {
        self.contested = why.is_conflict();
        why.to_string()
    }

    /// Tells of the end, and gives the answer. `broken` is why the exchange did not come to its own end.
    pub(crate) async fn tell(self, world: &World, broken: Option<Refusal>) -> Response {
        let unfinished = || Refusal::new(Fault::Backend, "exchange-unfinished", "landfall", "it came to no end");
        let outcome = match broken {
            Some(refusal) => Outcome::Refused(refusal),
            None => self.outcome.unwrap_or_else(|| Outcome::Refused(unfinished())),
        };
        let Kind { process, role, action } = self.kind;
        let (at, duration) = (world.clock.now(), self.begun.elapsed());
        world.recorder.close(Event { at, process, role, action, device: self.device, outcome, duration }).await;
        self.response.unwrap_or_else(|| Response::text(500, "This cannot be done now."))
    }

    /// The outcome so far.
    pub(crate) const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

/// Signs, or says why not.
pub(crate) fn sign(signer: &dyn Signer, bytes: &[u8]) -> Result<Vec<u8>, String> {
    signer.sign(bytes).map_err(|why| why.to_string())
}
