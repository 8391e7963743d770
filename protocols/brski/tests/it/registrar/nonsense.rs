//! Whatever arrives, the exchange ends with an answer and nothing panics.

use super::world::{Case, World};
use landfall_brski::{media, paths};
use landfall_types::http::{Request, Response};
use proptest::prelude::*;
use std::sync::LazyLock;

static WORLD: LazyLock<World> = LazyLock::new(World::new);
static GOOD: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let request = WORLD.post(landfall_brski::voucher::Format::CmsJson, &WORLD.pledge_request());
    (request.body, WORLD.answer(&WORLD.voucher()).body)
});

fn media_type() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(media::VOUCHER_CMS.to_owned()),
        Just(media::VOUCHER_JWS.to_owned()),
        Just(media::VOUCHER_COSE.to_owned()),
        ".{0,40}",
    ]
}

proptest! {
    #[test]
    fn from_a_pledge(content_type in media_type(), accept in media_type(), body: Vec<u8>) {
        let request = Request::post(paths::REQUEST_VOUCHER, &content_type, body).accept(&accept);
        let ran = WORLD.run(Case { request, ..WORLD.case() });
        prop_assert!(ran.response.status >= 400 && ran.records.is_empty());
    }

    #[test]
    fn from_a_pledge_in_one_byte(at: prop::sample::Index, to: u8) {
        let mut case = WORLD.case();
        let mut body = GOOD.0.clone();
        let at = at.index(body.len());
        prop_assume!(body[at] != to);
        body[at] = to;
        case.request.body = body;
        let ran = WORLD.run(case);
        prop_assert!([200, 400, 401, 403, 404, 406].contains(&ran.response.status), "{}", ran.response.status);
    }

    #[test]
    fn from_the_masa(status in 100_u16..600, content_type in media_type(), body: Vec<u8>) {
        let masa = Ok(Response::with(status, &content_type, body));
        let ran = WORLD.run(Case { masa, ..WORLD.case() });
        prop_assert!(ran.response.status != 200 && ran.records.is_empty());
    }

    #[test]
    fn from_the_masa_in_one_byte(at: prop::sample::Index, to: u8) {
        let mut body = GOOD.1.clone();
        let at = at.index(body.len());
        prop_assume!(body[at] != to);
        body[at] = to;
        let masa = Ok(Response::with(200, media::VOUCHER_CMS, body));
        let ran = WORLD.run(Case { masa, ..WORLD.case() });
        prop_assert!([200, 502].contains(&ran.response.status), "{}", ran.response.status);
    }

    #[test]
    fn from_the_audit_log(body: Vec<u8>) {
        let mut case = WORLD.case();
        case.config.check_history = true;
        case.logs = vec![Ok(Response::with(200, media::JSON, body))];
        prop_assert_eq!(WORLD.run(case).response.status, 200);
    }
}
