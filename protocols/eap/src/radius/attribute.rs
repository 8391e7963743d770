//! Attributes (RFC 2865 s5, RFC 2868, RFC 2869, RFC 3579 s3, RFC 3580, RFC 5176 s3).

use super::{Secret, key, packet::Authenticator};
use crate::{bounds, tls::Keys};
use landfall_types::{Fault, Refusal};
use std::fmt;

/// Which attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(pub u8);

#[allow(missing_docs, reason = "they are named as in the RFCs")]
impl Kind {
    pub const USER_NAME: Self = Self(1);
    pub const USER_PASSWORD: Self = Self(2);
    pub const NAS_IP_ADDRESS: Self = Self(4);
    pub const NAS_PORT: Self = Self(5);
    pub const SERVICE_TYPE: Self = Self(6);
    pub const FILTER_ID: Self = Self(11);
    pub const FRAMED_MTU: Self = Self(12);
    pub const REPLY_MESSAGE: Self = Self(18);
    pub const STATE: Self = Self(24);
    pub const CLASS: Self = Self(25);
    pub const VENDOR_SPECIFIC: Self = Self(26);
    pub const SESSION_TIMEOUT: Self = Self(27);
    pub const TERMINATION_ACTION: Self = Self(29);
    pub const CALLED_STATION_ID: Self = Self(30);
    pub const CALLING_STATION_ID: Self = Self(31);
    pub const NAS_IDENTIFIER: Self = Self(32);
    pub const PROXY_STATE: Self = Self(33);
    pub const ACCT_STATUS_TYPE: Self = Self(40);
    pub const ACCT_INPUT_OCTETS: Self = Self(42);
    pub const ACCT_OUTPUT_OCTETS: Self = Self(43);
    pub const ACCT_SESSION_ID: Self = Self(44);
    pub const ACCT_SESSION_TIME: Self = Self(46);
    pub const ACCT_TERMINATE_CAUSE: Self = Self(49);
    pub const EVENT_TIMESTAMP: Self = Self(55);
    pub const NAS_PORT_TYPE: Self = Self(61);
    pub const TUNNEL_TYPE: Self = Self(64);
    pub const TUNNEL_MEDIUM_TYPE: Self = Self(65);
    pub const TUNNEL_PASSWORD: Self = Self(69);
    pub const EAP_MESSAGE: Self = Self(79);
    pub const MESSAGE_AUTHENTICATOR: Self = Self(80);
    pub const TUNNEL_PRIVATE_GROUP_ID: Self = Self(81);
    pub const NAS_PORT_ID: Self = Self(87);
    pub const NAS_IPV6_ADDRESS: Self = Self(95);
    pub const ERROR_CAUSE: Self = Self(101);
}

/// The attributes of a packet, in their order, which matters among those of one kind.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Kind, Vec<u8>)>);

/// Where a device is to be in the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its VLAN, by number or name (RFC 3580 s3.31).
    pub vlan: Option<String>,
    /// The filter that the access point is to apply to it (RFC 2865 s5.11).
    pub filter: Option<String>,
    /// After how many seconds it is to authenticate again (RFC 3580 s3.17).
    pub session_timeout: Option<u32>,
}

/// Tunnel-Type: VLAN (RFC 3580 s3.31).
const VLAN: u32 = 13;
/// Tunnel-Medium-Type: IEEE 802 (RFC 3580 s3.31).
const IEEE_802: u32 = 6;
/// Termination-Action: RADIUS-Request (RFC 2865 s5.29).
const ASK_AGAIN: u32 = 1;

impl Attributes {
    /// Reads what stands behind the header of a packet.
    ///
    /// # Errors
    /// `radius-attribute`: one is shorter or longer than there is room for. The packet is then to be passed over.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = || {
            Refusal::new(Fault::Malformed, "radius-attribute", "RFC 2865 s5", "an attribute is not as long as it says")
                .field("Length")
        };
        let mut attributes = Self::default();
        while let Some((&kind, rest)) = bytes.split_first() {
            let length = usize::from(*rest.first().ok_or_else(malformed)?).checked_sub(1).ok_or_else(malformed)?;
            let value = rest.get(1..length.max(1)).ok_or_else(malformed)?;
            if length == 0 {
                return Err(malformed());
            }
            attributes.0.push((Kind(kind), value.to_vec()));
            bytes = rest.get(length..).ok_or_else(malformed)?;
        }
        Ok(attributes)
    }

    /// Writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, value) in &self.0 {
            // `put` lets nothing longer in.
            bytes.extend([kind.0, u8::try_from(value.len() + 2).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// Adds one. Of a value that is too long (253 octets) the rest is left out.
    #[must_use]
    pub fn with(mut self, kind: Kind, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.push((kind, value.get(..bounds::VALUE).unwrap_or(value).to_vec()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(self, kind: Kind, value: u32) -> Self {
        self.with(kind, value.to_be_bytes())
    }

    /// Adds an EAP packet, in as many attributes as it takes (RFC 3579 s3.1).
    #[must_use]
    pub fn with_eap(self, packet: &crate::Packet) -> Self {
        let bytes = packet.to_bytes();
        bytes.chunks(bounds::VALUE).fold(self, |attributes, piece| attributes.with(Kind::EAP_MESSAGE, piece))
    }

    /// Adds where the device is to be.
    #[must_use]
    pub fn with_place(mut self, place: &Place) -> Self {
        if let Some(vlan) = &place.vlan {
            self = self
                .with_number(Kind::TUNNEL_TYPE, VLAN)
                .with_number(Kind::TUNNEL_MEDIUM_TYPE, IEEE_802)
                .with(Kind::TUNNEL_PRIVATE_GROUP_ID, vlan);
        }
        if let Some(filter) = &place.filter {
            self = self.with(Kind::FILTER_ID, filter);
        }
        if let Some(seconds) = place.session_timeout {
            // RFC 3580 s3.17, s3.19: then it authenticates again, and is not put out.
            self = self.with_number(Kind::SESSION_TIMEOUT, seconds).with_number(Kind::TERMINATION_ACTION, ASK_AGAIN);
        }
        self
    }

    /// Adds the keys for the link, hidden with the secret and the request's authenticator (RFC 2548 s2.4.2, s2.4.3).
    /// `salt` is two random octets; of both keys it must differ.
    #[must_use]
    pub fn with_keys(self, keys: &Keys, salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Self {
        let (receive, send) = keys.msk.expose().split_at(32);
        let [high, low] = salt;
        // The highest bit of a salt is set.
        let salts = ([high | 0x80, low & 0xFE], [high | 0x80, low | 1]);
        self.with(Kind::VENDOR_SPECIFIC, key::microsoft(17, receive, salts.0, secret, request))
            .with(Kind::VENDOR_SPECIFIC, key::microsoft(16, send, salts.1, secret, request))
    }

    /// Adds the password of a device that has one of its own, hidden as the keys are (RFC 2868 s3.5); at most 239 octets of it.
    #[must_use]
    pub fn with_password(self, password: &[u8], salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Self {
        let [high, low] = salt;
        let password = password.get(..bounds::PASSWORD).unwrap_or(password);
        self.with(Kind::TUNNEL_PASSWORD, key::tunnel(password, [high | 0x80, low], secret, request))
    }

    /// The password, as an access point reads it.
    pub fn password(&self, secret: &Secret, request: &Authenticator) -> Option<Vec<u8>> {
        key::open_tunnel(self.all(Kind::TUNNEL_PASSWORD).next()?, secret, request)
    }

    /// Adds all those of that kind in `others`.
    #[must_use]
    pub fn with_all_of(self, kind: Kind, others: &Self) -> Self {
        others.all(kind).fold(self, |attributes, value| attributes.with(kind, value))
    }

    /// The values of that kind, in order.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(other, _)| *other == kind).map(|(_, value)| value.as_slice())
    }

    /// The only value of that kind.
    ///
    /// # Errors
    /// `radius-attribute`: there are several.
    pub fn one(&self, kind: Kind) -> Result<Option<&[u8]>, Refusal> {
        let mut values = self.all(kind);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => {
                let detail = format!("attribute {} stands there several times", kind.0);
                Err(Refusal::new(Fault::Malformed, "radius-attribute", "RFC 2865 s5.44", detail))
            }
        }
    }

    /// The first value of that kind as text; what is not UTF-8 in it is replaced.
    pub fn text(&self, kind: Kind) -> Option<String> {
        self.all(kind).next().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The first value of that kind as a number.
    pub fn number(&self, kind: Kind) -> Option<u32> {
        Some(u32::from_be_bytes(self.all(kind).next()?.try_into().ok()?))
    }

    /// The EAP packet, put together of its pieces.
    pub fn eap(&self) -> Option<Vec<u8>> {
        let pieces: Vec<&[u8]> = self.all(Kind::EAP_MESSAGE).collect();
        (!pieces.is_empty()).then(|| pieces.concat())
    }

    /// The keys for the link, as an access point reads them: the first and second half of the master session key.
    pub fn keys(&self, secret: &Secret, request: &Authenticator) -> Option<(Vec<u8>, Vec<u8>)> {
        let find =
            |kind| self.all(Kind::VENDOR_SPECIFIC).find_map(|value| key::open_microsoft(kind, value, secret, request));
        Some((find(17)?, find(16)?))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts one before all others.
    pub(super) fn put_first(&mut self, kind: Kind, value: &[u8]) {
        self.0.retain(|(other, _)| *other != kind);
        self.0.insert(0, (kind, value.to_vec()));
    }
}

/// The kinds: values may be personal or secret.
impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(kind, _)| kind.0)).finish()
    }
}
