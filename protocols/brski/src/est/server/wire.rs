//! How a refusal is told to an EST client (RFC 7030 s4.2.3, RFC 8951 s5): one row for each check.

use landfall_types::{Fault, Refusal, http::Response};
use std::time::Duration;

/// The response for `refusal`.
///
/// RFC 7030 s4.2.3 wants the client to read what was wrong with its request; about itself, and about this server, it
/// is told no more than the status.
pub(super) fn response(refusal: &Refusal, allow: &str, retry_after: Duration) -> Response {
    let status = status(refusal);
    let words = match status {
        400 => format!("The request is not acceptable: {} [{} {}]", refusal.check, refusal.section, refusal.field),
        401 => "Authenticate with a certificate.".into(),
        403 => "This client may not have a certificate.".into(),
        404 => "There is nothing here.".into(),
        405 => format!("This is asked with {allow}."),
        413 => "The request is too long.".into(),
        415 => "The request is of another type than this operation takes.".into(),
        501 => "This operation is not offered.".into(),
        _ => "This cannot be done now.".into(),
    };
    let response = Response::text(status, words.trim_end());
    match status {
        405 => response.header("allow", allow),
        503 => response.header("retry-after", retry_after.as_secs().to_string()),
        _ => response,
    }
}

fn status(refusal: &Refusal) -> u16 {
    match refusal.check.as_ref() {
        "est-method" => 405,
        "est-type" => 415,
        "est-body" if refusal.field == "Content-Length" => 413,
        "est-not-offered" => 501,
        "client-missing" => 401,
        // A fault of the issuer's own profile is nobody's but ours.
        "profile-lint" => 500,
        _ => match refusal.fault {
            Fault::Denied => 403,
            Fault::Backend | Fault::Misuse => 503,
            Fault::Peer | Fault::Malformed | Fault::Incompatible => 400,
        },
    }
}
