//! The one loop that turns a protocol core into a server: hand it an input, do all that it asks, hand back what came
//! of that.

use crate::world::Clock;
use landfall_types::{Fault, Machine, Refusal};
use std::{collections::VecDeque, future::Future};

/// What a core needs from the world: it does one output, and says what came of it.
pub trait Host<M: Machine> {
    /// Why the world could not do it.
    type Error;

    /// Does `output`. What comes of it, if anything, is the core's next input.
    fn perform(&mut self, output: M::Output) -> impl Future<Output = Result<Option<M::Input>, Self::Error>> + Send;
}

/// Why an exchange broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken<P, W> {
    /// The core refused an input.
    #[error("{0}")]
    Protocol(P),
    /// The world could not do what the core asked.
    #[error("{0}")]
    World(W),
}

/// Drives `machine` from its `first` input until it asks for nothing more.
///
/// Outputs are drained after every input (the contract of [`Machine`]), in order, and each is done before the next is
/// begun: so what depends on a durable record comes after the record is durable.
pub async fn drive<M: Machine, H: Host<M>>(
    machine: &mut M,
    first: M::Input,
    host: &mut H,
    clock: &Clock,
) -> Result<(), Broken<M::Error, H::Error>> {
    let mut inputs = VecDeque::from([first]);
    while let Some(input) = inputs.pop_front() {
        machine.handle(clock.now(), input).map_err(Broken::Protocol)?;
        while let Some(output) = machine.poll_output() {
            inputs.extend(host.perform(output).await.map_err(Broken::World)?);
        }
    }
    Ok(())
}

/// Why an exchange broke off, for its event; nothing if it did not.
pub(crate) fn refusal<W: std::fmt::Display>(driven: Result<(), Broken<Refusal, W>>) -> Option<Refusal> {
    match driven {
        Ok(()) => None,
        Err(Broken::Protocol(refusal)) => Some(refusal),
        Err(Broken::World(why)) => Some(Refusal::new(Fault::Backend, "exchange-broken", "landfall", why.to_string())),
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
        type Input = &'static str;
        type Output = &'static str;
        type Error = String;

        fn handle(&mut self, _: Time, input: &'static str) -> Result<(), String> {
            match input {
                "request" => self.0.extend(["note", "sign"]),
                "signed" => self.0.extend(["persist"]),
                "persisted" => self.0.extend(["respond", "close"]),
                other => return Err(format!("did not ask for {other}")),
            }
            Ok(())
        }

        fn poll_output(&mut self) -> Option<&'static str> {
            self.0.pop_front()
        }
    }

    struct World {
        done: Vec<&'static str>,
        disk: bool,
    }

    impl Host<Core> for World {
        type Error = &'static str;

        async fn perform(&mut self, output: &'static str) -> Result<Option<&'static str>, &'static str> {
            self.done.push(output);
            match output {
                "sign" => Ok(Some("signed")),
                "persist" if self.disk => Ok(Some("persisted")),
                "persist" => Err("disk full"),
                _ => Ok(None),
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_answered_before_it_is_durable() {
        let mut world = World { done: vec![], disk: true };
        drive(&mut Core::default(), "request", &mut world, &Clock::system()).await.unwrap();
        assert_eq!(world.done, ["note", "sign", "persist", "respond", "close"]);

        let mut world = World { done: vec![], disk: false };
        let broken = drive(&mut Core::default(), "request", &mut world, &Clock::system()).await.unwrap_err();
        assert!(matches!(broken, Broken::World("disk full")));
        assert_eq!(world.done, ["note", "sign", "persist"]);
    }

    #[tokio::test]
    async fn a_refused_input_ends_the_exchange() {
        let mut world = World { done: vec![], disk: true };
        let broken = drive(&mut Core::default(), "nonsense", &mut world, &Clock::system()).await.unwrap_err();
        assert_eq!(broken.to_string(), "did not ask for nonsense");
    }
}
