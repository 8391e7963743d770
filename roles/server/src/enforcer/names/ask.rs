//! Asking the resolvers of the network.

use aws_lc_rs::rand;
use landfall_mud::dns::{Answer, Code, LONGEST, Query, Question};
use landfall_nft::Kernel;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    time::timeout,
};

/// How long one resolver has for an answer.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often it is asked at all, whichever of them.
const TRIES: usize = 3;

/// What a resolver says, with its octets; nothing if none of them says anything that helps.
pub(super) async fn ask(kernel: &Kernel, resolvers: &[SocketAddr], question: &Question) -> Option<(Answer, Vec<u8>)> {
    let mut last = None;
    for resolver in resolvers.iter().cycle().take(TRIES) {
        let mut id = [0; 2];
        rand::fill(&mut id).ok()?;
        let query = Query::new(u16::from_be_bytes(id), question.clone())?;
        let mut said = timeout(PATIENCE, by_datagram(kernel, *resolver, &query)).await;
        if matches!(&said, Ok(Ok((answer, _))) if answer.is_cut) {
            said = timeout(PATIENCE, by_stream(kernel, *resolver, &query)).await;
        }
        let Ok(Ok((answer, message))) = said else { continue };
        let is_useful = answer.code == Code::Good as u8 || answer.code == Code::NoSuchName as u8;
        last = Some((answer, message));
        if is_useful {
            break;
        }
    }
    last
}

async fn by_datagram(kernel: &Kernel, resolver: SocketAddr, query: &Query) -> io::Result<(Answer, Vec<u8>)> {
    // RFC 5452 s9.2: a port of its own for every question, which nobody can guess.
    let any: SocketAddr = if resolver.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = kernel.inside(|| std::net::UdpSocket::bind(any))?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    socket.connect(resolver).await?;
    socket.send(&query.write()).await?;
    let mut message = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut message).await?;
        // What is no answer to this question is no reason to stop listening.
        let said = message.get(..length).unwrap_or_default();
        if let Some(answer) = Answer::read(said, query) {
            return Ok((answer, said.to_vec()));
        }
    }
}

async fn by_stream(kernel: &Kernel, resolver: SocketAddr, query: &Query) -> io::Result<(Answer, Vec<u8>)> {
    let socket = kernel.inside(|| if resolver.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() })?;
    let mut stream = socket.connect(resolver).await?;
    let question = query.write();
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    let answer = Answer::read(&message, query).filter(|answer| !answer.is_cut);
    answer.map(|answer| (answer, message)).ok_or_else(|| io::Error::other("it is no answer"))
}
