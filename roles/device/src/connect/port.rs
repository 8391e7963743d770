//! Into the network at a port of a switch, without another program's help: the LDevID's key signs in its element, wherever that
//! is. A TPM or a token lends no key to wpa_supplicant, and need not.

use super::Config;
use crate::DeviceError;
use landfall_brski::pledge::Credential;
use landfall_eap::{
    eapol,
    port::{Input, Output, Settings, Supplicant},
};
use landfall_element::SecureElement;
use landfall_net::{
    link::LinkSocket,
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::{Anchors, oid};
use landfall_types::{Machine, Refusal, Time};
use std::{net::Ipv4Addr, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How often it is looked at whether the cable is in, and whether there is another certificate.
const LOOK: Duration = Duration::from_secs(2);

/// A port, by the interface that hangs at it.
pub(crate) struct Port<'a> {
    config: &'a Config,
    interface: &'a str,
}

impl<'a> Port<'a> {
    /// The port that `config` names, if it names one.
    pub(crate) fn of(config: &'a crate::Config) -> Option<Self> {
        let config = &config.connect;
        config.interface.as_deref().map(|interface| Self { config, interface })
    }

    /// Goes in with the credential. Says why not, after `limit` if nobody answers.
    pub(crate) async fn enter(
        &self,
        held: &Credential,
        element: &dyn SecureElement,
        limit: Duration,
    ) -> Result<Result<(), Refusal>, DeviceError> {
        let until = Instant::now() + limit;
        let mut wire = self.wire(held, element)?;
        wire.tell(Input::Begin);
        let mut why = None;
        loop {
            match timeout_at(until, wire.next()).await {
                Ok(Output::Silent(refusal)) => why = Some(refusal),
                Ok(Output::Outside(refusal)) => return Ok(Err(refusal)),
                Ok(_) => return Ok(Ok(())),
                Err(_) => return Ok(Err(why.unwrap_or_else(super::unanswered))),
            }
        }
    }

    /// Goes in, stays, and answers whenever it is asked, with the certificate that `held` has then. Ends only if that or the
    /// interface fails.
    pub(crate) async fn stay(
        &self,
        held: impl Fn() -> Result<Option<Credential>, DeviceError>,
        element: &dyn SecureElement,
    ) -> Result<std::convert::Infallible, DeviceError> {
        let mut shown = loop {
            match held()? {
                Some(credential) => break credential,
                None => sleep(LOOK).await,
            }
        };
        let mut wire = self.wire(&shown, element)?;
        wire.tell(Input::Begin);
        let mut was_up = true;
        loop {
            let look = Instant::now() + LOOK;
            while let Ok(said) = timeout_at(look, wire.next()).await {
                match said {
                    Output::Outside(why) | Output::Silent(why) => {
                        tracing::warn!(process = "network", role = "device", %why, "outside")
                    }
                    _ => tracing::info!(process = "network", role = "device", "inside"),
                }
            }
            if let Some(credential) = held()?.filter(|credential| credential.ldevid != shown.ldevid) {
                wire.tell(Input::Settings(self.settings(&credential, element)?));
                shown = credential;
            }
            let is_up = wire.socket.is_up();
            if is_up && !was_up {
                // What was behind the cable before may be another switch now.
                wire.tell(Input::Begin);
            }
            was_up = is_up;
        }
    }

    fn wire(&self, held: &Credential, element: &dyn SecureElement) -> Result<Wire, DeviceError> {
        let socket = LinkSocket::open(self.interface, eapol::ETHERTYPE, eapol::GROUP);
        let socket =
            socket.map_err(|why| DeviceError::Config(format!("[connect] interface {}: {why}", self.interface)))?;
        let device = Supplicant::new(self.settings(held, element)?);
        Ok(Wire { socket, device, begun: (Time::now(), Instant::now()) })
    }

    fn settings(&self, held: &Credential, element: &dyn SecureElement) -> Result<Settings, DeviceError> {
        let identity = TlsIdentity { chain: held.presented(), signer: element.signer(&held.key)? };
        let anchors = Anchors::of(held.anchors.iter().cloned());
        let (tls, server) = match &self.config.server_name {
            Some(name) => (ClientTls::named(anchors, Some(&identity))?, name.clone().try_into().ok()),
            // Any server of our domain; an address is not told to it.
            None => {
                let tls = ClientTls::anchored(anchors, vec![oid::SERVER_AUTH], Some(&identity))?;
                (tls, Some(Ipv4Addr::UNSPECIFIED.into()))
            }
        };
        let server = server.ok_or_else(|| DeviceError::Config("[connect] server-name is no name of DNS".into()))?;
        Ok(Settings { tls: tls.config(), server, identity: self.config.identity.clone() })
    }
}

/// The supplicant on its wire.
struct Wire {
    socket: LinkSocket,
    device: Supplicant,
    /// The clock may be set while it runs; its times may not jump with it.
    begun: (Time, Instant),
}

impl Wire {
    fn tell(&mut self, input: Input) {
        let (begun, since) = self.begun;
        if let Err(why) = self.device.handle(begun + since.elapsed(), input) {
            tracing::debug!(role = "device", %why, "a frame was passed over");
        }
    }

    /// Until it is known that it is inside, or why not. May be given up at any time.
    async fn next(&mut self) -> Output {
        loop {
            match self.device.poll_output() {
                Some(Output::Send(frame)) => {
                    // It is sent again: who does not hear us asks again, and a start is repeated.
                    if let Err(why) = self.socket.send(&frame) {
                        tracing::debug!(role = "device", %why, "a frame could not be sent");
                    }
                    continue;
                }
                Some(said) => return said,
                None => {}
            }
            let (begun, since) = self.begun;
            let wake = self.device.poll_timeout().map(|wake| since + wake.since(begun));
            let woken = async {
                match wake {
                    Some(wake) => sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                Some(frame) = self.socket.receive() => Input::Frame(frame),
                () = woken => Input::Woken,
            };
            self.tell(input);
        }
    }
}
