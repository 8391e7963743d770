//! Continuous assurance (the guide's 4.5): what is known of a device, from whom and until when, and what policy makes of it.
//!
//! A [`Fact`] says one thing about one device. It keeps where it came from, who vouches for it, who verified that, and until
//! when it holds. A [`Dossier`] has the newest facts of one device; [`Policies`] make a [`Ruling`] of it, which names the
//! policies and the facts that it rests on. Policy sees that a fact is missing or has expired: what is not known opens no door.
//!
//! Policies are written in Cedar, where what is forbidden stays forbidden whatever permits it, and are held against a schema
//! that is made of the kinds of facts.

mod decide;
mod dossier;
pub mod fact;
mod grace;
mod level;
mod policies;
mod schema;
mod tier;

pub use decide::{Question, Reason, Ruling};
pub use dossier::{Dossier, Known, Mark, MarkKind, Taken, Unfit};
pub use fact::{Fact, Kind, Shape};
pub use grace::Grace;
pub use level::{Level, UnknownLevel};
pub use policies::{DEFAULT, EXAMPLES, Policies, PolicyProblem};
pub use schema::schema;
pub use tier::{Background, Claim, Tier};
