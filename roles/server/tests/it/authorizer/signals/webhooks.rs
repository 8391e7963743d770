use super::*;
use landfall_server::authorizer::{DECISION_LOG, Entry};
use landfall_store::Store;
use landfall_types::Changes;

fn webhook(port: u16, more: &str) -> String {
    format!(
        "{more}\n[[authorizer.signals.webhook]]\nname = \"ops\"\nurl = \"https://localhost:{port}/hook?of=net\"\n\
         anchors = [\"FOLDER/web.pem\"]\nsecret-file = \"FOLDER/hook.secret\"\n"
    )
}

fn numbers(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(|request| json(&request.body)["data"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_devices_is_told_in_order_with_a_tag_until_it_is_taken() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let devices = office.devices(40).await;
    let ops = StandIn::new(&ground, Response::new(204)).await;
    let running = ground.start(&office, &webhook(ops.port, "")).await;
    // A new receiver is not told of what was before; and the first two times this one is out of order.
    ops.script([Response::new(500), Response::new(302)]);
    for device in &devices[..3] {
        quarantine(&office, device).await;
    }
    let heard = ops.until(5).await;
    let ids: Vec<&str> = heard.iter().map(|request| request.headers.first("webhook-id").unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3] && ids[3] != ids[4], "{ids:?}");
    assert!(numbers(&heard).is_sorted());
    let said = json(&heard[2].body);
    assert_eq!(said["type"], "device.level-changed");
    assert_eq!(
        (&said["data"]["device"], &said["data"]["from"], &said["data"]["level"], &said["data"]["causes"]),
        (&devices[0].to_string().into(), &"full".into(), &"quarantine".into(), &serde_json::json!(["feed"]))
    );
    assert!(said["data"]["why"].as_str().unwrap().contains("deny list"), "{said}");
    for request in &heard {
        let header = |name| request.headers.first(name).unwrap();
        assert_eq!(header("content-type"), "application/json");
        let told = format!(
            "{}.{}.{}",
            header("webhook-id"),
            header("webhook-timestamp"),
            String::from_utf8_lossy(&request.body)
        );
        assert_eq!(
            Some(header("webhook-signature").to_owned()),
            python_tag(&told).or(Some(header("webhook-signature").into()))
        );
    }
    until(|| running.report().delivery.told == 3).await;
    assert_eq!((running.report().behind, running.report().trouble), (0, None));
    running.stop().await;
}

/// The tag as Python's own library makes it.
fn python_tag(told: &str) -> Option<String> {
    let script = "import sys,hmac,hashlib,base64;k=base64.b64decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');\
                  print('v1,'+base64.b64encode(hmac.new(k,sys.argv[1].encode(),hashlib.sha256).digest()).decode())";
    let Some(python) = landfall_testkit::tool("python3") else {
        landfall_testkit::skip(&landfall_testkit::current_test(), "python3 is not installed");
        return None;
    };
    let output = std::process::Command::new(python).args(["-c", script, told]).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_told_after_a_restart_and_nobody_twice() {
    let ground = Ground::new();
    let store = || Store::sqlite_shared(path_of(ground.folder.path())).unwrap();
    let office = Office::with(store(), config(), 0).await;
    let devices = office.devices(40).await;
    let ops = StandIn::new(&ground, Response::new(200)).await;
    let running = ground.start(&office, &webhook(ops.port, "")).await;
    quarantine(&office, &devices[0]).await;
    ops.until(1).await;
    until(|| running.report().delivery.told == 1).await;
    running.stop().await;
    quarantine(&office, &devices[1]).await;
    drop(office.close().await);
    let office = Office::with(store(), config(), 5).await;
    quarantine(&office, &devices[2]).await;
    let running = ground.start(&office, &webhook(ops.port, "")).await;
    let heard = ops.until(3).await;
    let named: Vec<_> = heard.iter().map(|request| json(&request.body)["data"]["device"].clone()).collect();
    assert_eq!(named, devices[..3].iter().map(|device| device.to_string()).collect::<Vec<_>>());
    until(|| running.report().delivery.told == 3).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_skipped_and_the_receiver_hears_how_much() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let devices = office.devices(40).await;
    let ops = StandIn::new(&ground, Response::new(200)).await;
    let settings = webhook(ops.port, "keep = \"1h\"");
    ground.start(&office, &settings).await.stop().await;
    quarantine(&office, &devices[0]).await;
    quarantine(&office, &devices[1]).await;
    office.pass(3601);
    quarantine(&office, &devices[2]).await;
    let running = ground.start(&office, &settings).await;
    let heard = ops.until(1).await;
    let said = json(&heard[0].body);
    assert_eq!((&said["data"]["device"], &said["data"]["skipped"]), (&devices[2].to_string().into(), &2.into()));
    assert_eq!(running.report().delivery.skipped, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_hundred_thousand_newer_ones_decisions_are_skipped_and_not_one_sooner() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let devices = office.devices(40).await;
    let (early, late) =
        (StandIn::new(&ground, Response::new(200)).await, StandIn::new(&ground, Response::new(200)).await);
    let named = |port: u16, name: &str| webhook(port, "").replace("\"ops\"", &format!("\"{name}\""));
    let (first, second) = (named(early.port, "early"), named(late.port, "late"));
    ground.start(&office, &first).await.stop().await;
    quarantine(&office, &devices[0]).await;
    ground.start(&office, &second).await.stop().await;
    quarantine(&office, &devices[1]).await;
    // Of these nobody is told who has not asked for them.
    let (ruling, policy) = office.authorizer.rule(&devices[3], landfall_assurance::Question::Join);
    let (device, level, at) = (devices[3].clone(), ruling.level, office.now());
    let ruled = Entry { at, device, level, from: None, policy, causes: Vec::new(), held: false, ruling };
    let mut left = 99_998;
    while left > 0 {
        let part = left.min(2000);
        let append = |changes: Changes, _| changes.append(DECISION_LOG, &ruled).unwrap();
        office.world.store.commit((0..part).fold(Changes::new(), append)).await.unwrap();
        left -= part;
    }
    quarantine(&office, &devices[2]).await;
    // The late one is 100,000 behind, the early one is one more.
    for (receiver, settings, skipped) in [(&early, &first, 1), (&late, &second, 0)] {
        let running = ground.start(&office, settings).await;
        let heard = receiver.until(2).await;
        let told: Vec<_> = heard.iter().map(|request| json(&request.body)["data"].clone()).collect();
        let told: Vec<_> =
            told.iter().map(|it| (it["device"].as_str().unwrap(), it["skipped"].as_u64().unwrap())).collect();
        assert_eq!(told, [(devices[1].as_str(), skipped), (devices[2].as_str(), skipped)]);
        until(|| running.report().delivery.told == 2).await;
        assert_eq!((running.report().delivery.skipped, running.report().behind), (skipped, 0));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_of_what_it_wants_to_hear_and_of_nothing_else() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let devices = office.devices(40).await;
    let ops = StandIn::new(&ground, Response::new(200)).await;
    let settings = format!("{}events = [\"operation-ruled\", \"held\"]\n", webhook(ops.port, ""));
    let running = ground.start(&office, &settings).await;
    let question = landfall_assurance::Question::Operate("unlock".into());
    office.authorizer.rule_for_good(&devices[0], question).await.unwrap();
    // Four of forty are put out at once by one feed, and the fifth waits for a person.
    for device in &devices[..5] {
        quarantine(&office, device).await;
    }
    let heard = ops.until(2).await;
    let (operation, held) = (json(&heard[0].body), json(&heard[1].body));
    assert_eq!(
        (&operation["type"], &operation["data"]["operation"]),
        (&"device.operation-ruled".into(), &"unlock".into())
    );
    assert_eq!((&held["type"], &held["data"]["waits-for-a-person"]), (&"device.held".into(), &true.into()));
    running.stop().await;
}
