//! The device's own agent.
fn main() {}
