//! The enforcer: what it plans, and what packets then meet.

mod intent;
mod kernel;
mod plan;
