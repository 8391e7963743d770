//! Points and keys of the six curves.

use super::vectors::{octets, vector};
use landfall_dpp::{
    Curve, Random, System,
    curve::{KeyError, PrivateKey, PublicKey, full_point},
};
use landfall_testkit::Rng;

/// A key out of a seeded generator.
pub(crate) fn key(curve: Curve, seed: u64) -> PrivateKey {
    PrivateKey::generate(curve, &mut random(seed))
}

/// Seeded randomness as a core takes it.
pub(crate) fn random(seed: u64) -> impl Random {
    let mut rng = Rng::new(seed);
    move |out: &mut [u8]| out.iter_mut().for_each(|byte| *byte = rng.bytes::<1>()[0])
}

fn private(curve: Curve, hex: &str) -> PrivateKey {
    PrivateKey::from_bytes(curve, &hex::decode(hex).unwrap()).unwrap()
}

/// RFC 7027 A: keys of two parties and the x coordinate on which they agree.
#[test]
fn brainpool_agrees_as_published() {
    let published = [
        (
            Curve::Bp256,
            "81db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1d",
            "55e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd3",
            "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b",
        ),
        (
            Curve::Bp384,
            "1e20f5e048a5886f1f157c74e91bde2b98c8b52d58e5003d57053fc4b0bd65d6f15eb5d1ee1610df870795143627d042",
            "032640bc6003c59260f7250c3db58ce647f98e1260acce4acda3dd869f74e01f8ba5e0324309db6a9831497abac96670",
            "0bd9d3a7ea0b3d519d09d8e48d0785fb744a6b355e6304bc51c229fbbce239bbadf6403715c35d4fb2a5444f575d4f42",
        ),
        (
            Curve::Bp512,
            "16302ff0dbbb5a8d733dab7141c1b45acbc8715939677f6a56850a38bd87bd59\
             b09e80279609ff333eb9d4c061231fb26f92eeb04982a5f1d1764cad57665422",
            "230e18e1bcc88a362fa54e4ea3902009292f7f8033624fd471b5d8ace49d12cf\
             abbc19963dab8e2f1eba00bffb29e4d72d13f2224562f405cb80503666b25429",
            "a7927098655f1f9976fa50a9d566865dc530331846381c87256baf3226244b76\
             d36403c024d7bbf0aa0803eaff405d3d24f11a9b5c0bef679fe1454b21c4cd1f",
        ),
    ];
    for (curve, a, b, agreed) in published {
        let (a, b) = (private(curve, a), private(curve, b));
        assert_eq!(hex::encode(a.agree(b.public()).unwrap().expose()), agreed, "{curve}");
        assert_eq!(hex::encode(b.agree(a.public()).unwrap().expose()), agreed, "{curve}");
    }
    let a = private(Curve::Bp512, published[2].1);
    let x = "0a420517e406aac0acdce90fcd71487718d3b953efd7fbec5f7f27e28c614999\
             9397e91e029e06457db2d3e640668b392c2a7e737a7f0bf04436d11640fd09fd";
    let y = "72e6882e8db28aad36237cd25d580db23783961c8dc52dfa2ec138ad472a0fce\
             f3887cf62b623b2a87de5c588301ea3e5fc269b373b60724f5e82a6ad147fde7";
    assert_eq!([a.public().x(), a.public().y()].map(hex::encode), [x, y]);
}

/// RFC 5639 s3.7: p + 1 − t is the order, so the generator times it is infinity, and times one less its own mirror image.
#[test]
fn the_order_is_that_of_the_generator() {
    for curve in Curve::ALL {
        let generator = PublicKey::generator(curve);
        let mut one = vec![0; curve.coordinate_len()];
        one[curve.coordinate_len() - 1] = 1;
        let one = PrivateKey::from_bytes(curve, &one).unwrap();
        assert_eq!(one.public(), &generator, "{curve}");
        let double = generator.plus(&generator).unwrap();
        assert_eq!(double, generator.times_hash(&[2]).unwrap(), "{curve}");
        assert_eq!(double.minus(&generator).unwrap(), generator, "{curve}");
        assert_eq!(generator.minus(&generator), Err(KeyError::Infinity), "{curve}");
        assert_eq!(generator.times_hash(&[0; 32]), Err(KeyError::Infinity), "{curve}");
    }
}

#[test]
fn keys_have_their_published_names() {
    let Some(vector) = vector("/bootstrap_keys") else { return };
    for (name, vector) in vector["keys"].as_object().unwrap() {
        let curve = Curve::named(name).unwrap();
        let private = PrivateKey::from_pkcs8(&octets(&vector["ec_private_key_der"])).unwrap();
        assert_eq!(private.curve(), curve);
        assert_eq!(private.to_bytes().expose(), &octets(&vector["priv"]));
        let public = private.public();
        assert_eq!(public.spki(), octets(&vector["spki_compressed"]), "{name}");
        assert_eq!(public.bootstrap_hash().to_string(), vector["bootstrap_key_hash"].as_str().unwrap(), "{name}");
        assert_eq!(public.chirp_hash().to_string(), vector["chirp_hash"].as_str().unwrap(), "{name}");
        assert_eq!(PublicKey::from_spki(&public.spki()).unwrap(), *public);
        let url = |bytes: &[u8]| {
            use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
            URL_SAFE_NO_PAD.encode(bytes)
        };
        assert_eq!(url(public.x()), vector["jwk_x"].as_str().unwrap(), "{name}");
        assert_eq!(url(public.y()), vector["jwk_y"].as_str().unwrap(), "{name}");
        assert_eq!(url(&public.key_id().0), vector["kid"].as_str().unwrap(), "{name}");
    }
}

/// The points of the published authentications, the sum of points and of scalars in L among them.
#[test]
fn points_come_out_as_published() {
    for name in ["auth_p256_mutual", "auth_p521_mutual"] {
        let Some(vector) = vector(&format!("/{name}")) else { return };
        let curve = Curve::named(vector["curve"].as_str().unwrap()).unwrap();
        let key = |member: &str| PrivateKey::from_bytes(curve, &octets(&vector["inputs"][member])).unwrap();
        let value = |member: &str| octets(&vector["values"][member]);
        let (initiator, responder) = (key("bI"), key("bR"));
        let (own, peer) = (key("pI"), key("pR"));
        for (key, name) in [(&initiator, "BI"), (&responder, "BR"), (&own, "PI"), (&peer, "PR")] {
            let (x, y) = (value(&format!("{name}_x")), value(&format!("{name}_y")));
            assert_eq!(key.public(), &PublicKey::from_coordinates(curve, &x, &y).unwrap());
        }
        assert_eq!(own.agree(responder.public()).unwrap().expose(), &value("M_x"));
        assert_eq!(peer.agree(own.public()).unwrap().expose(), &value("N_x"));
        let both = responder.public().plus(peer.public()).unwrap();
        assert_eq!(initiator.agree(&both).unwrap().expose(), &value("L_x"));
        let sum = responder.plus(&peer).unwrap();
        assert_eq!(sum.agree(initiator.public()).unwrap().expose(), &value("L_x"));
        assert_eq!(sum.public(), &both);
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    for curve in Curve::ALL {
        let good = key(curve, 1).public().to_wire();
        assert!(PublicKey::from_wire(curve, &good).is_ok());
        let mut off = good.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(PublicKey::from_wire(curve, &off), Err(KeyError::NotOnCurve));
        assert_eq!(PublicKey::from_wire(curve, &vec![0; good.len()]), Err(KeyError::NotOnCurve));
        assert_eq!(PublicKey::from_wire(curve, &vec![0xff; good.len()]), Err(KeyError::NotOnCurve));
        for length in [0, 1, good.len() - 1] {
            assert_eq!(PublicKey::from_wire(curve, &good[..length]), Err(KeyError::Length));
        }
        assert_eq!(PublicKey::from_wire(curve, &[&good[..], &[0]].concat()), Err(KeyError::Length));
        for form in [vec![], vec![0], vec![5], [&[6], &good[..]].concat(), good.clone()] {
            assert!(PublicKey::from_sec1(curve, &form).is_err());
        }
        let no_point = (0..=255).map(|last| {
            let mut x = vec![0; curve.coordinate_len()];
            *x.last_mut().unwrap() = last;
            PublicKey::from_x(curve, &x, false)
        });
        assert!(no_point.into_iter().any(|result| result == Err(KeyError::NotOnCurve)));
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    for curve in Curve::ALL {
        let width = curve.coordinate_len();
        for scalar in [vec![0; width], vec![0xff; width]] {
            assert_eq!(PrivateKey::from_bytes(curve, &scalar).unwrap_err(), KeyError::OutOfRange);
        }
        for length in [0, width - 1, width + 1] {
            assert_eq!(PrivateKey::from_bytes(curve, &vec![1; length]).unwrap_err(), KeyError::Length);
        }
    }
    // The order itself, and one less.
    let order = "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870\
                 553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069";
    let mut order = hex::decode(order).unwrap();
    assert_eq!(PrivateKey::from_bytes(Curve::Bp512, &order).unwrap_err(), KeyError::OutOfRange);
    order[63] -= 1;
    let last = PrivateKey::from_bytes(Curve::Bp512, &order).unwrap();
    assert_eq!(last.public().plus(&PublicKey::generator(Curve::Bp512)), Err(KeyError::Infinity));
}

#[test]
fn generation_takes_the_first_octets_that_are_a_scalar() {
    for curve in Curve::ALL {
        let mut calls = 0;
        let mut random = |out: &mut [u8]| {
            calls += 1;
            out.fill(if calls == 1 { 0 } else { 1 });
        };
        let key = PrivateKey::generate(curve, &mut random);
        assert_eq!(key.to_bytes().expose(), &vec![1; curve.coordinate_len()]);
        assert_eq!(calls, 2);
    }
}

#[test]
fn keys_of_the_system_are_new_and_agree_and_sign_like_others() {
    for curve in Curve::ALL {
        let (own, peer) = (PrivateKey::generate(curve, &mut System), PrivateKey::generate(curve, &mut System));
        assert_ne!(own.public(), peer.public());
        assert_eq!(own.agree(peer.public()).unwrap().expose(), peer.agree(own.public()).unwrap().expose());
        let same = PrivateKey::from_bytes(curve, own.to_bytes().expose()).unwrap();
        assert_eq!(same.public(), own.public());
        own.public().verify(b"message", &own.sign(b"message").unwrap()).unwrap();
    }
}

#[test]
fn points_keep_through_every_form() {
    for curve in Curve::ALL {
        for seed in 0..3 {
            let private = key(curve, seed);
            let public = private.public();
            assert_eq!(&PublicKey::from_wire(curve, &public.to_wire()).unwrap(), public);
            assert_eq!(&PublicKey::from_sec1(curve, public.sec1()).unwrap(), public);
            assert_eq!(&PublicKey::from_sec1(curve, &public.compressed()).unwrap(), public);
            let der = private.to_pkcs8().unwrap();
            let read = PrivateKey::from_pkcs8(der.expose()).unwrap();
            assert_eq!(read.to_bytes().expose(), private.to_bytes().expose());
            assert_eq!(read.public(), public);
            assert!(!format!("{private:?}").contains(&hex::encode(private.to_bytes().expose())));
        }
    }
}

#[test]
fn foreign_encodings_are_refused() {
    let good = key(Curve::P256, 1).public().spki();
    for end in 0..good.len() {
        assert!(PublicKey::from_spki(&good[..end]).is_err());
    }
    assert!(PublicKey::from_spki(&[&good[..], &[0]].concat()).is_err());
    // secp256k1 (1.3.132.0.10) instead of P-256; a point of P-256 said to be on brainpoolP256r1.
    let other = [&hex::decode("3036301006072a8648ce3d020106052b8104000a032200").unwrap()[..], &good[25..]].concat();
    assert_eq!(PublicKey::from_spki(&other), Err(KeyError::Encoding));
    let not_ec =
        hex::decode("302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(PublicKey::from_spki(&not_ec.unwrap()), Err(KeyError::Encoding));

    let mine = key(Curve::P256, 1);
    let mut der = mine.to_pkcs8().unwrap().expose().clone();
    let at = der.len() - 65;
    der.splice(at.., key(Curve::P256, 2).public().sec1().to_vec());
    assert_eq!(PrivateKey::from_pkcs8(&der).unwrap_err(), KeyError::Encoding, "another's public key inside");
}

/// Signatures that OpenSSL 3 made with the keys of the vectors verify here; so do ours, and no changed one.
#[test]
fn signatures_verify() {
    let message = b"Wi-Fi Easy Connect";
    let others = [
        (
            Curve::P256,
            "777fc55dc51e967c10ec051b91d860b5f1e6c934e48d5daffef98d032c64b170",
            "8922a4319a90cf7a8bf56e36cf52e65a29820cae623b09d039e7c1d528aea6c9b4098bcaaa371ff9a691cb6942a2dcaf26c091b490bf1179046630e0ef803a2d",
        ),
        (
            Curve::P384,
            "2f56fdd83b5345cacb630eb7c22fa5ad5daba37307c95191e2a75756d137003bd8b32dbcb00eb5650c1eb499ecfcaec0",
            "6cd5ae120b95216e122bba4fe3fd00bb9de21de71958ddbdcc208c61df623f84ff62622a6ddf2f32cf2595023d6dd4364e31a5b8b0847c833a7c6dd6dbe4d6f39452ccd496bb32ad2fa4b8403ebbd7e3bc17e7d540a144b6d2891ff7e5cab5b4",
        ),
        (
            Curve::P521,
            "00c8010d5357204c252551aaf4e210343111e503fd1dc615b257058997c49b6b643c975226e93be8181cca3d83a7072defd161dfbdf433c19abe1f2ad51867a05761",
            "006f4a52d9cf61e5c7f4e768c2988e3dd0bd25b23e61df12b8db811364fabdf62a1fbb4c2f6a4d5c63b56b78c2a9841936a93d0c2d3757bd8ef8152c09980360c4a00146d0dbe4c6893c8dcf409f23e5618c4ec96e118c4b5bb8443bd984d8760a555e83093a84165b75c27568bf2efec31eac4e7062710d78326e445c715c002d415081",
        ),
        (
            Curve::Bp256,
            "57133a676fb60bf2a3e6797e19833c7b0f89dc192ab99ab5fa377ae23a157765",
            "5b21f8ca28f022029c543338fa144f8995c746b63cf23a07af5568652ab766143ab32a5c128de90aeb2fe9d99261b661d29d82395f4fde8db45cd000f9e2014f",
        ),
        (
            Curve::Bp384,
            "4902df9f3033a9b7128554c0851dc7127c3573eed150671dae74c0013e9896a9b1c22b6f7d43d8a2ebb7cd474dc55039",
            "0e7bc772e29a0928c73179bd398ca765300652b3a20005e04e627dff28b9e3c5bb4deb0ab8e832355874658324826f7f3310a3e787e9957233d9f8300127d44cbe8ed44b79ae94df1a24d5b7ec29fc3c53a93788cf256a8d68b466e777a66a67",
        ),
        (
            Curve::Bp512,
            "5803494226eb7e50bf0e90633f37e7e35d33f5fa502165eeba721d927f9f846caf12e925701d18e123abaaaf4a7edb4fc4de21ce18bc10c4d12e8b3439f74e40",
            "73b381ec4b5ca086d85001bec094d2b44fbf864438c21a2ff4199f9885cc146831549fb4bd10172929d353bb79b8df4daa43c83f0f530f9c19847ced749993367eb5e78c8e06ddf51cd8b3ff753d656a980abaad9f79752e5d7a0b485b005952758fde81dafb23527abcb328628efa68c0b9715ab3ffd0a1ae3617b572fde827",
        ),
    ];
    for (curve, scalar, theirs) in others {
        let key = private(curve, scalar);
        let theirs = hex::decode(theirs).unwrap();
        let ours = key.sign(message).unwrap();
        for signature in [theirs, ours] {
            assert_eq!(key.public().verify(message, &signature), Ok(()), "{curve}");
            assert!(key.public().verify(b"Wi-Fi Easy connect", &signature).is_err(), "{curve}");
            assert!(self::key(curve, 9).public().verify(message, &signature).is_err(), "{curve}");
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(key.public().verify(message, &changed).is_err(), "{curve}");
            }
            assert!(key.public().verify(message, &signature[1..]).is_err(), "{curve}");
            assert!(key.public().verify(message, &[]).is_err(), "{curve}");
        }
        assert!(key.public().verify(message, &vec![0; 2 * curve.coordinate_len()]).is_err(), "{curve}");
    }
}

/// Whoever learns only x coordinates from the holder of a key still finds the whole point.
#[test]
fn a_point_is_recovered_from_two_x_coordinates() {
    for curve in Curve::ALL {
        for seed in 0..3 {
            let (own, peer) = (key(curve, seed), key(curve, seed + 100));
            let shifted = peer.public().plus(&PublicKey::generator(curve)).unwrap();
            let x = own.agree(peer.public()).unwrap();
            let x_shifted = own.agree(&shifted).unwrap();
            let whole = own.multiply(peer.public()).unwrap();
            assert_eq!(whole.x(), x.expose());
            let found = full_point(own.public(), peer.public(), x.expose(), x_shifted.expose());
            assert_eq!(found.unwrap(), whole, "{curve}, seed {seed}");
            let wrong = full_point(own.public(), peer.public(), x.expose(), x.expose());
            assert_eq!(wrong, Err(KeyError::NotOnCurve), "{curve}, seed {seed}");
        }
    }
}

#[test]
fn keys_of_two_curves_do_not_mix() {
    let (a, b) = (key(Curve::P256, 1), key(Curve::Bp256, 1));
    assert_eq!(a.agree(b.public()).unwrap_err(), KeyError::OtherCurve);
    assert_eq!(a.multiply(b.public()).unwrap_err(), KeyError::OtherCurve);
    assert_eq!(a.plus(&b).unwrap_err(), KeyError::OtherCurve);
    assert_eq!(a.public().plus(b.public()), Err(KeyError::OtherCurve));
    assert_eq!(a.public().minus(b.public()), Err(KeyError::OtherCurve));
    assert_eq!(full_point(a.public(), b.public(), &[], &[]), Err(KeyError::OtherCurve));
}

/// A code blinds the role element of PKEX as published: Q = H(…) · P.
#[test]
fn a_digest_multiplies_a_point_as_published() {
    let (Some(elements), Some(vector)) = (vector("/pkex_role_elements"), vector("/pkex_p256")) else { return };
    let element = |role: &str| {
        let point = &elements["values"]["P-256"][role];
        PublicKey::from_coordinates(Curve::P256, &octets(&point["x"]), &octets(&point["y"])).unwrap()
    };
    let digest = landfall_dpp::crypto::hash(Curve::P256, &[b"joes_key", b"thisisreallysecret"]);
    let expected = &vector["v2_versions_3_3"];
    assert_eq!(element("Pi").times_hash(&digest).unwrap().to_wire(), octets(&expected["Qi"]));
    assert_eq!(element("Pr").times_hash(&digest).unwrap().to_wire(), octets(&expected["Qr"]));
    assert_eq!(element("Pi").times_hash(&[0; 67]), Err(KeyError::Length));
}
