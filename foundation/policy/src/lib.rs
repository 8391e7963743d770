//! Decides, from facts alone, whether something may happen, and says why.
//!
//! A [`Policy`] is a list of rules; the first whose conditions all hold gives the verdict, and if none does, the
//! policy's `otherwise`, which is [`Verdict::Deny`] unless it says something else. A fact that is missing or has
//! expired matches no condition, so what is not known never opens a door.
//!
//! In a file:
//!
//! ```toml
//! otherwise = "deny"
//!
//! [[rules]]
//! name = "our sensors"
//! when = [{ fact = "manufacturer", is = "acme" }, { fact = "serial-number", is = { in-set = "purchased" } }]
//! then = "permit"
//!
//! [[rules]]
//! name = "other devices of known manufacturers"
//! when = [{ fact = "manufacturer", is = { one-of = ["acme", "globex"] } }]
//! then = "ask"
//! ```

pub mod acceptance;
mod decide;
mod fact;
mod rule;

pub use decide::{Decision, Reason, Verdict, decide};
pub use fact::{Fact, Facts, Value};
pub use rule::{Condition, Matcher, Obligation, Policy, Rule, Set, Test};
