//! A birth key from a seed that the chip's maker put into the device (NIST SP 1800-36B H.1.1, method 5): device and factory
//! derive the same key, and neither sends it anywhere.

use crate::ElementError;
use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    hkdf,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use landfall_types::{Fingerprint, Redacted, SerialNumber};
use zeroize::Zeroizing;

/// The shortest seed: the strength of the key (NIST SP 800-57 part 1 s5.6).
pub const SHORTEST: usize = 32;

const SALT: &[u8] = b"landfall birth key v1";
const WIDTH: usize = 32;

/// What a seed is known by, so that it can be told that it was used before: 32 octets by HKDF-SHA-256 with the salt `landfall
/// birth key v1` and the info `fingerprint`. It says nothing of the seed, nor of a key that is derived from it.
///
/// # Errors
/// [`ElementError::Unsupported`] if the seed is shorter than [`SHORTEST`].
pub fn fingerprint(seed: &Redacted<Vec<u8>>) -> Result<Fingerprint, ElementError> {
    let mut out = [0; WIDTH];
    let filled = extracted(seed)?.expand(&[b"fingerprint"], hkdf::HKDF_SHA256).and_then(|made| made.fill(&mut out));
    filled.map_err(|_| ElementError::Crypto("derive a fingerprint"))?;
    Ok(Fingerprint(out))
}

fn extracted(seed: &Redacted<Vec<u8>>) -> Result<hkdf::Prk, ElementError> {
    if seed.expose().len() < SHORTEST {
        return Err(ElementError::Unsupported("derive a key from a seed of fewer than 32 octets"));
    }
    Ok(hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(seed.expose()))
}

/// The P-256 key of the device with that serial number, as PKCS#8 DER.
///
/// HKDF-SHA-256 (RFC 5869) with the salt `landfall birth key v1` over the seed, and with `p256`, a zero octet, the serial
/// number, a zero octet and a counter octet as info, gives 32 octets: the private key if they are in its range, else the
/// counter goes up by one from zero (NIST SP 800-56A s5.6.1.2.2, testing candidates).
///
/// # Errors
/// [`ElementError::Unsupported`] if the seed is shorter than [`SHORTEST`].
pub fn birth_key(seed: &Redacted<Vec<u8>>, serial_number: &SerialNumber) -> Result<Redacted<Vec<u8>>, ElementError> {
    let failed = |_| ElementError::Crypto("derive a key");
    let derived = extracted(seed)?;
    for counter in 0..=u8::MAX {
        let info = [b"p256\0", serial_number.as_str().as_bytes(), &[0, counter]];
        let mut private = Zeroizing::new([0; WIDTH]);
        derived.expand(&info, hkdf::HKDF_SHA256).and_then(|out| out.fill(private.as_mut_slice())).map_err(failed)?;
        let Ok(agreeing) = PrivateKey::from_private_key(&ECDH_P256, private.as_slice()) else { continue };
        let public = agreeing.compute_public_key().map_err(failed)?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private.as_slice(), public.as_ref());
        let pair = pair.map_err(|_| ElementError::Crypto("derive a key"))?;
        return Ok(Redacted::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()));
    }
    Err(ElementError::Crypto("derive a key"))
}
