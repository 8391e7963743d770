//! The registrar and MASAs that are not what they should be: fakes at the MASA's place, over real TLS.

use super::{
    lab::{Fake, Lab, Setup, audit},
    pledge::{post_voucher_request, request, seal},
};
use landfall_brski::{
    media, paths,
    voucher::{Assertion, Format, Nonce, Voucher, VoucherRequest, open},
};
use landfall_pki::{Certificate, SignedData};
use landfall_server::registrar::MasaClient;
use landfall_testkit::{Domain, Identity, Manufacturer};
use landfall_types::{
    Time,
    http::{Request, Response},
};
use std::time::Duration;

/// What a MASA would answer to `request`: a voucher that pins `pinned`.
pub(super) fn voucher_for(request: &Request, pinned: &Certificate) -> Voucher {
    let asked = open::<VoucherRequest>(Format::CmsJson, &request.body).unwrap().payload;
    let mut voucher = Voucher::new(asked.serial_number);
    voucher.created_on = Some(Time::now());
    voucher.assertion = Some(Assertion::Logged);
    voucher.nonce = asked.nonce;
    voucher.pinned_domain_cert = Some(pinned.clone());
    voucher
}

/// A MASA that answers with what `change` makes of a good voucher, signed by `signer`.
fn changed(signer: Identity, pinned: Certificate, change: impl Fn(&mut Voucher) + Send + Sync + 'static) -> Fake {
    Fake(Box::new(move |request| {
        if request.path != paths::REQUEST_VOUCHER {
            return Response::new(404);
        }
        let mut voucher = voucher_for(request, &pinned);
        change(&mut voucher);
        Response::with(200, media::VOUCHER_CMS, seal(&voucher, &signer))
    }))
}

async fn lab_with(fake: impl FnOnce(&Setup) -> Fake) -> Lab {
    let mut setup = Setup::new();
    setup.registrar.check_history = false;
    setup.fake = Some(fake(&setup));
    setup.start().await
}

/// A good request of a device at the registrar of `lab`: what comes of it, and why.
async fn asked(lab: &Lab) -> (u16, Vec<String>) {
    let device = lab.manufacturer.device("A-1");
    let response = post_voucher_request(lab.registrar, &device, seal(&request(lab, &device), &device)).await;
    (response.status, lab.refused_by_registrar().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vouchers_that_are_wrong() {
    let pinned = |setup: &Setup| setup.domain.registrar.certificate.clone();
    let good = lab_with(|s| changed(s.manufacturer.masa.clone(), pinned(s), |_| {})).await;
    assert_eq!(asked(&good).await, (200, Vec::new()));
    // The registrar passes none of these on, and says to the pledge that it is not to blame.
    let refused = |check: &str| (502, vec![check.to_owned()]);
    let by_another = lab_with(|s| changed(Manufacturer::new().masa, pinned(s), |_| {})).await;
    assert_eq!(asked(&by_another).await, refused("voucher-untrusted"));
    let check = async |change: fn(&mut Voucher), check: &str| {
        let lab = lab_with(|s| changed(s.manufacturer.masa.clone(), pinned(s), change)).await;
        assert_eq!(asked(&lab).await, refused(check));
        assert!(lab.vouchers().iter().all(|record| record.accepted_at().is_none()));
    };
    check(|voucher| voucher.nonce = None, "voucher-nonce").await;
    check(|voucher| voucher.nonce = Some(Nonce::from_random([1; 16])), "voucher-nonce").await;
    check(|voucher| voucher.serial_number = "A-2".parse().unwrap(), "voucher-serial").await;
    check(|voucher| voucher.pinned_domain_cert = Some(Domain::new().registrar.certificate), "voucher-pinned").await;
    let expired = |voucher: &mut Voucher| {
        voucher.nonce = None;
        voucher.expires_on = Some(Time::now() - Duration::from_secs(60));
    };
    check(expired, "voucher-expired").await;
}

/// RFC 8995 s5.4: the MASA is known by its name below the vendor's anchors. To the pledge it is as if it were away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masa_with_a_wrong_certificate() {
    for reason in ["tls-server-name", "path-unknown-issuer", "tls-server-usage"] {
        let mut setup = Setup::new();
        setup.masa_tls = match reason {
            "tls-server-name" => setup.manufacturer.masa_server("masa.example"),
            "path-unknown-issuer" => Manufacturer::new().masa_server("localhost"),
            _ => setup.manufacturer.masa.clone(),
        };
        let lab = setup.start().await;
        assert_eq!(asked(&lab).await, (202, vec!["masa-unreachable".into()]), "{reason}");
        assert!(lab.crossed(paths::REQUEST_VOUCHER).is_empty(), "nothing was sent: {reason}");
        let audit = audit(&lab.registrar_world).await;
        assert!(audit[0]["outcome"]["refused"]["detail"].as_str().unwrap().contains(reason), "{audit:?}");
    }
}

/// RFC 8995 s5.4: each MASA may be shown a certificate of its own, or none. What the request is signed with is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masa_that_demands_a_certificate() {
    let own = Domain::named("Customers of acme", "localhost").registrar;
    let client = |of: &Identity| landfall_server::Identity { chain: of.chain(), signer: of.signer() };
    let lab = async |demands: bool, shown: MasaClient| {
        let setup = Setup { masa_demands: demands, masa_client: shown, ..Setup::new() };
        setup.start().await
    };
    for demands in [false, true] {
        let lab = lab(demands, MasaClient::Own(client(&own))).await;
        assert_eq!(asked(&lab).await, (200, Vec::new()));
        for crossed in lab.crossed(paths::REQUEST_VOUCHER) {
            assert_eq!(crossed.client.first(), Some(&own.certificate));
            let request = SignedData::parse(&crossed.request.body).unwrap();
            assert!(request.certificates().contains(&lab.domain.registrar.certificate));
            assert!(!request.certificates().contains(&own.certificate));
        }
    }
    let usual = lab(true, MasaClient::Registrar).await;
    assert_eq!(asked(&usual).await, (200, Vec::new()));
    let first = usual.crossed(paths::REQUEST_VOUCHER).remove(0).client;
    assert_eq!(first.first(), Some(&usual.domain.registrar.certificate));
    let nobody = lab(false, MasaClient::Nobody).await;
    assert_eq!(asked(&nobody).await, (200, Vec::new()));
    assert!(nobody.crossed(paths::REQUEST_VOUCHER).iter().all(|crossed| crossed.client.is_empty()));
    // To the pledge it is as if the MASA were away; the operator sees what TLS says.
    let refused = lab(true, MasaClient::Nobody).await;
    assert_eq!(asked(&refused).await, (202, vec!["masa-unreachable".into()]));
    assert!(refused.crossed(paths::REQUEST_VOUCHER).is_empty());
    let audit = audit(&refused.registrar_world).await;
    let detail = audit[0]["outcome"]["refused"]["detail"].as_str().unwrap();
    assert!(detail.to_lowercase().contains("certificate"), "{detail}");
}

/// RFC 8995 s5.6: at most one redirect is followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masa_that_sends_one_in_circles() {
    let lab = lab_with(|_| Fake(Box::new(|request| Response::new(307).header("location", request.path.clone())))).await;
    assert_eq!(asked(&lab).await, (502, vec!["masa-refuses".into()]));
    assert_eq!(lab.crossed(paths::REQUEST_VOUCHER).len(), 2);
}

/// RFC 8995 s5.5.4, from end to end: a registrar that is not the domain's registration authority gets no voucher.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_without_cmc_ra() {
    let mut setup = Setup::new();
    let impostor = setup.domain.impostor("localhost");
    setup.registrar.identity = landfall_server::Identity { chain: impostor.chain(), signer: impostor.signer() };
    setup.domain.registrar = impostor;
    let lab = setup.start().await;
    assert_eq!(asked(&lab).await, (403, vec!["masa-forbids".into()]));
    assert_eq!(lab.refused_by_masa().await, ["registrar-cmc-ra"]);
}

/// What the MASA refuses is refused to the pledge with the same status; its own trouble is waited out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_of_the_masa() {
    for (theirs, ours, check) in [
        (403, 403, Some("masa-forbids")),
        (404, 404, Some("masa-does-not-know")),
        (406, 406, Some("masa-cannot-satisfy")),
        (415, 415, Some("masa-media-type")),
        (202, 202, None),
        (500, 202, Some("masa-unreachable")),
        (503, 202, Some("masa-unreachable")),
    ] {
        let lab = lab_with(|_| Fake(Box::new(move |_| Response::text(theirs, "No.")))).await;
        let (status, reasons) = asked(&lab).await;
        assert_eq!(status, ours, "{theirs}");
        assert_eq!(reasons.first().map(String::as_str), check, "{theirs}");
    }
    for (media_type, body) in [("text/html", "<p>"), (media::VOUCHER_CMS, "<p>"), (media::VOUCHER_CMS, "")] {
        let body = body.as_bytes().to_vec();
        let fake = Fake(Box::new(move |_| Response::with(200, media_type, body.clone())));
        let (status, reasons) = asked(&lab_with(|_| fake).await).await;
        assert_eq!((status, reasons.len()), (502, 1), "{media_type}: {reasons:?}");
    }
}
