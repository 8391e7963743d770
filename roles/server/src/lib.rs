//! The server roles: factory, MASA, supply chain, registrar, join proxy, console API.

pub mod access;
pub mod admin;
pub mod assets;
pub mod attestation;
pub mod authorizer;
pub mod book;
pub mod configurator;
pub mod deny;
pub mod domain;
pub mod enforcer;
mod exchange;
pub mod external_ca;
pub mod factory;
mod happen;
pub mod health;
mod hierarchy;
pub mod identity;
pub mod labels;
pub mod masa;
pub mod observe;
pub mod open;
pub mod proxy;
pub mod registrar;
pub mod revocation;
pub mod role;
pub mod server;
pub mod settings;
pub mod signals;
mod site;
pub mod supply_chain;
pub mod world;

pub use identity::Identity;
pub use role::{RoleError, RoleName, Shutdown, Task, Trigger, shutdown};
pub use server::Server;
pub use settings::Settings;
pub use world::{Clock, World};
