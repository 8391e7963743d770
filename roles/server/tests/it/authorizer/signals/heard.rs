use super::*;
use landfall_assurance::Level;
use landfall_claims::{
    Event, SecurityEvent,
    caep::{MEDIA, Subject},
};
use landfall_policy::Value;
use landfall_server::{World, registrar::CertificateRecord};
use landfall_store::Store;
use landfall_types::{Changes, Time};

const LISTEN: &str = "listen = \"127.0.0.1:0\"\nidentity.certificate = \"FOLDER/us.pem\"\nissuer = \"https://net.example\"\n\
                      remember = \"1h\"\n";

fn source(name: &str, issuer: &str, token: &str) -> String {
    format!(
        "[[authorizer.signals.source]]\nname = \"{name}\"\nissuer = \"{issuer}\"\nkeys = [\"FOLDER/them.pem\"]\n\
         token-file = \"FOLDER/{token}\"\n"
    )
}

fn settings() -> String {
    format!("{LISTEN}{}", source("mdm", THEM, "token"))
}

/// An event of theirs, about a device.
fn event(office: &Office, id: &str, device: &DeviceId, event: Event) -> SecurityEvent {
    SecurityEvent {
        id: id.into(),
        issuer: THEM.into(),
        audience: vec![US.into()],
        issued: office.now(),
        subject: Subject::Device(device.to_string()),
        event,
        at: None,
        reason: None,
    }
}

fn push(token: &str) -> Request {
    let mut request = Request::post("/ssf/push", MEDIA, token.as_bytes().to_vec());
    request.headers.add("authorization", "Bearer a-token-of-theirs");
    request
}

/// What is told of a device by them: kind, value, until when.
fn known(office: &Office, device: &DeviceId) -> Vec<(Kind, Value, Option<Time>)> {
    let view = office.authorizer.view(device).unwrap();
    let theirs = view.dossier.facts.iter().filter(|fact| fact.source == "signals of mdm");
    theirs.map(|fact| (fact.kind, fact.value.clone(), fact.expires)).collect()
}

async fn office(ground: &Ground) -> (Office, Vec<DeviceId>) {
    let office = Office::open().await;
    ground.ourselves(office.world.element.as_ref());
    let devices = office.devices(40).await;
    (office, devices)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_known_service_tells_is_a_fact_with_its_issuer_and_its_end() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    let running = ground.start(&office, &settings()).await;
    let to = running.address.unwrap();
    let tell = async |id: &str, what: Event| {
        let token = event(&office, id, &devices[0], what).sign(ground.their_key.as_ref()).unwrap();
        let response = ground.send(to, push(&token)).await;
        assert_eq!((response.status, response.body.len()), (202, 0));
    };
    let end = Some(office.now() + Duration::from_secs(3600));
    tell("1", Event::ComplianceChange { was: true, is: false }).await;
    assert_eq!(known(&office, &devices[0]), [(Kind::Compliant, false.into(), end)]);
    let view = office.authorizer.view(&devices[0]).unwrap();
    let fact = view.dossier.of(Kind::Compliant).next().unwrap();
    let key = ground.their_key.public_key().fingerprint();
    assert_eq!((fact.issuer, fact.verifier.as_str()), (Some(key), "signals"));
    // By the usual policy that alone moves nobody; that its session is over does, at once.
    assert!(office.level(&devices[0]).is_working());
    tell("2", Event::SessionRevoked).await;
    assert!(!office.level(&devices[0]).is_working());
    let level = |current: &str| Event::AssuranceLevelChange {
        namespace: "ar4si".into(),
        current: current.into(),
        previous: None,
    };
    tell("3", level("contraindicated")).await;
    assert_eq!(known(&office, &devices[0]).len(), 3);
    // For a device it says no more than that it has nothing more to say against it; and not of what is ours to know.
    tell("4", level("affirming")).await;
    tell("5", Event::AssuranceLevelChange { namespace: "NIST-AAL".into(), current: "none".into(), previous: None })
        .await;
    tell("6", Event::CredentialChange { credential: "x509".into(), change: "revoke".into(), serial: Some("7".into()) })
        .await;
    tell("7", Event::Verification { state: None }).await;
    tell("8", Event::Other("urn:unheard-of".into())).await;
    tell("9", Event::ComplianceChange { was: false, is: true }).await;
    assert_eq!(known(&office, &devices[0]), [(Kind::Compliant, true.into(), end)]);
    // It ends.
    office.pass(3600);
    office.say(&devices[1], Kind::Firmware, "1.0", "records").await;
    let view = office.authorizer.view(&devices[0]).unwrap();
    assert!(view.dossier.of(Kind::Compliant).all(|fact| !fact.holds(office.now())));
    assert_eq!(running.told.sources()[0].taken, 9);
    running.stop().await;
}

const CREDENTIAL: &str = r#"
@id("credential-revoked")
@says("its credential was revoked")
forbid (principal, action == Action::"stay", resource) when { context has credential && context.credential == "revoked" };
"#;

/// A certificate of ours with that serial number, which a device has.
async fn certificate(office: &Office, device: &DeviceId, serial: &str) {
    let print = |number| landfall_types::Fingerprint([number; 32]);
    let issued = landfall_brski::est::server::Issued {
        serial: serial.into(),
        certificate: Vec::new(),
        fingerprint: print(1),
        device: landfall_brski::est::server::Device { id: device.clone(), serial: "D-1".parse().unwrap() },
        key: print(2),
        operation: landfall_brski::est::Operation::SimpleEnroll,
        client: print(3),
        csr: Vec::new(),
        linked: landfall_brski::est::binding::Linked::Proven,
        at: office.now(),
        not_after: office.now() + Duration::from_secs(86_400),
    };
    let record = CertificateRecord { issued, elsewhere: None, revoked: None, hardware_backed: false };
    office.world.store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_credential_of_ours_counts_and_of_another_does_not() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    certificate(&office, &devices[0], "00c0ffee").await;
    certificate(&office, &devices[1], "beef").await;
    // The usual policy leaves what becomes of certificates to those who take them.
    let policy = format!("{}{CREDENTIAL}", office.authorizer.policy().1);
    office.authorizer.put_policy(&policy, None, "test".into(), String::new()).await.unwrap();
    let running = ground.start(&office, &settings()).await;
    let to = running.address.unwrap();
    let good = ("x509", "revoke", Some("C0:FF:EE"));
    let tell = async |id: &str, (credential, change, serial): (&str, &str, Option<&str>)| {
        let (credential, change) = (credential.into(), change.into());
        let what = Event::CredentialChange { credential, change, serial: serial.map(str::to_owned) };
        let token = event(&office, id, &devices[0], what).sign(ground.their_key.as_ref()).unwrap();
        assert_eq!(ground.send(to, push(&token)).await.status, 202);
    };
    for (id, other) in [
        // Another device's, nobody's, none; of another kind, and what speaks neither for nor against it.
        ("1", ("x509", "revoke", Some("beef"))),
        ("2", ("x509", "revoke", Some("c0ffef"))),
        ("3", ("x509", "revoke", None)),
        ("4", ("fido2-roaming", "revoke", Some("C0:FF:EE"))),
        ("5", ("x509", "rotate", Some("C0:FF:EE"))),
    ] {
        tell(id, other).await;
        assert_eq!(known(&office, &devices[0]), [], "{other:?}");
    }
    assert_eq!(office.level(&devices[0]), Level::Full);
    tell("6", good).await;
    let end = Some(office.now() + Duration::from_secs(3600));
    assert_eq!(known(&office, &devices[0]), [(Kind::Credential, "revoked".into(), end)]);
    assert_eq!(office.level(&devices[0]), Level::Blocked, "it is out at once");
    assert_eq!(office.level(&devices[1]), Level::Full);
    // Taken back, and for another certificate not.
    office.pass(1);
    tell("7", ("x509", "create", Some("beef"))).await;
    assert_eq!(known(&office, &devices[0]).len(), 1);
    tell("8", ("x509", "create", Some("c0ffee"))).await;
    assert_eq!(known(&office, &devices[0]), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_changed_and_nothing_is_taken() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    ground.write("other.token", "another-token\n");
    let both = format!("{}{}", settings(), source("edr", "https://edr.example", "other.token"));
    let running = ground.start(&office, &both).await;
    let to = running.address.unwrap();
    let good = || event(&office, "1", &devices[0], Event::ComplianceChange { was: true, is: false });
    let signed = |event: SecurityEvent| event.sign(ground.their_key.as_ref()).unwrap();
    let late = office.now() + Duration::from_secs(400);
    let old = Time::from_unix(office.now().as_unix() - 90_000);
    let cases = [
        ("invalid_key", good().sign(fresh().as_ref()).unwrap()),
        ("invalid_issuer", signed(SecurityEvent { issuer: "https://x.example".into(), ..good() })),
        // Known, but not he whose token is shown.
        ("invalid_issuer", signed(SecurityEvent { issuer: "https://edr.example".into(), ..good() })),
        ("invalid_audience", signed(SecurityEvent { audience: vec![THEM.into()], ..good() })),
        ("invalid_request", signed(SecurityEvent { issued: late, ..good() })),
        ("invalid_request", signed(SecurityEvent { issued: old, ..good() })),
        ("invalid_request", "no token".into()),
    ];
    for (code, token) in cases {
        let response = ground.send(to, push(&token)).await;
        assert_eq!((response.status, json(&response.body)["err"].as_str().unwrap()), (400, code), "{code}");
        assert!(response.headers.first("content-language").is_some());
    }
    let token = signed(good());
    for (status, change) in [
        (401, ("authorization", Some("Bearer another"))),
        (401, ("authorization", Some("Basic a-token-of-theirs"))),
        (401, ("authorization", None)),
        (400, ("content-type", Some("application/jwt"))),
    ] {
        let mut request = push(&token);
        let kept: Vec<_> = request.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        request.headers = Default::default();
        for (name, value) in kept {
            match change {
                (changed, Some(other)) if changed == name => request.headers.add(changed, other),
                (changed, None) if changed == name => {}
                _ => request.headers.add(&name, value),
            }
        }
        assert_eq!(ground.send(to, request).await.status, status, "{change:?}");
    }
    assert_eq!(known(&office, &devices[0]), []);
    // As it was, it is taken; and once. Who tells it again hears no error (RFC 8935 s2.2).
    assert_eq!(ground.send(to, push(&token)).await.status, 202);
    assert_eq!(ground.send(to, push(&token)).await.status, 202);
    assert_eq!(known(&office, &devices[0]).len(), 1);
    let sources = running.told.sources();
    let mdm = sources.iter().find(|source| source.source == "mdm").unwrap();
    assert_eq!((mdm.taken, mdm.refused), (1, 7));
    // A device that nobody knows here is no reason to tell it again.
    let nobody = "07.nobody".parse().unwrap();
    let unknown = SecurityEvent { id: "2".into(), ..event(&office, "2", &nobody, Event::SessionRevoked) };
    assert_eq!(ground.send(to, push(&signed(unknown))).await.status, 202);
    assert!(office.authorizer.view(&nobody).is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_taken_is_known_after_a_restart() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    let token = |id: &str, is: bool| {
        event(&office, id, &devices[0], Event::ComplianceChange { was: !is, is })
            .sign(ground.their_key.as_ref())
            .unwrap()
    };
    let (bad, good) = (token("1", false), token("2", true));
    let running = ground.start(&office, &settings()).await;
    for token in [&bad, &good] {
        assert_eq!(ground.send(running.address.unwrap(), push(token)).await.status, 202);
    }
    running.stop().await;
    let running = ground.start(&office, &settings()).await;
    assert_eq!(ground.send(running.address.unwrap(), push(&bad)).await.status, 202);
    assert_eq!(known(&office, &devices[0])[0].1, true.into(), "what was said before says nothing new");
    assert_eq!(running.told.sources()[0].taken, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_durable_is_not_acknowledged_and_may_be_told_again() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    let token = event(&office, "1", &devices[0], Event::SessionRevoked).sign(ground.their_key.as_ref()).unwrap();
    // The same settings in a world whose authorizer does not run.
    let mut away = World::new(Store::memory(), office.world.element.clone());
    away.clock = office.world.clock.clone();
    away.authorizer.expect();
    let config = ground.config(&settings(), away.element.as_ref()).unwrap();
    let signals = config.build(away.clone()).await.unwrap();
    let (to, (trigger, ends)) = (signals.address().unwrap(), shutdown());
    let task = tokio::spawn(signals.work(ends));
    for _ in 0..2 {
        let response = ground.send(to, push(&token)).await;
        assert_eq!((response.status, response.headers.first("retry-after")), (503, Some("5")));
    }
    trigger.pull();
    task.await.unwrap();
    let running = ground.start(&office, &settings()).await;
    assert_eq!(ground.send(running.address.unwrap(), push(&token)).await.status, 202);
    assert!(!office.level(&devices[0]).is_working());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_asked_is_asked_again_and_hears_what_was_taken_and_what_not() {
    let ground = Ground::new();
    let (office, devices) = office(&ground).await;
    let signed = |id: &str, device: &DeviceId| {
        event(&office, id, device, Event::ComplianceChange { was: true, is: false })
            .sign(ground.their_key.as_ref())
            .unwrap()
    };
    let forged = event(&office, "b", &devices[1], Event::SessionRevoked);
    let forged = forged.sign(fresh().as_ref()).unwrap();
    let sets = |sets: serde_json::Value| {
        Response::with(200, "application/json", serde_json::json!({ "sets": sets }).to_string().into_bytes())
    };
    let empty = sets(serde_json::json!({}));
    let mdm = StandIn::new(&ground, empty).await;
    mdm.script([
        Response::new(503),
        Response::with(200, "application/json", b"[]".to_vec()),
        sets(serde_json::json!({ "a": signed("a", &devices[0]), "b": forged, "d": signed("c", &devices[2]) })),
    ]);
    let asks = format!(
        "{LISTEN}{}poll = \"https://localhost:{}/poll\"\nanchors = [\"FOLDER/web.pem\"]\n",
        source("mdm", THEM, "token"),
        mdm.port
    );
    let running = ground.start(&office, &asks).await;
    let asked = mdm.until(4).await;
    let poll = |at: usize| landfall_claims::poll::Poll::read(&asked[at].body).unwrap();
    assert_eq!((asked[0].path.as_str(), poll(0).most, poll(0).at_once), ("/poll", Some(100), false));
    assert_eq!(asked[0].headers.first("authorization"), Some("Bearer a-token-of-theirs"));
    assert_eq!((poll(1).taken.len(), poll(2).taken.len()), (0, 0));
    let last = poll(3);
    let refused: Vec<_> = last.refused.iter().map(|(id, why)| (id.as_str(), why.code.as_str())).collect();
    assert_eq!((last.taken, refused), (vec!["a".to_owned()], vec![("b", "invalid_key"), ("d", "invalid_request")]));
    assert_eq!(known(&office, &devices[0]).len(), 1);
    assert_eq!((known(&office, &devices[1]).len(), known(&office, &devices[2]).len()), (0, 0));
    // Who is asked does not push.
    assert_eq!(running.address, None);
    running.stop().await;
}
