//! Who gets a voucher without a nonce (RFC 8995 s5.5.4), asked over real TLS.

use crate::world::{Running, World};
use landfall_brski::{
    media, paths,
    voucher::{Format, SealOptions, Voucher, VoucherRequest, open, prepare},
};
use landfall_net::{
    http::{ClientLimits, Connection},
    tls::ClientTls,
};
use landfall_pki::{Algorithm, AltName, Authority, CertificateSerial, CrlRequest, Revoked, crl::Reason};
use landfall_server::{
    Identity, RoleName, Settings,
    admin::view::{AuditEvent, Page},
    domain::NewDomain,
    open as opened,
    settings::IdentitySettings,
};
use landfall_types::{
    Outcome, Time,
    http::{Request, Response},
};
use std::time::Duration;

fn identity(settings: &Settings, path: &str) -> Identity {
    let element = opened::existing_element(settings).unwrap();
    Identity::load(&IdentitySettings::at(path), |path| settings.resolve(path), element.as_ref()).unwrap()
}

/// A registrar that is nobody's customer.
fn stranger(world: &World) -> Identity {
    let mut settings = world.settings.clone();
    settings.data = world.folder.path().join("stranger");
    let element = opened::element(&settings).unwrap();
    let names = vec![AltName::Dns("localhost".into())];
    NewDomain { organization: "Stranger".into(), names, algorithm: Algorithm::EcdsaP256 }
        .make(&settings.resolve("domain".as_ref()), element.as_ref(), Time::now())
        .unwrap();
    identity(&settings, "domain/registrar.pem")
}

/// A request for a voucher without nonce, of the whole chain of `by`.
fn request(world: &World, by: &Identity, root: &[landfall_pki::Certificate]) -> Request {
    let mut request = VoucherRequest::new(world.serials[0].parse().unwrap());
    request.created_on = Some(Time::now());
    let issuer = landfall_pki::Certificate::chain_from_pem(&world.pem("manufacturer/issuing.pem")).unwrap();
    request.idevid_issuer = Some(issuer[0].key_id());
    let (own, above) = by.chain.split_first().unwrap();
    let above: Vec<_> = above.iter().chain(root).cloned().collect();
    let unsealed = prepare(Format::CmsJson, &request, own, &above, SealOptions::default()).unwrap();
    let signature = by.signer.sign(unsealed.to_be_signed()).unwrap();
    Request::post(paths::REQUEST_VOUCHER, media::VOUCHER_CMS, unsealed.seal(&signature).unwrap())
}

async fn ask(server: &Running, client: Option<&Identity>, request: &Request) -> Response {
    let tls = ClientTls::provisional(client.cloned().map(Into::into).as_ref()).unwrap();
    let to = server.address(RoleName::Masa).into();
    let mut connection = Connection::open(&to, Some(&tls), ClientLimits::default()).await.unwrap();
    connection.send(request.clone()).await.unwrap()
}

async fn last_refusal(server: &Running) -> String {
    let audit: Page<AuditEvent> = server.client.get("/v1/audit").await.unwrap();
    let refused = |event: &AuditEvent| match &event.outcome {
        Outcome::Refused(refusal) => Some(refusal.check.to_string()),
        _ => None,
    };
    audit.items.iter().filter_map(refused).next_back().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_without_nonce_is_for_a_registrar_that_is_known() {
    let mut world = World::new(1, "permit");
    let last_renewal = Some(Time::from_unix(Time::now().as_unix() + 86_400));
    world.settings.masa.as_mut().unwrap().transfer.last_renewal = last_renewal;
    let server = world.run(&[RoleName::Masa]).await;
    server.sell(&world).await;
    let (own, other) = (identity(&world.settings, "domain/registrar.pem"), stranger(&world));
    let root = landfall_pki::Certificate::chain_from_pem(&world.pem("domain/root.pem")).unwrap();

    let strangers = request(&world, &other, &[]);
    for (client, check) in [(None, "nonceless-authentication"), (Some(&other), "voucher-nonceless-customer")] {
        assert_eq!(ask(&server, client, &strangers).await.status, 403);
        assert_eq!(last_refusal(&server).await, check);
    }
    // By its TLS certificate, and by the customer's certificate above the signer: it is the same answer to the same
    // request.
    let known = request(&world, &own, &root);
    let answers = [ask(&server, Some(&own), &known).await, ask(&server, None, &known).await];
    for answer in &answers {
        assert_eq!(answer.status, 200);
        let voucher = open::<Voucher>(Format::CmsJson, &answer.body).unwrap().payload;
        assert!(voucher.nonce.is_none() && voucher.expires_on.is_some());
        assert_eq!(voucher.last_renewal_date, last_renewal);
    }
    assert_eq!(answers[0].body, answers[1].body);
    // Known by nothing: what leads to the customer's certificates does not come along, and no client is there.
    let bare = Identity { chain: own.chain[..1].to_vec(), ..own.clone() };
    assert_eq!(ask(&server, None, &request(&world, &bare, &[])).await.status, 403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrar_that_its_domain_revoked_gets_nothing() {
    let mut world = World::new(1, "permit");
    let own = identity(&world.settings, "domain/registrar.pem");
    let issuing = identity(&world.settings, "domain/issuing.pem");
    let now = Time::now();
    let revoked = Revoked { at: now, reason: Reason::KeyCompromise };
    let list = CrlRequest {
        number: 1,
        this_update: now,
        next_update: now + Duration::from_secs(3600),
        revoked: vec![(CertificateSerial::of(&own.chain[0]), revoked)],
    };
    let authority = Authority { certificate: issuing.chain[0].clone(), chain: Vec::new() };
    let list = list.prepare(&authority).unwrap().issue(issuing.signer.as_ref()).unwrap();
    std::fs::write(world.folder.path().join("list.crl"), list.der()).unwrap();
    world.settings.masa.as_mut().unwrap().customer_crls = vec!["list.crl".into()];
    let server = world.run(&[RoleName::Masa]).await;
    server.sell(&world).await;
    let root = landfall_pki::Certificate::chain_from_pem(&world.pem("domain/root.pem")).unwrap();
    assert_eq!(ask(&server, Some(&own), &request(&world, &own, &root)).await.status, 403);
    assert_eq!(last_refusal(&server).await, "registrar-path");
    server.stop().await;
}
