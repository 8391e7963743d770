//! PKEX (s5.6): two devices that share a short code learn each other's bootstrapping keys, and whoever does not know the
//! code gets five guesses and no more.
//!
//! [`Initiator`] and [`Responder`] are the machines. What they learn is good for an authentication that must be mutual.

mod code;
mod element;
mod initiator;
mod io;
mod keys;
mod message;
mod responder;

pub use code::{Code, NotACode};
pub use initiator::Initiator;
pub use io::{Config, Done, Input, Link, Output, Timing, Versions};
pub use responder::Responder;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Initiator,
    Responder,
}
