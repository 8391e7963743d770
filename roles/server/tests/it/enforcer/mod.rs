//! The enforcer: what it plans, and what packets then meet.

pub(crate) mod chain;
mod circles;
mod collected;
mod denied;
mod flows;
mod intent;
mod kernel;
mod leak;
pub(crate) mod manager;
mod names;
mod plan;
mod settings;
mod spoof;
mod tell;
mod tracked;
mod violation;
mod whereabouts;
