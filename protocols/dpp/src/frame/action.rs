//! Public Action frames of DPP (DPP s8.2.1).

use crate::frame::{Attributes, FrameError};
use std::fmt;

/// Vendor-specific Public Action (IEEE 802.11 s9.6.7.1).
pub(crate) const VENDOR_SPECIFIC: u8 = 0x09;
/// The Wi-Fi Alliance's OUI with the type of DPP.
pub(crate) const OUI: [u8; 4] = [0x50, 0x6F, 0x9A, 0x1A];
/// The one crypto suite that there is.
const CRYPTO_SUITE: u8 = 1;

macro_rules! frame_types {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What a frame is (DPP s8.2.1, table 35).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum FrameType {
            $($(#[$doc])* $variant = $number,)*
        }

        impl FrameType {
            /// All of them, by their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the specification.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The type with that number.
            pub const fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

frame_types! {
    /// Begins an authentication.
    AuthenticationRequest = 0, "Authentication Request";
    /// Answers it.
    AuthenticationResponse = 1, "Authentication Response";
    /// Ends it.
    AuthenticationConfirm = 2, "Authentication Confirm";
    /// A station shows its connector.
    PeerDiscoveryRequest = 5, "Peer Discovery Request";
    /// The access point shows its own.
    PeerDiscoveryResponse = 6, "Peer Discovery Response";
    /// Begins PKEX as in release 1.
    PkexV1ExchangeRequest = 7, "PKEX Version 1 Exchange Request";
    /// Answers either.
    PkexExchangeResponse = 8, "PKEX Exchange Response";
    /// Reveals the initiator's bootstrapping key.
    PkexCommitRevealRequest = 9, "PKEX Commit-Reveal Request";
    /// Reveals the responder's.
    PkexCommitRevealResponse = 10, "PKEX Commit-Reveal Response";
    /// The enrollee says whether it takes its configuration.
    ConfigurationResult = 11, "Configuration Result";
    /// The enrollee says whether it got onto the network.
    ConnectionStatusResult = 12, "Connection Status Result";
    /// An enrollee asks for a configurator that knows it.
    PresenceAnnouncement = 13, "Presence Announcement";
    /// An enrollee asks for its configurator.
    ReconfigAnnouncement = 14, "Reconfig Announcement";
    /// Begins a reconfiguration.
    ReconfigAuthenticationRequest = 15, "Reconfig Authentication Request";
    /// Answers it.
    ReconfigAuthenticationResponse = 16, "Reconfig Authentication Response";
    /// Ends it.
    ReconfigAuthenticationConfirm = 17, "Reconfig Authentication Confirm";
    /// Begins PKEX as from release 2 on.
    PkexExchangeRequest = 18, "PKEX Exchange Request";
    /// An enrollee whose button was pushed asks for a configurator.
    PbPresenceAnnouncement = 19, "PB Presence Announcement";
    /// A configurator whose button was pushed answers.
    PbPresenceAnnouncementResponse = 20, "PB Presence Announcement Response";
    /// A station asks for an access point's connector.
    PrivatePeerIntroductionQuery = 21, "Private Peer Introduction Query";
    /// The access point shows it.
    PrivatePeerIntroductionNotify = 22, "Private Peer Introduction Notify";
    /// The station shows its own to that access point alone.
    PrivatePeerIntroductionUpdate = 23, "Private Peer Introduction Update";
}

impl From<FrameType> for u8 {
    fn from(kind: FrameType) -> u8 {
        kind as u8
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A DPP Public Action frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    /// What it is.
    pub kind: FrameType,
    /// Its attributes, as they stand in the frame.
    pub attributes: Vec<u8>,
}

impl Action {
    /// The six octets from the OUI to the type, which every Wrapped Data of such a frame authenticates.
    pub const fn header(kind: FrameType) -> [u8; 6] {
        let [a, b, c, d] = OUI;
        [a, b, c, d, CRYPTO_SUITE, kind as u8]
    }

    /// Reads a frame that begins with the action code, `09`. The attributes are left as they are.
    ///
    /// # Errors
    /// If it is not a DPP frame, or of a crypto suite or type that is not known.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let rest = bytes.strip_prefix(&[VENDOR_SPECIFIC]).ok_or(FrameError::NotDpp("Action"))?;
        let rest = rest.strip_prefix(&OUI).ok_or(FrameError::NotDpp("OUI"))?;
        match rest {
            [CRYPTO_SUITE, kind, attributes @ ..] => Ok(Self {
                kind: FrameType::of(*kind).ok_or(FrameError::FrameType(*kind))?,
                attributes: attributes.to_vec(),
            }),
            [CRYPTO_SUITE] | [] => Err(FrameError::Truncated("the header")),
            [suite, ..] => Err(FrameError::CryptoSuite(*suite)),
        }
    }

    /// Writes it, beginning with the action code.
    pub fn encode(&self) -> Vec<u8> {
        [&[VENDOR_SPECIFIC], Self::header(self.kind).as_slice(), &self.attributes].concat()
    }

    /// Its attributes.
    ///
    /// # Errors
    /// If they are not whole.
    pub fn attributes(&self) -> Result<Attributes<'_>, FrameError> {
        Attributes::parse(&self.attributes)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Action");
        debug.field("kind", &self.kind);
        match self.attributes() {
            Ok(attributes) => debug.field("attributes", &attributes),
            Err(error) => debug.field("attributes", &error),
        };
        debug.finish()
    }
}
