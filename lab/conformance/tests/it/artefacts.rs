//! openssl alone verifies what crossed the wire in a real onboarding.

use super::lab::Lab;
use landfall_brski::paths;
use landfall_pki::oid;
use landfall_testkit::openssl;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_verifies_a_real_onboarding() {
    let Some(openssl) = openssl() else { return };
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let onboarded = lab.onboard(&device).await;
    assert!(onboarded.reported && onboarded.attempts == 1, "{onboarded:?}");

    let folder = &lab.folder;
    folder.put("manufacturer.pem", lab.manufacturer.root.authority.certificate.to_pem());
    folder.put("domain.pem", lab.domain.root.authority.certificate.to_pem());
    folder.put("registrar-voucher-request.cms", lab.registrar_request());
    let verify = |file: &str, anchor: &str| -> Value {
        let line = format!("cms -verify -binary -inform DER -in {file} -CAfile {anchor} -purpose any");
        let said = folder.run(&openssl, &line);
        let shown = folder.run(&openssl, &format!("cms -cmsout -print -inform DER -in {file}"));
        // RFC 8366 s5.4: the content type that it has to have.
        assert!(shown.contains(&oid::VOUCHER_CONTENT.to_string()), "{file}: {shown}");
        serde_json::from_str(&said).unwrap()
    };
    let evidence = "evidence-A-1";
    let pledge = verify(&format!("{evidence}/pledge-voucher-request.cms"), "manufacturer.pem");
    let registrar = verify("registrar-voucher-request.cms", "domain.pem");
    let voucher = verify(&format!("{evidence}/voucher.cms"), "manufacturer.pem");

    let (pledge, registrar) = (&pledge["ietf-voucher-request:voucher"], &registrar["ietf-voucher-request:voucher"]);
    let voucher = &voucher["ietf-voucher:voucher"];
    for artefact in [pledge, registrar, voucher] {
        assert_eq!(artefact["serial-number"], "A-1");
        assert_eq!(artefact["nonce"], pledge["nonce"]);
        assert_eq!(artefact["assertion"], "proximity");
    }
    assert!(pledge["proximity-registrar-cert"].is_string() && registrar["proximity-registrar-cert"].is_null());
    assert!(registrar["prior-signed-voucher-request"].is_string() && voucher["expires-on"].is_null());

    // What was pinned leads to the registrar, the IDevID to the manufacturer, the LDevID to the domain.
    let verify = |anchor: &str, untrusted: &str, leaf: &str| {
        folder.run(&openssl, &format!("verify -CAfile {anchor} -untrusted {evidence}/{untrusted} {evidence}/{leaf}"))
    };
    assert!(verify("manufacturer.pem", "idevid-chain.pem", "idevid.pem").contains("OK"));
    assert!(verify("domain.pem", "cacerts.pem", "ldevid.pem").contains("OK"));
    folder.put("registrar.pem", lab.domain.registrar.certificate.to_pem());
    let line = format!("verify -partial_chain -CAfile {evidence}/pinned-domain-cert.pem registrar.pem");
    assert!(folder.run(&openssl, &line).contains("OK"));

    // RFC 8995 s5.8: the audit log was asked for with the very same request.
    let asked = lab.crossed(paths::REQUEST_AUDIT_LOG);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].request.body, lab.registrar_request());
    assert_eq!(lab.refused_by_registrar().await, Vec::<String>::new());
    assert_eq!(lab.refused_by_masa().await, Vec::<String>::new());
}
