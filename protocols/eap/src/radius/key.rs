//! Keys in RADIUS (RFC 2548 s2.4.2).

use super::{Secret, packet::Authenticator};

/// The vendor.
const MICROSOFT: [u8; 4] = 311_u32.to_be_bytes();

/// The value of a vendor-specific attribute with `key` in it.
pub(super) fn microsoft(kind: u8, key: &[u8], salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Vec<u8> {
    let mut plain = vec![u8::try_from(key.len()).unwrap_or(u8::MAX)];
    plain.extend_from_slice(key);
    plain.resize(plain.len().next_multiple_of(16), 0);

    let mut hidden: Vec<u8> = Vec::with_capacity(plain.len());
    let mut before = [request.as_slice(), salt.as_slice()].concat();
    for block in plain.chunks(16) {
        let pad = secret.md5(&[&before]);
        before = block.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect();
        hidden.extend_from_slice(&before);
    }
    zeroize(&mut plain);
    let length = u8::try_from(hidden.len() + 4).unwrap_or(u8::MAX);
    [MICROSOFT.as_slice(), &[kind, length], &salt, &hidden].concat()
}

/// The key in the value of a vendor-specific attribute, if it is of that kind.
pub(super) fn open_microsoft(kind: u8, value: &[u8], secret: &Secret, request: &Authenticator) -> Option<Vec<u8>> {
    let value = value.strip_prefix(&MICROSOFT)?;
    let (&[found, length, salt0, salt1], hidden) = value.split_first_chunk()?;
    if found != kind || usize::from(length) != hidden.len() + 4 || !hidden.len().is_multiple_of(16) {
        return None;
    }
    let mut plain = Vec::with_capacity(hidden.len());
    let mut before = [request.as_slice(), &[salt0, salt1]].concat();
    for block in hidden.chunks(16) {
        let pad = secret.md5(&[&before]);
        plain.extend(block.iter().zip(pad).map(|(byte, pad)| byte ^ pad));
        before = block.to_vec();
    }
    let (&length, key) = plain.split_first()?;
    Some(key.get(..usize::from(length))?.to_vec())
}

fn zeroize(bytes: &mut [u8]) {
    zeroize::Zeroize::zeroize(bytes);
}
