//! The server roles, each as its callers see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "it/enforcer/mod.rs"]
mod enforcer;
#[path = "it/factory/mod.rs"]
mod factory;

#[path = "it/announced.rs"]
mod announced;
#[path = "it/authorizer/mod.rs"]
mod authorizer;
#[path = "it/book/mod.rs"]
mod book;
#[path = "it/configurator/mod.rs"]
mod configurator;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/foreign.rs"]
mod foreign;
#[path = "it/labels.rs"]
mod labels;
#[path = "it/masa.rs"]
mod masa;
#[path = "it/onboarding.rs"]
mod onboarding;
#[path = "it/revocation.rs"]
mod revocation;
#[path = "it/supply.rs"]
mod supply;
#[path = "it/world.rs"]
mod world;
