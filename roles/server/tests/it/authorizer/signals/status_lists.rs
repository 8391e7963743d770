//! Lists of which credentials are revoked, from a stand-in for their issuer's web server.

use super::*;
use crate::authorizer::credentials::{Cast, DAY, credential, list_at};
use landfall_claims::credential::Entry;
use landfall_policy::Value;
use landfall_server::authorizer::StatusLists;
use landfall_store::Store;

fn lists(ground: &Ground, port: u16, more: &str) -> Result<StatusLists, RoleError> {
    let text = format!(
        "[authorizer]\n[[authorizer.status-list]]\nurl = \"{}\"\nanchors = [\"{}\"]\n{more}",
        url(port),
        ground.folder.path().join("web.pem").display()
    );
    let settings = Settings::parse(&text).unwrap();
    StatusLists::from_settings(settings.authorizer.as_ref().unwrap(), &settings)
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}/status/1")
}

fn page(jwt: String) -> Response {
    Response::with(200, "application/vc+jwt", jwt.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_revoked_on_a_list_that_is_asked_for_speaks_against_its_device() {
    let (ground, cast) = (Ground::new(), Cast::new());
    let (office, device) = cast.office(Store::memory()).await;
    let issuer = StandIn::new(&ground, Response::new(503)).await;
    let (lists, at) = (lists(&ground, issuer.port, "").unwrap(), url(issuer.port));
    let list = |seconds: u64, until, revoked: &[u64]| {
        let from = office.now() + Duration::from_secs(seconds);
        page(list_at(&at, &cast.alice, from, until, revoked))
    };
    let end = office.now() + DAY;
    let mut trust = credential("1", &cast.alice, cast.trust());
    trust.status = Some(Entry { list: at.clone(), index: 5, is_suspension: false });
    trust.valid_until = Some(end + DAY * 5);
    let jwt = trust.issue(&cast.alice).unwrap();
    // Before its list has come, nothing says that it is good.
    assert_eq!(office.bring(&jwt).await.unwrap_err(), "credential-status");
    issuer.script([list(0, Some(end), &[4])]);
    assert!(lists.look(&office.world).await);
    office.bring(&jwt).await.unwrap();
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(true.into()));
    let asked = issuer.until(1).await;
    assert_eq!(
        (asked[0].path.as_str(), asked[0].headers.first("accept")),
        ("/status/1", Some("application/vc+jwt, application/jwt"))
    );
    // One thing otherwise, and the list of before counts.
    let other = list_at("https://localhost/other", &cast.alice, office.now(), Some(end), &[5]);
    let strange = list_at(&at, &cast.device, office.now(), Some(end), &[5]);
    let wrong = [
        Response::new(404),
        page("no list".into()),
        page(other),
        page(strange),
        list(1, None, &[5]),
        list(1, Some(office.now()), &[5]),
    ];
    for answer in wrong {
        issuer.script([answer]);
        assert!(!lists.look(&office.world).await);
        assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(true.into()));
    }
    // The next one revokes it: what it said speaks against the device, and that decides.
    issuer.script([list(1, Some(end), &[4, 5])]);
    assert!(lists.look(&office.world).await);
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(false.into()));
    assert!(!office.level(&device).is_working());
    // An older one does not bring it back.
    issuer.script([list(0, Some(end), &[4])]);
    assert!(!lists.look(&office.world).await);
    assert_eq!(office.value_of(&device, Kind::DeviceTrusted), Some(Value::Bool(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_had_counts_until_it_ends_and_over_restarts() {
    let (ground, cast) = (Ground::new(), Cast::new());
    let store = || Store::sqlite_shared(path_of(ground.folder.path())).unwrap();
    let (office, device) = cast.office(store()).await;
    let issuer = StandIn::new(&ground, Response::new(503)).await;
    let (lists, at) = (lists(&ground, issuer.port, "").unwrap(), url(issuer.port));
    let end = office.now() + DAY;
    issuer.script([page(list_at(&at, &cast.alice, office.now(), Some(end), &[]))]);
    assert!(lists.look(&office.world).await);
    let mut trust = credential("1", &cast.alice, cast.trust());
    trust.status = Some(Entry { list: at, index: 5, is_suspension: false });
    trust.valid_until = Some(end + DAY * 5);
    office.bring(&trust.issue(&cast.alice).unwrap()).await.unwrap();
    drop(office.close().await);
    let office = Office::with(store(), cast.config(), 10).await;
    assert!(!lists.look(&office.world).await, "its server is away");
    let fact = office.asserted(&device, Kind::DeviceTrusted).unwrap();
    assert_eq!((fact.value.clone(), fact.expires), (true.into(), Some(end)));
    office.pass(86_400);
    assert!(!fact.holds(office.now()));
}

#[test]
fn settings_of_lists_that_cannot_be_meant_are_refused_by_their_key() {
    let ground = Ground::new();
    lists(&ground, 1, "").unwrap();
    let wrong = |text: &str| {
        let settings = Settings::parse(&format!("[authorizer]\n{text}")).unwrap();
        StatusLists::from_settings(settings.authorizer.as_ref().unwrap(), &settings).unwrap_err().what
    };
    assert_eq!(wrong("status-refresh = \"5s\""), "authorizer.status-refresh");
    let list = |lines: &str| wrong(&format!("[[authorizer.status-list]]\n{lines}"));
    assert_eq!(list("url = \"http://a/\""), "authorizer.status-list[0].url");
    assert_eq!(list("url = \"https://a/\""), "authorizer.status-list[0].anchors");
}
