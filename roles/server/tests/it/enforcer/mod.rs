//! The enforcer: what it plans, and what packets then meet.

mod intent;
mod kernel;
mod names;
mod plan;
mod violation;
