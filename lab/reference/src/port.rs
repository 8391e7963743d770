//! Ports that servers of the lab are to have.

use anyhow::{Context, Result};
use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

/// A port of loopback that nobody listens on now: settings and certificates have to name it before the server runs.
/// It lies below those that the kernel hands out by itself (32768 and up, by default), and is returned once.
pub(crate) fn free_port() -> Result<u16> {
    const FIRST: u16 = 1 << 14;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run beside this one begin elsewhere.
    let [.., high, low] = std::process::id().wrapping_mul(40_503).to_be_bytes();
    let start = u16::from_be_bytes([high, low]);
    let next = |_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % FIRST;
    let is_free = |port: &u16| {
        let address = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    (0..FIRST).map(next).find(is_free).context("no free port")
}
