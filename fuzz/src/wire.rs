//! What every protocol over HTTP begins with.

use landfall_types::{
    http::{self, Headers},
    json as strict,
};

/// An `Accept` list of a peer; taken if it lets a voucher pass.
pub fn accept(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut headers = Headers::default();
    text.lines().for_each(|line| headers.add("Accept", line));
    assert_eq!(http::essence(&http::essence(text)), http::essence(text), "the essence of an essence is itself");
    http::accepts(&headers, "application/voucher-cms+json")
}

/// JSON of a peer.
pub fn json(data: &[u8]) -> bool {
    let Ok(value) = strict::parse(data) else { return false };
    assert!(strict::parse(value.to_string().as_bytes()).is_ok(), "what was read can be written and read");
    true
}
