//! How much is read and kept.

/// The longest deny list, in bytes.
pub const LIST: usize = 64 * 1024 * 1024;
/// Entries of one list.
pub const ENTRIES: usize = 1_000_000;
/// Entries that are left out and told one by one.
pub const LEFT_OUT: usize = 100;
/// The longest STIX pattern.
pub const PATTERN: usize = 16 * 1024;
/// Comparisons in one pattern.
pub const COMPARISONS: usize = 256;
/// Pages of one TAXII collection that are asked for in a row.
pub const PAGES: usize = 1000;
/// Templates that one exporter of flows may have at a time.
pub const TEMPLATES: usize = 256;
/// Observation domains of one exporter whose records are counted.
pub const DOMAINS: usize = 64;
/// Fields in one template.
pub const FIELDS: usize = 128;
/// Devices that are watched at a time.
pub const DEVICES: usize = 100_000;
/// Types of devices.
pub const TYPES: usize = 4096;
/// Destinations that are known of one type.
pub const DESTINATIONS: usize = 2048;
/// Destinations of one device whose rhythm is looked at.
pub const RHYTHMS: usize = 32;
/// Beginnings of flows that are kept of each of them.
pub const BEATS: usize = 12;
