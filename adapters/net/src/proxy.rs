//! The join proxy's circuits (RFC 8995 s4.1.2): every TCP connection of a pledge becomes one to the registrar, and bytes
//! pass both ways uninspected. What a pledge may use up of the proxy is bounded, for anybody on the link can ask.

use crate::listen::{self, Bounds};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// What pledges may use of a proxy.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Circuits in total; more wait to be accepted.
    pub circuits: usize,
    /// Circuits from one address; more are closed at once.
    pub per_source: usize,
    /// How long reaching the registrar may take.
    pub connect: Duration,
    /// How long a circuit may carry nothing in either direction.
    pub idle: Duration,
    /// How long a circuit may last.
    pub total: Duration,
    /// How long circuits may go on when the proxy stops.
    pub drain: Duration,
}

impl Default for ProxyLimits {
    /// Room for a few hundred pledges that onboard at once, each waiting up to a minute for its registrar.
    fn default() -> Self {
        Self {
            circuits: 512,
            per_source: 8,
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            total: Duration::from_secs(600),
            drain: Duration::from_secs(10),
        }
    }
}

/// Running totals of a proxy.
#[derive(Debug, Default)]
pub struct ProxyStats {
    /// Circuits that are open now.
    pub open: AtomicUsize,
    /// Circuits that were opened.
    pub opened: AtomicU64,
    /// How often every place was taken, so that whoever came next had to wait.
    pub full: AtomicU64,
    /// Connections closed at once because their source had too many.
    pub refused: AtomicU64,
    /// Connections closed because the registrar could not be reached.
    pub unreachable: AtomicU64,
    /// Circuits ended by a time limit.
    pub timed_out: AtomicU64,
    /// Bytes passed from pledges to the registrar.
    pub to_registrar: AtomicU64,
    /// Bytes passed from the registrar to pledges.
    pub to_pledge: AtomicU64,
}

/// A proxy between pledges that connect to `listener` and the registrar.
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    registrar: watch::Receiver<Option<SocketAddr>>,
    limits: ProxyLimits,
    stats: Arc<ProxyStats>,
}

impl Proxy {
    /// A proxy to `registrar`, which may change while it runs, or be unknown for a time.
    pub fn new(listener: TcpListener, registrar: watch::Receiver<Option<SocketAddr>>, limits: ProxyLimits) -> Self {
        Self { listener, registrar, limits, stats: Arc::default() }
    }

    /// A proxy to one registrar for ever.
    pub fn to(listener: TcpListener, registrar: SocketAddr, limits: ProxyLimits) -> Self {
        Self::new(listener, watch::channel(Some(registrar)).1, limits)
    }

    /// Its running totals.
    pub fn stats(&self) -> Arc<ProxyStats> {
        self.stats.clone()
    }

    /// Works until `stop` becomes true.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let Self { listener, registrar, limits, stats } = self;
        let sources = Sources::default();
        let bounds = Bounds { connections: limits.circuits, drain: limits.drain };
        let full = || {
            stats.full.fetch_add(1, Ordering::Relaxed);
        };
        listen::run(listener, bounds, stop, full, |pledge, remote| {
            let place = remote.and_then(|remote| sources.enter(remote.ip(), limits.per_source));
            let to = *registrar.borrow();
            let stats = stats.clone();
            async move {
                let Some(_place) = place else {
                    stats.refused.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                circuit(pledge, to, limits, &stats).await;
            }
        })
        .await;
    }
}

async fn circuit(mut pledge: TcpStream, to: Option<SocketAddr>, limits: ProxyLimits, stats: &ProxyStats) {
    let Some(mut registrar) = connect(to, limits.connect).await else {
        stats.unreachable.fetch_add(1, Ordering::Relaxed);
        return;
    };
    stats.opened.fetch_add(1, Ordering::Relaxed);
    let _open = Open::count(&stats.open);
    let activity = Activity::new();
    let (from_pledge, to_pledge) = pledge.split();
    let (from_registrar, to_registrar) = registrar.split();
    let passing = async {
        let up = pass(from_pledge, to_registrar, &activity, &stats.to_registrar);
        let down = pass(from_registrar, to_pledge, &activity, &stats.to_pledge);
        tokio::try_join!(up, down)
    };
    let timed_out = tokio::select! {
        _ = passing => false,
        () = activity.stops_for(limits.idle) => true,
        () = sleep(limits.total) => true,
    };
    stats.timed_out.fetch_add(timed_out.into(), Ordering::Relaxed);
}

/// Counts a circuit for as long as it lasts, however it ends.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn count(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connect(to: Option<SocketAddr>, limit: Duration) -> Option<TcpStream> {
    let Some(to) = to else {
        tracing::warn!("a pledge came before a registrar was found");
        return None;
    };
    match timeout(limit, TcpStream::connect(to)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream.set_nodelay(true).ok().map(|()| stream),
        Err(error) => {
            tracing::warn!(%to, %error, "the registrar cannot be reached");
            None
        }
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 8 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            // One side has said all; the other may still answer.
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
        activity.touch();
        count.fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
    }
}

/// When something last passed, in milliseconds since the start.
struct Activity {
    start: Instant,
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    fn touch(&self) {
        self.last.store(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Resolves when nothing has passed for `limit`.
    async fn stops_for(&self, limit: Duration) {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            sleep_until(self.start + Duration::from_millis(last) + limit).await;
            if self.last.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}

/// How many circuits each address has.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Sources {
    fn enter(&self, source: IpAddr, limit: usize) -> Option<Place> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { sources: self.clone(), source })
    }
}

struct Place {
    sources: Sources,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}
