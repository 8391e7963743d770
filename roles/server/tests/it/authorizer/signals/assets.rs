//! The asset system. The NetBox here is a stand-in on this machine, which answers in the form that NetBox's REST API (4.x) is
//! published in; no NetBox.

use super::*;
use landfall_assurance::Level;
use landfall_lifecycle::{
    device::State,
    network::{Birth, DomainDevice, Identity as Who},
};
use landfall_server::assets::{Assets, Config as AssetsConfig, Disagreement, SOURCE};
use landfall_types::{Changes, http::Method};
use serde_json::{Value, json};

const TOKEN: &str = "nbt_abcdefghijkl.0123456789abcdef0123456789abcdef01234567";

fn settings(port: u16, more: &str) -> String {
    format!(
        "[authorizer.assets]\nurl = \"https://localhost:{port}/netbox/\"\nanchors = [\"FOLDER/web.pem\"]\n\
         token-file = \"FOLDER/netbox.token\"\n{more}\n"
    )
}

fn config(ground: &Ground, text: &str) -> Result<AssetsConfig, RoleError> {
    ground.write("netbox.token", &format!("{TOKEN}\n"));
    let text = text.replace("FOLDER", &ground.folder.path().to_string_lossy());
    let settings = Settings::parse(&format!("[authorizer]\n{text}")).unwrap();
    AssetsConfig::from_settings(settings.authorizer.as_ref().unwrap().assets.as_ref().unwrap(), &settings)
}

fn assets(ground: &Ground, office: &Office, netbox: &StandIn, more: &str) -> Arc<Assets> {
    config(ground, &settings(netbox.port, more)).unwrap().build(office.world.clone())
}

/// A device as NetBox shows it, as far as that is looked at.
fn asset(id: u64, serial: &str, status: &str, fields: Value) -> Value {
    json!({
        "id": id, "url": format!("https://localhost/api/dcim/devices/{id}/"), "name": format!("lamp-{id}"), "serial": serial,
        "status": { "value": status, "label": status }, "tenant": { "id": 1, "name": "Orchard House", "slug": "orchard" },
        "custom_fields": fields,
    })
}

fn page(results: &[Value], next: bool) -> Response {
    let next = next.then_some("https://localhost/api/dcim/devices/?limit=200&offset=200");
    let body = json!({ "count": results.len(), "next": next, "previous": null, "results": results });
    Response::with(200, "application/json", body.to_string().into_bytes())
}

/// A device of the network, by its serial number.
async fn device(office: &Office, serial: &str, state: State, last_asked: landfall_types::Time) -> DeviceId {
    let id: DeviceId = format!("07.{serial}").parse().unwrap();
    let birth = Birth::IDevId { idevid: landfall_types::Fingerprint([7; 32]), birth_key: None, hardware_backed: false };
    let who = Who { device: id.clone(), serial_number: serial.parse().unwrap(), vendor: None, model: None, birth };
    let record = DomainDevice { state, last_asked, ..DomainDevice::seen(who, last_asked) };
    office.world.store.commit(Changes::new().put(&record).unwrap()).await.unwrap();
    let facts = office.good(&id);
    office.authorizer.assert(facts).await.unwrap();
    id
}

fn told(office: &Office, device: &DeviceId) -> Vec<(Kind, landfall_policy::Value)> {
    let view = office.authorizer.view(device).unwrap();
    let its = view.dossier.facts.iter().filter(|fact| fact.source == SOURCE);
    its.map(|fact| (fact.kind, fact.value.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_two_do_not_agree_about_is_reported_by_name() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let (now, long_ago) = (office.now(), landfall_types::Time::from_unix(office.now().as_unix() - 31 * 86_400));
    let fine = device(&office, "FINE", State::Connected, now).await;
    device(&office, "SHOWN", State::AwaitingApproval, now).await;
    device(&office, "SILENT", State::Connected, long_ago).await;
    device(&office, "OURS", State::Connected, now).await;
    device(&office, "GOING", State::Connected, now).await;
    device(&office, "TWICE", State::Connected, now).await;
    device(&office, "SOLD", State::Retired, long_ago).await;
    let netbox = StandIn::new(&ground, Response::new(500)).await;
    let nothing = || json!({});
    netbox.script([
        page(
            &[
                asset(1, "FINE", "active", nothing()),
                asset(2, "SHOWN", "active", nothing()),
                asset(3, "SILENT", "active", nothing()),
            ],
            true,
        ),
        page(
            &[
                asset(4, "GOING", "decommissioning", nothing()),
                asset(5, "TWICE", "active", nothing()),
                asset(6, "TWICE", "active", nothing()),
                asset(7, "NEVER", "active", nothing()),
                asset(8, "COMING", "planned", nothing()),
                asset(9, "", "active", nothing()),
            ],
            false,
        ),
    ]);
    let report = assets(&ground, &office, &netbox, "").synchronize().await.unwrap();
    let found: Vec<_> = report.mismatches.iter().map(|it| (it.what, it.serial_number.as_str())).collect();
    assert_eq!(
        found,
        [
            (Disagreement::OnboardedAndGoing, "GOING"),
            (Disagreement::DiscoveredNotOnboarded, "NEVER"),
            (Disagreement::OnboardedNotAnAsset, "OURS"),
            (Disagreement::DiscoveredNotOnboarded, "SHOWN"),
            (Disagreement::OnboardedNotSeen, "SILENT"),
            (Disagreement::Ambiguous, "TWICE"),
        ]
    );
    assert_eq!((report.assets, report.matched, report.written, report.compared), (9, 4, 0, Some(now)));
    let asked = netbox.until(2).await;
    let paths: Vec<&str> = asked.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/netbox/api/dcim/devices/", "/netbox/api/dcim/devices/"]);
    assert_eq!(asked[0].headers.first("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    // What it says is a fact; of one that is taken away there that nobody trusts it any more, which counts at once.
    assert_eq!(told(&office, &fine), [(Kind::Owner, "Orchard House".into())]);
    assert_eq!(office.level(&"07.GOING".parse().unwrap()), Level::Blocked);
    assert_eq!(told(&office, &"07.TWICE".parse().unwrap()), [], "nobody can tell which one is meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_custom_fields_say_is_taken_in_and_how_devices_stand_is_written_there_once() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let lamp = device(&office, "LAMP", State::Connected, office.now()).await;
    let netbox = StandIn::new(&ground, Response::with(200, "application/json", b"[]".to_vec())).await;
    let more = "write = true\nfacts = { paid = \"paid_for\", licensed = \"licence_ok\" }";
    let assets = assets(&ground, &office, &netbox, more);
    netbox.script([page(&[asset(7, "LAMP", "active", json!({ "paid_for": true, "licence_ok": "yes" }))], false)]);
    assert_eq!(assets.synchronize().await.unwrap().written, 1);
    // What has not the form of its kind says nothing.
    assert_eq!(told(&office, &lamp), [(Kind::Owner, "Orchard House".into()), (Kind::Paid, true.into())]);
    let heads = netbox.until(2).await;
    let written = json(&heads[1].body);
    // A POST there would make devices, and a PATCH of one device has another path.
    assert_eq!((heads[1].method, heads[1].path.as_str()), (Method::Patch, "/netbox/api/dcim/devices/"));
    assert_eq!(heads[1].headers.first("content-type"), Some("application/json"));
    assert_eq!((written.as_array().map(Vec::len), written[0]["id"].as_u64()), (Some(1), Some(7)));
    let fields = written[0]["custom_fields"].clone();
    assert_eq!((&fields["landfall_level"], &fields["landfall_state"]), (&"full".into(), &"connected".into()));
    // What stands there already is not written again, and what it says no more is taken back.
    netbox.script([page(&[asset(7, "LAMP", "active", fields)], false)]);
    assert_eq!(assets.synchronize().await.unwrap().written, 0);
    assert_eq!(told(&office, &lamp), [(Kind::Owner, "Orchard House".into())]);
    assert_eq!(netbox.until(3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_system_that_is_away_or_answers_otherwise_takes_nothing_back_and_what_it_said_ends() {
    let (ground, office) = (Ground::new(), Office::open().await);
    let lamp = device(&office, "LAMP", State::Connected, office.now()).await;
    let netbox = StandIn::new(&ground, Response::new(500)).await;
    let assets = assets(&ground, &office, &netbox, "write = true");
    let good = || page(&[asset(7, "LAMP", "active", json!({}))], false);
    let refusal = Response::with(400, "application/json", b"[{\"custom_fields\":[\"Unknown field name\"]}]".to_vec());
    netbox.script([good(), refusal]);
    let why = assets.synchronize().await.unwrap_err();
    assert!(why.check == "assets-write" && why.detail.contains("Unknown field name"), "{why}");
    let body = |text: &str| Response::with(200, "application/json", text.as_bytes().to_vec());
    for (answer, check) in [
        (Response::new(403), "assets-fetch"),
        (body("{}"), "assets-form"),
        (body("{\"results\":[{\"id\":1}],\"next\":null}"), "assets-form"),
        (body("{\"results\":[{\"status\":{\"value\":\"active\"}}],\"next\":null}"), "assets-form"),
        (body("{\"results\":[],\"next\":\"https://localhost/\"}"), "assets-form"),
        (body("<html>"), "assets-form"),
    ] {
        netbox.script([answer]);
        let why = assets.synchronize().await.unwrap_err();
        assert_eq!(why.check, check, "{why}");
        assert!(assets.report().trouble.unwrap().starts_with(check));
    }
    assert_eq!(told(&office, &lamp), [(Kind::Owner, "Orchard House".into())]);
    let facts = || office.authorizer.view(&lamp).unwrap().dossier.facts;
    office.pass(86_400);
    assert!(facts().iter().filter(|fact| fact.source == SOURCE).all(|fact| !fact.holds(office.now())));
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_by_their_key() {
    let ground = Ground::new();
    let good = settings(1, "");
    config(&ground, &good).unwrap();
    for (from, to, key) in [
        ("https://", "http://", "url"),
        ("[\"FOLDER/web.pem\"]", "[]", "anchors"),
        ("netbox.token", "gone", "token-file"),
        ("token-file", "refresh = \"5s\"\ntoken-file", "refresh"),
        ("token-file", "max-age = \"10m\"\ntoken-file", "max-age"),
    ] {
        let why = config(&ground, &good.replace(from, to)).unwrap_err();
        assert_eq!(why.what, format!("authorizer.assets.{key}"), "{from} -> {to}: {why}");
    }
}
