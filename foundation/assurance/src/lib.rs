//! Continuous assurance (the guide's 4.5): what is known of a device, from whom and until when, and what policy makes of it.
//!
//! A [`Fact`] says one thing about one device. It keeps where it came from, who vouches for it, who verified that, and until
//! when it holds. Policy sees that a fact is missing or has expired, as it sees any other: what is not known opens no door.

pub mod fact;

pub use fact::{Fact, Kind, Shape};
