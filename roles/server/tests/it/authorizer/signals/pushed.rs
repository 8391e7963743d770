use super::*;
use landfall_claims::Event;

fn stream(port: u16) -> String {
    format!(
        "issuer = \"{US}\"\nsigner.certificate = \"FOLDER/us.pem\"\n[[authorizer.signals.stream]]\nname = \"mdm\"\n\
         audience = \"{THEM}\"\npush = \"https://localhost:{port}/events\"\nanchors = [\"FOLDER/web.pem\"]\n\
         token-file = \"FOLDER/token\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pushed_signed_one_after_the_other_until_they_are_taken() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let key = ground.ourselves(office.world.element.as_ref());
    let devices = office.devices(40).await;
    let mdm = StandIn::new(&ground, Response::new(202)).await;
    let running = ground.start(&office, &stream(mdm.port)).await;
    mdm.script([Response::new(503)]);
    quarantine(&office, &devices[0]).await;
    let heard = mdm.until(3).await;
    let read = |request: &Request| {
        assert_eq!(request.path, "/events");
        assert_eq!(request.headers.first("content-type"), Some("application/secevent+jwt"));
        assert_eq!(request.headers.first("authorization"), Some("Bearer a-token-of-theirs"));
        their_receiver(&key).read(std::str::from_utf8(&request.body).unwrap(), office.now()).unwrap().event
    };
    let events: Vec<_> = heard.iter().map(read).collect();
    assert_eq!(events[0].id, events[1].id, "it was not taken");
    assert_ne!(events[1].id, events[2].id);
    assert_eq!(events[1].subject, landfall_claims::caep::Subject::Device(devices[0].to_string()));
    assert_eq!(events[1].event, Event::ComplianceChange { was: true, is: false });
    let level = |current: &str, previous: &str| Event::AssuranceLevelChange {
        namespace: "landfall-level".into(),
        current: current.into(),
        previous: Some(previous.into()),
    };
    assert_eq!(events[2].event, level("quarantine", "full"));
    until(|| running.report().delivery.told == 2).await;
    // Out for good: its session is over.
    office.say(&devices[1], Kind::DeviceTrusted, false, "operator").await;
    let events: Vec<_> = mdm.until(6).await[3..].iter().map(|request| read(request).event).collect();
    assert_eq!(
        events,
        [Event::ComplianceChange { was: true, is: false }, Event::SessionRevoked, level("blocked", "full")]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_refuses_for_good_holds_up_nothing() {
    let (ground, office) = (Ground::new(), Office::open().await);
    ground.ourselves(office.world.element.as_ref());
    let devices = office.devices(40).await;
    let mdm = StandIn::new(&ground, Response::new(202)).await;
    let running = ground.start(&office, &stream(mdm.port)).await;
    // RFC 8935 s2.3; without that word it is out of order, and is told again.
    let refusal =
        Response::with(400, "application/json", br#"{"err":"invalid_audience","description":"who?"}"#.to_vec());
    mdm.script([Response::new(400), refusal.clone(), refusal]);
    quarantine(&office, &devices[0]).await;
    quarantine(&office, &devices[1]).await;
    mdm.until(5).await;
    until(|| running.report().delivery.told == 2).await;
    assert_eq!(running.report().delivery.refused, 2);
    running.stop().await;
}
