//! How much is read.

/// The longest list of components, in bytes; that of a whole Linux image has some millions.
pub const SBOM: usize = 16 * 1024 * 1024;
/// Components in one list.
pub const COMPONENTS: usize = 50_000;
/// How deep components may stand in components.
pub const DEPTH: usize = 16;
/// Vulnerabilities that a list of components may tell of itself, and statements of one document.
pub const STATEMENTS: usize = 20_000;
/// The longest feed, in bytes.
pub const FEED: usize = 1024 * 1024 * 1024;
/// Records in one feed.
pub const RECORDS: usize = 2_000_000;
/// The longest record of a feed, in bytes.
pub const RECORD: usize = 8 * 1024 * 1024;
/// Elements of any other list; some records tell tens of thousands of versions.
pub const ITEMS: usize = 100_000;
/// The longest name, version or identifier that is kept.
pub const TEXT: usize = 1024;
/// Components that are named one by one in an assessment because nothing is known to ask about them.
pub const NAMED: usize = 100;
