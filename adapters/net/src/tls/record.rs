//! A stream that keeps a copy of the handshake that passed over it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Handshakes that are longer than this, in either direction, are not kept: their tls-unique is unknown.
const LONGEST: usize = 64 * 1024;

/// The transport under TLS. Until the handshake is over it records both directions, afterwards it only passes on.
#[derive(Debug)]
pub struct Recorded<S> {
    inner: S,
    tape: Option<Tape>,
}

/// What was read from and written to the transport.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) read: Vec<u8>,
    pub(super) written: Vec<u8>,
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, tape: Some(Tape::default()) }
    }

    /// Ends the recording and hands it over.
    pub(super) fn stop(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    fn keep(&mut self, side: impl FnOnce(&mut Tape) -> &mut Vec<u8>, bytes: &[u8]) {
        let Some(tape) = &mut self.tape else { return };
        let side = side(tape);
        match side.len() + bytes.len() <= LONGEST {
            true => side.extend_from_slice(bytes),
            false => self.tape = None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.keep(|tape| &mut tape.read, buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.keep(|tape| &mut tape.written, bytes.get(..count).unwrap_or_default());
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(mut left)) = written {
            for slice in slices {
                let taken = left.min(slice.len());
                self.keep(|tape| &mut tape.written, slice.get(..taken).unwrap_or_default());
                left -= taken;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
