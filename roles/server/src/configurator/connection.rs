//! One TCP connection: frames in, frames out (DPP s12). Idle, it costs a task and no buffer.

use super::waiting::Seat;
use landfall_dpp::{
    bounds,
    frame::{Frame, FrameError},
    tcp::{self, Decoder},
};
use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// How much is read at a time.
const READ: usize = 2048;
/// The longest frame of a peer that has not been answered: far more than any first frame has, and than most have.
const LONGEST_UNANSWERED: usize = 4096;

/// A connection of an access point that relays for one device, or of a device itself.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    remote: SocketAddr,
    number: u64,
    decoder: Decoder,
    /// Its place among those that wait, until it is answered.
    seat: Option<Seat>,
    /// How long it may take to its first frame, until that has come.
    first: Option<Duration>,
}

/// The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the connection was closed")]
    Closed,
    #[error("nothing came by the connection")]
    Silent,
    #[error("others needed its place")]
    Displaced,
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Nonsense(FrameError),
}

impl Connection {
    /// One that we have made.
    pub(super) fn new(stream: TcpStream, remote: SocketAddr) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { stream, remote, number, decoder: Decoder::new(), seat: None, first: None }
    }

    /// One that somebody else has made, who has to say something within `first`.
    pub(super) fn accepted(stream: TcpStream, remote: SocketAddr, seat: Seat, first: Duration) -> Self {
        Self { seat: Some(seat), first: Some(first), ..Self::new(stream, remote) }
    }

    /// Who is at the other end.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// What stands for the address of the radio at the other end, which TCP does not carry: no other connection has it.
    pub(super) fn sender(&self) -> [u8; 6] {
        // IEEE 802 s8.4: the second bit says that the address is local.
        let [_, _, _, a, b, c, d, e] = self.number.to_be_bytes();
        [2, a, b, c, d, e]
    }

    /// The next frame. If it is dropped before it is done, nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Frame, Gone> {
        let frame = match self.first {
            Some(first) => timeout(first, self.read()).await.map_err(|_| Gone::Silent)??,
            None => self.read().await?,
        };
        self.first = None;
        Ok(frame)
    }

    async fn read(&mut self) -> Result<Frame, Gone> {
        let longest = if self.seat.is_some() { LONGEST_UNANSWERED } else { bounds::TCP_FRAME };
        loop {
            let waiting = self.decoder.pending();
            match self.decoder.next_within(longest) {
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
            match &self.seat {
                None => self.stream.readable().await?,
                Some(seat) => tokio::select! {
                    biased;
                    () = seat.wanted() => return Err(Gone::Displaced),
                    readable = self.stream.readable() => readable?,
                },
            }
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
        self.seat = None;
        let bytes: Vec<u8> = frames.iter().flat_map(tcp::encode).collect();
        Ok(self.stream.write_all(&bytes).await?)
    }
}
