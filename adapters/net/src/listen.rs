//! Accepting connections: a bounded number of them, through errors, until told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Something that streams come in by: a TCP port or a Unix socket.
pub trait Accept: Send + Sync + 'static {
    /// The streams.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next stream and where it comes from, unless that has no address.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, remote) = Self::accept(self).await?;
        // Small requests and responses: waiting to fill a segment only costs time.
        stream.set_nodelay(true)?;
        Ok((stream, Some(remote)))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        Ok((Self::accept(self).await?.0, None))
    }
}

/// How many connections at once, and how long they may take to end when the server stops.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// At a time; more wait in the system's queue.
    pub connections: usize,
    /// How long they may go on when the server stops.
    pub drain: Duration,
}

/// Hands every connection to `serve`, until `stop` becomes true (or its sender is gone) and what was accepted has
/// ended. While all places are taken, new connections wait in the system's queue, and `full` is told each time.
pub async fn run<A, F>(
    listener: A,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
    full: impl Fn(),
    mut serve: impl FnMut(A::Stream, Option<SocketAddr>) -> F,
) where
    A: Accept,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            if places.available_permits() == 0 {
                full();
            }
            // Never closed, so there is always a place to wait for.
            let place = places.clone().acquire_owned().await.ok();
            (place, accept(&listener).await)
        };
        let (place, (stream, remote)) = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            next = next => next,
        };
        while connections.try_join_next().is_some() {}
        let connection = serve(stream, remote);
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(bounds.drain, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// Resolves when `stop` becomes true, or nobody is left who could make it so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Accepts in spite of errors: a client that went away concerns nobody, and when files or memory run out it is better
/// to wait for some than to die.
async fn accept<A: Accept>(listener: &A) -> (A::Stream, Option<SocketAddr>) {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_secs(1);
    let mut pause = SHORTEST;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "cannot accept connections");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

fn is_about_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(
        error.kind(),
        E::ConnectionAborted | E::ConnectionReset | E::ConnectionRefused | E::NotConnected | E::InvalidInput
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::DuplexStream;

    /// Fails as often as told, then gives one stream, then nothing.
    struct Failing(Mutex<Vec<io::Result<DuplexStream>>>);

    impl Accept for Failing {
        type Stream = DuplexStream;
        async fn accept(&self) -> io::Result<(DuplexStream, Option<SocketAddr>)> {
            let next = self.0.lock().unwrap().pop();
            match next {
                Some(result) => result.map(|stream| (stream, None)),
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn running_out_of_files_does_not_end_it() {
        let emfile = || Err(io::Error::from_raw_os_error(24));
        let stream = tokio::io::duplex(8).0;
        let listener = Failing(Mutex::new(vec![Ok(stream), emfile(), emfile()]));
        let (stop, stopped) = watch::channel(false);
        let (served, mut seen) = tokio::sync::mpsc::channel(1);
        let bounds = Bounds { connections: 1, drain: Duration::from_secs(1) };
        let running = tokio::spawn(run(
            listener,
            bounds,
            stopped,
            || {},
            move |_, _| {
                let served = served.clone();
                async move { served.send(()).await.unwrap() }
            },
        ));
        seen.recv().await.unwrap();
        stop.send(true).unwrap();
        running.await.unwrap();
    }
}
