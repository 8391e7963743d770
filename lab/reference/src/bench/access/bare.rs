//! What coming in costs below Landfall, measured in the same run: the same handshake in as many UDP datagrams there and back, each
//! with the proofs that RADIUS has, and what has to be durable before the device is told that it is in; with no EAP, no record
//! and no decision.

use super::{
    super::{disk::Disk, load},
    device::{Device, SECRET},
    handshake,
    server::Foreign,
};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rustls::{ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData, pki_types::ServerName};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::UdpSocket;

/// Octets of TLS in a datagram, as our server has them in an EAP packet for a device behind a usual link.
const MOST: usize = 1390;
/// Octets of a proof.
const PROOF: usize = 16;
/// RFC 3579 s3.2: a request has a Message-Authenticator.
const ASKED: usize = 1;
/// RFC 2865 s3: an answer is proved as a whole besides.
const ANSWERED: usize = 2;
/// Octets of what is durable before the device hears that it is in: where it is inside. For the audit nobody waits.
const RECORD: usize = 600;

/// A server, and those who come to it.
pub(super) struct Bare {
    devices: Arc<[Device]>,
    address: SocketAddr,
    /// How often is asked and answered.
    rounds: u8,
}

impl Bare {
    /// Starts the server, which writes to a file in `folder`.
    pub(super) async fn start(devices: &Arc<[Device]>, server: &Foreign, folder: &Path, rounds: u8) -> Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = socket.local_addr()?;
        let disk = Disk::start(&folder.join("bare-access"))?;
        tokio::spawn(serve(socket, handshake::config(server)?, disk, rounds));
        Ok(Self { devices: devices.clone(), address, rounds })
    }

    /// Milliseconds of CPU for one device, of `count`, `parallel` at once.
    pub(super) async fn cpu_ms(&self, count: usize, parallel: usize) -> Result<f64> {
        let (devices, address, rounds) = (self.devices.clone(), self.address, self.rounds);
        let tally = load::run(count, parallel, move |number| {
            let devices = devices.clone();
            async move {
                let device = devices.get(number).with_context(|| format!("there is no device {number}"))?;
                once(device, address, rounds).await
            }
        });
        let load = tally.await.load(parallel);
        ensure!(load.errors == 0, "bare datagrams failed: {}", load.first_error.unwrap_or_default());
        Ok(load.cpu_ms)
    }
}

async fn once(device: &Device, server: SocketAddr, rounds: u8) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let mut end = End::of(ClientConnection::new(device.tls.clone(), ServerName::try_from("localhost")?)?);
    let mut datagram = vec![0; 4096];
    for round in 0..rounds {
        // The first request of a conversation has no TLS in it.
        let said = if round == 0 { Vec::new() } else { end.says() };
        socket.send(&proved::<ASKED>(&said)?).await?;
        let length = socket.recv(&mut datagram).await?;
        end.hears(believed::<ANSWERED>(datagram.get(..length).unwrap_or_default())?)?;
    }
    ensure!(!end.tls.is_handshaking() && end.leaving.is_empty(), "{rounds} rounds were not enough");
    Ok(())
}

async fn serve(socket: Arc<UdpSocket>, config: Arc<ServerConfig>, disk: Disk, rounds: u8) -> Result<()> {
    let conversations = Arc::new(Mutex::new(HashMap::<SocketAddr, (u8, End<ServerConnection>)>::new()));
    let mut datagram = vec![0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut datagram).await?;
        let bytes = datagram.get(..length).unwrap_or_default().to_vec();
        let (socket, conversations, config, disk) =
            (socket.clone(), conversations.clone(), config.clone(), disk.clone());
        tokio::spawn(async move {
            let heard = believed::<ASKED>(&bytes)?;
            let begun = conversations.lock().unwrap_or_else(PoisonError::into_inner).remove(&from);
            let (round, mut end) = match begun {
                Some(begun) => begun,
                None => (0, End::of(ServerConnection::new(config)?)),
            };
            end.hears(heard)?;
            let answer = proved::<ANSWERED>(&end.says())?;
            if round + 1 == rounds {
                disk.write(Bytes::from_static(&[b'x'; RECORD])).await?;
            } else {
                conversations.lock().unwrap_or_else(PoisonError::into_inner).insert(from, (round + 1, end));
            }
            socket.send_to(&answer, from).await?;
            anyhow::Ok(())
        });
    }
}

/// One end of the handshake, and what of its flight has not left.
struct End<C> {
    tls: C,
    leaving: Vec<u8>,
}

impl<C, D: SideData> End<C>
where
    C: std::ops::DerefMut<Target = ConnectionCommon<D>>,
{
    fn of(tls: C) -> Self {
        Self { tls, leaving: Vec::new() }
    }

    fn says(&mut self) -> Vec<u8> {
        while self.tls.wants_write() {
            // Writing to a vector cannot fail.
            let _ = self.tls.write_tls(&mut self.leaving);
        }
        let most = self.leaving.len().min(MOST);
        self.leaving.drain(..most).collect()
    }

    fn hears(&mut self, mut said: &[u8]) -> Result<()> {
        while !said.is_empty() {
            self.tls.read_tls(&mut said)?;
            self.tls.process_new_packets()?;
        }
        Ok(())
    }
}

/// What is said, with `N` proofs before it.
fn proved<const N: usize>(said: &[u8]) -> Result<Vec<u8>> {
    let mut datagram = Vec::with_capacity(N * PROOF + said.len());
    for _ in 0..N {
        datagram.extend_from_slice(&proof(said)?.finalize().into_bytes());
    }
    datagram.extend_from_slice(said);
    Ok(datagram)
}

/// What is said behind `N` proofs that are right.
fn believed<const N: usize>(datagram: &[u8]) -> Result<&[u8]> {
    let (proofs, said) = datagram.split_at_checked(N * PROOF).context("a datagram without proofs")?;
    for one in proofs.chunks(PROOF) {
        if proof(said)?.verify_slice(one).is_err() {
            bail!("a datagram with a wrong proof");
        }
    }
    Ok(said)
}

fn proof(said: &[u8]) -> Result<Hmac<Md5>> {
    Ok(Hmac::<Md5>::new_from_slice(SECRET.as_bytes())?.chain_update(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_altered_is_not_believed() {
        let mut datagram = proved::<ANSWERED>(b"said").unwrap();
        assert_eq!(believed::<ANSWERED>(&datagram).unwrap(), b"said");
        *datagram.last_mut().unwrap() ^= 1;
        believed::<ANSWERED>(&datagram).unwrap_err();
        believed::<ANSWERED>(&datagram[..20]).unwrap_err();
    }
}
