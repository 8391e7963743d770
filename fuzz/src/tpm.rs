//! What TPMs answer, and what devices say that theirs did.

use landfall_tpm::{is_answer, proof};

/// An answer to a command.
pub fn answer(data: &[u8]) -> bool {
    is_answer(data)
}

/// The public area of a key.
pub fn public(data: &[u8]) -> bool {
    proof::key_in(data).is_ok_and(|key| !key.key_bits().is_empty())
}

/// A statement about a key.
pub fn statement(data: &[u8]) -> bool {
    proof::name_in(data).is_ok()
}
