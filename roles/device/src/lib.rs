//! The device's own agent: discover, onboard, renew, reset.
