//! Frames, one at a time.

use super::super::{
    Context,
    report::{Report, Severity},
};
use landfall_dpp::{
    Capabilities, Channel, Curve, Status,
    frame::{self, Action, AttributeId, Attributes, Frame, FrameError, FrameType},
    gas::Gas,
};

/// Values longer than this are shown by their beginning.
const SHOWN: usize = 32;

/// The body of a management frame, or what TCP carries of it.
pub(crate) fn body(bytes: &[u8], context: &Context) -> Option<Report> {
    match frame::from_the_air(bytes).or_else(|_| Frame::parse(bytes)) {
        Ok(found) => Some(frame(&found, context)),
        Err(FrameError::NotDpp(_)) => None,
        Err(why) => Some(broken(&why)),
    }
}

/// A frame.
pub(crate) fn frame(frame: &Frame, context: &Context) -> Report {
    match frame {
        Frame::Action(action) => self::action(action, context),
        Frame::Gas(gas) => self::gas(gas, context),
    }
}

pub(crate) fn broken(why: &FrameError) -> Report {
    let mut report = Report::new("a broken frame of DPP");
    report.refuse(&why.refusal());
    report
}

fn action(action: &Action, context: &Context) -> Report {
    let mut report = Report::new(format!("{} ({})", action.kind, section(action.kind)));
    let attributes = match action.attributes() {
        Ok(attributes) => attributes,
        Err(why) => {
            report.refuse(&why.refusal());
            return report;
        }
    };
    self::attributes(&mut report, &attributes, context);
    let failed = attributes.status().is_ok_and(|status| status != Status::Ok);
    for &id in expected(action.kind).iter().filter(|_| !failed) {
        if let Err(why) = attributes.need(id) {
            report.find(Severity::Error, &why.refusal().check, section(action.kind), why.to_string());
        }
    }
    report
}

fn gas(gas: &Gas, context: &Context) -> Report {
    let mut report = Report::new(format!("{} (IEEE 802.11 s9.6.7, DPP s8.3)", gas.name()));
    report.field("dialog token", gas.token());
    let whole = match gas {
        Gas::InitialRequest { query, .. } => Some(query),
        Gas::ComebackRequest { .. } => None,
        Gas::InitialResponse { status, comeback, response, .. } => {
            report.field("status code", status);
            report.maybe("come back in", (*comeback > 0).then(|| format!("{comeback} time units of 1.024 ms")));
            Some(response).filter(|response| !response.is_empty())
        }
        Gas::ComebackResponse { status, more, fragment, delay, data, .. } => {
            report.field("status code", status);
            report.field("fragment", format_args!("{fragment}{}", if *more { ", more follow" } else { ", the last" }));
            report.maybe("come back in", (*delay > 0).then(|| format!("{delay} time units of 1.024 ms")));
            report.field("octets", data.len());
            Some(data).filter(|_| *fragment == 0 && !more && *delay == 0)
        }
    };
    match whole.map(|octets| Attributes::parse(octets)) {
        Some(Ok(attributes)) => self::attributes(&mut report, &attributes, context),
        Some(Err(why)) => report.refuse(&why.refusal()),
        None => {}
    }
    report
}

fn attributes(report: &mut Report, attributes: &Attributes<'_>, context: &Context) {
    for (number, value) in attributes.iter() {
        let Some(id) = AttributeId::of(number) else {
            report.field(format!("attribute {number:#06x}"), octets(value));
            report.find(Severity::Notice, "dpp-attribute-unknown", "DPP s8.1", format!("{number:#06x} is not known"));
            continue;
        };
        report.field(id.name(), shown(id, value));
        // DPP s8.1: a configuration object may stand several times, anything else once.
        if id != AttributeId::ConfigObject
            && let Err(why @ FrameError::Duplicate(_)) = attributes.one(id)
            && !report.findings.iter().any(|finding| finding.detail == why.to_string())
        {
            report.refuse(&why.refusal());
        }
        if id == AttributeId::Connector {
            let text = String::from_utf8_lossy(value);
            report.part(id.name(), super::connector(&text, None, context));
        }
    }
}

/// A value in words, where it has any.
fn shown(id: AttributeId, value: &[u8]) -> String {
    let words = match (id, value) {
        (AttributeId::Status, [number]) => Status::try_from(*number).map(|status| status.to_string()).ok(),
        (AttributeId::Channel, [class, channel]) => Some(super::channels(&[Channel::from_bytes([*class, *channel])])),
        (AttributeId::FiniteCyclicGroup, [low, high]) => {
            Curve::of_group(u16::from_le_bytes([*low, *high])).map(|curve| curve.name().to_owned())
        }
        (AttributeId::InitiatorCapabilities | AttributeId::ResponderCapabilities, [bits]) => {
            let Capabilities { enrollee, configurator } = (*bits).into();
            Some(match (enrollee, configurator) {
                (true, true) => "enrollee or configurator".to_owned(),
                (true, false) => "enrollee".to_owned(),
                (false, true) => "configurator".to_owned(),
                (false, false) => "no role".to_owned(),
            })
        }
        (AttributeId::ProtocolVersion | AttributeId::TransactionId, [number]) => Some(number.to_string()),
        (AttributeId::CodeIdentifier | AttributeId::BootstrapInfo | AttributeId::CsrAttributesRequest, text) => {
            std::str::from_utf8(text).map(str::to_owned).ok()
        }
        (AttributeId::WrappedData, sealed) => Some(format!("{} octets, sealed", sealed.len())),
        (AttributeId::Connector, text) => Some(format!("{} octets", text.len())),
        _ => None,
    };
    words.unwrap_or_else(|| octets(value))
}

fn octets(value: &[u8]) -> String {
    match value.split_at_checked(SHOWN) {
        Some((head, rest)) if !rest.is_empty() => format!("{}… {} octets", hex::encode(head), value.len()),
        _ if value.is_empty() => "empty".into(),
        _ => hex::encode(value),
    }
}

/// What a frame of that type has to hold when all is well.
const fn expected(kind: FrameType) -> &'static [AttributeId] {
    use AttributeId as A;
    match kind {
        FrameType::AuthenticationRequest => &[A::ResponderBootstrapHash, A::InitiatorProtocolKey, A::WrappedData],
        FrameType::AuthenticationResponse => {
            &[A::Status, A::ResponderBootstrapHash, A::ResponderProtocolKey, A::WrappedData]
        }
        FrameType::AuthenticationConfirm => &[A::Status, A::ResponderBootstrapHash, A::WrappedData],
        FrameType::PeerDiscoveryRequest => &[A::TransactionId, A::Connector],
        FrameType::PeerDiscoveryResponse => &[A::TransactionId, A::Status, A::Connector],
        FrameType::PkexV1ExchangeRequest => &[A::FiniteCyclicGroup, A::EncryptedKey],
        FrameType::PkexExchangeRequest => &[A::ProtocolVersion, A::FiniteCyclicGroup, A::EncryptedKey],
        FrameType::PkexExchangeResponse => &[A::Status, A::EncryptedKey],
        FrameType::PkexCommitRevealRequest
        | FrameType::PkexCommitRevealResponse
        | FrameType::ConfigurationResult
        | FrameType::ConnectionStatusResult => &[A::WrappedData],
        FrameType::PresenceAnnouncement | FrameType::PbPresenceAnnouncement => &[A::ResponderBootstrapHash],
        FrameType::PbPresenceAnnouncementResponse => {
            &[A::InitiatorBootstrapHash, A::ResponderBootstrapHash, A::ConfiguratorNonce]
        }
        FrameType::ReconfigAnnouncement => &[A::CSignKeyHash, A::FiniteCyclicGroup, A::ANonce, A::EnrolleeId],
        FrameType::ReconfigAuthenticationRequest => {
            &[A::TransactionId, A::ProtocolVersion, A::Connector, A::ConfiguratorNonce]
        }
        FrameType::ReconfigAuthenticationResponse => &[
            A::TransactionId,
            A::ProtocolVersion,
            A::Connector,
            A::EnrolleeNonce,
            A::ResponderProtocolKey,
            A::WrappedData,
        ],
        FrameType::ReconfigAuthenticationConfirm => &[A::Status, A::WrappedData],
        FrameType::PrivatePeerIntroductionQuery => &[A::TransactionId, A::ProtocolVersion],
        FrameType::PrivatePeerIntroductionNotify => &[A::TransactionId, A::ProtocolVersion, A::Connector],
        FrameType::PrivatePeerIntroductionUpdate => &[A::TransactionId, A::WrappedData],
    }
}

/// Where the exchange of a frame is specified.
const fn section(kind: FrameType) -> &'static str {
    match kind {
        FrameType::AuthenticationRequest | FrameType::AuthenticationResponse | FrameType::AuthenticationConfirm => {
            "DPP s6.3"
        }
        FrameType::PeerDiscoveryRequest | FrameType::PeerDiscoveryResponse => "DPP s6.6",
        FrameType::PkexV1ExchangeRequest
        | FrameType::PkexExchangeRequest
        | FrameType::PkexExchangeResponse
        | FrameType::PkexCommitRevealRequest
        | FrameType::PkexCommitRevealResponse => "DPP s5.6",
        FrameType::ConfigurationResult | FrameType::ConnectionStatusResult => "DPP s6.4",
        FrameType::PresenceAnnouncement => "DPP s6.2",
        FrameType::ReconfigAnnouncement
        | FrameType::ReconfigAuthenticationRequest
        | FrameType::ReconfigAuthenticationResponse
        | FrameType::ReconfigAuthenticationConfirm => "DPP s6.5",
        FrameType::PbPresenceAnnouncement | FrameType::PbPresenceAnnouncementResponse => "DPP release 3, push button",
        FrameType::PrivatePeerIntroductionQuery
        | FrameType::PrivatePeerIntroductionNotify
        | FrameType::PrivatePeerIntroductionUpdate => "DPP s6.6",
    }
}
