//! Sealing to a network access key (RFC 9180, base mode, one message), whose private half may be kept elsewhere.

use crate::{
    crypto::{self, Secret},
    curve::{Curve, KeyError, PrivateKey, PublicKey},
};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use landfall_types::Redacted;

/// The box does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsealed;

impl From<KeyError> for Unsealed {
    fn from(_: KeyError) -> Self {
        Self
    }
}

/// An encapsulated key and what is sealed under it.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// The sender's ephemeral key. The recipient multiplies it by its own.
    pub(super) enc: PublicKey,
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// Reads enc | ciphertext.
    pub(super) fn parse(curve: Curve, bytes: &[u8]) -> Result<Self, Unsealed> {
        let (enc, ciphertext) = bytes.split_at_checked(1 + 2 * curve.coordinate_len()).ok_or(Unsealed)?;
        match enc.split_first() {
            Some((4, xy)) => Ok(Self { enc: PublicKey::from_wire(curve, xy)?, ciphertext: ciphertext.to_vec() }),
            _ => Err(Unsealed),
        }
    }

    /// Opens it; `dh` is the x coordinate of the recipient's key times [`Self::enc`].
    pub(super) fn open(
        &self,
        recipient: &PublicKey,
        dh: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Redacted<Vec<u8>>, Unsealed> {
        let (key, nonce) = schedule(&self.enc, recipient, dh, info).ok_or(Unsealed)?;
        let mut text = self.ciphertext.clone();
        let len = key.open_in_place(nonce, Aad::from(aad), &mut text).map_err(|_| Unsealed)?.len();
        text.truncate(len);
        Ok(Redacted::new(text))
    }
}

/// Seals `plain` to `recipient`: enc | ciphertext.
pub(super) fn seal(
    recipient: &PublicKey,
    ephemeral: &PrivateKey,
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Unsealed> {
    let dh = ephemeral.agree(recipient)?;
    let (key, nonce) = schedule(ephemeral.public(), recipient, dh.expose(), info).ok_or(Unsealed)?;
    let mut text = plain.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut text).map_err(|_| Unsealed)?;
    Ok([ephemeral.public().sec1(), &text].concat())
}

/// The suite of a curve: numbers of the KEM, the KDF and the AEAD (RFC 9180 s7), and the AEAD. DPP takes those of the
/// NIST curve of the same length for brainpool curves.
fn suite(curve: Curve) -> ([u8; 2], [u8; 2], [u8; 2], &'static Algorithm) {
    match curve {
        Curve::P256 | Curve::Bp256 => ([0, 0x10], [0, 1], [0, 1], &AES_128_GCM),
        Curve::P384 | Curve::Bp384 => ([0, 0x11], [0, 2], [0, 2], &AES_256_GCM),
        Curve::P521 | Curve::Bp512 => ([0, 0x12], [0, 3], [0, 2], &AES_256_GCM),
    }
}

/// Key and nonce of the first and only message (RFC 9180 s4.1, s5.1).
fn schedule(enc: &PublicKey, recipient: &PublicKey, dh: &[u8], info: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let curve = enc.curve();
    let (kem, kdf, aead, algorithm) = suite(curve);
    let kem_suite = [&b"KEM"[..], &kem].concat();
    let shared = {
        let prk = extract(curve, &kem_suite, &[], b"eae_prk", dh);
        expand(curve, &kem_suite, &prk, b"shared_secret", &[enc.sec1(), recipient.sec1()].concat(), curve.hash_len())
    };
    let suite = [&b"HPKE"[..], &kem, &kdf, &aead].concat();
    let psk_id_hash = extract(curve, &suite, &[], b"psk_id_hash", &[]);
    let info_hash = extract(curve, &suite, &[], b"info_hash", info);
    let context = [&[0], psk_id_hash.expose(), info_hash.expose()].concat();
    let secret = extract(curve, &suite, shared.expose(), b"secret", &[]);
    let key = expand(curve, &suite, &secret, b"key", &context, algorithm.key_len());
    let nonce = expand(curve, &suite, &secret, b"base_nonce", &context, algorithm.nonce_len());
    let key = UnboundKey::new(algorithm, key.expose()).ok()?;
    Some((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce.expose()).ok()?))
}

fn extract(curve: Curve, suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
    crypto::extract(curve, salt, &[b"HPKE-v1", suite, label, ikm])
}

fn expand(curve: Curve, suite: &[u8], prk: &Secret, label: &[u8], info: &[u8], len: usize) -> Secret {
    let length = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    crypto::expand(curve, prk, &[&length, b"HPKE-v1", suite, label, info], len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn key(curve: Curve, scalar: &str) -> PrivateKey {
        PrivateKey::from_bytes(curve, &hex::decode(scalar).unwrap()).unwrap()
    }

    /// RFC 9180 A.3.1 and A.6.1, the first message.
    #[test]
    fn messages_are_sealed_as_published() {
        let vectors = [
            (
                Curve::P256,
                "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
                "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
                "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434",
            ),
            (
                Curve::P521,
                "014784c692da35df6ecde98ee43ac425dbdd0969c0c72b42f2e708ab9d535415a8\
                 569bdacfcc0a114c85b8e3f26acf4d68115f8c91a66178cdbd03b7bcc5291e374b",
                "01462680369ae375e4b3791070a7458ed527842f6a98a79ff5e0d4cbde83c27196\
                 a3916956655523a6a2556a7af62c5cadabe2ef9da3760bb21e005202f7b2462847",
                "170f8beddfe949b75ef9c387e201baf4132fa7374593dfafa90768788b7b2b200aafcc6d80ea4c795a7c5b841a",
            ),
        ];
        let (info, aad) = (b"Ode on a Grecian Urn", b"Count-0");
        for (curve, ephemeral, recipient, ciphertext) in vectors {
            let (ephemeral, recipient) = (key(curve, ephemeral), key(curve, recipient));
            let plain = b"Beauty is truth, truth beauty";
            let sealed = seal(recipient.public(), &ephemeral, info, aad, plain).unwrap();
            assert_eq!(hex::encode(&sealed), hex::encode(ephemeral.public().sec1()) + ciphertext);
            let opened = Sealed::parse(curve, &sealed).unwrap();
            let dh = recipient.agree(&opened.enc).unwrap();
            let open = |info, aad| opened.open(recipient.public(), dh.expose(), info, aad);
            assert_eq!(open(info, aad).unwrap().expose(), plain);
            assert!(open(info, b"Count-1").is_err());
            assert!(open(b"Ode on a Grecian urn", aad).is_err());
        }
    }

    /// What another implementation (OpenSSL) sealed.
    #[test]
    fn a_foreign_message_on_p384_opens() {
        let recipient = key(Curve::P384, &"0123456789abcdef".repeat(6));
        let sealed = "04b995bd9e169587192e13932cab2f42781c152847d77279c539bc02b98668a25175423879a74b7a068f8ebd3d4dda80\
                      eedaaf49d69fbd8bba4a8b971df71bd930c1acb98aee8af21db9c0c7cf81ca74c2035d99936b59c36f9561d19c298b80\
                      1a65040c91a909dbe576069cf71c73328351c73bb4e04341218c95ee8f19a0a6e38d60";
        let sealed = hex::decode(sealed).unwrap();
        let message = Sealed::parse(Curve::P384, &sealed).unwrap();
        let dh = recipient.agree(&message.enc).unwrap();
        let opened = message.open(recipient.public(), dh.expose(), b"", b"").unwrap();
        assert_eq!(opened.expose(), b"Wi-Fi Easy Connect");
        assert!(
            Sealed::parse(Curve::P384, &sealed[..97]).unwrap().open(recipient.public(), dh.expose(), b"", b"").is_err()
        );
        assert!(Sealed::parse(Curve::P384, &sealed[..96]).is_err());
        assert!(Sealed::parse(Curve::P384, &sealed[1..]).is_err());
    }
}
