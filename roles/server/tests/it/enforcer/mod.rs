//! The enforcer: what it plans, and what packets then meet.

mod kernel;
mod plan;
