//! The agent against a registrar on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod it {
    mod cli;
    mod dpp;
    mod kill;
    mod life;
    // The registrar that the pledge core is tested against, here behind TLS.
    #[allow(dead_code, reason = "not every quirk is needed here")]
    #[path = "../../../../protocols/brski/tests/it/pledge/registrar.rs"]
    mod registrar;
    mod update;
    mod world;
}
