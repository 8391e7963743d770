//! Reconfiguration (s6.5): a device that was configured before finds its configurator again without showing who it is to
//! anyone else, both prove the keys of their connectors, and configuration begins anew.
//!
//! [`enrollee`] and [`configurator`] are the two sides. Each state is a value, and what comes next is a method that
//! consumes it; what a long-lived key has to multiply is asked for.

pub mod configurator;
pub mod enrollee;

use crate::{
    connector::Connector,
    crypto::{self, Secret, siv},
    curve::{Curve, PublicKey},
    frame::{Action, AttributeId, AttributeWriter, Attributes, Frame, FrameType},
    random::Random,
};
use landfall_types::{Fault, Redacted, Refusal, Time};
use subtle::ConstantTimeEq;

const SECTION: &str = "DPP s6.5";

/// What both sides have when reconfiguration has authenticated them; configuration goes on with it.
#[derive(Debug)]
pub struct Keys {
    /// From which ke comes, and what is bound to this exchange: certificate requests, envelopes, new keys. The
    /// specification names no such key here; this is the extract of the same secret.
    pub bk: Secret,
    /// Encrypts configuration.
    pub ke: Secret,
}

impl Keys {
    /// ke = HKDF(C-nonce | E-nonce, "dpp reconfig key", M.x).
    fn derive(curve: Curve, nonces: &Nonces, m: &[u8]) -> Self {
        let bk = crypto::extract(curve, &[nonces.configurator.as_slice(), &nonces.enrollee].concat(), &[m]);
        let ke = crypto::expand(curve, &bk, &[b"dpp reconfig key"], curve.hash_len());
        Self { bk, ke }
    }
}

/// When a device gets itself a connector in the place of one that ends: two thirds into its life, or up to a twentieth of
/// it sooner or later, so that devices that were configured together do not come together.
pub fn due(obtained: Time, expiry: Time, random: &mut dyn Random) -> Time {
    let life = expiry.since(obtained);
    let (spread, mut octets) = (life / 20, [0; 4]);
    random.fill(&mut octets);
    let jitter = (spread * 2).mul_f64(f64::from(u32::from_be_bytes(octets)) / f64::from(u32::MAX));
    obtained + (life * 2 / 3).saturating_sub(spread) + jitter
}

#[derive(Clone, Debug)]
struct Nonces {
    configurator: Vec<u8>,
    enrollee: Vec<u8>,
}

/// A frame whose last attribute is `inner`, sealed; what stands before is authenticated with it.
fn sealed(kind: FrameType, mut outer: AttributeWriter, ke: &Secret, inner: &AttributeWriter) -> Frame {
    let sealed = siv::seal(ke, &[&Action::header(kind), outer.bytes()], inner.bytes());
    outer.put(AttributeId::WrappedData, &sealed);
    Frame::Action(Action { kind, attributes: outer.into_bytes() })
}

fn opened(kind: FrameType, attributes: &Attributes<'_>, ke: &Secret) -> Result<Redacted<Vec<u8>>, Refusal> {
    let ads = [&Action::header(kind)[..], attributes.before_wrapped()];
    siv::open(ke, &ads, attributes.wrapped()?).map_err(|_| {
        let detail = "what is wrapped cannot be opened: another key, or it was changed on its way";
        Refusal::new(Fault::Peer, "dpp-unwrap", SECTION, detail).field("Wrapped Data")
    })
}

/// The attributes of a frame of that kind.
fn attributes(action: &Action, kind: FrameType) -> Result<Attributes<'_>, Refusal> {
    if action.kind == kind {
        return Ok(action.attributes()?);
    }
    Err(Refusal::new(Fault::Peer, "dpp-order", SECTION, format!("{} does not belong here", action.kind)))
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Fault::Malformed, "dpp-reconfig-frame", SECTION, error.to_string())
}

/// The peer's version: reconfiguration is there since release 2.
fn version(attributes: &Attributes<'_>) -> Result<u8, Refusal> {
    match attributes.need_u8(AttributeId::ProtocolVersion)? {
        version @ 2.. => Ok(version),
        _ => {
            let detail = "there is no reconfiguration before version 2";
            Err(Refusal::new(Fault::Incompatible, "dpp-reconfig-version", SECTION, detail).field("Protocol Version"))
        }
    }
}

fn connector_text<'a>(attributes: &Attributes<'a>) -> Result<&'a str, Refusal> {
    let connector = attributes.need(AttributeId::Connector)?;
    std::str::from_utf8(connector).map_err(|_| malformed("a connector is text").field("DPP Connector"))
}

fn check_transaction(attributes: &Attributes<'_>, expected: u8) -> Result<(), Refusal> {
    if attributes.need_u8(AttributeId::TransactionId)? == expected {
        return Ok(());
    }
    let detail = "the frame belongs to another exchange";
    Err(Refusal::new(Fault::Peer, "dpp-transaction", SECTION, detail).field("Transaction ID"))
}

fn check_nonce(attributes: &Attributes<'_>, id: AttributeId, expected: &[u8]) -> Result<(), Refusal> {
    if bool::from(attributes.need(id)?.ct_eq(expected)) {
        return Ok(());
    }
    let detail = "the nonce is that of another exchange";
    Err(Refusal::new(Fault::Peer, "dpp-nonce", SECTION, detail).field(id.name()))
}

/// Both connectors have their keys on one curve, which is that of the exchange.
fn check_curves(own: &PublicKey, peer: &Connector) -> Result<Curve, Refusal> {
    if own.curve() == peer.key.curve() {
        return Ok(own.curve());
    }
    let detail = format!("the peer's key is on {}, ours on {}", peer.key.curve(), own.curve());
    Err(Refusal::new(Fault::Incompatible, "dpp-connector-curve", SECTION, detail).field("netAccessKey"))
}
