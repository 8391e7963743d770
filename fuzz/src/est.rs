//! EST: paths, bodies, wishes about requests, answers, and where a MASA is said to be.

use landfall_brski::{
    est::{body as transfer, client, csrattrs::CsrAttrs, multipart as parts, route},
    proxy::Host,
    registrar::MasaEndpoint,
};
use landfall_types::http::Response;

/// The path of a request.
pub fn path(data: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(data) else { return false };
    let Some((label, operation)) = route(path) else { return false };
    assert_eq!(operation.path(label), path, "there is one path to an operation");
    true
}

/// A body in base64.
pub fn body(data: &[u8]) -> bool {
    let Ok(der) = transfer::decode(data) else { return false };
    assert_eq!(transfer::decode(&transfer::encode(&der)), Ok(der), "what was read can be written and read");
    true
}

/// CSR attributes.
pub fn csrattrs(data: &[u8]) -> bool {
    let Ok(wishes) = CsrAttrs::from_der(data) else { return false };
    let _ = (wishes.oids().count(), wishes.wants_binding(), wishes.curve(), wishes.rsa_bits(), wishes.extensions());
    if let Ok(der) = wishes.to_der() {
        assert!(
            CsrAttrs::from_der(&der).is_ok_and(|again| again.to_der() == Ok(der)),
            "what was written reads as the same"
        );
    }
    true
}

/// The answer to a server-side key generation: its Content-Type, a line break, its body.
pub fn keygen(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (content_type, body) = data.split_at(end);
    let Ok(content_type) = std::str::from_utf8(content_type) else { return false };
    if let Ok(read) = parts::decode(content_type, body) {
        let (content_type, written) = parts::encode(&read);
        let _ = parts::decode(&content_type, &written);
    }
    client::read_generated(&Response::with(200, content_type, body.to_vec())).is_ok()
}

/// Where a certificate says that its MASA is.
pub fn masa_url(data: &[u8]) -> bool {
    let Ok(url) = std::str::from_utf8(data) else { return false };
    let _ = url.parse::<Host>();
    let Ok(masa) = url.parse::<MasaEndpoint>() else { return false };
    let _ = (masa.authority(), masa.path_here(url));
    assert_eq!(masa.to_string().parse().as_ref(), Ok(&masa), "what was read can be written and read");
    true
}
