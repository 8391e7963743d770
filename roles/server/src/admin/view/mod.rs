//! What the admin API shows and takes, by the handlers that do. These shapes are its contract: docs/openapi.json is made
//! from them.

mod assets;
mod book;
mod configurator;
mod deny;
mod factory;
mod flows;
mod guest;
mod network;
mod posture;
mod segments;
mod server;
mod signals;
mod transfer;
mod usage;
mod verification;

pub use assets::*;
pub use book::*;
pub use configurator::*;
pub use deny::*;
pub use factory::*;
pub use flows::*;
pub use guest::*;
pub use network::*;
pub use posture::*;
pub use segments::*;
pub use server::*;
pub use signals::*;
pub use transfer::*;
pub use usage::*;
pub use verification::*;
