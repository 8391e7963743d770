//! One TCP connection: frames in, frames out (DPP s12). Idle, it costs a task and no buffer.

use landfall_dpp::{
    frame::{Frame, FrameError},
    tcp::{self, Decoder},
};
use std::{io, net::SocketAddr};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// How much is read at a time.
const READ: usize = 2048;

/// A connection of an access point that relays for one device, or of a device itself.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    remote: SocketAddr,
    decoder: Decoder,
}

/// The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the connection was closed")]
    Closed,
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Nonsense(FrameError),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, remote: SocketAddr) -> Self {
        Self { stream, remote, decoder: Decoder::new() }
    }

    /// Who is at the other end.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The next frame. If it is dropped before it is done, nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Frame, Gone> {
        loop {
            let waiting = self.decoder.pending();
            match self.decoder.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => self.fill().await?,
                // A frame that is none of DPP's was passed over; if it was not, nobody knows where the next one begins.
                Err(why) if self.decoder.pending() < waiting => {
                    tracing::debug!(remote = %self.remote, %why, "a frame was passed over");
                }
                Err(why) => return Err(Gone::Nonsense(why)),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        loop {
            self.stream.readable().await?;
            let mut buffer = [0; READ];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(Gone::Closed),
                Ok(length) => {
                    self.decoder.push(buffer.get(..length).unwrap_or_default());
                    return Ok(());
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// Sends frames in one write.
    pub(super) async fn send(&mut self, frames: &[Frame]) -> Result<(), Gone> {
        if frames.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = frames.iter().flat_map(tcp::encode).collect();
        Ok(self.stream.write_all(&bytes).await?)
    }
}
