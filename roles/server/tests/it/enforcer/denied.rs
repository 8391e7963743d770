//! Deny lists: from files, operators and a server of TAXII, and what becomes of devices that speak with what is on them.

use super::{
    manager::{Page, Web, web_server},
    names::{Ground, device},
    tell::authorizer,
};
use landfall_assurance::Kind;
use landfall_behaviour::Format;
use landfall_element::MemoryElement;
use landfall_policy::Value;
use landfall_server::{
    Clock, Settings, World,
    authorizer::Authorizer,
    deny::{Config, Lists, SOURCE},
};
use landfall_store::Store;
use landfall_testkit::temp_dir;
use landfall_types::Time;
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const OBJECTS: &str = "/taxii/collections/c/objects/?match[type]=indicator&match[spec_version]=2.1";

/// Lists on a clock of their own.
struct Desk {
    world: World,
    seconds: Arc<AtomicU64>,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let (seconds, start) = (Arc::new(AtomicU64::new(0)), Time::now());
        let at = seconds.clone();
        let mut world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        world.clock = Clock::of(move || start + Duration::from_secs(at.load(Ordering::Relaxed)));
        Self { world, seconds, folder: temp_dir() }
    }

    fn config(&self, lists: &str) -> Result<Config, landfall_server::RoleError> {
        let text = format!("[authorizer]\n{}", lists.replace("FOLDER", &self.folder.path().to_string_lossy()));
        let settings = Settings::parse(&text).unwrap();
        Config::from_settings(&settings.authorizer.as_ref().unwrap().deny_lists, &settings)
    }

    async fn lists(&self, lists: &str) -> Arc<Lists> {
        self.config(lists).unwrap().build(self.world.clone()).await.unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    fn has(&self, address: &str) -> bool {
        self.world.denied.now().lists.address(address.parse().unwrap(), self.world.clock.now()).is_some()
    }
}

fn trouble(lists: &Lists, name: &str) -> Option<String> {
    lists.find(name).unwrap().trouble
}

const FILE: &str = "[[authorizer.deny-lists.list]]\nname = \"own\"\nfile = \"FOLDER/own.txt\"\nmax-age = \"2d\"\n";

#[tokio::test]
async fn a_file_counts_as_it_is_and_as_it_was_while_it_cannot_be_read() {
    let desk = Desk::new();
    desk.write("own.txt", "198.51.100.66\n192.168.0.0/16 # never\nbad.example\n");
    let lists = desk.lists(FILE).await;
    assert!(desk.has("198.51.100.66") && !desk.has("192.168.0.1"));
    let own = lists.find("own").unwrap();
    assert_eq!((own.entries.len(), own.left_out_count), (2, 1));
    assert!(desk.world.denied.now().watched.is_some());
    // It grows; it is torn; it is gone: the last good one counts, and somebody is told.
    desk.write("own.txt", "198.51.100.66\n198.51.100.67\n");
    lists.look().await;
    assert!(desk.has("198.51.100.67"));
    desk.write("own.txt", "\n\n");
    lists.look().await;
    assert!(desk.has("198.51.100.67") && trouble(&lists, "own").unwrap().starts_with("deny-list-empty"));
    fs::remove_file(desk.folder.path().join("own.txt")).unwrap();
    lists.look().await;
    assert!(desk.has("198.51.100.67") && trouble(&lists, "own").unwrap().starts_with("deny-list-file"));
    // So old it is no ground to say that nobody spoke with what is on it; it still counts against those who do.
    desk.pass(2 * 86_400);
    lists.look().await;
    assert!(desk.has("198.51.100.67") && desk.world.denied.now().watched.is_none());
    desk.write("own.txt", "198.51.100.68\n");
    lists.look().await;
    assert!(desk.has("198.51.100.68") && !desk.has("198.51.100.67") && trouble(&lists, "own").is_none());
    // What the settings do not name any more is over.
    desk.lists("").await;
    assert!(!desk.has("198.51.100.68") && desk.world.denied.now().watched.is_none());
}

#[tokio::test]
async fn what_an_operator_adds_is_kept_and_can_be_taken_away() {
    let desk = Desk::new();
    desk.write("own.txt", "198.51.100.1\n");
    let lists = desk.lists(FILE).await;
    let stix = json!({ "type": "bundle", "id": "bundle--1", "objects": [indicator(1, "198.51.100.77")] }).to_string();
    lists.add("cert-7", Format::Stix, stix.as_bytes()).await.unwrap();
    assert!(desk.has("198.51.100.77"));
    // After a restart as well.
    let lists = desk.lists(FILE).await;
    assert!(desk.has("198.51.100.77") && desk.has("198.51.100.1"));
    for (name, text, check) in [
        ("Cert 7", "198.51.100.2", "deny-list-name"),
        ("own", "198.51.100.2", "deny-list-settings"),
        ("new", "10.0.0.0/8", "deny-list-empty"),
        ("new", "", "deny-list-empty"),
    ] {
        let why = lists.add(name, Format::Plain, text.as_bytes()).await.unwrap_err();
        assert_eq!(why.check, check, "{name} {text}");
    }
    assert_eq!(lists.remove("own").await.unwrap_err().check, "deny-list-settings");
    assert!(lists.remove("nothing").await.unwrap().is_none());
    assert!(lists.remove("cert-7").await.unwrap().is_some());
    assert!(!desk.has("198.51.100.77") && desk.has("198.51.100.1"));
    desk.lists(FILE).await;
    assert!(!desk.has("198.51.100.77"));
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused_by_their_key() {
    let desk = Desk::new();
    desk.write("anchor.pem", "no certificate");
    let list = |lines: &str| format!("[[authorizer.deny-lists.list]]\nname = \"own\"\n{lines}");
    for (text, key) in [
        (list(""), "list[0].file"),
        (list("file = \"a\"\nurl = \"https://a/\""), "list[0].file"),
        (list("file = \"a\"\nformat = \"yaml\""), "list[0].format"),
        (list("file = \"a\"\nformat = \"taxii\""), "list[0].format"),
        (list("url = \"http://a/\""), "list[0].url"),
        (list("url = \"https://user@a/\""), "list[0].url"),
        (list("url = \"https://a/\""), "list[0].anchors"),
        (list("url = \"https://a/\"\nanchors = [\"FOLDER/anchor.pem\"]"), "list[0].anchors"),
        (list("file = \"a\"").replace("own", "Own"), "list[0].name"),
        (list("file = \"a\"\n").repeat(2), "list[1].name"),
        ("[authorizer.deny-lists]\nrefresh = \"1s\"".into(), "refresh"),
    ] {
        let why = desk.config(&text).unwrap_err();
        assert_eq!(why.what, format!("authorizer.deny-lists.{key}"), "{text}");
    }
}

fn indicator(number: u32, address: &str) -> serde_json::Value {
    json!({ "type": "indicator", "spec_version": "2.1", "id": format!("indicator--{number}"), "pattern_type": "stix",
            "pattern": format!("[ipv4-addr:value = '{address}']"), "valid_from": "2020-01-01T00:00:00Z" })
}

fn envelope(objects: Vec<serde_json::Value>, next: Option<&str>) -> Page {
    Page::Body(json!({ "more": next.is_some(), "next": next, "objects": objects }).to_string().into_bytes())
}

/// A small real server of the shape of TAXII 2.1, with TLS.
async fn taxii(folder: &Path) -> (Web, String) {
    let (root, server) = web_server();
    fs::write(folder.join("web.pem"), root).unwrap();
    let web = Web::new(&server).await;
    fs::write(folder.join("login"), "reader:secret words\n").unwrap();
    let settings = format!(
        "[[authorizer.deny-lists.list]]\nname = \"feed\"\nurl = \"{}\"\nanchors = [\"FOLDER/web.pem\"]\n\
         login-file = \"FOLDER/login\"\n",
        web.url("/taxii/collections/c/")
    );
    (web, settings)
}

#[tokio::test]
async fn a_server_of_taxii_is_asked_page_by_page_and_again_and_again() {
    let desk = Desk::new();
    let (web, settings) = taxii(desk.folder.path()).await;
    web.put(OBJECTS, envelope(vec![indicator(1, "198.51.100.1")], Some("p2")));
    web.put(&format!("{OBJECTS}&next=p2"), envelope(vec![indicator(2, "198.51.100.2")], None));
    let lists = desk.lists(&settings).await;
    assert!(desk.world.denied.now().watched.is_none(), "it has not come yet");
    lists.look().await;
    assert_eq!(trouble(&lists, "feed"), None);
    assert!(desk.has("198.51.100.1") && desk.has("198.51.100.2"));
    assert!(desk.world.denied.now().watched.is_some());
    let head = web.heads().remove(0).to_ascii_lowercase();
    assert!(head.contains("accept: application/taxii+json;version=2.1"));
    assert!(head.contains("authorization: basic cmvhzgvyonnly3jldcb3b3jkcw=="), "{head}");
    // Not before its time; then what is on it now, and no more.
    let asked = web.asked();
    lists.look().await;
    assert_eq!(web.asked(), asked);
    desk.pass(3600);
    web.put(OBJECTS, envelope(vec![indicator(3, "198.51.100.3")], None));
    lists.look().await;
    assert!(desk.has("198.51.100.3") && !desk.has("198.51.100.1"));
    // With one thing otherwise the one of before counts, until it is too old.
    for (page, check) in [
        (Page::Status(500), "deny-list-fetch"),
        (Page::Status(401), "deny-list-fetch"),
        (Page::To("/elsewhere".into()), "deny-list-fetch"),
        (Page::Body(b"<html>".to_vec()), "taxii"),
        (envelope(Vec::new(), None), "deny-list-empty"),
        (envelope(vec![indicator(4, "10.0.0.1")], None), "deny-list-empty"),
        (envelope(vec![indicator(4, "198.51.100.4")], Some("p9")), "deny-list-fetch"),
        (Page::Huge, "deny-list-size"),
    ] {
        desk.pass(3600);
        web.put(OBJECTS, page);
        lists.look().await;
        let why = trouble(&lists, "feed").unwrap();
        assert!(why.starts_with(check), "{why}, not {check}");
        assert!(desk.has("198.51.100.3") && !desk.has("198.51.100.4"));
    }
    // Kept over a restart without the server.
    let later = desk.lists(&settings).await;
    assert!(desk.has("198.51.100.3") && later.find("feed").unwrap().entries.len() == 1);
    desk.pass(7 * 86_400);
    lists.look().await;
    assert!(desk.has("198.51.100.3") && desk.world.denied.now().watched.is_none());
    web.put(OBJECTS, envelope(vec![indicator(5, "198.51.100.5")], None));
    desk.pass(3600);
    lists.look().await;
    assert!(desk.has("198.51.100.5") && desk.world.denied.now().watched.is_some());
    // Another authority than the one that its settings name.
    fs::write(desk.folder.path().join("web.pem"), web_server().0).unwrap();
    desk.pass(3600);
    let other = desk.lists(&settings).await;
    other.look().await;
    assert!(trouble(&other, "feed").unwrap().starts_with("deny-list-tls"));
}

fn contacts(authorizer: &Authorizer, number: usize, source: &str) -> Option<Vec<String>> {
    let view = authorizer.view(&device(number))?;
    let fact = view.dossier.of(Kind::DenyListContact).find(|fact| fact.source == source)?;
    match &fact.value {
        Value::List(list) => Some(list.clone()),
        _ => None,
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_with_what_is_on_a_list_is_told_of_at_once() {
    let Some(ground) = Ground::new().await else { return };
    let (authorizer, trigger) = authorizer(&ground).await;
    let settings = Settings::parse("[authorizer]\n").unwrap();
    let lists = &settings.authorizer.as_ref().unwrap().deny_lists;
    let lists = Config::from_settings(lists, &settings).unwrap().build(ground.world.clone()).await.unwrap();
    for number in [1, 2] {
        ground.admit(number).await;
    }
    let base = |number| contacts(&authorizer, number, SOURCE);
    assert_eq!(base(1), None, "nobody watches yet");
    lists
        .add("bad", Format::Plain, b"198.51.100.8\n203.0.113.0/24\nelsewhere.example\n2001:db8:66::/48\n")
        .await
        .unwrap();
    ground.enforcer.watch_for_denied().await.unwrap();
    until("that somebody watches is told", || base(1) == Some(Vec::new()) && base(2) == Some(Vec::new())).await;

    // A packet to an address, one to a prefix, and a name that is asked for.
    let bad = || contacts(&authorizer, 1, "deny list bad").unwrap_or_default();
    assert!(!ground.arrives(1, "198.51.100.8", 0, false));
    until("an address", || bad() == ["198.51.100.8 UDP port 5000"]).await;
    ground.devices[0].send_to(b"words", "203.0.113.9:443").unwrap();
    until("a prefix", || bad().contains(&"203.0.113.9 UDP port 443 (in 203.0.113.0/24)".to_owned())).await;
    assert_eq!(ground.dig(1, "WWW.Elsewhere.example").await.0, "REFUSED");
    until("a name", || bad().contains(&"www.elsewhere.example by name".to_owned())).await;
    assert_eq!(contacts(&authorizer, 2, "deny list bad"), None, "its sister did nothing");
    let fact = authorizer.view(&device(1)).unwrap().dossier.of(Kind::DenyListContact).cloned().collect::<Vec<_>>();
    assert!(fact.iter().all(|fact| fact.expires.is_some()) && fact.len() == 2);

    // Who is spoken to from there did nothing, and does not hear it.
    ground.services[0].send_to(b"words", "192.168.30.20:5000").unwrap();
    let listed = ground.hosts.inside("world", || std::net::UdpSocket::bind("198.51.100.8:0").unwrap());
    listed.send_to(b"listed", "192.168.30.20:5000").unwrap();
    assert_eq!(contacts(&authorizer, 2, "deny list bad"), None);

    // Flushed by somebody: put right, and nothing is lost that happens while the authorizer is away.
    ground.hosts.command("switch", "nft").args(["delete", "table", "bridge", "landfall-denied"]).status().unwrap();
    ground.enforcer.watch_for_denied().await.unwrap();
    trigger.pull();
    until("the authorizer is away", || ground.world.authorizer.is_away()).await;
    ground.devices[1].send_to(b"words", "203.0.113.77:443").unwrap();
    let heard = || {
        ground.world.store.log(landfall_server::observe::AUDIT_LOG, 0, 1000).unwrap().iter().any(|entry| {
            entry.entry["action"] == "deny-list-contact" && entry.entry.to_string().contains("203.0.113.77")
        })
    };
    let look = async {
        while !heard() {
            ground.world.recorder.flush().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap();
    let (authorizer, _trigger) = super::tell::authorizer(&ground).await;
    let bad = |number| contacts(&authorizer, number, "deny list bad").unwrap_or_default();
    until("what happened meanwhile", || bad(2) == ["203.0.113.77 UDP port 443 (in 203.0.113.0/24)"]).await;
    assert_eq!(bad(1).len(), 3, "kept over the restart");

    // Forgiven, and begun anew; then the list is gone.
    assert_eq!(lists.forgive(&device(1)).await.unwrap(), 1);
    assert_eq!((bad(1).len(), bad(2).len()), (0, 1));
    lists.remove("bad").await.unwrap().unwrap();
    assert_eq!(bad(2).len(), 0);
    ground.enforcer.watch_for_denied().await.unwrap();
    assert!(ground.world.denied.now().prefixes.is_empty());
}
