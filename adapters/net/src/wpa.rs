//! The control interface of wpa_supplicant and hostapd: requests, their answers, and events.
//!
//! It is a socket of datagrams in the file system (`ctrl_interface` in their settings, one per network interface).

use crate::NetError;
use landfall_types::Redacted;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    net::UnixDatagram,
    time::{Instant, timeout_at},
};

/// An answer may take so long: neither making keys nor scanning happens within a request.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest answer or event; connectors and certificates make long events.
const LONGEST: usize = 64 * 1024;
/// Events that are kept until somebody asks for them; the oldest are forgotten.
const WAITING: usize = 256;

/// A program's control socket.
#[derive(Debug)]
pub struct Control {
    socket: UnixDatagram,
    own: PathBuf,
    events: VecDeque<Event>,
}

/// One thing that happened: `CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:03:00 completed`.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name, which is its first word.
    pub name: String,
    /// What follows the name. Some events carry keys and passwords.
    pub text: String,
}

impl Control {
    /// Connects to the control socket `theirs` from one at `own`, which is made and later removed, and asks for events.
    ///
    /// # Errors
    /// If there is nobody at the socket, or it does not let us in.
    pub async fn attach(theirs: &Path, own: PathBuf) -> Result<Self, NetError> {
        // One that a killed process left behind hinders nobody but us.
        let _ = std::fs::remove_file(&own);
        let socket = UnixDatagram::bind(&own).map_err(|source| NetError::Io { step: "own control socket", source })?;
        let mut control = Self { socket, own, events: VecDeque::new() };
        control.socket.connect(theirs).map_err(lost)?;
        control.order("ATTACH").await?;
        Ok(control)
    }

    /// Sends a request and gives its answer, without the end of the line.
    ///
    /// # Errors
    /// If there is no answer, or it is that it was not done.
    pub async fn request(&mut self, request: &str) -> Result<Redacted<String>, NetError> {
        self.socket.send(request.as_bytes()).await.map_err(lost)?;
        let until = Instant::now() + ANSWER;
        loop {
            let Some(message) = self.receive(until).await? else {
                return Err(NetError::Timeout { step: "an answer of the control interface", limit: ANSWER });
            };
            match Event::read(message.expose()) {
                Some(event) => self.keep(event),
                None => return answer(request, message),
            }
        }
    }

    /// Sends a request whose answer is `OK`.
    ///
    /// # Errors
    /// As [`Control::request`].
    pub async fn order(&mut self, request: &str) -> Result<(), NetError> {
        match self.request(request).await?.expose().as_str() {
            "OK" => Ok(()),
            _ => Err(refused(request)),
        }
    }

    /// Sends a request that must not be in a log: these programs write most requests down at their level of debugging.
    ///
    /// # Errors
    /// As [`Control::request`].
    pub async fn unlogged(&mut self, request: &Redacted<String>) -> Result<Redacted<String>, NetError> {
        let before = self.request("LOG_LEVEL").await?;
        let level = before.expose().lines().find_map(|line| line.strip_prefix("Current level: ")).map(str::to_owned);
        self.order("LOG_LEVEL INFO").await?;
        let answer = self.request(request.expose()).await;
        if let Some(level) = level {
            self.order(&format!("LOG_LEVEL {level}")).await?;
        }
        answer
    }

    /// Sends a request whose answer is a number.
    ///
    /// # Errors
    /// As [`Control::request`].
    pub async fn number(&mut self, request: &str) -> Result<u32, NetError> {
        self.request(request).await?.expose().parse().map_err(|_| refused(request))
    }

    /// The next event, or nothing until then. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// If the program has ended.
    pub async fn event(&mut self, until: Instant) -> Result<Option<Event>, NetError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(message) = self.receive(until).await? else { return Ok(None) };
            self.events.extend(Event::read(message.expose()));
        }
    }

    /// Forgets the events until now.
    pub fn forget(&mut self) {
        self.events.clear();
    }

    fn keep(&mut self, event: Event) {
        if self.events.len() == WAITING {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    async fn receive(&self, until: Instant) -> Result<Option<Redacted<String>>, NetError> {
        let mut message = vec![0; LONGEST];
        let Ok(received) = timeout_at(until, self.socket.recv(&mut message)).await else { return Ok(None) };
        message.truncate(received.map_err(lost)?);
        let message = Redacted::new(message);
        Ok(Some(Redacted::new(String::from_utf8_lossy(message.expose()).trim_end().to_owned())))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
    }
}

fn answer(request: &str, message: Redacted<String>) -> Result<Redacted<String>, NetError> {
    match message.expose().as_str() {
        "FAIL" | "UNKNOWN COMMAND" | "-1" => Err(refused(request)),
        text if text.starts_with("FAIL-") => Err(refused(request)),
        _ => Ok(message),
    }
}

/// A request may carry a password or a key, so that only its first word and the field of a setting is told.
fn refused(request: &str) -> NetError {
    let mut words = request.split(' ');
    let told = match (words.next(), words.next(), words.next()) {
        (Some("SET_NETWORK"), Some(_), Some(field)) => format!("SET_NETWORK {field}"),
        (Some(word), ..) => word.to_owned(),
        _ => String::new(),
    };
    NetError::Misuse(format!("the control interface refuses {told}"))
}

fn lost(source: io::Error) -> NetError {
    NetError::Io { step: "the control interface", source }
}

impl Event {
    /// As the control interface sends it: `<3>NAME text`, where the number is its level. `None` if it is an answer.
    fn read(message: &str) -> Option<Self> {
        let (level, event) = message.strip_prefix('<')?.split_once('>')?;
        level.parse::<u8>().ok()?;
        Some(Self::told(event))
    }

    /// As it stands in the log, written with `-t`, of the program that owns `interface`: `1763816400.123456: wlan0: NAME text`. `None`
    /// if it is not about that interface.
    pub fn of_log(line: &str, interface: &str) -> Option<Self> {
        let (_, event) = line.split_once(": ")?;
        Some(Self::told(event.strip_prefix(interface)?.strip_prefix(": ")?))
    }

    fn told(event: &str) -> Self {
        let (name, text) = event.trim_end().split_once(' ').unwrap_or((event.trim_end(), ""));
        Self { name: name.into(), text: text.trim_start().into() }
    }

    /// The value of `key=value` in it.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.text.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

/// The name alone.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_answers() {
        let event = Event::read("<3>DPP-CHIRP-RX id=1 freq=2412").unwrap();
        assert_eq!(
            (event.name.as_str(), event.field("freq"), event.field("hash")),
            ("DPP-CHIRP-RX", Some("2412"), None)
        );
        assert_eq!(Event::of_log("1763816400.5: wlan0: DPP-CHIRP-RX id=1 freq=2412", "wlan0"), Some(event));
        assert_eq!(Event::of_log("1763816400.5: DPP: hexdump", "wlan0"), None);
        assert_eq!(Event::read("OK"), None);
        assert_eq!(Event::read("<OK>"), None);
        assert_eq!(
            format!("{:?}", Event::read("<3>DPP-CONFOBJ-PASS 736563726574").unwrap()),
            "Event(DPP-CONFOBJ-PASS)"
        );
    }

    #[test]
    fn what_was_refused_is_said_without_its_secrets() {
        let said = |request| refused(request).to_string();
        assert_eq!(said("SET_NETWORK 0 psk \"hunter22\""), "the control interface refuses SET_NETWORK psk");
        assert_eq!(said("DPP_BOOTSTRAP_GEN key=3031"), "the control interface refuses DPP_BOOTSTRAP_GEN");
    }
}
