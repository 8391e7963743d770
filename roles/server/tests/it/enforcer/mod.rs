//! The enforcer: what it plans, and what packets then meet.

mod chain;
mod denied;
mod intent;
mod kernel;
mod manager;
mod names;
mod plan;
mod tell;
mod violation;
