//! Signed messages (CMS SignedData, RFC 5652 s5) and bags of certificates.

mod build;
mod parse;

pub use build::{ContentDigest, PreparedSignedData, SignedDataBuilder, certs_only, certs_only_in_order};
pub use parse::{SignedData, parse_certs_only};

/// The longest message that is read, in bytes: a voucher request that holds another and both chains stays far below.
pub const MAX_LEN: usize = 1024 * 1024;
