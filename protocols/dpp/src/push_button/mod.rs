//! Push button (release 3): a button is pushed on a device and on its configurator, and if nobody else's is pushed at the
//! same time they learn each other's bootstrapping keys.
//!
//! The device announces a key that it made for this by its hash, and a configurator answers with the hash of its own and
//! a nonce. Both go on listening for a while: whoever hears of a third party gives up, since nobody could tell whose
//! button was meant. Then they run PKEX with the nonce as its code, and hold the keys that it reveals against the hashes.
//!
//! The nonce is sent in the clear. What protects is that both sides listen, and that what follows is an authentication
//! that must be mutual. [`Configurator`] and [`Enrollee`] are the machines.

mod configurator;
mod enrollee;
mod heard;
mod io;
mod message;
mod session;

pub use configurator::Configurator;
pub use enrollee::Enrollee;
pub use io::{Config, Input, Output, Timing};
