//! Between hyper's requests and responses and ours.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use landfall_types::http::Headers;

/// Header fields as text. A value that is not UTF-8 is left out, as no field that is looked at here may have one.
pub(super) fn headers_in(map: &HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in map {
        if let Ok(value) = str::from_utf8(value.as_bytes()) {
            headers.add(name.as_str(), value);
        }
    }
    headers
}

/// Header fields for the wire; `None` if one of them may not stand in a message.
pub(super) fn headers_out(headers: &Headers) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(map)
}

pub(super) fn body_out(body: Vec<u8>) -> Full<Bytes> {
    Full::new(Bytes::from(body))
}
