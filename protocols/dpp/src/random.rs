//! Where protocol keys and nonces come from.

/// A source of random bytes. The driver hands in a strong one, a test a fixed one.
pub trait Random: Send {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);

    /// Whether keys need not be made of these bytes, since the library that computes with them draws from the same place
    /// by itself, and makes a key in half the time that it takes to be handed one.
    fn is_system(&self) -> bool {
        false
    }
}

impl<F: FnMut(&mut [u8]) + Send> Random for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}

/// The system's strong randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) {
        // A fixed nonce or key is the one thing that must not come of it.
        if aws_lc_rs::rand::fill(out).is_err() {
            std::process::abort();
        }
    }

    fn is_system(&self) -> bool {
        true
    }
}
