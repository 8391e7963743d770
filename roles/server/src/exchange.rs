//! How a role drives a protocol core: it does what the core asks for, and at the end there is one answer and one event.

use crate::world::{Clock, World};
use landfall_brski::TlsPeer;
use landfall_pki::Certificate;
use landfall_store::CommitError;
use landfall_types::{Event, Fault, Machine, Outcome, Process, Refusal, http::Response};
use std::{collections::VecDeque, error::Error, future::Future, time::Instant};

/// What a core needs from the world.
pub(crate) trait Host<M: Machine> {
    /// How the core hears that what it asked for last cannot be done on our side.
    const FAILED: fn(String) -> M::Input;

    /// Does `output`. What comes of it, if anything, is the core's next input.
    fn perform(
        &mut self,
        output: M::Output,
        ending: &mut Ending,
    ) -> impl Future<Output = Result<Option<M::Input>, Failure>> + Send;
}

/// Why something could not be done on our side.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// Somebody else has meanwhile written what was to be written.
    contested: bool,
}

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), contested: false }
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let (why, error): (_, &dyn Error) = (error.to_string(), &error);
        Self { why, contested: error.downcast_ref().is_some_and(CommitError::is_conflict) }
    }
}

/// What kind of exchange it is, for its event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) process: Process,
    pub(crate) role: &'static str,
    pub(crate) action: &'static str,
}

/// An exchange under way: what it has come to so far.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    kind: Kind,
    begun: Instant,
    /// The device, in words that an operator recognises.
    pub(crate) device: String,
    response: Option<Response>,
    outcome: Option<Outcome>,
    contested: bool,
}

/// What an exchange has come to.
#[derive(Debug)]
pub(crate) struct Ended {
    response: Option<Response>,
    pub(crate) outcome: Outcome,
}

/// How often an exchange begins anew when another one about the same device comes first.
const ATTEMPTS: usize = 4;

/// Carries out the exchange that `attempt` makes: a core, its first input and its host, which is handed back.
///
/// While others come first, it is attempted anew, and each attempt sees what the winner has written: so of two equal
/// requests at the same time, the second gets what the first got.
pub(crate) async fn run<M, H>(world: &World, begun: Ending, attempt: impl Fn() -> (M, M::Input, H)) -> (H, Ended)
where
    M: Machine<Error = Refusal>,
    H: Host<M>,
{
    let mut attempts = 1;
    loop {
        let (mut core, first, mut host) = attempt();
        let mut ending = begun.clone();
        let broken = drive(&mut core, first, &mut host, &mut ending, &world.clock).await.err();
        if !ending.contested || attempts == ATTEMPTS {
            return (host, ending.tell(world, broken).await);
        }
        attempts += 1;
    }
}

/// Drives `core` from its `first` input until it asks for nothing more.
///
/// Outputs are drained after every input (the contract of [`Machine`]), in order, and each is done before the next is
/// begun: so what depends on a durable record comes after the record is durable.
pub(crate) async fn drive<M: Machine, H: Host<M>>(
    core: &mut M,
    first: M::Input,
    host: &mut H,
    ending: &mut Ending,
    clock: &Clock,
) -> Result<(), M::Error> {
    let mut inputs = VecDeque::from([first]);
    while let Some(input) = inputs.pop_front() {
        core.handle(clock.now(), input)?;
        while let Some(output) = core.poll_output() {
            inputs.extend(host.perform(output, ending).await.unwrap_or_else(|failure| {
                ending.contested |= failure.contested;
                Some(H::FAILED(failure.why))
            }));
        }
    }
    Ok(())
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

    /// Keeps the answer. No input for the core comes of it.
    pub(crate) fn respond<I>(&mut self, response: Response) -> Result<Option<I>, Failure> {
        self.response = Some(response);
        Ok(None)
    }

    /// Keeps the outcome. No input for the core comes of it.
    pub(crate) fn close<I>(&mut self, outcome: Outcome) -> Result<Option<I>, Failure> {
        self.outcome = Some(outcome);
        Ok(None)
    }

    /// Tells of the end. `broken` is why the exchange did not come to its own end.
    pub(crate) async fn tell(self, world: &World, broken: Option<Refusal>) -> Ended {
        let unfinished = || Refusal::new(Fault::Backend, "exchange-unfinished", "landfall", "it came to no end");
        let outcome = match broken {
            Some(refusal) => Outcome::Refused(refusal),
            None => self.outcome.unwrap_or_else(|| Outcome::Refused(unfinished())),
        };
        let Kind { process, role, action } = self.kind;
        let (at, duration) = (world.clock.now(), self.begun.elapsed());
        let event = Event { at, process, role, action, device: self.device, outcome: outcome.clone(), duration };
        world.recorder.close(event).await;
        Ended { response: self.response, outcome }
    }
}

impl Ended {
    /// What the peer is answered.
    pub(crate) fn response(self) -> Response {
        self.response.unwrap_or_else(|| Response::text(500, "This cannot be done now."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_types::Time;

    /// Asks for a signature, then for durability, then answers.
    #[derive(Default)]
    struct Core(VecDeque<&'static str>);

    impl Machine for Core {
        type Input = String;
        type Output = &'static str;
        type Error = String;

        fn handle(&mut self, _: Time, input: String) -> Result<(), String> {
            match input.as_str() {
                "request" => self.0.extend(["note", "sign"]),
                "signed" => self.0.extend(["persist"]),
                "persisted" => self.0.extend(["respond", "close"]),
                "failed: disk full" => self.0.extend(["close"]),
                other => return Err(format!("did not ask for {other}")),
            }
            Ok(())
        }

        fn poll_output(&mut self) -> Option<&'static str> {
            self.0.pop_front()
        }
    }

    struct Disk {
        done: Vec<&'static str>,
        full: bool,
    }

    impl Host<Core> for Disk {
        const FAILED: fn(String) -> String = |why| format!("failed: {why}");

        async fn perform(&mut self, output: &'static str, _: &mut Ending) -> Result<Option<String>, Failure> {
            self.done.push(output);
            match output {
                "sign" => Ok(Some("signed".into())),
                "persist" if self.full => Err(Failure::new("disk full")),
                "persist" => Ok(Some("persisted".into())),
                _ => Ok(None),
            }
        }
    }

    const KIND: Kind = Kind { process: Process::Network, role: "test", action: "test" };

    async fn driven(first: &str, full: bool) -> (Vec<&'static str>, Result<(), String>) {
        let mut disk = Disk { done: vec![], full };
        let (core, ending) = (&mut Core::default(), &mut Ending::new(KIND));
        let result = drive(core, first.into(), &mut disk, ending, &Clock::system()).await;
        (disk.done, result)
    }

    #[tokio::test]
    async fn nothing_is_answered_before_it_is_durable() {
        let (done, result) = driven("request", false).await;
        assert_eq!((done, result), (vec!["note", "sign", "persist", "respond", "close"], Ok(())));
        let (done, result) = driven("request", true).await;
        assert_eq!((done, result), (vec!["note", "sign", "persist", "close"], Ok(())));
    }

    #[tokio::test]
    async fn a_refused_input_ends_the_exchange() {
        let (_, result) = driven("nonsense", false).await;
        assert_eq!(result.unwrap_err(), "did not ask for nonsense");
    }
}
