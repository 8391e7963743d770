//! The one contract of every protocol core.

use crate::time::Time;

/// A protocol core: a state machine that is told what happened and says what it wants done.
///
/// It owns no socket, clock, file, random source or long-lived key. Whoever drives it
///
/// 1. makes it with its configuration (and, where it starts by itself, the time),
/// 2. hands it each thing that happens with [`handle`](Machine::handle),
/// 3. drains [`poll_output`](Machine::poll_output) until it is empty after **every** mutation, and
/// 4. calls `handle` with the core's own timeout input no earlier than [`poll_timeout`](Machine::poll_timeout).
///
/// A core that must sign emits an output carrying the bytes and waits for the signature; a core that must not go on
/// before something is durable emits an output carrying the record and waits to hear that it was persisted. So a TPM,
/// an HSM, a database and a simulator all fit, and nothing is acknowledged to a peer before it is durable.
///
/// An error ends or resets the exchange; nothing that a peer sends can panic.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it can ask for.
    type Output;
    /// Why it stopped.
    type Error;

    /// Takes one input at the time `now`.
    fn handle(&mut self, now: Time, input: Self::Input) -> Result<(), Self::Error>;

    /// The next thing that it wants done, until `None`.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When it wants to be woken if nothing happens before.
    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}

/// Everything that a core wants done now, in order.
pub fn drain<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}
