//! The guide's five processes as pure state: factory, transfer, network, application, verification.
//!
//! Each module holds the records of one process and the functions that decide about them; [`device`] is the one state
//! machine of a device in a domain. Nothing here knows a store, a clock or a socket: a function takes records and the
//! time, and returns new records for the caller to commit.

pub mod application;
pub mod device;
pub mod factory;
pub mod network;
pub mod transfer;
pub mod verification;
