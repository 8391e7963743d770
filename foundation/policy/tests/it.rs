//! What policies decide, and what they say about it.

#[path = "it/acceptance.rs"]
mod acceptance;
#[path = "it/rules.rs"]
mod rules;
