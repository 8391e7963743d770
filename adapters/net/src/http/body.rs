//! Receiving a body of bounded size.

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Why a body was not received.
pub(super) enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// The peer went away, or its framing is broken.
    Broken(hyper::Error),
}

/// All of `body`, if it has at most `limit` bytes. One that announces more is not read at all.
pub(super) async fn receive(mut body: Incoming, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
