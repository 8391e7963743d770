//! A device at a port of a switch that lets nobody through who has not shown a certificate (IEEE 802.1X-2020 s8; the supplicant's
//! side, with EAP-TLS).
//!
//! It says that it is there until it is asked, answers, and stays ready to be asked again: the switch decides how often.

use crate::{
    bounds,
    eapol::Frame,
    packet::{self, Packet},
    tls::{self, Peer},
};
use landfall_types::{Fault, Machine, Refusal, Time, contract::drain};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// How often a device says that it is there while nobody asks it.
pub const START: Duration = Duration::from_secs(5);
/// After so many times it says that nobody asks (maxStart of 802.1X-2004 s8.2.11), and goes on.
pub const STARTS: u32 = 3;
/// How long it waits in the middle of a conversation (authPeriod).
pub const SILENCE: Duration = Duration::from_secs(30);
/// How long it is quiet after it was refused (heldPeriod).
pub const HELD: Duration = Duration::from_secs(60);
const SECTION: &str = "IEEE 802.1X-2020 s8";

/// Who the device is, and whom it believes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its certificate and key, and how it knows the server's.
    pub tls: Arc<ClientConfig>,
    /// The name that the server's certificate has to bear, if `tls` looks at it.
    pub server: ServerName<'static>,
    /// What it calls itself before anyone is authenticated (RFC 9190 s2.1.4).
    pub identity: String,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// The link is up, or the device wants in now.
    Begin,
    /// A frame came, without its Ethernet header.
    Frame(Vec<u8>),
    /// The device has another certificate; it is shown when it is asked the next time.
    Settings(Settings),
    /// The time is over that was asked for.
    Woken,
    /// It leaves.
    Leave,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be sent to [`crate::eapol::GROUP`].
    Send(Vec<u8>),
    /// The port is open for us, or stays open.
    Inside,
    /// It is not, since nobody asks or answers; it goes on trying.
    Silent(Refusal),
    /// It is not, and why.
    Outside(Refusal),
}

/// The device's side of its port.
#[derive(Debug)]
pub struct Supplicant {
    settings: Settings,
    state: State,
    wake: Option<Time>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// It has not begun, or has left.
    Away,
    /// It has said so often that it is there.
    Waiting(u32),
    Asked(Box<Peer>),
    Inside,
    Held,
}

impl Supplicant {
    /// One that has not begun.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, state: State::Away, wake: None, outputs: VecDeque::new() }
    }

    /// Whether the port is open for us, as far as we know.
    pub const fn is_inside(&self) -> bool {
        matches!(self.state, State::Inside)
    }

    fn send(&mut self, frame: &Frame) {
        self.outputs.push_back(Output::Send(frame.to_bytes()));
    }

    fn start(&mut self, now: Time, said: u32) {
        self.send(&Frame::Start);
        self.enter(State::Waiting(said), now, Some(START));
    }

    fn enter(&mut self, state: State, now: Time, limit: Option<Duration>) {
        self.state = state;
        self.wake = limit.map(|limit| now + limit);
    }

    fn outside(&mut self, now: Time, why: Refusal) {
        self.outputs.push_back(Output::Outside(why));
        self.enter(State::Held, now, Some(HELD));
    }

    fn woken(&mut self, now: Time) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        let silent = |detail: &str| Refusal::new(Fault::Peer, "port-silent", SECTION, detail);
        match &self.state {
            State::Waiting(said) => {
                let said = said.saturating_add(1);
                if said == STARTS {
                    self.outputs.push_back(Output::Silent(silent("nobody at the port asks who we are")));
                }
                self.start(now, said);
            }
            State::Asked(_) => {
                self.outputs.push_back(Output::Silent(silent("the port fell silent in the middle of a conversation")));
                self.start(now, 0);
            }
            State::Held => self.start(now, 0),
            State::Away | State::Inside => self.wake = None,
        }
    }

    fn packet(&mut self, now: Time, packet: Packet) -> Result<(), Refusal> {
        match (&mut self.state, &packet) {
            (State::Away, _) | (_, Packet::Response(_)) => return Ok(()),
            // Who is asked for a name is asked from the beginning: after a time, or because somebody wants to look again.
            (state, Packet::Request(request)) if request.kind == packet::IDENTITY => {
                let is_again = matches!(state, State::Asked(peer) if peer.has_answered(request.identifier));
                if !is_again {
                    let Settings { tls, server, identity } = self.settings.clone();
                    let peer = Peer::new(tls, server, &identity, bounds::EAP);
                    self.enter(State::Asked(Box::new(peer)), now, Some(SILENCE));
                }
            }
            (State::Inside, Packet::Failure { .. }) => {
                let why = Refusal::new(Fault::Denied, "port-closed", SECTION, "the network has put us out");
                self.outside(now, why);
                return Ok(());
            }
            _ => {}
        }
        let State::Asked(peer) = &mut self.state else { return Ok(()) };
        peer.handle(now, packet)?;
        self.wake = Some(now + SILENCE);
        for output in drain(&mut **peer) {
            match output {
                tls::peer::Output::Send(answer) => self.send(&Frame::Eap(answer)),
                // The keys would be for MACsec; the port itself needs none.
                tls::peer::Output::Joined(_) => {
                    self.outputs.push_back(Output::Inside);
                    self.enter(State::Inside, now, None);
                }
                tls::peer::Output::Refused(why) => self.outside(now, why),
            }
        }
        Ok(())
    }
}

impl Machine for Supplicant {
    type Input = Input;
    type Output = Output;
    type Error = Refusal;

    /// # Errors
    /// If a frame cannot be read or does not belong here: then it is as if it had not come.
    fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Begin => self.start(now, 0),
            Input::Settings(settings) => self.settings = settings,
            Input::Woken => self.woken(now),
            Input::Leave => {
                self.send(&Frame::Logoff);
                self.enter(State::Away, now, None);
            }
            Input::Frame(bytes) => {
                if let Frame::Eap(packet) = Frame::parse(&bytes)? {
                    self.packet(now, packet)?;
                }
            }
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.wake
    }
}
