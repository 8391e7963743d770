//! How much is read of anything that a peer sends.

/// A bootstrapping URI, in octets: the longest key with hundreds of channels and a host name.
pub const URI: usize = 4096;
/// Channels in a list. A device that lists every channel of every operating class stays below.
pub const CHANNELS: usize = 256;
/// A frame over TCP without its length, in octets (DPP s12).
pub const TCP_FRAME: usize = 65_535;
/// A GAS response put together from its fragments, in octets.
pub const GAS_RESPONSE: usize = 65_535;
/// Attributes in one frame. A configuration response with its ten objects has fewer than twenty.
pub const ATTRIBUTES: usize = 64;
/// A configuration request or configuration object, in octets.
pub const JSON: usize = 32 * 1024;
/// Objects in one configuration response.
pub const OBJECTS: usize = 10;
/// A signed connector, in octets.
pub const CONNECTOR: usize = 8 * 1024;
/// Groups in a connector.
pub const GROUPS: usize = 64;
/// Names and identifiers in JSON, in octets.
pub const NAME: usize = 512;
