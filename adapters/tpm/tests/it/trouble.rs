//! What goes wrong with TPMs.

use super::keys::{config, open, signs};
use landfall_element::{ElementError, SecureElement, Trouble};
use landfall_pki::Algorithm;
use landfall_testkit::Swtpm;
use landfall_tpm::{TpmConfig, TpmElement};
use landfall_types::Redacted;
use std::fs;

#[test]
fn an_unplugged_tpm_is_said_to_be_gone_and_leaves_no_half_made_key() {
    let Some(mut tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    let signer = element.signer(&key).unwrap();
    tpm.power_off();
    assert!(signer.sign(b"message").unwrap_err().to_string().contains("not there"));
    assert_eq!(element.generate("two", Algorithm::EcdsaP256).unwrap_err().trouble(), Some(Trouble::Gone));
    assert_eq!(TpmElement::open(config(&tpm)).unwrap_err().trouble(), Some(Trouble::Gone));
    assert_eq!(element.list().unwrap(), std::slice::from_ref(&key));
    tpm.power_on();
    signs(&element, &key);
}

#[test]
fn a_cleared_tpm_and_another_one_are_told_from_a_changed_file() {
    let (Some(tpm), Some(other)) = (Swtpm::new(), Swtpm::new()) else { return };
    let element = open(&tpm);
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    let file = tpm.folder().join("element/one.key");
    let written = fs::read(&file).unwrap();

    let trouble =
        |element: &TpmElement| element.key_agreement().unwrap().agree(&key, element.signer(&key).unwrap().public_key());
    // A clone of the device's files on other hardware.
    let clone = TpmElement::open(TpmConfig { tcti: other.tcti().parse().unwrap(), ..config(&tpm) }).unwrap();
    assert_eq!(trouble(&clone).unwrap_err().trouble(), Some(Trouble::Reset));

    for at in [0, 60, written.len() - 1] {
        let mut changed = written.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).unwrap();
        let found = element.signer(&key).and_then(|_| trouble(&element).map(drop));
        assert!(found.is_err(), "octet {at} is changed");
    }
    let mut changed = written.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&file, &changed).unwrap();
    assert!(matches!(trouble(&element), Err(ElementError::Tampered(_))));
    fs::write(&file, &written).unwrap();
    signs(&element, &key);

    let Some(_) = tpm.tool("tpm2_clear", &["-c", "p"]) else { return };
    assert_eq!(trouble(&open(&tpm)).unwrap_err().trouble(), Some(Trouble::Reset));
    // The device can be provisioned anew.
    let element = open(&tpm);
    element.delete(&key).unwrap();
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    signs(&element, &key);
}

#[test]
fn a_wrong_authorization_value_is_refused_and_too_many_lock() {
    let Some(tpm) = Swtpm::new() else { return };
    let with = |auth: &str| TpmConfig { key_auth: Some(Redacted::new(auth.into())), ..config(&tpm) };
    let right = TpmElement::open(with("the right value")).unwrap();
    let key = right.generate("one", Algorithm::EcdsaP256).unwrap();
    signs(&right, &key);
    let wrong = TpmElement::open(with("a wrong value")).unwrap();
    let agree =
        |element: &TpmElement| element.key_agreement().unwrap().agree(&key, right.signer(&key).unwrap().public_key());
    let error = agree(&wrong).unwrap_err();
    assert_eq!(error.trouble(), Some(Trouble::WrongPin));
    assert!(!format!("{error} {error:?} {wrong:?}").contains("value\""), "{error:?}");
    let locked = (0..64).find(|_| agree(&wrong).unwrap_err().trouble() == Some(Trouble::LockedOut));
    assert!(locked.is_some());
    assert_eq!(agree(&right).unwrap_err().trouble(), Some(Trouble::LockedOut), "the right one has to wait too");

    let Some(_) = tpm.tool("tpm2_changeauth", &["-c", "o", "owner"]) else { return };
    assert_eq!(TpmElement::open(config(&tpm)).unwrap_err().trouble(), Some(Trouble::WrongPin));
    let owner_auth = Some(Redacted::new("owner".to_owned()));
    TpmElement::open(TpmConfig { owner_auth, ..config(&tpm) }).unwrap();
}

#[test]
fn a_secret_opens_only_in_the_state_that_it_is_bound_to() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = TpmElement::open(TpmConfig { pcrs: vec![16], ..config(&tpm) }).unwrap();
    let vault = element.vault().unwrap();
    let sealed = vault.seal("networks", b"a password").unwrap();
    assert_eq!(vault.open("networks", &sealed).unwrap().expose(), b"a password");
    // Said to be unbound, it still does not open otherwise.
    let mut unbound = sealed.clone();
    unbound[1] = 0;
    assert!(matches!(vault.open("networks", &unbound), Err(ElementError::Tampered(_))));
    let measured = format!("16:sha256={}", "ab".repeat(32));
    let Some(_) = tpm.tool("tpm2_pcrextend", &[&measured]) else { return };
    assert_eq!(vault.open("networks", &sealed).unwrap_err().trouble(), Some(Trouble::OtherState));
    let again = vault.seal("networks", b"a password").unwrap();
    assert_eq!(vault.open("networks", &again).unwrap().expose(), b"a password");

    assert!(matches!(
        TpmElement::open(TpmConfig { pcrs: vec![24], ..config(&tpm) }),
        Err(ElementError::Unsupported(_))
    ));
}

#[test]
fn a_full_tpm_says_so() {
    let Some(tpm) = Swtpm::new() else { return };
    let element = open(&tpm);
    let key = element.generate("one", Algorithm::EcdsaP256).unwrap();
    let full = (0x8100_0100..0x8100_0140).find_map(|handle| element.persist(&key, handle).err());
    assert_eq!(full.unwrap().trouble(), Some(Trouble::Full));
    signs(&element, &key);
}
