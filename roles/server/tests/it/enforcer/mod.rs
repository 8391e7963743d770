//! The enforcer: what it plans, and what packets then meet.

mod chain;
mod intent;
mod kernel;
mod manager;
mod names;
mod plan;
mod violation;
