//! How a device shows its certificate to the network that it joins: EAP-TLS (RFC 5216, RFC 9190) between device and
//! server, carried by RADIUS (RFC 2865, RFC 3579) between access point or switch and server. Both sides, without sockets
//! or clocks.
//!
//! [`tls::Server`] is one conversation with one device, [`tls::Peer`] its other end. [`radius::Desk`] is where the
//! packets of access points come in: it opens those that are genuine, answers what was answered before, and finds the
//! conversation that a packet belongs to. [`radius::Order`] is what goes the other way: that a device is to be put out
//! (RFC 5176). [`port::Supplicant`] is a device at a port of a switch that lets nobody through unasked (IEEE 802.1X).
//! [`anqp`] is how a device learns which of the networks in the air are for it.

pub mod anqp;
pub mod bounds;
pub mod eapol;
pub mod packet;
pub mod port;
pub mod radius;
pub mod tls;

pub use packet::Packet;
