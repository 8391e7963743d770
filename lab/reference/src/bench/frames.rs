//! What an exchange of Wi-Fi Easy Connect costs below Landfall, measured in the same run: a TCP connection, its frames and
//! durable writes, with nothing in them.

use super::{disk::Disk, load};
use anyhow::{Result, ensure};
use bytes::Bytes;
use serde::Serialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Octets of a frame, on average: authentication takes 60 to 300, a configuration some 800.
const FRAME: usize = 300;
/// The length before each frame (DPP s7.2).
const LENGTH: usize = 4;

/// What an exchange needs of the network and of the disk, both ends together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Frames on its one connection.
    pub frames: usize,
    /// Durable writes.
    pub commits: usize,
}

/// Announcement and request, response and confirmation, configuration request and response; then the result. Durable:
/// what is given, before it is sent, and what came of it.
pub const NEEDS: Needs = Needs { frames: 2 * ANSWERED + 1, commits: 2 };
const ANSWERED: usize = 3;

/// One end, which answers.
#[derive(Clone, Copy)]
pub struct Frames(SocketAddr);

impl Frames {
    /// Starts to answer, with a file in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let disk = Disk::start(&folder.join("bare"))?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, disk.clone()));
            }
        });
        Ok(Self(address))
    }

    /// Milliseconds of CPU for one exchange of `count`, `parallel` at once.
    pub async fn cpu_ms(self, count: usize, parallel: usize) -> Result<f64> {
        let load = load::run(count, parallel, move |_| self.once()).await.load(parallel);
        ensure!(load.errors == 0, "bare TCP failed: {}", load.first_error.unwrap_or_default());
        Ok(load.cpu_ms)
    }

    async fn once(self) -> Result<()> {
        let mut stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        for _ in 0..ANSWERED {
            send(&mut stream).await?;
            receive(&mut stream).await?;
        }
        send(&mut stream).await?;
        // The other end closes once its last write is durable, which belongs to the exchange.
        ensure!(stream.read(&mut [0]).await? == 0, "the other end goes on");
        Ok(())
    }
}

async fn answer(mut stream: TcpStream, disk: Disk) -> Result<()> {
    stream.set_nodelay(true)?;
    for answer in 1..=ANSWERED {
        let received = receive(&mut stream).await?;
        if answer == ANSWERED {
            disk.write(received).await?;
        }
        send(&mut stream).await?;
    }
    disk.write(receive(&mut stream).await?).await
}

async fn send(stream: &mut TcpStream) -> Result<()> {
    Ok(stream.write_all(&[b'x'; LENGTH + FRAME]).await?)
}

/// As frames are read: the length, then what it says.
async fn receive(stream: &mut TcpStream) -> Result<Bytes> {
    let mut frame = vec![0; FRAME];
    stream.read_exact(&mut [0; LENGTH]).await?;
    stream.read_exact(&mut frame).await?;
    Ok(frame.into())
}
