//! What access points tell of sessions (RFC 2866).

use landfall_eap::radius::{Attributes, Kind};
use landfall_types::Time;
use serde::Serialize;

/// What an access point tells of a session (RFC 2866 s5).
#[derive(Debug)]
pub(super) struct Usage {
    status: Option<u32>,
    name: Option<String>,
    station: Option<String>,
    pub(super) session: Option<String>,
    /// What the access point calls itself.
    pub(super) access_point: Option<String>,
    seconds: Option<u32>,
    octets_in: Option<u32>,
    octets_out: Option<u32>,
}

/// What the log has of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UsageEntry<'a> {
    at: Time,
    client: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets_out: Option<u32>,
}

impl Usage {
    pub(super) fn of(attributes: &Attributes) -> Self {
        Self {
            status: attributes.number(Kind::ACCT_STATUS_TYPE),
            name: attributes.text(Kind::USER_NAME),
            station: attributes.text(Kind::CALLING_STATION_ID),
            session: attributes.text(Kind::ACCT_SESSION_ID),
            access_point: attributes.text(Kind::NAS_IDENTIFIER),
            seconds: attributes.number(Kind::ACCT_SESSION_TIME),
            octets_in: attributes.number(Kind::ACCT_INPUT_OCTETS),
            octets_out: attributes.number(Kind::ACCT_OUTPUT_OCTETS),
        }
    }

    /// Whether it says that a session is over.
    pub(super) fn is_end(&self) -> bool {
        self.status == Some(2)
    }

    /// Whether it says that every session of the access point is over, since it starts or stops (RFC 2866 s5.1).
    pub(super) fn is_end_of_all(&self) -> bool {
        matches!(self.status, Some(7 | 8))
    }

    pub(super) fn entry<'a>(&'a self, at: Time, client: &'a str) -> UsageEntry<'a> {
        let status = match self.status {
            Some(1) => "start",
            Some(2) => "stop",
            Some(3) => "interim",
            Some(7) => "on",
            Some(8) => "off",
            _ => "other",
        };
        let Self { name, station, session, .. } = self;
        UsageEntry {
            at,
            client,
            status,
            name: name.as_deref(),
            station: station.as_deref(),
            session: session.as_deref(),
            seconds: self.seconds,
            octets_in: self.octets_in,
            octets_out: self.octets_out,
        }
    }
}
