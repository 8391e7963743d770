//! Keys and passwords in RADIUS (RFC 2548 s2.4.2, RFC 2868 s3.5).

use super::{Secret, packet::Authenticator};

/// The vendor.
const MICROSOFT: [u8; 4] = 311_u32.to_be_bytes();

/// The value of a vendor-specific attribute with `key` in it.
pub(super) fn microsoft(kind: u8, key: &[u8], salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Vec<u8> {
    let hidden = hide(key, salt, secret, request);
    let length = u8::try_from(hidden.len() + 2).unwrap_or(u8::MAX);
    [MICROSOFT.as_slice(), &[kind, length], &hidden].concat()
}

/// The key in the value of a vendor-specific attribute, if it is of that kind.
pub(super) fn open_microsoft(kind: u8, value: &[u8], secret: &Secret, request: &Authenticator) -> Option<Vec<u8>> {
    let value = value.strip_prefix(&MICROSOFT)?;
    let (&[found, length], hidden) = value.split_first_chunk()?;
    if found != kind || usize::from(length) != hidden.len() + 2 {
        return None;
    }
    show(hidden, secret, request)
}

/// The value of Tunnel-Password (RFC 2868 s3.5), of no tunnel in particular.
pub(super) fn tunnel(password: &[u8], salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Vec<u8> {
    [&[0], hide(password, salt, secret, request).as_slice()].concat()
}

/// The password in the value of Tunnel-Password.
pub(super) fn open_tunnel(value: &[u8], secret: &Secret, request: &Authenticator) -> Option<Vec<u8>> {
    show(value.get(1..)?, secret, request)
}

/// The salt, and `plain` with its length, hidden by it.
fn hide(plain: &[u8], salt: [u8; 2], secret: &Secret, request: &Authenticator) -> Vec<u8> {
    let mut plain = [&[u8::try_from(plain.len()).unwrap_or(u8::MAX)], plain].concat();
    plain.resize(plain.len().next_multiple_of(16), 0);
    let mut hidden = salt.to_vec();
    let mut before = [request.as_slice(), salt.as_slice()].concat();
    for block in plain.chunks(16) {
        let pad = secret.md5(&[&before]);
        before = block.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect();
        hidden.extend_from_slice(&before);
    }
    zeroize(&mut plain);
    hidden
}

fn show(value: &[u8], secret: &Secret, request: &Authenticator) -> Option<Vec<u8>> {
    let (salt, hidden) = value.split_first_chunk::<2>()?;
    if !hidden.len().is_multiple_of(16) {
        return None;
    }
    let mut plain = Vec::with_capacity(hidden.len());
    let mut before = [request.as_slice(), salt].concat();
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
