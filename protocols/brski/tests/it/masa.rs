//! The MASA: what it grants, what it refuses, and what it remembers.

mod case;
mod grants;
mod history;
mod refusals;
