use super::{Office, config, listed};
use landfall_assurance::{DEFAULT, Kind, Level};
use landfall_pki::cms::{ContentDigest, SignedDataBuilder};
use landfall_server::authorizer::{Config, POLICY_LOG};
use landfall_store::Store;
use landfall_testkit::pki::{Domain, Identity};

/// Whatever is known of devices, they stay out.
const NOBODY: &str = "@id(\"nobody\") forbid (principal, action, resource);";
/// As the usual one, but that a contact is no reason.
fn lax() -> String {
    DEFAULT.replace("!context.deny_list_contact.isEmpty()", "context.deny_list_contact.contains(\"198.51.100.1\")")
}

async fn put(office: &Office, text: &str) -> Result<u64, String> {
    let put = office.authorizer.put_policy(text, None, "alice".into(), "a test".into()).await;
    put.map(|(version, _)| version.version).map_err(|why| why.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_put_into_force_and_taken_back() {
    let office = Office::open().await;
    let devices = office.devices(3).await;
    office.say(&devices[0], Kind::DenyListContact, listed(), "records").await;
    assert_eq!((office.level(&devices[0]), office.authorizer.policy().0), (Level::Quarantine, 0));

    let trial = office.authorizer.try_policy(&lax()).unwrap();
    assert_eq!((trial.devices, trial.changed), (3, 1));
    assert_eq!(trial.examples[0].0, devices[0]);
    assert_eq!(office.authorizer.policy().0, 0, "that was a trial");

    office.pass(100);
    assert_eq!(put(&office, &lax()).await, Ok(1));
    office.say(&devices[1], Kind::Firmware, "1.0", "records").await;
    office.pass(60);
    office.say(&devices[1], Kind::Firmware, "1.1", "records").await;
    assert_eq!(office.level(&devices[0]), Level::Full);

    let back = office.authorizer.roll_back(1, "bob".into()).await.unwrap();
    assert_eq!((back.version, back.why.as_str()), (2, "back to version 1"));
    assert_eq!(put(&office, DEFAULT).await, Ok(3));
    office.say(&devices[1], Kind::Firmware, "1.2", "records").await;
    assert_eq!(office.level(&devices[0]), Level::Quarantine);
    let missing = office.authorizer.roll_back(9, "bob".into()).await.unwrap_err();
    assert_eq!(missing.check, "policy-version");
    let versions = office.authorizer.versions().unwrap();
    assert_eq!(versions.iter().map(|it| it.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(office.world.store.verify_log(POLICY_LOG).unwrap().seq, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_fit_or_locks_everyone_out_is_refused() {
    let office = Office::open().await;
    // Nobody is inside: then there is nobody to lock out.
    let devices = office.devices(5).await;
    let refused = put(&office, &DEFAULT.replace("context.device_trusted }", "context.device_trusted == 1 }")).await;
    assert!(refused.clone().unwrap_err().starts_with("policy-valid: `device-trusted`"), "{refused:?}");
    let refused = put(&office, &format!("{DEFAULT}{NOBODY}")).await;
    assert!(refused.clone().unwrap_err().contains("every device out of action that works: 5 of 5"), "{refused:?}");
    // One that still works is enough: who means it may mean it.
    office.say(&devices[0], Kind::Owner, "alice", "records").await;
    let but_one = NOBODY.replace(';', "unless { context has owner && context.owner == \"alice\" };");
    put(&office, &format!("{DEFAULT}{but_one}")).await.unwrap();
    office.say(&devices[0], Kind::Firmware, "1.0", "records").await;
    let working = devices.iter().filter(|device| office.level(device).is_working()).count();
    assert_eq!(working, 1, "a person has put it into force, so that no brake holds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_outlives_a_restart() {
    let store = Store::memory();
    let office = Office::with(store.clone(), config(), 0).await;
    office.devices(1).await;
    put(&office, &lax()).await.unwrap();
    office.close().await;
    let office = Office::with(store, config(), 10).await;
    assert_eq!(office.authorizer.policy(), (1, lax()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_signers_are_named_only_what_they_signed_counts() {
    let (ours, theirs) = (Domain::new(), Domain::new());
    let (alice, mallory) = (ours.operator("Alice"), theirs.operator("Mallory"));
    let office = Office::with(Store::memory(), Config { signers: Some(ours.anchors()), ..config() }, 0).await;
    let put = async |text: &str, signature: Option<Vec<u8>>| {
        let put = office.authorizer.put_policy(text, signature, "alice".into(), String::new()).await;
        put.map(|(version, _)| version).map_err(|why| why.check.to_string())
    };
    let good = sign(&alice, DEFAULT, &office);
    let version = put(DEFAULT, Some(good.clone())).await.unwrap();
    assert_eq!(version.signer.unwrap().1, alice.certificate.fingerprint());
    let refused = Err("policy-signature".to_owned());
    for (text, signature) in [
        (DEFAULT.to_owned(), None),
        (DEFAULT.to_owned(), Some(sign(&mallory, DEFAULT, &office))),
        (lax(), Some(good.clone())),
        (DEFAULT.to_owned(), Some(good[..good.len() - 1].to_vec())),
        (DEFAULT.to_owned(), Some(vec![0; 70_000])),
    ] {
        assert_eq!(put(&text, signature).await.map(drop), refused);
    }
    assert_eq!(office.authorizer.policy().0, 1);
    // Where nobody is named, nobody's signature means anything.
    let office = Office::open().await;
    let refused = office.authorizer.put_policy(DEFAULT, Some(good), String::new(), String::new()).await.unwrap_err();
    assert_eq!(refused.check, "policy-signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_replayed() {
    let office = Office::open().await;
    let devices = office.devices(4).await;
    office.pass(5);
    office.say(&devices[0], Kind::DenyListContact, listed(), "records").await;
    office.pass(5);
    office.say(&devices[0], Kind::DenyListContact, Vec::new(), "records").await;
    let same = office.authorizer.replay(DEFAULT).await.unwrap();
    assert_eq!((same.devices, same.facts, same.stricter, same.laxer), (4, 30, 0, 0));
    let laxer = office.authorizer.replay(&lax()).await.unwrap();
    assert_eq!((laxer.stricter, laxer.laxer), (0, 1));
    let difference = &laxer.differences[0];
    assert_eq!((difference.in_force, difference.proposed), (Level::Quarantine, Level::Full));
    let stricter = office.authorizer.replay(&format!("{DEFAULT}{NOBODY}")).await.unwrap();
    assert_eq!((stricter.laxer, stricter.stricter), (0, 4), "{stricter:?}");
    office.authorizer.replay("forbid").await.unwrap_err();
}

fn sign(signer: &Identity, text: &str, office: &Office) -> Vec<u8> {
    let mut digest = ContentDigest::for_signer(&signer.certificate).unwrap();
    digest.update(text.as_bytes());
    let message = SignedDataBuilder::detached(digest, &signer.certificate, signer.intermediates.clone());
    message.prepare(Some(office.now())).unwrap().issue(&*signer.signer()).unwrap()
}
