//! Attributes: identifier, length, value, the integers with the lowest octet first (DPP s8.1).

use crate::{bounds, frame::FrameError, status::Status};
use std::fmt;

macro_rules! attributes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// The attributes of DPP, by their identifiers (DPP s8.1, table 29).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum AttributeId {
            $($(#[$doc])* $variant = $number,)*
        }

        impl AttributeId {
            /// All of them, by their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the specification.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The attribute with that identifier.
            pub const fn of(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

attributes! {
    /// One octet: how it went.
    Status = 0x1000, "Status";
    /// SHA-256 of the initiator's bootstrapping key.
    InitiatorBootstrapHash = 0x1001, "Initiator Bootstrapping Key Hash";
    /// SHA-256 of the responder's bootstrapping key.
    ResponderBootstrapHash = 0x1002, "Responder Bootstrapping Key Hash";
    /// The initiator's protocol key.
    InitiatorProtocolKey = 0x1003, "Initiator Protocol Key";
    /// Attributes sealed with AES-SIV; the last of a frame.
    WrappedData = 0x1004, "Wrapped Data";
    /// The initiator's nonce.
    InitiatorNonce = 0x1005, "Initiator Nonce";
    /// One octet: roles that the initiator can take.
    InitiatorCapabilities = 0x1006, "Initiator Capabilities";
    /// The responder's nonce.
    ResponderNonce = 0x1007, "Responder Nonce";
    /// One octet: the role that the responder takes.
    ResponderCapabilities = 0x1008, "Responder Capabilities";
    /// The responder's protocol key.
    ResponderProtocolKey = 0x1009, "Responder Protocol Key";
    /// The initiator's authenticating tag.
    InitiatorAuthTag = 0x100A, "Initiator Authenticating Tag";
    /// The responder's authenticating tag.
    ResponderAuthTag = 0x100B, "Responder Authenticating Tag";
    /// A configuration object, JSON.
    ConfigObject = 0x100C, "DPP Configuration Object";
    /// A signed connector.
    Connector = 0x100D, "DPP Connector";
    /// A configuration request, JSON.
    ConfigRequestObject = 0x100E, "DPP Configuration Request Object";
    /// A bootstrapping key.
    BootstrapKey = 0x100F, "Bootstrapping Key";
    /// Two octets: the curve.
    FiniteCyclicGroup = 0x1012, "Finite Cyclic Group";
    /// A masked key of PKEX.
    EncryptedKey = 0x1013, "Encrypted Key";
    /// The enrollee's nonce.
    EnrolleeNonce = 0x1014, "Enrollee Nonce";
    /// The name of a PKEX code.
    CodeIdentifier = 0x1015, "Code Identifier";
    /// One octet that tells transactions apart.
    TransactionId = 0x1016, "Transaction ID";
    /// Bootstrapping information, text.
    BootstrapInfo = 0x1017, "Bootstrapping Info";
    /// Two octets: operating class and channel.
    Channel = 0x1018, "Channel";
    /// One octet: the release that is spoken.
    ProtocolVersion = 0x1019, "Protocol Version";
    /// A configurator's backup, CMS.
    EnvelopedData = 0x101A, "DPP Enveloped Data";
    /// Empty: the configurator wants to hear whether the connection came about.
    SendConnStatus = 0x101B, "Send Conn Status";
    /// How the connection came about, JSON.
    ConnStatus = 0x101C, "Conn Status";
    /// One octet: whether the network access key stays.
    ReconfigFlags = 0x101D, "Reconfig Flags";
    /// SHA-256 of the C-sign key.
    CSignKeyHash = 0x101E, "C-sign Key Hash";
    /// What a certification request should hold, base64.
    CsrAttributesRequest = 0x101F, "CSR Attributes Request";
    /// The point that unmasks the enrollee's identifier.
    ANonce = 0x1020, "A-NONCE";
    /// The masked identifier of the enrollee.
    EnrolleeId = 0x1021, "E'-id";
    /// The configurator's nonce.
    ConfiguratorNonce = 0x1022, "Configurator Nonce";
}

impl From<AttributeId> for u16 {
    fn from(id: AttributeId) -> u16 {
        id as u16
    }
}

impl fmt::Display for AttributeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The attributes of a frame, or of what was sealed in one. Once parsed, every one of them is whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    /// Where Wrapped Data begins, or the end.
    wrapped_at: usize,
}

impl<'a> Attributes<'a> {
    /// Reads `bytes` to their end. Attributes that are not known are passed over.
    ///
    /// # Errors
    /// If an attribute is cut short, there are too many, or anything follows Wrapped Data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut iter = Iter { rest: bytes };
        let mut wrapped_at = None;
        let mut count = 0;
        loop {
            let at = bytes.len() - iter.rest.len();
            let Some((id, _)) = iter.next() else { break };
            // DPP s8.1: Wrapped Data is the last attribute; what follows would not be authenticated.
            if wrapped_at.is_some() {
                return Err(FrameError::Trailing("Wrapped Data"));
            }
            if id == u16::from(AttributeId::WrappedData) {
                wrapped_at = Some(at);
            }
            count += 1;
            if count > bounds::ATTRIBUTES {
                return Err(FrameError::TooLarge { part: "attributes", len: count, max: bounds::ATTRIBUTES });
            }
        }
        match (iter.rest.is_empty(), wrapped_at) {
            (true, _) => Ok(Self { bytes, wrapped_at: wrapped_at.unwrap_or(bytes.len()) }),
            (false, Some(_)) => Err(FrameError::Trailing("Wrapped Data")),
            (false, None) => Err(FrameError::Truncated("an attribute")),
        }
    }

    /// All attributes in their order, with those that are not known: identifier and value.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        Iter { rest: self.bytes }
    }

    /// Every value of `id`, in order.
    pub fn all(&self, id: AttributeId) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter().filter(move |(found, _)| *found == u16::from(id)).map(|(_, value)| value)
    }

    /// The value of `id`, if it is there.
    ///
    /// # Errors
    /// If it is there twice: two parsers could choose differently.
    pub fn one(&self, id: AttributeId) -> Result<Option<&'a [u8]>, FrameError> {
        let mut all = self.all(id);
        let first = all.next();
        match all.next() {
            None => Ok(first),
            Some(_) => Err(FrameError::Duplicate(id)),
        }
    }

    /// The value of `id`.
    ///
    /// # Errors
    /// If it is not there, or twice.
    pub fn need(&self, id: AttributeId) -> Result<&'a [u8], FrameError> {
        self.one(id)?.ok_or(FrameError::Missing(id))
    }

    /// The value of `id`, if it is there, with exactly `N` octets.
    ///
    /// # Errors
    /// If it has another length, or is there twice.
    pub fn one_array<const N: usize>(&self, id: AttributeId) -> Result<Option<[u8; N]>, FrameError> {
        let exact = |value: &[u8]| value.try_into().map_err(|_| FrameError::Length { id, len: value.len() });
        self.one(id)?.map(exact).transpose()
    }

    /// The value of `id`, with exactly `N` octets.
    ///
    /// # Errors
    /// If it is not there, there twice, or has another length.
    pub fn need_array<const N: usize>(&self, id: AttributeId) -> Result<[u8; N], FrameError> {
        self.one_array(id)?.ok_or(FrameError::Missing(id))
    }

    /// The value of `id`, with exactly `len` octets.
    ///
    /// # Errors
    /// If it is not there, there twice, or has another length.
    pub fn need_len(&self, id: AttributeId, len: usize) -> Result<&'a [u8], FrameError> {
        match self.need(id)? {
            value if value.len() == len => Ok(value),
            value => Err(FrameError::Length { id, len: value.len() }),
        }
    }

    /// The one octet of `id`, if it is there.
    ///
    /// # Errors
    /// If it has another length, or is there twice.
    pub fn one_u8(&self, id: AttributeId) -> Result<Option<u8>, FrameError> {
        Ok(self.one_array(id)?.map(|[octet]| octet))
    }

    /// The one octet of `id`.
    ///
    /// # Errors
    /// If it is not there, there twice, or has another length.
    pub fn need_u8(&self, id: AttributeId) -> Result<u8, FrameError> {
        self.one_u8(id)?.ok_or(FrameError::Missing(id))
    }

    /// The two octets of `id` as a number, if it is there.
    ///
    /// # Errors
    /// If it has another length, or is there twice.
    pub fn one_u16(&self, id: AttributeId) -> Result<Option<u16>, FrameError> {
        Ok(self.one_array(id)?.map(u16::from_le_bytes))
    }

    /// The two octets of `id` as a number.
    ///
    /// # Errors
    /// If it is not there, there twice, or has another length.
    pub fn need_u16(&self, id: AttributeId) -> Result<u16, FrameError> {
        self.one_u16(id)?.ok_or(FrameError::Missing(id))
    }

    /// The Status attribute.
    ///
    /// # Errors
    /// If it is not there, there twice, or holds a number without a meaning.
    pub fn status(&self) -> Result<Status, FrameError> {
        let id = AttributeId::Status;
        Status::try_from(self.need_u8(id)?).map_err(|_| FrameError::Value { id, why: "has a number without a meaning" })
    }

    /// The octets before Wrapped Data, which it authenticates; all of them if there is none (DPP s6.3.1, s6.4.1).
    pub fn before_wrapped(&self) -> &'a [u8] {
        self.bytes.get(..self.wrapped_at).unwrap_or_default()
    }

    /// The value of Wrapped Data.
    ///
    /// # Errors
    /// If it is not there.
    pub fn wrapped(&self) -> Result<&'a [u8], FrameError> {
        self.need(AttributeId::WrappedData)
    }
}

/// The names and lengths; values may be secrets once they are unwrapped.
impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |(id, value): (u16, &[u8])| match AttributeId::of(id) {
            Some(id) => format!("{id}: {} octets", value.len()),
            None => format!("{id:#06x}: {} octets", value.len()),
        };
        f.debug_list().entries(self.iter().map(entry)).finish()
    }
}

/// Ends at the first attribute that is not whole, with `rest` standing there.
struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        self.rest = rest;
        Some((u16::from_le_bytes(*id), value))
    }
}

/// Writes attributes one after another.
#[derive(Clone, Default)]
pub struct AttributeWriter {
    bytes: Vec<u8>,
}

impl AttributeWriter {
    /// An empty one.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds `id` with `value`, which has at most 65,535 octets: no caller's value comes near.
    pub fn put(&mut self, id: AttributeId, value: &[u8]) -> &mut Self {
        let value = value.get(..u16::MAX.into()).unwrap_or(value);
        self.bytes.extend(u16::from(id).to_le_bytes());
        self.bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.extend(value);
        self
    }

    /// Adds `id` with one octet.
    pub fn put_u8(&mut self, id: AttributeId, value: u8) -> &mut Self {
        self.put(id, &[value])
    }

    /// Adds `id` with a number of two octets.
    pub fn put_u16le(&mut self, id: AttributeId, value: u16) -> &mut Self {
        self.put(id, &value.to_le_bytes())
    }

    /// Adds what another has written.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.bytes.extend_from_slice(&other.bytes);
        self
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, given away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
