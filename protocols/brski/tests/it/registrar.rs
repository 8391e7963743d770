//! The registrar: its exchanges, each refusal by one change in a good case.

mod exchange;
mod history;
mod nonsense;
mod outage;
mod prefetch;
mod refusals;
mod status;
mod world;
