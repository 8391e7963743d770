//! Devices join through the registrar, which asks the authorizer before the MASA and with the voucher in hand.

use crate::world::{World, onboard};
use landfall_assurance::{Kind, Level, Question};
use landfall_server::{
    RoleName, Settings,
    admin::view::{AuditEvent, Decided, Device, Examined, FactsTaken, IssuedCertificate, Note, Page, Verified},
    settings::{AuthorizerSettings, IdentitySettings, NetworkLayerSettings, QuestionsSettings, Span},
};
use landfall_testkit::free_port;
use landfall_types::{Outcome, Time};

fn settings(world: &World) -> Settings {
    Settings { authorizer: Some(AuthorizerSettings::default()), ..world.settings.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_waits_until_somebody_trusts_it() {
    let world = World::new(1, "permit");
    let server = world.run_in(&settings(&world), &[]).await;
    server.sell(&world).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    let patience = Some(std::time::Duration::from_millis(500));
    let _ = agent.onboard(Some(1), patience, &mut |_| {}).await.unwrap();
    let waiting: Page<Device> = server.client.get("/v1/network/devices?state=awaiting-approval").await.unwrap();
    assert_eq!(waiting.items.len(), 1, "the registrar would have let it in");
    let audit: Page<AuditEvent> = server.client.get("/v1/audit").await.unwrap();
    assert!(audit.items.iter().all(|event| event.action != "voucher-issued"), "the MASA has not been asked");
    let path = format!("/v1/network/devices/{}/approve", world.serials[0]);
    let _: Device = server.client.post(&path, &Note::default()).await.unwrap();
    onboard(&agent).await.unwrap();

    let decided: Page<Decided> = server.client.get("/v1/verification/decisions").await.unwrap();
    let joins: Vec<Level> = decided
        .items
        .iter()
        .filter(|it| it.decision.ruling.question == Question::Join)
        .map(|it| it.decision.level)
        .collect();
    assert_eq!(joins, [Level::Blocked, Level::Full, Level::Full], "before the MASA, and with the voucher in hand");
    let last = &decided.items.iter().rfind(|it| it.decision.ruling.question == Question::Join).unwrap().decision;
    assert!(last.ruling.facts.iter().any(|fact| fact.kind == Kind::DeviceTrusted && fact.source == "operator"));
    let device: Examined = server.client.get(&format!("/v1/verification/devices/{}", world.serials[0])).await.unwrap();
    let known = |kind| device.view.dossier.of(kind).next().map(|fact| fact.value.clone());
    assert_eq!(known(Kind::DeviceType), Some("maker/sensor".into()));
    assert_eq!(known(Kind::Owner), Some("this domain".into()));
    assert!(device.ruling.missing.contains(&Kind::SbomKnown) && device.ruling.missing.contains(&Kind::DenyListContact));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_says_through_the_api_decides() {
    let world = World::new(2, "permit");
    let server = world.run_in(&settings(&world), &[]).await;
    server.sell(&world).await;
    let registrar = server.address(RoleName::Registrar);
    for number in 0..2 {
        let patience = Some(std::time::Duration::from_millis(500));
        let _ = world.device(number, registrar).onboard(Some(1), patience, &mut |_| {}).await.unwrap();
    }
    let say = async |number: usize, kind: &str, value: serde_json::Value| {
        let path = format!("/v1/verification/devices/{}/facts", world.serials[number]);
        let said = serde_json::json!({ "kind": kind, "value": value });
        server.client.post::<FactsTaken>(&path, &said).await
    };
    assert_eq!(say(0, "device-trusted", true.into()).await.unwrap().news, 1);
    say(1, "device-trusted", false.into()).await.unwrap();
    onboard(&world.device(0, registrar)).await.unwrap();
    onboard(&world.device(1, registrar)).await.unwrap_err();
    assert!(say(0, "device-trusted", 7.into()).await.unwrap_err().is_negative_answer());
    assert!(say(0, "device-loved", true.into()).await.unwrap_err().is_negative_answer());
    let blocked: Page<Verified> = server.client.get("/v1/verification/devices?state=blocked").await.unwrap();
    assert_eq!(blocked.items.len(), 1);
    assert_eq!(blocked.items[0].serial_number.as_ref(), Some(&world.serials[1]));

    // Trust is withdrawn from the one that is inside: it gets no certificate any more.
    say(0, "device-trusted", false.into()).await.unwrap();
    let renewed = world.device(0, registrar).renew(true, Some(std::time::Duration::from_secs(20)), &mut |_| {}).await;
    assert!(matches!(renewed.unwrap(), landfall_device::Outcome::Refused(_)));
    let certificates: Page<IssuedCertificate> = server.client.get("/v1/network/certificates").await.unwrap();
    assert_eq!(certificates.items.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_authorizer_that_the_settings_name_nobody_joins() {
    let world = World::new(1, "permit");
    let server = world.run_in(&settings(&world), &[RoleName::Masa, RoleName::Registrar]).await;
    server.sell(&world).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    onboard(&agent).await.unwrap_err();
    let audit: Page<AuditEvent> = server.client.get("/v1/audit").await.unwrap();
    let refused = audit.items.iter().any(|event| match &event.outcome {
        Outcome::Refused(refusal) => refusal.detail.contains("authorizer"),
        _ => false,
    });
    assert!(refused, "{audit:?}");
    let away = server.client.get::<Page<Verified>>("/v1/verification/devices").await.unwrap_err();
    assert!(away.to_string().contains("authorizer does not run"), "{away}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrar_hears_what_the_network_layer_says() {
    let world = World::new(1, "permit");
    let (registrars, port) = (IdentitySettings::at("domain/registrar.pem"), free_port());
    let listen = ([127, 0, 0, 1], port).into();
    let anchors = vec!["domain/registrar.pem".into()];
    let questions = Some(QuestionsSettings { listen, identity: registrars.clone(), anchors });
    let mut behind = settings(&world);
    behind.authorizer = Some(AuthorizerSettings { questions, ..AuthorizerSettings::default() });
    behind.store.url = "sqlite:behind.db".into();
    behind.admin.socket = "behind.sock".into();
    let network_layer = Some(NetworkLayerSettings {
        url: format!("https://localhost:{port}/v1/verification/join"),
        anchors: vec!["domain/root.pem".into()],
        identity: registrars,
        deadline: Span::seconds(20),
        at_once: 4,
    });
    let mut before = settings(&world);
    before.authorizer = Some(AuthorizerSettings { network_layer, ..AuthorizerSettings::default() });
    let server = world.run_in(&before, &[]).await;
    server.sell(&world).await;
    let agent = world.device(0, server.address(RoleName::Registrar));
    let waits = async || {
        let patience = Some(std::time::Duration::from_millis(500));
        let _ = agent.onboard(Some(1), patience, &mut |_| {}).await.unwrap();
    };
    waits().await;
    let approve = format!("/v1/network/devices/{}/approve", world.serials[0]);
    let _: Device = server.client.post(&approve, &Note::default()).await.unwrap();
    let refused = onboard(&agent).await.unwrap_err();
    let why = |decided: &Page<Decided>| decided.items.last().unwrap().decision.ruling.why();
    let decided: Page<Decided> = server.client.get("/v1/verification/decisions").await.unwrap();
    assert!(why(&decided).contains("network-layer"), "it does not run: {refused}, {}", why(&decided));

    // What was approved here somebody there speaks against, and then for.
    let other = world.run_in(&behind, &[RoleName::Authorizer]).await;
    let device = &decided.items.last().unwrap().decision.device;
    let said = serde_json::json!({
        "subject": device, "kind": "device-trusted", "value": false, "source": "operator", "at": Time::now(), "verifier": "admin"
    });
    let _: FactsTaken =
        other.client.post("/v1/verification/facts", &serde_json::json!({ "facts": [said] })).await.unwrap();
    onboard(&agent).await.unwrap_err();
    let ruled: Page<Decided> = other.client.get("/v1/verification/decisions").await.unwrap();
    let join = ruled.items.iter().rfind(|it| it.decision.ruling.question == Question::Join).unwrap();
    assert_eq!((&join.decision.device, join.decision.level), (device, Level::Blocked));
    let path = format!("/v1/verification/devices/{device}/facts");
    let said = serde_json::json!({ "kind": "device-trusted", "value": true });
    let _: FactsTaken = other.client.post(&path, &said).await.unwrap();
    onboard(&agent).await.unwrap();
    other.stop().await;
    server.stop().await;
}
