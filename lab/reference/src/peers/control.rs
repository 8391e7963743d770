//! The control interface of wpa_supplicant and hostapd: requests, their answers, and events.

use super::event::Event;
use anyhow::{Context, Result, bail};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::UnixDatagram, time::Instant};

/// An answer may take so long: making keys and scanning do not happen within a request.
const ANSWER: Duration = Duration::from_secs(20);

/// A program's control socket, and what it said that nobody has asked for yet.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UnixDatagram,
    events: VecDeque<Event>,
    own: PathBuf,
}

impl Socket {
    /// Connects to the control socket `theirs` from a socket at `own`, and asks for events.
    pub(super) async fn attach(theirs: &Path, own: PathBuf) -> Result<Self> {
        let socket = UnixDatagram::bind(&own).with_context(|| own.display().to_string())?;
        socket.connect(theirs).with_context(|| theirs.display().to_string())?;
        let mut control = Self { socket, events: VecDeque::new(), own };
        match control.request("ATTACH").await?.as_str() {
            "OK" => Ok(control),
            answer => bail!("ATTACH: {answer}"),
        }
    }

    /// Sends a request, and gives its answer without the line's end.
    pub(super) async fn request(&mut self, request: &str) -> Result<String> {
        self.socket.send(request.as_bytes()).await?;
        let until = Instant::now() + ANSWER;
        loop {
            let message = self.receive(until).await?.with_context(|| format!("{request}: there is no answer"))?;
            if !Event::is_unasked(&message) {
                return Ok(message.trim_end().to_owned());
            }
            self.events.extend(Event::of_socket(&message));
        }
    }

    /// The next event, or nothing until then.
    pub(super) async fn event(&mut self, until: Instant) -> Result<Option<Event>> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        loop {
            let Some(message) = self.receive(until).await? else { return Ok(None) };
            if let Some(event) = Event::of_socket(&message) {
                return Ok(Some(event));
            }
        }
    }

    async fn receive(&self, until: Instant) -> Result<Option<String>> {
        // hostap's answers and events are at most 4096 octets; certificates in events are the largest.
        let mut message = vec![0; 16 * 1024];
        let Ok(received) = tokio::time::timeout_at(until, self.socket.recv(&mut message)).await else {
            return Ok(None);
        };
        message.truncate(received?);
        Ok(Some(String::from_utf8_lossy(&message).into_owned()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
    }
}
