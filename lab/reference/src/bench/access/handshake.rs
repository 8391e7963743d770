//! The handshake alone, in memory.

use super::{super::floor::price, device::Device, server::Foreign};
use anyhow::Result;
use rustls::{
    ClientConnection, ServerConfig, ServerConnection,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use std::{sync::Arc, time::Duration};

/// Milliseconds of CPU, both ends together, measured for about `each`.
pub(super) fn cpu_ms(device: &Device, server: &Foreign, each: Duration) -> Result<f64> {
    let config = config(server)?;
    once(device, config.clone())?;
    Ok(price(each, || once(device, config.clone()).is_ok())? as f64 / 1e6)
}

/// The server's end: rustls, with its own judgement of the certificates.
pub(super) fn config(server: &Foreign) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(server.devices.clone()), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain(), server.key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn once(device: &Device, config: Arc<ServerConfig>) -> Result<()> {
    let mut client = ClientConnection::new(device.tls.clone(), ServerName::try_from("localhost")?)?;
    let mut server = ServerConnection::new(config)?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest)?;
            server.process_new_packets()?;
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest)?;
            client.process_new_packets()?;
        }
    }
    Ok(())
}
