//! The JSON of configuration: what an enrollee asks for, what it is given, and what became of it (DPP s4.3 to s4.5,
//! s6.4).

mod akm;
mod credential;
mod object;
mod request;
mod result;

pub use akm::Akms;
pub use credential::{Credential, Enterprise};
pub use object::{ConfigObject, Discovery};
pub use request::ConfigRequest;
pub use result::ConnectionStatus;

pub use crate::{json::JsonError, net_role::NetRole};
