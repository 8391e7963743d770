//! A code, and how often it may be guessed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};
use zeroize::Zeroizing;

/// A code that two people share, and perhaps the identifier by which devices tell codes apart (DPP s5.6.1).
///
/// Clones are the same code: they count failures together, so that it dies after five whoever runs the exchanges and
/// however many run at once.
#[derive(Clone)]
pub struct Code(Arc<Inner>);

struct Inner {
    identifier: Option<String>,
    code: Zeroizing<Vec<u8>>,
    failures: AtomicU8,
}

/// The code or its identifier is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PKEX code and its identifier have from 1 to {max} octets", max = Code::LONGEST)]
pub struct NotACode;

impl Code {
    /// After so many failures a code is worth nothing.
    pub const ATTEMPTS: u8 = 5;
    /// The most octets that a code or an identifier has.
    pub const LONGEST: usize = 255;

    /// A code that nobody has tried yet.
    ///
    /// # Errors
    /// If the code or the identifier is empty or too long.
    pub fn new(identifier: Option<&str>, code: &[u8]) -> Result<Self, NotACode> {
        Self::with_failures(identifier, code, 0)
    }

    /// A code that has failed before, as its owner remembers it.
    ///
    /// # Errors
    /// If the code or the identifier is empty or too long.
    pub fn with_failures(identifier: Option<&str>, code: &[u8], failures: u8) -> Result<Self, NotACode> {
        let fits = |len| (1..=Self::LONGEST).contains(&len);
        if !fits(code.len()) || !identifier.is_none_or(|identifier| fits(identifier.len())) {
            return Err(NotACode);
        }
        let identifier = identifier.map(str::to_owned);
        Ok(Self(Arc::new(Inner { identifier, code: code.to_vec().into(), failures: failures.into() })))
    }

    /// The identifier.
    pub fn identifier(&self) -> Option<&str> {
        self.0.identifier.as_deref()
    }

    /// How often it has failed; an attempt that is under way counts until it turns out well.
    pub fn failures(&self) -> u8 {
        self.0.failures.load(Ordering::SeqCst)
    }

    /// Whether it has failed too often and a new one is needed.
    pub fn is_dead(&self) -> bool {
        self.failures() >= Self::ATTEMPTS
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0.code
    }

    /// An attempt, counted as failed from its beginning; `None` if the code is dead.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        let count = |failures: u8| (failures < Self::ATTEMPTS).then_some(failures + 1);
        self.0.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).ok()?;
        Some(Attempt(self.clone()))
    }
}

/// Shows nothing of the code.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({:?}, {} failures)", self.identifier(), self.failures())
    }
}

/// A peer that may know the code or guess.
#[derive(Debug)]
pub(super) struct Attempt(Code);

impl Attempt {
    /// It knew the code.
    pub(super) fn succeeded(self) {
        self.0.0.failures.fetch_sub(1, Ordering::SeqCst);
    }
}
