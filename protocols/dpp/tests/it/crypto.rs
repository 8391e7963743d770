//! Key derivation and wrapping against what their RFCs publish.

use super::vectors::{octets, vector};
use landfall_dpp::{
    Curve,
    crypto::{self, Secret, siv},
};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn secret(hex: &str) -> Secret {
    Secret::new(bytes(hex))
}

/// RFC 5869 A.1 and A.3.
#[test]
fn keys_are_derived_as_published() {
    let ikm = [0x0b; 22];
    let prk = crypto::extract(Curve::P256, &bytes("000102030405060708090a0b0c"), &[&ikm]);
    assert_eq!(hex::encode(prk.expose()), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let okm = crypto::expand(Curve::P256, &prk, &[&bytes("f0f1f2f3"), &bytes("f4f5f6f7f8f9")], 42);
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(hex::encode(okm.expose()), expected);

    let okm = crypto::expand(Curve::P256, &crypto::extract(Curve::P256, &[], &[&ikm]), &[], 42);
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(hex::encode(okm.expose()), expected);
    assert_eq!(crypto::derive(Curve::P256, &[], &[&ikm]).expose(), &okm.expose()[..32]);
}

/// RFC 5297 A.1 and A.2: one component, three components.
#[test]
fn siv_seals_as_published() {
    let key = secret("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let ad = bytes("101112131415161718191a1b1c1d1e1f2021222324252627");
    let sealed = siv::seal(&key, &[&ad], &bytes("112233445566778899aabbccddee"));
    assert_eq!(hex::encode(sealed), "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c");

    let key = secret("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f");
    let first = bytes("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100");
    let (second, nonce) = (bytes("102030405060708090a0"), bytes("09f911029d74e35bd84156c5635688c0"));
    let sealed = siv::seal(&key, &[&first, &second, &nonce], b"this is some plaintext to encrypt using SIV-AES");
    let expected = "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17\
                    dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d";
    assert_eq!(hex::encode(sealed), expected);
}

#[test]
fn no_component_is_not_an_empty_one() {
    for length in [32, 48, 64] {
        let key = Secret::new(vec![7; length]);
        let kinds: [&[&[u8]]; 4] = [&[], &[b""], &[b"", b""], &[b"x", b""]];
        let sealed = kinds.map(|ads| siv::seal(&key, ads, b"plain"));
        for (i, ads) in kinds.into_iter().enumerate() {
            for (j, sealed) in sealed.iter().enumerate() {
                assert_eq!(siv::open(&key, ads, sealed).is_ok(), i == j, "{length} {i} {j}");
            }
        }
    }
}

#[test]
fn a_changed_box_does_not_open() {
    for length in [32, 48, 64] {
        let key = Secret::new(vec![7; length]);
        let sealed = siv::seal(&key, &[b"header"], b"");
        assert_eq!(siv::open(&key, &[b"header"], &sealed).unwrap().expose(), b"");
        assert!(siv::open(&Secret::new(vec![8; length]), &[b"header"], &sealed).is_err());
        assert!(siv::open(&key, &[b"Header"], &sealed).is_err());
        for end in 0..sealed.len() {
            assert!(siv::open(&key, &[b"header"], &sealed[..end]).is_err());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(siv::open(&key, &[b"header"], &changed).is_err());
        }
    }
    assert!(siv::open(&Secret::new(vec![7; 16]), &[], &[0; 32]).is_err());
}

/// The keys that two published authentications derive.
#[test]
fn an_authentication_derives_the_published_keys() {
    for name in ["auth_p256_mutual", "auth_p521_mutual"] {
        let Some(vector) = vector(&format!("/{name}")) else { return };
        let curve = Curve::named(vector["curve"].as_str().unwrap()).unwrap();
        let value = |member: &str| octets(&vector["values"][member]);
        let (m, n, l) = (value("M_x"), value("N_x"), value("L_x"));
        assert_eq!(crypto::derive(curve, &[b"first intermediate key"], &[&m]).expose(), value("k1"));
        assert_eq!(crypto::derive(curve, &[b"second intermediate ", b"key"], &[&n]).expose(), value("k2"));
        let bk = crypto::extract(curve, &[value("I_nonce"), value("R_nonce")].concat(), &[&m, &n, &l]);
        assert_eq!(bk.expose(), value("bk"));
        assert_eq!(crypto::expand(curve, &bk, &[b"DPP Key"], curve.hash_len()).expose(), value("ke"));
        let [i, r] = ["PI_x", "PR_x"].map(value);
        let parts = [value("I_nonce"), value("R_nonce"), i, r, value("BI_x"), value("BR_x"), vec![0]];
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        assert_eq!(crypto::hash(curve, &parts), value("R_auth"));
    }
}

#[test]
fn a_secret_shows_nothing() {
    let key = Secret::new(b"hunter2".to_vec());
    assert_eq!(format!("{key:?}"), "[redacted]");
    assert!(key.matches(b"hunter2") && !key.matches(b"hunter3") && !key.matches(b"hunter"));
}
