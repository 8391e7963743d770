//! UDP sockets for GRASP floods.

use crate::NetError;
use landfall_brski::proxy::grasp::{NEIGHBORS, PORT};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddrV6;
use tokio::net::UdpSocket;

fn socket(configure: impl FnOnce(&Socket) -> io::Result<()>) -> Result<UdpSocket, NetError> {
    let open = || {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(true)?;
        socket.set_nonblocking(true)?;
        configure(&socket)?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|source| NetError::Io { step: "opening a GRASP socket", source })
}

/// Hears the floods of one interface. Several may listen on one machine.
#[cfg(feature = "client")]
pub(super) fn listener(interface: u32) -> Result<UdpSocket, NetError> {
    socket(|socket| {
        socket.set_reuse_address(true)?;
        // Bound to the group and the interface, it hears nothing else.
        socket.bind(&SockAddr::from(SocketAddrV6::new(NEIGHBORS, PORT, 0, interface)))?;
        socket.join_multicast_v6(&NEIGHBORS, interface)
    })
}

/// Sends floods from `address` out of one interface.
#[cfg(feature = "server")]
pub(super) fn sender(address: std::net::Ipv6Addr, interface: u32) -> Result<UdpSocket, NetError> {
    socket(|socket| {
        socket.set_multicast_if_v6(interface)?;
        // RFC 8990 s2.6: link-local, so no router needs to see it.
        socket.set_multicast_hops_v6(1)?;
        socket.bind(&SockAddr::from(SocketAddrV6::new(address, 0, 0, interface)))?;
        socket.connect(&SockAddr::from(SocketAddrV6::new(NEIGHBORS, PORT, 0, interface)))
    })
}
