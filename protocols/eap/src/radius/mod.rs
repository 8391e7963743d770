//! RADIUS: packets, what makes them genuine, the desk where requests come in, and orders to access points.

mod attribute;
mod desk;
mod key;
pub mod order;
mod packet;

pub use attribute::{Attributes, Kind, Place};
pub use desk::{Asked, Desk, Received, Ticket};
pub use order::Order;
pub use packet::{Authenticator, Code, Packet, Secret};
