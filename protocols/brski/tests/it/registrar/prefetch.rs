//! Fetching a voucher ahead.

use super::world::{SERIAL, World, nonce, serial};
use landfall_brski::{
    media, paths,
    registrar::{MasaUnreachable, Prefetch, PrefetchInput, PrefetchOutput, PrefetchedVoucher, Target},
    voucher::{self, Format, Voucher, VoucherRequest},
};
use landfall_testkit::NOW;
use landfall_types::{
    Machine, Outcome,
    contract::drain,
    http::{Request, Response},
};
use std::sync::Arc;

fn target(world: &World) -> Target {
    Target {
        serial: serial(SERIAL),
        idevid_issuer: world.device.certificate.idevid_issuer().unwrap(),
        vendor: world.vendor().id,
        masa: Some("masa.example".parse().unwrap()),
        format: Format::CmsJson,
    }
}

fn run(
    world: &World,
    target: Target,
    answer: Result<Response, MasaUnreachable>,
) -> (Outcome, Option<Request>, Option<PrefetchedVoucher>) {
    let mut prefetch = Prefetch::new(Arc::new(world.config()), target);
    let (mut asked, mut record) = (None, None);
    prefetch.handle(NOW, PrefetchInput::Start).unwrap();
    loop {
        for output in drain(&mut prefetch) {
            let input = match output {
                PrefetchOutput::Sign { bytes } => PrefetchInput::Signed(world.domain.registrar.sign(&bytes)),
                PrefetchOutput::AskMasa { request, .. } => {
                    asked = Some(request);
                    PrefetchInput::MasaAnswered(answer.clone())
                }
                PrefetchOutput::Persist(fetched) => {
                    record = Some(*fetched);
                    PrefetchInput::Persisted
                }
                PrefetchOutput::Close(outcome) => return (outcome, asked, record),
            };
            prefetch.handle(NOW, input).unwrap();
        }
    }
}

#[test]
fn a_voucher_is_fetched_ahead_and_serves_in_an_outage() {
    let world = World::new();
    let (outcome, asked, record) = run(&world, target(&world), Ok(world.answer(&world.nonceless())));
    assert_eq!(outcome, Outcome::Done);
    let (asked, record) = (asked.unwrap(), record.unwrap());
    assert_eq!(
        (asked.path.as_str(), asked.headers.first("accept")),
        (paths::REQUEST_VOUCHER, Some(media::VOUCHER_CMS))
    );
    let sent = voucher::open::<VoucherRequest>(Format::CmsJson, &asked.body).unwrap().payload;
    assert!(sent.nonce.is_none() && sent.prior_signed_voucher_request.is_none() && sent.assertion.is_none());
    assert_eq!((sent.serial_number, sent.created_on), (serial(SERIAL), Some(NOW)));
    assert_eq!(sent.idevid_issuer, world.device.certificate.idevid_issuer());
    assert_eq!(Some(record.expires), world.nonceless().expires_on);

    let case = super::world::Case { stored: Some(record.voucher.clone()), ..world.outage() };
    let ran = world.run(case);
    assert_eq!(ran.response.status, 200);
    assert_eq!(ran.records[0].device, record.device, "both find the device by the same name");
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(serde_json::from_value::<PrefetchedVoucher>(json).unwrap(), record);
}

#[test]
fn what_cannot_be_fetched_ahead() {
    let world = World::new();
    let good = || Ok(world.answer(&world.nonceless()));
    let unreachable = || Err(MasaUnreachable("no route".into()));
    let cases = [
        ("prefetch-vendor", Target { vendor: "Nobody".parse().unwrap(), ..target(&world) }, good()),
        ("prefetch-issuer", Target { idevid_issuer: vec![4, 0], ..target(&world) }, good()),
        ("masa-unknown", Target { masa: None, ..target(&world) }, good()),
        ("masa-unreachable", target(&world), unreachable()),
        ("masa-unreachable", target(&world), Ok(Response::new(500))),
        ("masa-forbids", target(&world), Ok(Response::new(403))),
        ("voucher-nonce", target(&world), Ok(world.answer(&Voucher { nonce: Some(nonce()), ..world.voucher() }))),
        ("voucher-expires-on", target(&world), Ok(world.answer(&Voucher { nonce: None, ..world.voucher() }))),
        ("voucher-serial", Target { serial: serial("OTHER-1"), ..target(&world) }, good()),
    ];
    for (check, target, answer) in cases {
        let (outcome, _, record) = run(&world, target, answer);
        assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.check == check), "{check}: {outcome:?}");
        assert!(record.is_none());
    }
    let (outcome, ..) = run(&world, target(&world), Ok(Response::new(202)));
    assert_eq!(outcome, Outcome::Pending);
}
