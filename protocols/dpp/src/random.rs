//! Where protocol keys and nonces come from.

/// A source of random bytes. The driver hands in a strong one, a test a fixed one.
pub trait Random: Send {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send> Random for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}
