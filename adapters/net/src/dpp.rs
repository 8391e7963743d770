//! Wi-Fi Easy Connect over TCP (DPP s12): connections that carry frames.

use crate::{NetError, http::Endpoint};
use landfall_dpp::{frame::Frame, tcp::Decoder};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

pub use landfall_dpp::tcp::PORT;

/// What is read at once; a frame is seldom longer.
const CHUNK: usize = 4096;

/// A connection that carries frames. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    peer: SocketAddr,
    decoder: Decoder,
}

impl Link {
    /// Connects to the first address of the endpoint that answers.
    ///
    /// # Errors
    /// The last [`NetError`], if none does within `limit`.
    pub async fn open(endpoint: &Endpoint, limit: Duration) -> Result<Self, NetError> {
        let until = Instant::now() + limit;
        let mut last = NetError::Timeout { step: "TCP connection", limit };
        for address in endpoint.addresses(limit).await? {
            match timeout_at(until, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Self::of(stream),
                Ok(Err(source)) => last = NetError::Io { step: "TCP connection", source },
                Err(_) => break,
            }
        }
        Err(last)
    }

    /// Over a connection that was made.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn of(stream: TcpStream) -> Result<Self, NetError> {
        // The exchange goes to and fro in small frames: each would wait for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(lost)?;
        let peer = stream.peer_addr().map_err(lost)?;
        Ok(Self { stream, peer, decoder: Decoder::new() })
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), NetError> {
        self.stream.write_all(&landfall_dpp::tcp::encode(frame)).await.map_err(lost)
    }

    /// The next frame; `None` once the other end has closed. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// If the connection is gone, or carries something else than frames.
    pub async fn next(&mut self) -> Result<Option<Frame>, NetError> {
        loop {
            let pending = self.decoder.pending();
            match self.decoder.next() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                // A frame of something else was passed over; a length that cannot be leaves everything where it was.
                Err(error) if self.decoder.pending() < pending => {
                    tracing::debug!(peer = %self.peer, %error, "a frame that is not one of DPP");
                    continue;
                }
                Err(error) => return Err(lost(io::Error::new(io::ErrorKind::InvalidData, error))),
            }
            let mut chunk = [0; CHUNK];
            let read = self.stream.read(&mut chunk).await.map_err(lost)?;
            if read == 0 {
                return Ok(None);
            }
            self.decoder.push(chunk.get(..read).unwrap_or_default());
        }
    }
}

fn lost(source: io::Error) -> NetError {
    NetError::Io { step: "DPP over TCP", source }
}
