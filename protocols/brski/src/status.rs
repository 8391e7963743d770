//! How a refusal is told to the peer: the one table from checks to statuses (RFC 8995 s5.3, s5.6).

use landfall_types::{Fault, Refusal, http::Response};

/// Checks whose status is not their [fault's](by_fault), by source.
const TABLE: &[(&str, u16)] = &[
    // RFC 9110: the request itself is not for here.
    ("request-method", 405),
    ("request-path", 404),
    ("voucher-size", 413),
    // RFC 8995 s5.6: what is not understood is 415, what is understood and cannot be had is 406.
    ("request-type", 415),
    ("request-accept-unknown", 415),
    ("request-accept", 406),
    // RFC 8995 s5.3: a voucher-request in an unknown format.
    ("voucher-container", 406),
    ("voucher-artefact", 406),
    // RFC 8995 s5.2: the pledge's request names another registrar, or the pledge names itself in no way.
    ("request-assertion", 401),
    ("request-proximity", 401),
    ("idevid-missing", 401),
    // RFC 8995 s5.3, s5.6: a device that may not come, or of which nothing is known, is not found here.
    ("idevid-untrusted", 404),
    ("idevid-serial", 404),
    ("device-unknown", 404),
    ("audit-log-owner", 404),
    ("policy-denied", 404),
    // RFC 8995 s5.6: unacceptable because of the audit log, or for any other reason found after the MASA was asked.
    ("policy-denied-voucher", 406),
    // RFC 8995 s5.6: with 202 the pledge comes back with the same request while the MASA is away; what the MASA
    // refuses is refused to the pledge in the same way, and what it answers wrongly is no fault of the pledge.
    ("masa-unreachable", 202),
    ("masa-does-not-know", 404),
    ("masa-cannot-satisfy", 406),
    ("masa-media-type", 415),
    ("masa-answer", 502),
];

/// The status for a refusal.
pub fn of(refusal: &Refusal) -> u16 {
    let row = TABLE.iter().find(|(check, _)| *check == refusal.check);
    row.map_or_else(|| by_fault(refusal.fault), |(_, status)| *status)
}

/// The status for a check that [the table](TABLE) does not name.
const fn by_fault(fault: Fault) -> u16 {
    match fault {
        // RFC 8995 s5.6: not signed correctly, or stale.
        Fault::Peer => 403,
        Fault::Malformed => 400,
        Fault::Incompatible => 406,
        // RFC 8995 s5.3, s5.6: an administrator could allow it, or another voucher stands in the way.
        Fault::Denied => 403,
        Fault::Backend => 503,
        Fault::Misuse => 500,
    }
}

/// The response for a refusal: its status, and a sentence in plain text that says no more than the status does
/// (RFC 8995 s5.6 wants one; what exactly failed is for the operator's log).
pub fn response(refusal: &Refusal) -> Response {
    let status = of(refusal);
    let response = Response::text(status, sentence(status));
    match status {
        // RFC 8995 s5.2: after a proximity failure there is someone in between, and the connection has to go.
        401 => response.header("connection", "close"),
        405 => response.header("allow", "POST"),
        _ => response,
    }
}

/// What a status means here.
const fn sentence(status: u16) -> &'static str {
    match status {
        202 => "The request is waiting; send the same request again after the time in Retry-After.\n",
        400 => "The request is malformed.\n",
        401 => "The request does not belong to this connection.\n",
        403 => {
            "The request is not acceptable: its signature, its age or its fields are wrong, or it is not this requester's to make.\n"
        }
        404 => "There is nothing here for this request or this device.\n",
        405 => "This method is not allowed here.\n",
        406 => "No voucher of an acceptable kind can be given for this request.\n",
        413 => "The request is too long.\n",
        415 => "The media type of the request, or the one asked for, is not understood.\n",
        502 => "The manufacturer's service gave an answer that cannot be used.\n",
        503 => "The service cannot answer now; try again later.\n",
        _ => "The service failed.\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_comes_before_the_fault() {
        let refusal = |fault, check| Refusal::new(fault, check, "RFC 8995 s5.6", "secret detail");
        assert_eq!(of(&refusal(Fault::Peer, "request-proximity")), 401);
        assert_eq!(of(&refusal(Fault::Peer, "voucher-signature")), 403);
        assert_eq!(of(&refusal(Fault::Denied, "policy")), 403);
        assert_eq!(of(&refusal(Fault::Backend, "store")), 503);
    }

    #[test]
    fn the_peer_is_told_no_detail() {
        let refusal = Refusal::new(Fault::Peer, "prior-request-nonce", "RFC 8995 s5.5.6", "secret detail");
        let response = response(&refusal);
        let body = String::from_utf8(response.body).unwrap();
        assert!(!body.contains("secret") && !body.contains("nonce"), "{body}");
        assert_eq!(response.headers.first("content-type"), Some("text/plain; charset=utf-8"));
    }

    #[test]
    fn no_check_stands_twice_in_the_table() {
        let mut checks: Vec<_> = TABLE.iter().map(|(check, _)| check).collect();
        checks.sort_unstable();
        checks.dedup();
        assert_eq!(checks.len(), TABLE.len());
    }
}
