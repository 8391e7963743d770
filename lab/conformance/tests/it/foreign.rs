//! Vouchers and requests that openssl signed, through our pledge, registrar and MASA; curl carries them.

use super::{
    curl::{Answer, Curl},
    lab::{Fake, Lab, Setup},
    masa_client::voucher_for,
    pledge::request,
    shell::Folder,
};
use landfall_brski::{
    media, paths,
    voucher::{Payload, VoucherRequest},
};
use landfall_device::Outcome;
use landfall_testkit::{Identity, openssl};
use landfall_types::{Time, http::Response};
use std::{path::PathBuf, time::Duration};

/// Signs with openssl in a folder of its own.
struct Signer {
    openssl: PathBuf,
    folder: Folder,
}

impl Signer {
    fn new(who: &Identity) -> Option<Self> {
        let signer = Self { openssl: openssl()?, folder: Folder::new() };
        signer.folder.put_identity("signer", who);
        signer.folder.put_chain("chain.pem", &who.intermediates);
        Some(signer)
    }

    fn sign(&self, content: &[u8], more: &str) -> Vec<u8> {
        self.folder.put("content.json", content);
        let chain = if self.folder.take("chain.pem").is_empty() { "" } else { "-certfile chain.pem" };
        let fixed = "cms -sign -binary -nodetach -in content.json -signer signer.pem -inkey signer.key";
        self.folder.run(&self.openssl, &format!("{fixed} {chain} -outform DER -out signed.cms {more}"));
        self.folder.take("signed.cms")
    }
}

const ANIMA: &str = "-econtent_type 1.2.840.113549.1.9.16.1.40";

/// Onboards a device with vouchers that `openssl cms -sign` makes with these options.
async fn onboarding(options: &'static str) -> Option<(Lab, Outcome)> {
    let mut setup = Setup::new();
    setup.registrar.check_history = false;
    let signer = Signer::new(&setup.manufacturer.masa)?;
    let pinned = setup.domain.issuing.authority.certificate.clone();
    setup.fake = Some(Fake(Box::new(move |request| {
        let voucher = voucher_for(request, &pinned);
        Response::with(200, media::VOUCHER_CMS, signer.sign(&voucher.to_json(), options))
    })));
    let lab = setup.start().await;
    let agent = lab.agent(&lab.manufacturer.device("A-1"));
    let outcome = agent.onboard(Some(1), Some(Duration::from_secs(60)), &mut |_| {}).await.unwrap();
    Some((lab, outcome))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn vouchers_by_openssl_onboard_a_device() {
    for options in ["", ANIMA, "-econtent_type 1.2.840.113549.1.9.16.1.40 -md sha384 -keyid"] {
        let Some((lab, outcome)) = onboarding(options).await else { return };
        assert!(matches!(outcome, Outcome::Onboarded(_)), "{options}: {outcome:?}");
        assert_eq!(lab.refused_by_registrar().await, Vec::<String>::new());
    }
}

/// RFC 8366 s5.4 wants DER; `-stream` writes BER with indefinite lengths, which is refused before it reaches the pledge.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_streamed_voucher_is_refused() {
    let Some((lab, outcome)) = onboarding("-stream").await else { return };
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(lab.refused_by_registrar().await.first().map(String::as_str), Some("voucher-container"));
    assert!(lab.vouchers().iter().all(|record| record.accepted_at().is_none()));
}

/// Posts the file `request.cms` to the registrar as the device.
fn post_to_registrar(curl: &Curl<'_>, media_type: &str) -> Answer {
    let content_type = format!("Content-Type: {media_type}");
    let own = ["--cert", "idevid.pem", "--key", "idevid.key", "--header", &content_type];
    curl.registrar(paths::REQUEST_VOUCHER, &[&own[..], &["--data-binary", "@request.cms"]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_by_openssl_and_curl_at_the_registrar() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let (Some(signer), Some(curl)) = (Signer::new(&device), Curl::new(&lab)) else { return };
    lab.folder.put_identity("idevid", &device);
    for options in ["", ANIMA] {
        let request = request(&lab, &device);
        lab.folder.put("request.cms", signer.sign(&request.to_json(), options));
        let answer = post_to_registrar(&curl, media::VOUCHER_CMS);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some(media::VOUCHER_CMS)), "{}", answer.text());
        lab.folder.put("voucher.cms", &answer.body);
        let line = "cms -verify -binary -inform DER -in voucher.cms -CAfile manufacturer.pem -purpose any";
        let voucher: serde_json::Value = serde_json::from_str(&lab.folder.run(&signer.openssl, line)).unwrap();
        let voucher = &voucher["ietf-voucher:voucher"];
        assert_eq!(voucher["nonce"].as_str(), request.nonce.as_ref().map(|nonce| nonce.as_str()));
        assert_eq!(voucher["assertion"], "proximity");
    }
    // RFC 8995 s6 says raw DER; base64 is met, and taken.
    let signed = signer.sign(&request(&lab, &device).to_json(), ANIMA);
    lab.folder.put("request.der", signed);
    lab.folder.run(&signer.openssl, "base64 -in request.der -out request.cms");
    assert_eq!(post_to_registrar(&curl, media::VOUCHER_CMS).status, 200);
    assert_eq!(lab.refused_by_registrar().await, Vec::<String>::new());

    let wrong_type = post_to_registrar(&curl, "application/json");
    assert_eq!(wrong_type.status, 415);
    // A second signer, and a stream.
    signer.folder.put_identity("second", &lab.manufacturer.device("A-2"));
    let second = signer.sign(&request(&lab, &device).to_json(), "-signer second.pem -inkey second.key");
    lab.folder.put("request.cms", second);
    let two_signers = post_to_registrar(&curl, media::VOUCHER_CMS).status;
    lab.folder.put("request.cms", signer.sign(&request(&lab, &device).to_json(), "-stream"));
    let streamed = post_to_registrar(&curl, media::VOUCHER_CMS).status;
    assert_eq!((two_signers, streamed), (403, 406));
    assert_eq!(lab.refused_by_registrar().await, ["request-type", "voucher-one-signer", "voucher-container"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_by_openssl_and_curl_at_the_masa() {
    let lab = Lab::start().await;
    let device = lab.manufacturer.device("A-1");
    let mut registrar = lab.domain.registrar.clone();
    registrar.intermediates.push(lab.domain.root.authority.certificate.clone());
    let (Some(pledge), Some(signer), Some(curl)) = (Signer::new(&device), Signer::new(&registrar), Curl::new(&lab))
    else {
        return;
    };
    let asked = request(&lab, &device);
    let content = VoucherRequest {
        created_on: Some(Time::now()),
        idevid_issuer: device.certificate.idevid_issuer(),
        prior_signed_voucher_request: Some(pledge.sign(&asked.to_json(), ANIMA)),
        proximity_registrar_cert: None,
        ..asked
    };
    lab.folder.put("request.cms", signer.sign(&content.to_json(), ANIMA));
    let content_type = format!("Content-Type: {}", media::VOUCHER_CMS);
    let post = ["--header", &content_type, "--data-binary", "@request.cms"];
    let answer = curl.masa(paths::REQUEST_VOUCHER, &post);
    assert_eq!(answer.status, 200, "{}", answer.text());
    lab.folder.put("voucher.cms", &answer.body);
    let line = "cms -verify -binary -inform DER -in voucher.cms -CAfile manufacturer.pem -purpose any";
    let voucher = lab.folder.run(&signer.openssl, line);
    assert!(voucher.contains("\"A-1\"") && voucher.contains("proximity"), "{voucher}");

    let log = curl.masa(paths::REQUEST_AUDIT_LOG, &post);
    assert_eq!((log.status, log.field("content-type")), (200, Some("application/json")));
    assert!(log.text().contains(content.nonce.unwrap().as_str()), "{}", log.text());
    assert_eq!(lab.refused_by_masa().await, Vec::<String>::new());
}
