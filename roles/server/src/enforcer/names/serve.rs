//! Where devices ask: by datagrams and by streams (RFC 7766).

use super::Names;
use landfall_mud::dns::LONGEST;
use landfall_nft::Kernel;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

/// So many questions wait for their answers at once; more are left unanswered.
const AT_ONCE: usize = 256;
/// So many devices are connected at once.
const CONNECTED: usize = 64;
/// A connection on which nothing is asked for so long is over.
const IDLE: Duration = Duration::from_secs(5);
/// And one on which so much was asked.
const TURNS: usize = 64;

/// The sockets of a resolver at one address.
#[derive(Debug)]
pub(in super::super) struct Door {
    datagrams: tokio::net::UdpSocket,
    streams: tokio::net::TcpListener,
}

impl Door {
    /// Listens at an address, which an interface may get later.
    pub(in super::super) fn open(kernel: &Kernel, address: SocketAddr) -> io::Result<Self> {
        let (datagrams, streams) = kernel.inside(|| {
            let open = |kind, protocol| {
                let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
                match address {
                    SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
                    SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
                }
                socket.set_nonblocking(true)?;
                if protocol == Protocol::TCP {
                    socket.set_reuse_address(true)?;
                }
                socket.bind(&address.into())?;
                io::Result::Ok(socket)
            };
            let streams = open(Type::STREAM, Protocol::TCP)?;
            streams.listen(128)?;
            Ok((open(Type::DGRAM, Protocol::UDP)?, streams))
        })?;
        Ok(Self {
            datagrams: tokio::net::UdpSocket::from_std(UdpSocket::from(datagrams))?,
            streams: tokio::net::TcpListener::from_std(TcpListener::from(streams))?,
        })
    }

    /// Answers, for as long as it is polled.
    pub(in super::super) async fn serve(self, names: Arc<Names>) {
        let Self { datagrams, streams } = self;
        tokio::join!(by_datagram(Arc::new(datagrams), &names), by_stream(streams, &names));
    }
}

async fn by_datagram(socket: Arc<tokio::net::UdpSocket>, names: &Arc<Names>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    let mut message = vec![0; LONGEST + 1];
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok((length, from)) = socket.recv_from(&mut message).await else { continue };
        let Ok(place) = room.clone().try_acquire_owned() else {
            super::count("busy");
            continue;
        };
        let (socket, names) = (socket.clone(), names.clone());
        let question = message.get(..length).unwrap_or_default().to_vec();
        tasks.spawn(async move {
            let _place = place;
            if let Some(answer) = names.answer(from.ip().to_canonical(), &question, true).await {
                // Who is gone does not hear it.
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn by_stream(listener: tokio::net::TcpListener, names: &Arc<Names>) {
    let room = Arc::new(Semaphore::new(CONNECTED));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors, say: it would only fail again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let names = names.clone();
        tasks.spawn(async move {
            let _place = place;
            let _ = converse(stream, from, &names).await;
        });
    }
}

async fn converse(mut stream: TcpStream, from: SocketAddr, names: &Names) -> io::Result<()> {
    for _ in 0..TURNS {
        let question = timeout(IDLE, async {
            let length = usize::from(stream.read_u16().await?);
            if length > LONGEST {
                return Err(io::Error::other("no question is so long"));
            }
            let mut question = vec![0; length];
            stream.read_exact(&mut question).await?;
            Ok(question)
        });
        let question = question.await.map_err(io::Error::other)??;
        let Some(answer) = names.answer(from.ip().to_canonical(), &question, false).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        timeout(IDLE, stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())).await??;
    }
    Ok(())
}
