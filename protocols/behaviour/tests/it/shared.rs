//! What the tests of flows have in common.

use landfall_behaviour::Flow;
use landfall_types::{DeviceId, Time};
use std::{net::IpAddr, time::Duration};

pub(crate) fn start() -> Time {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

pub(crate) fn after(seconds: u64) -> Time {
    start() + Duration::from_secs(seconds)
}

pub(crate) fn lamp() -> DeviceId {
    "aa.lamp-1".parse().unwrap()
}

/// One from a lamp.
pub(crate) fn flow(to: &str, port: u16, at: Time) -> Flow {
    Flow::between(ip("10.0.0.2"), ip(to), 6, port, at)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
