//! Taking back what was asserted: retractions, and lists of revocations.

use super::sample::{Cast, changed, now, print};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use landfall_claims::{Claim, credential::Entry, status::StatusList};
use landfall_pki::{Signer, SoftwareKey};
use std::{io::Write, time::Duration};

const LIST: &str = "https://landfall.example/status/1";

#[test]
fn who_issued_it_and_the_owner_may_take_it_back_and_nobody_else() {
    for (taker, taken) in [(0, true), (1, true), (2, false)] {
        let mut cast = Cast::new();
        let jwt = cast.issued(&cast.user, cast.trust());
        cast.verify(&jwt).unwrap();
        let id = cast.credential(&cast.user, cast.trust()).id;
        let key = [&cast.owner, &cast.user, &cast.auditor][taker];
        let mut retraction = cast.credential(key, Claim::Retraction { credential: id });
        retraction.id = "urn:uuid:2".into();
        let verified = cast.verify(&retraction.issue(key).unwrap()).unwrap();
        assert!(cast.retractions.add(&verified));
        assert_eq!(cast.verify(&jwt).err().as_deref(), taken.then_some("credential-retracted"), "{taker}");
    }
    let cast = Cast::new();
    let verified = cast.verify(&cast.issued(&cast.user, cast.trust())).unwrap();
    assert!(!cast.retractions.clone().add(&verified), "it is none");
}

fn list(key: &SoftwareKey, revoked: &[u64]) -> StatusList {
    let until = Some(now() + Duration::from_secs(3600));
    let mut list = StatusList::new(LIST.into(), key.public_key().clone(), now(), until);
    assert!(revoked.iter().all(|index| list.set(*index)));
    list
}

#[test]
fn a_credential_with_a_status_needs_a_list_that_says_it_is_good() {
    let mut cast = Cast::new();
    let mut credential = cast.credential(&cast.user, cast.trust());
    credential.status = Some(Entry { list: LIST.into(), index: 94_567, is_suspension: false });
    let jwt = credential.issue(&cast.user).unwrap();
    assert_eq!(cast.verify(&jwt).unwrap_err(), "credential-status", "there is none");
    let good = list(&cast.user, &[94_566, 94_568]);
    let read = StatusList::read(&good.issue(&cast.user).unwrap()).unwrap();
    assert_eq!(read, good);
    cast.lists = vec![read];
    assert_eq!(cast.verify(&jwt).unwrap().expires, Some(now() + Duration::from_secs(3600)), "as long as the list");

    let mut newer = list(&cast.user, &[94_567]);
    newer.valid_from = now() + Duration::from_secs(1);
    cast.lists.push(newer);
    assert_eq!(cast.verify(&jwt).unwrap_err(), "credential-revoked", "the newest counts");
    let with = |change: fn(&mut StatusList)| {
        let mut list = list(&cast.user, &[]);
        change(&mut list);
        list
    };
    let changes = [
        ("of another issuer", list(&cast.auditor, &[])),
        ("of another address", with(|list| list.id = "https://x.example".into())),
        ("for something else", with(|list| list.is_suspension = true)),
        ("that has expired", with(|list| list.valid_until = Some(now()))),
        ("that is still to come", with(|list| list.valid_from = now() + Duration::from_secs(301))),
    ];
    for (what, change) in changes {
        cast.lists = vec![change];
        assert_eq!(cast.verify(&jwt).unwrap_err(), "credential-status", "{what}");
    }
    credential.status = Some(Entry { list: LIST.into(), index: u64::MAX, is_suspension: false });
    cast.lists = vec![list(&cast.user, &[])];
    assert_eq!(cast.verify(&credential.issue(&cast.user).unwrap()).unwrap_err(), "credential-status", "beyond its end");
}

#[test]
fn the_first_bit_is_the_highest() {
    let cast = Cast::new();
    let mut list = list(&cast.user, &[0, 9]);
    assert_eq!([0, 1, 8, 9].map(|index| list.is_set(index)), [true, false, false, true].map(Some));
    assert!(!list.set(131_072) && list.is_set(131_072).is_none());
}

#[test]
fn lists_that_are_none_too_short_or_bombs() {
    let cast = Cast::new();
    let jwt = list(&cast.user, &[]).issue(&cast.user).unwrap();
    let packed = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).unwrap();
        format!("u{}", URL_SAFE_NO_PAD.encode(packer.finish().unwrap()))
    };
    let zeros = |length: usize| packed(&vec![0; length]);
    for (name, value) in [
        ("encodedList", "AAAA".to_owned()),
        ("encodedList", "u*".to_owned()),
        ("encodedList", "uAAAA".to_owned()),
        ("encodedList", zeros(16_383)),
        ("encodedList", zeros(2 * 1024 * 1024 + 1)),
        ("encodedList", zeros(100 * 1024 * 1024)),
        ("statusPurpose", "message".into()),
        ("type", "x".into()),
    ] {
        let wrong = changed(&jwt, &cast.user, |document| document["credentialSubject"][name] = value.as_str().into());
        StatusList::read(&wrong).expect_err(name);
    }
    StatusList::read(&cast.issued(&cast.user, cast.trust())).expect_err("a credential of another type");
    StatusList::read(&changed(&jwt, &cast.owner, |_| ())).expect_err("forged");
    list(&cast.user, &[]).issue(&cast.owner).expect_err("somebody else's key");
    assert_ne!(print(&cast.user), print(&cast.owner));
}
