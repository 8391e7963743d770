//! An access point as the configurator sees one: it relays frames in both directions, from an address of its own.

use anyhow::{Context, Result};
use landfall_dpp::{
    frame::Frame,
    tcp::{self, Decoder},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Shorter answers hold no configuration.
const CONFIGURATION: usize = 200;

/// An access point that relays.
#[derive(Debug)]
pub(super) struct AccessPoint {
    /// Where devices find it.
    pub(super) address: SocketAddr,
    air: Arc<Air>,
    task: JoinHandle<()>,
}

/// What everybody near can hear, and change.
#[derive(Debug, Default)]
struct Air {
    heard: Mutex<Vec<u8>>,
    /// One bit of every configuration is changed on its way.
    disturbed: AtomicBool,
}

/// While it lives, one bit of every configuration is changed on its way.
pub(super) struct Disturbance<'a>(&'a AccessPoint);

impl Drop for Disturbance<'_> {
    fn drop(&mut self) {
        self.0.air.disturbed.store(false, Ordering::SeqCst);
    }
}

impl AccessPoint {
    /// Relays to `configurator`, from the address `own`.
    pub(super) async fn open(own: Ipv4Addr, configurator: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("an access point")?;
        let (address, air) = (listener.local_addr()?, Arc::<Air>::default());
        let heard = Arc::clone(&air);
        let task = tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let air = Arc::clone(&heard);
                tokio::spawn(async move {
                    if let Err(why) = relay(device, own, configurator, &air).await {
                        tracing::debug!(%why, "an access point of the lab lost a connection");
                    }
                });
            }
        });
        Ok(Self { address, air, task })
    }

    /// From now on one bit of every configuration is changed on its way, until what is returned is dropped.
    pub(super) fn disturbed(&self) -> Disturbance<'_> {
        self.air.disturbed.store(true, Ordering::SeqCst);
        Disturbance(self)
    }

    /// Whether `secret` could be read in what was relayed.
    pub(super) fn overheard(&self, secret: &[u8]) -> bool {
        let heard = self.air.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.windows(secret.len().max(1)).any(|part| part == secret)
    }
}

impl Drop for AccessPoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Air {
    fn hear(&self, octets: &[u8]) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
    }
}

async fn relay(device: TcpStream, own: Ipv4Addr, configurator: SocketAddr, air: &Air) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(own), 0).into())?;
    let upstream = socket.connect(configurator).await?;
    // DPP s12: small frames to and fro.
    device.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_device, to_device) = device.into_split();
    let (from_configurator, to_configurator) = upstream.into_split();
    tokio::select! {
        ended = carry(from_device, to_configurator, air, |_| false) => ended,
        ended = carry(from_configurator, to_device, air, |frame| {
            matches!(frame, Frame::Gas(_)) && air.disturbed.load(Ordering::SeqCst)
        }) => ended,
    }
}

/// Carries frames one way until the connection ends; those that `spoil` names arrive with one bit changed.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    air: &Air,
    spoil: impl Fn(&Frame) -> bool,
) -> Result<()> {
    let (mut decoder, mut chunk) = (Decoder::new(), [0; 4096]);
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        decoder.push(chunk.get(..read).unwrap_or_default());
        while let Some(frame) = decoder.next()? {
            let mut octets = tcp::encode(&frame);
            air.hear(&octets);
            let spoilt = octets.len() > CONFIGURATION && spoil(&frame);
            if let Some(last) = octets.last_mut().filter(|_| spoilt) {
                *last ^= 1;
            }
            to.write_all(&octets).await?;
            if spoilt {
                // The device need not wait for what does not come.
                return Ok(());
            }
        }
    }
}
