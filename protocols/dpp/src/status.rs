//! What one side tells the other about how it went (DPP s8.3.4, table 64).

use std::fmt;

/// The value of a Status attribute, and of `result` in a connection status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// No errors or abnormal behaviour.
    Ok = 0,
    /// The two sides have no complementary capabilities.
    NotCompatible = 1,
    /// Authentication failed.
    AuthFailure = 2,
    /// What the peer sealed does not open; a wrong PKEX code shows itself so.
    UnwrapFailure = 3,
    /// The proposed group is not spoken.
    BadGroup = 4,
    /// The configurator refuses to configure this enrollee.
    ConfigureFailure = 5,
    /// The responder waits for its user.
    ResponsePending = 6,
    /// The connector has a wrong signature, is malformed or expired.
    InvalidConnector = 7,
    /// The connector cannot be verified with a known C-sign key, or has no matching role.
    NoMatch = 8,
    /// The enrollee refused the configuration.
    ConfigRejected = 9,
    /// The enrollee found no access point of the network.
    NoAp = 10,
    /// The configuration is not ready yet.
    ConfigurePending = 11,
    /// The configurator needs a certification request.
    CsrNeeded = 12,
    /// The certification request is not acceptable.
    CsrBad = 13,
    /// The enrollee has to make a new protocol key.
    NewKeyNeeded = 14,
}

impl Status {
    /// All of them, by their numbers.
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::NotCompatible,
        Self::AuthFailure,
        Self::UnwrapFailure,
        Self::BadGroup,
        Self::ConfigureFailure,
        Self::ResponsePending,
        Self::InvalidConnector,
        Self::NoMatch,
        Self::ConfigRejected,
        Self::NoAp,
        Self::ConfigurePending,
        Self::CsrNeeded,
        Self::CsrBad,
        Self::NewKeyNeeded,
    ];

    /// The name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "STATUS_OK",
            Self::NotCompatible => "STATUS_NOT_COMPATIBLE",
            Self::AuthFailure => "STATUS_AUTH_FAILURE",
            Self::UnwrapFailure => "STATUS_BAD_CODE",
            Self::BadGroup => "STATUS_BAD_GROUP",
            Self::ConfigureFailure => "STATUS_CONFIGURE_FAILURE",
            Self::ResponsePending => "STATUS_RESPONSE_PENDING",
            Self::InvalidConnector => "STATUS_INVALID_CONNECTOR",
            Self::NoMatch => "STATUS_NO_MATCH",
            Self::ConfigRejected => "STATUS_CONFIG_REJECTED",
            Self::NoAp => "STATUS_NO_AP",
            Self::ConfigurePending => "STATUS_CONFIGURE_PENDING",
            Self::CsrNeeded => "STATUS_CSR_NEEDED",
            Self::CsrBad => "STATUS_CSR_BAD",
            Self::NewKeyNeeded => "STATUS_NEW_KEY_NEEDED",
        }
    }

    /// What it means, in plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ok => "all is well",
            Self::NotCompatible => "the two sides have no roles that fit together",
            Self::AuthFailure => "the authentication failed",
            Self::UnwrapFailure => "what was sealed does not open: the keys or the code differ",
            Self::BadGroup => "the curve is not spoken",
            Self::ConfigureFailure => "the configurator does not configure this enrollee",
            Self::ResponsePending => "the responder waits for its user",
            Self::InvalidConnector => "the connector is malformed, wrongly signed or expired",
            Self::NoMatch => "the connector is of another configurator, or has no group and role that fit",
            Self::ConfigRejected => "the enrollee refused the configuration",
            Self::NoAp => "no access point of the network was found",
            Self::ConfigurePending => "the configuration is not ready yet",
            Self::CsrNeeded => "a certification request is needed",
            Self::CsrBad => "the certification request is not acceptable",
            Self::NewKeyNeeded => "a new protocol key is needed",
        }
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> u8 {
        status as u8
    }
}

/// The number is not that of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the number of a status")]
pub struct NotAStatus(pub u8);

impl TryFrom<u8> for Status {
    type Error = NotAStatus;
    fn try_from(number: u8) -> Result<Self, NotAStatus> {
        Self::ALL.get(usize::from(number)).copied().ok_or(NotAStatus(number))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words(), self.name())
    }
}
