//! Who we are in an exchange, and how patient.

use crate::{capabilities::Capabilities, channel::Channel, config::ConfigRequest, curve::PublicKey};
use std::time::Duration;

/// One side of an exchange.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our bootstrapping key; its private half is elsewhere and is asked for with
    /// [`Output::Agree`](super::Output::Agree).
    pub bootstrap: PublicKey,
    /// What we are willing to be.
    pub capabilities: Capabilities,
    /// The release of the protocol that we speak: 1, 2 or 3.
    pub version: u8,
    /// Whether the peer must prove who it is to us.
    pub mutual: Mutual,
    /// As initiator: where the rest of the exchange shall take place, if not where the request is sent.
    pub channel: Option<Channel>,
    /// What we need as configurator.
    pub configurator: Option<ConfiguratorConfig>,
    /// What we want as enrollee.
    pub enrollee: Option<EnrolleeConfig>,
    /// How patient we are.
    pub timing: Timing,
}

/// Whether the exchange authenticates both sides (DPP s6.3.1). The responder is always authenticated; the initiator only if
/// the responder has its bootstrapping key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutual {
    /// As responder, do not ask for the initiator's key: whoever has ours may take us (the resurrecting duckling).
    Never,
    /// Both, if the responder has the initiator's key.
    #[default]
    IfKnown,
    /// Both, or nothing comes of it.
    Required,
}

/// A configurator's public keys.
#[derive(Clone, Debug)]
pub struct ConfiguratorConfig {
    /// Signs connectors.
    pub csign: PublicKey,
    /// Lets devices be recognised in reconfiguration by us only (DPP s7.5); on the curve of `csign`.
    pub privacy: Option<PublicKey>,
}

/// What an enrollee asks for.
#[derive(Clone, Debug)]
pub struct EnrolleeConfig {
    /// The request, without a certificate request.
    pub request: ConfigRequest,
    /// Whether a certificate may be asked for with the protocol key.
    pub certificates: bool,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the answer to a frame, before it is sent again.
    pub response: Duration,
    /// How often a frame is sent again; none over TCP, which loses nothing.
    pub retries: u32,
    /// For a person who scans the other side's code (DPP s6.3.3, STATUS_RESPONSE_PENDING).
    pub person: Duration,
    /// As configurator, before the enrollee is told to come back while a decision or a certificate takes time.
    pub decision: Duration,
    /// As configurator, for all of the configuration, and as enrollee likewise.
    pub configuration: Duration,
    /// As configurator, for the configuration result.
    pub result: Duration,
    /// As configurator, for the connection status result.
    pub connection: Duration,
}

impl Timing {
    /// Over a transport that loses nothing.
    pub const RELIABLE: Self = Self {
        response: Duration::from_secs(10),
        retries: 0,
        person: Duration::from_secs(300),
        decision: Duration::from_millis(400),
        configuration: Duration::from_secs(120),
        result: Duration::from_secs(10),
        connection: Duration::from_secs(60),
    };

    /// Over the air, as hostap does it.
    pub const RADIO: Self = Self {
        response: Duration::from_secs(1),
        retries: 4,
        person: Duration::from_secs(300),
        decision: Duration::from_millis(20),
        configuration: Duration::from_secs(120),
        result: Duration::from_secs(2),
        connection: Duration::from_secs(16),
    };
}
