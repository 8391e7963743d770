//! Signatures by ourselves, by openssl, and by Cisco.

use landfall_mud::signature::{Expected, sign, verify};
use landfall_pki::{Algorithm, Anchors, Certificate, CertificateSerial, Name, SoftwareKey, Validity, profile};
use landfall_testkit::{Identity, Issuer, NOW, openssl, shared, temp_dir};
use landfall_types::Time;
use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

const FILE: &[u8] = b"{ \"ietf-mud:mud\": {} }\n";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn maker() -> (Issuer, Identity) {
    let root = Issuer::root("Lamps Root CA");
    let issuing = root.below("Lamps MUD CA");
    let valid = issuing.authority.certificate.clone();
    let valid = Validity { not_before: valid.not_before(), not_after: valid.not_after() };
    let key = Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap());
    let signer = issuing.certify(key, |issuer, key| {
        let subject = Name::common("Lamps MUD signer");
        profile::ManifestSigner { subject }.prepare(issuer, key, CertificateSerial::random().unwrap(), valid)
    });
    (root, signer)
}

fn expected(root: &Issuer) -> Expected {
    let anchors = Anchors::of([root.root_certificate().clone()]);
    Expected { anchors, signer: Some("CN=Lamps MUD signer".into()), intermediates: Vec::new() }
}

fn check(file: &[u8], signature: &[u8], expected: &Expected, now: Time) -> String {
    verify(file, signature, expected, now).unwrap_err().check.into_owned()
}

#[test]
fn a_signature_is_good_for_these_bytes_this_signer_and_that_time() {
    let (root, signer) = maker();
    let expected = expected(&root);
    let signature = sign(FILE, &signer.chain(), &*signer.key, NOW).unwrap();
    let signed = verify(FILE, &signature, &expected, NOW).unwrap();
    assert_eq!((signed.signer, signed.at), (signer.certificate.clone(), Some(NOW)));

    // Other bytes, even if their meaning is the same.
    assert_eq!(check(b"{\"ietf-mud:mud\":{}}", &signature, &expected, NOW), "mud-signature");
    let mut altered = signature.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert!(["mud-signature", "mud-signature-form"].contains(&&*check(FILE, &altered, &expected, NOW)));
    assert_eq!(check(FILE, &signature[..signature.len() - 1], &expected, NOW), "mud-signature-form");
    assert_eq!(check(FILE, &vec![0; 300_000], &expected, NOW), "mud-signature-form");
    assert_eq!(check(FILE, b"", &expected, NOW), "mud-signature-form");

    // Of the same authority, but not the one whom the device's certificate names.
    let other = Expected { signer: Some("CN=Lamps voucher signer".into()), ..expected.clone() };
    assert_eq!(check(FILE, &signature, &other, NOW), "mud-signer");
    // Of another authority, and without what stands between.
    let stranger = Expected { anchors: Anchors::of([maker().0.root_certificate().clone()]), ..expected.clone() };
    assert_eq!(check(FILE, &signature, &stranger, NOW), "mud-signer-path");
    let alone = sign(FILE, std::slice::from_ref(&signer.certificate), &*signer.key, NOW).unwrap();
    assert_eq!(check(FILE, &alone, &expected, NOW), "mud-signer-path");
    let known = Expected { intermediates: signer.intermediates.clone(), ..expected.clone() };
    verify(FILE, &alone, &known, NOW).unwrap();

    // Good when it was made is good for good; made before or after the signer was valid, or in times to come, is not.
    verify(FILE, &signature, &expected, NOW + 100 * YEAR).unwrap();
    for at in [NOW - 10 * YEAR, NOW + 90 * YEAR] {
        let signature = sign(FILE, &signer.chain(), &*signer.key, at).unwrap();
        assert_eq!(check(FILE, &signature, &expected, NOW + 99 * YEAR), "mud-signer-path");
    }
    let early = sign(FILE, &signer.chain(), &*signer.key, NOW + YEAR).unwrap();
    assert_eq!(check(FILE, &early, &expected, NOW), "mud-signature-time");
}

#[test]
fn a_key_that_is_not_for_signatures_signs_no_file() {
    let (root, _) = maker();
    // A CA's key signs certificates (RFC 5280 s4.2.1.3).
    let authority = root.below("Lamps other CA");
    let chain = [vec![authority.authority.certificate.clone()], authority.authority.chain.clone()].concat();
    let signature = sign(FILE, &chain, &*authority.key, NOW).unwrap();
    let expected = Expected { signer: None, ..expected(&root) };
    assert_eq!(check(FILE, &signature, &expected, NOW), "mud-signer-usage");
}

/// What openssl says against it, if it does.
fn run(openssl: &Path, folder: &Path, words: &str) -> Result<(), String> {
    let done = Command::new(openssl).current_dir(folder).args(words.split_whitespace()).output().unwrap();
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("openssl {words}: {}", String::from_utf8_lossy(&done.stderr))),
    }
}

#[test]
fn openssl_verifies_ours() {
    let Some(openssl) = openssl() else { return };
    let (folder, (root, signer)) = (temp_dir(), maker());
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("file", FILE);
    write("file.p7s", &sign(FILE, &signer.chain(), &*signer.key, NOW).unwrap());
    write("root.pem", root.root_certificate().to_pem().as_bytes());
    let verify = "cms -verify -in file.p7s -inform DER -content file -binary -CAfile root.pem -purpose any -out out";
    run(&openssl, folder.path(), verify).unwrap();
    assert_eq!(fs::read(folder.path().join("out")).unwrap(), FILE);
    write("file", b"other");
    run(&openssl, folder.path(), verify).unwrap_err();
}

#[test]
fn openssl_signs_and_we_verify() {
    let Some(openssl) = openssl() else { return };
    for key in ["ec -pkeyopt ec_paramgen_curve:P-256", "ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048"] {
        let folder = temp_dir();
        let run = |words: &str| run(&openssl, folder.path(), words).unwrap();
        fs::write(folder.path().join("file"), FILE).unwrap();
        let made = format!("req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=Root -days 9000");
        run(&made);
        run(&format!("req -newkey {key} -nodes -keyout key -out csr -subj /CN=Signer"));
        fs::write(folder.path().join("ext"), "keyUsage=digitalSignature\n").unwrap();
        run("x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -out signer.pem -days 9000 -extfile ext");
        run("cms -sign -signer signer.pem -inkey key -in file -binary -outform DER -out file.p7s");
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let root = Certificate::from_pem(&String::from_utf8(read("ca.pem")).unwrap()).unwrap();
        let expected =
            Expected { anchors: Anchors::of([root]), signer: Some("CN=Signer".into()), intermediates: vec![] };
        // openssl goes by the machine's clock.
        let now = Time::now() + Duration::from_secs(60);
        let signed = verify(FILE, &read("file.p7s"), &expected, now).unwrap_or_else(|why| panic!("{key}: {why}"));
        assert!(signed.at.is_some());
        assert_eq!(check(b"other", &read("file.p7s"), &expected, now), "mud-signature");
    }
}

/// Cisco's CA expired in 2019, and its signer is good until 2028: what was signed in 2018 holds, and nothing that is new.
#[test]
fn a_file_signed_while_its_authority_was_good_stays_good() {
    let Some(folder) = shared("vectors/mud/cisco-signed") else { return };
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let (file, signature) = (read("Luminaire_150.json"), read("Luminaire_150.p7s"));
    let root = Certificate::from_pem(&String::from_utf8(read("luminaire-cacert.pem")).unwrap()).unwrap();
    let expected = Expected { anchors: Anchors::of([root]), signer: None, intermediates: Vec::new() };
    let signed = verify(&file, &signature, &expected, NOW).unwrap();
    assert_eq!(signed.at, Some("2018-09-17T22:20:06Z".parse().unwrap()));
    let mut longer = file.clone();
    longer.push(b'\n');
    assert_eq!(check(&longer, &signature, &expected, NOW), "mud-signature");
}
