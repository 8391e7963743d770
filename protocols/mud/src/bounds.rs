//! How much of a file is read.

/// The longest file, in bytes; the longest that is known of a real device has 95,000.
pub const FILE: usize = 1024 * 1024;
/// The longest signature, in bytes.
pub const SIGNATURE: usize = 256 * 1024;
/// The longest URL.
pub const URL: usize = 2048;
/// The longest text for people.
pub const TEXT: usize = 4096;
/// Access lists in one file.
pub const LISTS: usize = 64;
/// Entries in one file, over all its lists; the most that are known of a real device are 201.
pub const ENTRIES: usize = 2048;
/// Elements of any other list.
pub const ITEMS: usize = 256;
/// Findings that are told one by one.
pub const FINDINGS: usize = 1024;
