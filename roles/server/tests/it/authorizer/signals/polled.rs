use super::*;
use landfall_claims::poll::{Answer, Complaint, Poll};

const STREAM: &str = "issuer = \"https://net.example\"\nsigner.certificate = \"FOLDER/us.pem\"\nlisten = \"127.0.0.1:0\"\n\
                      identity.certificate = \"FOLDER/us.pem\"\n[[authorizer.signals.stream]]\nname = \"mdm\"\n\
                      audience = \"https://mdm.example\"\ntoken-file = \"FOLDER/token\"\n";

fn request(name: &str, token: &str, poll: &Poll) -> Request {
    let mut request = Request::post(&format!("/ssf/poll/{name}"), "application/json", poll.to_json().into_bytes());
    request.headers.add("authorization", format!("Bearer {token}"));
    request
}

async fn ask(ground: &Ground, running: &Running, poll: &Poll) -> Answer {
    let response = ground.send(running.address.unwrap(), request("mdm", "a-token-of-theirs", poll)).await;
    assert_eq!(response.status, 200);
    Answer::read(&response.body).unwrap()
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.events.iter().map(|(id, _)| id.clone()).collect()
}

fn at_once() -> Poll {
    Poll { at_once: true, ..Poll::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_is_told_until_it_acknowledges_in_whatever_order() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let key = ground.ourselves(office.world.element.as_ref());
    let devices = office.devices(40).await;
    let running = ground.start(&office, STREAM).await;
    assert_eq!(ask(&ground, &running, &at_once()).await, Answer::default());
    quarantine(&office, &devices[0]).await;
    quarantine(&office, &devices[1]).await;
    let first = ask(&ground, &running, &at_once()).await;
    let all = ids(&first);
    assert_eq!((all.len(), first.more), (4, false));
    for (id, token) in &first.events {
        assert_eq!(their_receiver(&key).read(token, office.now()).unwrap().event.id, *id);
    }
    // Not acknowledged, it is told again; a part of it if that is wanted.
    assert_eq!(ids(&ask(&ground, &running, &at_once()).await), all);
    let part = ask(&ground, &running, &Poll { most: Some(1), ..at_once() }).await;
    assert_eq!((ids(&part), part.more), (all[..1].to_vec(), true));
    // The last and the second are taken, and the third is refused: the first is left.
    let why = Complaint { code: "invalid_request".into(), description: "no".into() };
    let poll = Poll { taken: vec![all[3].clone(), all[1].clone()], refused: vec![(all[2].clone(), why)], ..at_once() };
    assert_eq!(ids(&ask(&ground, &running, &poll).await), all[..1]);
    // What was acknowledged once, and what never was told, changes nothing.
    let poll = Poll { taken: vec![all[3].clone(), "nothing".into()], most: Some(0), ..Poll::default() };
    assert_eq!(ask(&ground, &running, &poll).await, Answer { events: Vec::new(), more: true });
    let delivery = running.report().delivery;
    assert_eq!((delivery.told, delivery.refused, delivery.taken.len()), (2, 1, 3));
    // It is as durable as that: another server goes on from there.
    running.stop().await;
    let running = ground.start(&office, STREAM).await;
    assert_eq!(ids(&ask(&ground, &running, &at_once()).await), all[..1]);
    let poll = Poll { taken: vec![all[0].clone()], ..at_once() };
    assert_eq!(ask(&ground, &running, &poll).await, Answer::default());
    let report = running.report();
    assert_eq!((report.delivery.told, report.delivery.taken.len(), report.behind), (3, 0, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_nothing_but_what_comes_is_answered_when_it_comes() {
    let (ground, office) = (Ground::new(), Office::open().await);
    ground.ourselves(office.world.element.as_ref());
    let devices = office.devices(40).await;
    let running = ground.start(&office, STREAM).await;
    let poll = Poll::default();
    let (answer, ()) = tokio::join!(ask(&ground, &running, &poll), quarantine(&office, &devices[0]));
    assert_eq!(answer.events.len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_told_and_everybody_may_know_who_we_are() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let key = ground.ourselves(office.world.element.as_ref());
    let running = ground.start(&office, STREAM).await;
    let to = running.address.unwrap();
    let status = async |request: Request| ground.send(to, request).await.status;
    assert_eq!(status(request("mdm", "a-token-of-theirs", &at_once())).await, 200);
    assert_eq!(status(request("mdm", "another", &at_once())).await, 401);
    assert_eq!(status(request("other", "a-token-of-theirs", &at_once())).await, 401);
    let mut bare = request("mdm", "x", &at_once());
    bare.headers = Default::default();
    assert_eq!(status(bare).await, 401);
    let mut wrong = request("mdm", "a-token-of-theirs", &at_once());
    wrong.body = b"{\"ack\":7}".to_vec();
    assert_eq!(status(wrong).await, 400);
    let mut long = request("mdm", "a-token-of-theirs", &at_once());
    long.body = vec![b' '; 300 * 1024];
    assert_eq!(status(long).await, 413);
    assert_eq!(status(Request::get("/ssf/poll/mdm")).await, 405);
    assert_eq!(status(Request::get("/ssf/push")).await, 405);
    assert_eq!(status(Request::get("/ssf/stream")).await, 404);
    let document = json(&ground.send(to, Request::get("/.well-known/ssf-configuration")).await.body);
    assert_eq!((&document["issuer"], &document["jwks_uri"]), (&US.into(), &"https://net.example/ssf/jwks".into()));
    let keys = json(&ground.send(to, Request::get("/ssf/jwks")).await.body);
    assert_eq!(PublicKey::from_jwk(&keys["keys"][0]).unwrap(), key);
    running.stop().await;
}

/// Two of us: what one decides of a device, the other hears and has as a fact.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_network_tells_another_one_that_asks_hears() {
    let (ground, office, other) = (Ground::new(), Office::open().await, Office::open().await);
    let key = ground.ourselves(office.world.element.as_ref());
    let (devices, same) = (office.devices(40).await, other.devices(40).await);
    assert_eq!(devices, same);
    let running = ground.start(&office, STREAM).await;
    let hears = format!(
        "issuer = \"{THEM}\"\n[[authorizer.signals.source]]\nname = \"net\"\nissuer = \"{US}\"\nkeys = [\"FOLDER/us.pem\"]\n\
         poll = \"https://localhost:{}/ssf/poll/mdm\"\nanchors = [\"FOLDER/web.pem\"]\ntoken-file = \"FOLDER/token\"\n",
        running.address.unwrap().port()
    );
    let listening = ground.start(&other, &hears).await;
    quarantine(&office, &devices[0]).await;
    let known = || {
        let view = other.authorizer.view(&devices[0]).unwrap();
        view.dossier.of(Kind::Compliant).next().map(|fact| (fact.value.clone(), fact.source.clone(), fact.issuer))
    };
    until(|| known().is_some()).await;
    assert_eq!(known(), Some((false.into(), "signals of net".into(), Some(key.fingerprint()))));
    // It is acknowledged, so that it is not told again.
    until(|| running.report().delivery.told == 2).await;
    assert_eq!(running.report().behind, 0);
    assert_eq!(listening.told.sources()[0].trouble, None);
    listening.stop().await;
    running.stop().await;
}
