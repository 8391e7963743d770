//! Manufacturers' files from a real web server: one that is as it should be, and the same with one thing otherwise.

use landfall_element::MemoryElement;
use landfall_lifecycle::network::{Birth, DomainDevice, Identity, Learnt, MudSource};
use landfall_mud::signature;
use landfall_net::tls::{ClientAuth, ServerTls, TlsIdentity};
use landfall_pki::{Algorithm, AltName, CertificateSerial, Name, SoftwareKey, Validity, profile};
use landfall_server::{
    Clock, Settings, World,
    enforcer::manager::{Manager, MudRecord, Word},
};
use landfall_store::Store;
use landfall_testkit::{Identity as Certified, Issuer, NOW, temp_dir};
use landfall_types::{DeviceId, Fingerprint, Time};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const LAMP: &str = include_str!("../../../../../fuzz/corpus/mud-file/good-plain");
const HOUR: Duration = Duration::from_secs(3600);

/// How a path is answered.
#[derive(Clone)]
pub(crate) enum Page {
    Body(Vec<u8>),
    Status(u16),
    To(String),
    /// A gigabyte, it says.
    Huge,
    /// Bytes without end, and without saying how many.
    Endless,
    /// Nothing ever.
    Silent,
}

/// A web server with the manufacturer's files.
pub(crate) struct Web {
    port: u16,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) async fn new(identity: &Certified) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let identity = TlsIdentity { chain: identity.chain(), signer: identity.signer() };
        let tls = ServerTls::new(&identity, ClientAuth::None).unwrap();
        let web = Self { port: listener.local_addr().unwrap().port(), pages: Arc::default(), asked: Arc::default() };
        let (pages, asked) = (web.pages.clone(), web.asked.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, pages, asked) = (tls.clone(), pages.clone(), asked.clone());
                tokio::spawn(async move {
                    let Ok((mut stream, _)) = tls.accept(stream).await else { return };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split_whitespace().nth(1).unwrap().to_owned();
                    asked.lock().unwrap().push(head);
                    let page = pages.lock().unwrap().get(&path).cloned().unwrap_or(Page::Status(404));
                    let _ = answer(&mut stream, page).await;
                });
            }
        });
        web
    }

    pub(crate) fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.into(), page);
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

async fn answer(stream: &mut (impl AsyncWriteExt + Unpin), page: Page) -> std::io::Result<()> {
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{more}\r\n");
    match page {
        Page::Body(body) => {
            stream.write_all(head("200", &format!("content-length: {}\r\n", body.len())).as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Page::Status(status) => stream.write_all(head(&status.to_string(), "content-length: 0\r\n").as_bytes()).await?,
        Page::To(to) => {
            stream.write_all(head("302", &format!("location: {to}\r\ncontent-length: 0\r\n")).as_bytes()).await?;
        }
        Page::Huge => {
            stream.write_all(head("200", "content-length: 1073741824\r\n").as_bytes()).await?;
            stream.write_all(&[b' '; 65536]).await?;
            std::future::pending::<()>().await;
        }
        Page::Endless => {
            stream.write_all(head("200", "transfer-encoding: chunked\r\n").as_bytes()).await?;
            let chunk = [&b"10000\r\n"[..], &[b' '; 65536], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Page::Silent => std::future::pending::<()>().await,
    }
    stream.shutdown().await
}

/// A manufacturer with a web server, and a network that believes it.
pub(crate) struct Ground {
    pub(crate) web: Web,
    signing: Issuer,
    signer: Certified,
    folder: TempDir,
    world: World,
    seconds: Arc<AtomicU64>,
}

fn valid() -> Validity {
    Validity { not_before: NOW - 700 * 24 * HOUR, not_after: NOW + 9000 * 24 * HOUR }
}

/// A web server of this machine, and who vouches for it.
pub(crate) fn web_server() -> (String, Certified) {
    let root = Issuer::root("Web");
    let server = root.certify(Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()), |issuer, key| {
        let (subject, alt_names) = (Name::common("localhost"), vec![AltName::Dns("localhost".into())]);
        let serial = CertificateSerial::random().unwrap();
        profile::Server { subject, alt_names }.prepare(issuer, key, serial, valid())
    });
    (root.root_certificate().to_pem(), server)
}

fn signer(issuer: &Issuer, name: &str, valid: Validity) -> Certified {
    issuer.certify(Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap()), |issuer, key| {
        let serial = CertificateSerial::random().unwrap();
        profile::ManifestSigner { subject: Name::common(name) }.prepare(issuer, key, serial, valid)
    })
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let signing = Issuer::root("Lamps MUD CA");
        let (web_root, server) = web_server();
        let web = Web::new(&server).await;
        let folder = temp_dir();
        fs::write(folder.path().join("web.pem"), web_root).unwrap();
        fs::write(folder.path().join("mud.pem"), signing.root_certificate().to_pem()).unwrap();
        let seconds = Arc::new(AtomicU64::new(0));
        let at = seconds.clone();
        let mut world = World::new(Store::memory(), Arc::new(MemoryElement::new()));
        world.clock = Clock::of(move || NOW + Duration::from_secs(at.load(Ordering::Relaxed)));
        let signer = signer(&signing, "Lamps MUD signer", valid());
        let ground = Self { web, signing, signer, folder, world, seconds };
        ground.publish(&ground.file());
        ground
    }

    pub(crate) fn settings(&self, more: &str) -> Settings {
        let text = format!(
            "[enforcer.mud]\nprivate = [\"127.0.0.0/8\", \"::1\"]\ndeadline = \"20s\"\n{more}\n\
             [[enforcer.mud.maker]]\nname = \"lamps\"\nmanufacturers = [\"lamps\"]\nanchors = [\"mud.pem\"]\nweb-anchors = [\"web.pem\"]\n"
        );
        let mut settings = Settings::parse(&text).unwrap();
        settings.data = self.folder.path().to_owned();
        settings
    }

    fn manager(&self) -> Arc<Manager> {
        self.manager_with(&self.settings(""))
    }

    fn manager_with(&self, settings: &Settings) -> Arc<Manager> {
        manager_in(settings, self.world.clone())
    }

    fn later(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    /// The lamp's file, at this server.
    pub(crate) fn file(&self) -> Value {
        let mut file: Value = serde_json::from_str(LAMP).unwrap();
        file["ietf-mud:mud"]["mud-url"] = json!(self.web.url("/lamp.json"));
        file
    }

    pub(crate) fn publish(&self, file: &Value) {
        self.publish_as(file.to_string().as_bytes(), &self.signer, NOW);
    }

    fn publish_as(&self, file: &[u8], signer: &Certified, at: Time) {
        let signed = signature::sign(file, &signer.chain(), &*signer.key, at).unwrap();
        self.web.put("/lamp.json", Page::Body(file.into()));
        self.web.put("/lamp.p7s", Page::Body(signed));
    }

    /// A device of that manufacturer, whose certificate says where its file is.
    pub(crate) fn device(&self) -> DomainDevice {
        let mut device = nameless();
        device.learn_mud(MudSource {
            url: self.web.url("/lamp.json"),
            signer: Some("CN=Lamps MUD signer".into()),
            learnt: Learnt::Idevid,
            at: NOW,
        });
        device
    }

    fn record(&self) -> MudRecord {
        self.world.store.scan::<MudRecord>(None, 10).unwrap().pop().unwrap().record
    }
}

pub(crate) fn manager_in(settings: &Settings, world: World) -> Arc<Manager> {
    let mud = settings.enforcer.as_ref().unwrap().mud.as_ref().unwrap();
    Arc::new(Manager::from_settings(mud, settings, world).unwrap())
}

fn nameless() -> DomainDevice {
    let serial_number = "L-1".parse().unwrap();
    let identity = Identity {
        device: DeviceId::new(&[1; 20], &serial_number),
        serial_number,
        vendor: Some("lamps".parse().unwrap()),
        model: None,
        birth: Birth::IDevId { idevid: Fingerprint([1; 32]), birth_key: None, hardware_backed: false },
    };
    DomainDevice::seen(identity, NOW)
}

/// Names and time and nothing else: what the owner has not opened is shut.
fn is_preset(word: &Word) -> bool {
    let policy = word.policy.as_ref().unwrap();
    word.meaning.is_none()
        && policy.url.as_str() == "https://preset.invalid/"
        && policy.from_device.iter().chain(&policy.to_device).all(|rule| rule.name.starts_with("default/"))
}

#[tokio::test]
async fn a_file_is_fetched_verified_and_kept_with_where_it_came_from() {
    let ground = Ground::new().await;
    let (manager, device) = (ground.manager(), ground.device());
    assert!(is_preset(&manager.word(&device)), "until it has come");
    assert_eq!(manager.refresh().await, 1);
    let word = manager.word(&device);
    let meaning = word.meaning.as_ref().unwrap();
    assert!(word.is_proven() && word.trouble.is_none());
    assert_eq!((meaning.signer.as_str(), meaning.file.systeminfo.as_deref()), ("CN=Lamps MUD signer", Some("A lamp")));
    assert!(word.policy.unwrap().from_device.iter().any(|rule| rule.name == "from4/cloud"));
    let good = ground.record().good.unwrap();
    assert_eq!(good.from, ground.web.url("/lamp.json"));
    assert_eq!((good.fetched, good.fresh_until, good.signed_at), (NOW, NOW + 48 * HOUR, Some(NOW)));
    assert!(good.address == "127.0.0.1" || good.address == "::1");
    let asked = ground.web.asked.lock().unwrap().join("\n");
    assert!(asked.contains("accept: application/mud+json") && asked.contains("accept: application/pkcs7-signature"));
    // What was decided is on record, and the store survives what memory does not.
    assert_eq!(ground.world.store.log("manufacturer-usage", 0, 10).unwrap().len(), 1);
    ground.web.put("/lamp.json", Page::Status(500));
    let (again, asked) = (ground.manager(), ground.web.asked());
    assert!(again.word(&device).is_proven());
    assert_eq!((again.refresh().await, ground.web.asked()), (0, asked), "nobody is asked before its time is over");
}

#[tokio::test]
async fn what_is_fetched_again_takes_the_place_of_what_was_before() {
    let ground = Ground::new().await;
    let (manager, device) = (ground.manager(), ground.device());
    manager.word(&device);
    manager.refresh().await;
    let says = |word: &Word| word.meaning.as_ref().unwrap().file.systeminfo.clone().unwrap();
    let mut newer = ground.file();
    newer["ietf-mud:mud"]["systeminfo"] = json!("A better lamp");
    newer["ietf-mud:mud"]["last-update"] = json!("2026-07-01T00:00:00Z");
    newer["ietf-mud:mud"]["cache-validity"] = json!(1);
    ground.publish(&newer);
    ground.later(47 * HOUR);
    assert_eq!((says(&manager.word(&device)).as_str(), manager.refresh().await), ("A lamp", 0));
    ground.later(HOUR);
    manager.word(&device);
    manager.refresh().await;
    assert_eq!(says(&manager.word(&device)), "A better lamp");
    assert_eq!(ground.record().next, NOW + 49 * HOUR);

    // One of before is as well signed as ever, and does not come back.
    ground.publish(&ground.file());
    ground.later(HOUR);
    manager.word(&device);
    assert_eq!(manager.refresh().await, 0);
    let word = manager.word(&device);
    assert_eq!(
        (says(&word).as_str(), word.record.unwrap().trouble.unwrap().check.as_str()),
        ("A better lamp", "mud-older")
    );

    // Nobody answers: what was good stays in force, also after a restart, and is asked for less and less often.
    ground.web.put("/lamp.json", Page::Status(503));
    let mut waits = Vec::new();
    for _ in 0..3 {
        let next = ground.record().next.as_unix() - ground.world.clock.now().as_unix();
        ground.later(Duration::from_secs(next.try_into().unwrap()));
        manager.word(&device);
        manager.refresh().await;
        let record = ground.record();
        waits.push(record.next.as_unix() - record.tried.as_unix());
    }
    assert_eq!(waits, [120, 240, 480]);
    assert!(manager.word(&device).is_proven() && ground.manager().word(&device).is_proven());
}

type Change = Box<dyn Fn(&Ground, &mut DomainDevice)>;

/// Each changes one thing of what is good.
fn changes() -> Vec<(&'static str, Change)> {
    fn change(check: &'static str, change: impl Fn(&Ground, &mut DomainDevice) + 'static) -> (&'static str, Change) {
        (check, Box::new(change))
    }
    let with = |name: &'static str, value: Value| {
        move |ground: &Ground, _: &mut DomainDevice| {
            let mut file = ground.file();
            file["ietf-mud:mud"][name] = value.clone();
            ground.publish(&file);
        }
    };
    let entries = |count: usize| {
        move |ground: &Ground, _: &mut DomainDevice| {
            let mut file = ground.file();
            let entry = json!({ "name": "a", "matches": {}, "actions": { "forwarding": "accept" } });
            file["ietf-access-control-list:acls"]["acl"][0]["aces"]["ace"] = vec![entry; count].into();
            ground.publish(&file);
        }
    };
    let page = |path: &'static str, page: Page| {
        move |ground: &Ground, _: &mut DomainDevice| ground.web.put(path, page.clone())
    };
    vec![
        change("mud-signature", |ground, _| {
            let text = ground.file().to_string().replace("A lamp", "A lump");
            ground.web.put("/lamp.json", Page::Body(text.into_bytes()));
        }),
        change("mud-signer-path", |ground, _| {
            let other = signer(&Issuer::root("Lamps MUD CA"), "Lamps MUD signer", valid());
            ground.publish_as(ground.file().to_string().as_bytes(), &other, NOW);
        }),
        change("mud-signer-path", |ground, _| {
            let over = Validity { not_before: NOW - 99 * HOUR, not_after: NOW - HOUR };
            let late = signer(&ground.signing, "Lamps MUD signer", over);
            ground.publish_as(ground.file().to_string().as_bytes(), &late, NOW);
        }),
        change("mud-signature-time", |ground, _| {
            ground.publish_as(ground.file().to_string().as_bytes(), &ground.signer, NOW + HOUR);
        }),
        change("mud-signer", |ground, _| {
            let other = signer(&ground.signing, "Lamps night watchman", valid());
            ground.publish_as(ground.file().to_string().as_bytes(), &other, NOW);
        }),
        change("mud-signer", |_, device| device.mud.as_mut().unwrap().signer = Some("CN=Somebody".into())),
        change("mud-url-other", with("mud-url", json!("https://localhost/lamp.json"))),
        change("mud-url", with("mud-url", json!("http://localhost/lamp.json"))),
        change("mud-version", with("mud-version", json!(2))),
        change("mud-entries", entries(2049)),
        change("mud-fetch-size", entries(100_000)),
        change("mud-json", page("/lamp.json", Page::Body(b"{".to_vec()))),
        change("mud-container", page("/lamp.json", Page::Body(b"{}".to_vec()))),
        change("mud-signature-form", page("/lamp.p7s", Page::Body(b"signed".to_vec()))),
        change("mud-fetch", page("/lamp.p7s", Page::Status(404))),
        change("mud-fetch-size", page("/lamp.p7s", Page::Huge)),
        change("mud-fetch", page("/lamp.json", Page::Status(404))),
        change("mud-fetch", page("/lamp.json", Page::Status(304))),
        change("mud-fetch-size", page("/lamp.json", Page::Huge)),
        change("mud-fetch-size", page("/lamp.json", Page::Endless)),
        change("mud-fetch-redirect", page("/lamp.json", Page::To("/lamp.json".into()))),
        change("mud-fetch-redirect", page("/lamp.json", Page::To("http://localhost/lamp.json".into()))),
        change("mud-fetch-redirect", page("/lamp.json", Page::To("".into()))),
        change("mud-fetch-redirect", page("/lamp.json", Page::To("file:///etc/passwd".into()))),
        change("mud-fetch-private", page("/lamp.json", Page::To("https://10.0.0.1/lamp.json".into()))),
        change("mud-fetch-private", page("/lamp.json", Page::To("https://[fd00::1]/lamp.json".into()))),
        change("mud-maker", |_, device| device.identity.vendor = Some("others".parse().unwrap())),
        change("mud-url", |_, device| device.mud.as_mut().unwrap().url = "http://localhost/lamp.json".into()),
        change("mud-url", |_, device| device.mud.as_mut().unwrap().url = "https://a@localhost/".into()),
        change("mud-fetch", |_, device| device.mud.as_mut().unwrap().url = "https://nobody.invalid/lamp.json".into()),
    ]
}

#[tokio::test]
async fn with_one_thing_otherwise_the_owners_preset_stays_in_force() {
    for (number, (check, change)) in changes().into_iter().enumerate() {
        let ground = Ground::new().await;
        let mut device = ground.device();
        change(&ground, &mut device);
        let manager = ground.manager();
        manager.word(&device);
        manager.refresh().await;
        let word = manager.word(&device);
        let trouble = word.trouble.clone().unwrap_or_else(|| panic!("{number}: {check}: {word:?}"));
        assert_eq!(trouble.check, check, "{number}: {}", trouble.why);
        assert!(is_preset(&word) && !word.is_proven(), "{number}: {check}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let ground = Ground::new().await;
    ground.web.put("/lamp.p7s", Page::Silent);
    let settings = ground.settings("").clone();
    let mut mud = settings.enforcer.clone().unwrap().mud.unwrap();
    mud.deadline = "1s".parse().unwrap();
    let manager = Arc::new(Manager::from_settings(&mud, &settings, ground.world.clone()).unwrap());
    manager.word(&ground.device());
    manager.refresh().await;
    assert_eq!(manager.word(&ground.device()).trouble.unwrap().check, "mud-fetch-time");
}

#[tokio::test]
async fn the_owners_own_machines_are_not_asked_unless_the_owner_says_so() {
    let ground = Ground::new().await;
    let settings = ground.settings("");
    let mut mud = settings.enforcer.clone().unwrap().mud.unwrap();
    mud.private.clear();
    let manager = Arc::new(Manager::from_settings(&mud, &settings, ground.world.clone()).unwrap());
    manager.word(&ground.device());
    manager.refresh().await;
    let word = manager.word(&ground.device());
    assert!(is_preset(&word));
    assert_eq!((word.trouble.unwrap().check.as_str(), ground.web.asked()), ("mud-fetch-private", 0));
}

#[tokio::test]
async fn a_web_server_that_nobody_vouches_for_is_not_listened_to() {
    let ground = Ground::new().await;
    fs::copy(ground.folder.path().join("mud.pem"), ground.folder.path().join("web.pem")).unwrap();
    let manager = ground.manager();
    manager.word(&ground.device());
    manager.refresh().await;
    let word = manager.word(&ground.device());
    assert_eq!((word.trouble.unwrap().check.as_str(), ground.web.asked()), ("mud-fetch-tls", 0));
}

#[tokio::test]
async fn files_may_move_by_https() {
    let ground = Ground::new().await;
    let page = ground.web.pages.lock().unwrap().remove("/lamp.json").unwrap();
    ground.web.put("/b/c.json", page);
    ground.web.put("/lamp.json", Page::To("/a".into()));
    ground.web.put("/a", Page::To(ground.web.url("/b/c.json")));
    let signature = ground.web.pages.lock().unwrap().remove("/lamp.p7s").unwrap();
    // It says not where its signature is, so it is beside where it was found.
    ground.web.put("/b/c.p7s", signature);
    let manager = ground.manager();
    manager.word(&ground.device());
    manager.refresh().await;
    assert!(manager.word(&ground.device()).is_proven(), "{:?}", manager.word(&ground.device()).trouble);
    assert_eq!(ground.record().good.unwrap().from, ground.web.url("/b/c.json"));
}

/// What is only claimed never counts more than what is proven.
#[tokio::test]
async fn claims_count_if_the_owner_wants_it_and_never_against_a_certificate() {
    let ground = Ground::new().await;
    let claim = |path: &str| MudSource { url: ground.web.url(path), signer: None, learnt: Learnt::Dhcp, at: NOW };
    let mut claimed = nameless();
    assert!(claimed.learn_mud(claim("/lamp.json")) && !claimed.learn_mud(claim("/lamp.json")));
    let word = ground.manager().word(&claimed);
    assert!(word.policy.is_none() && word.source.is_none(), "nobody asked for it");
    let believing = ground.manager_with(&ground.settings("claims = true"));
    believing.word(&claimed);
    believing.refresh().await;
    let word = believing.word(&claimed);
    assert!(word.meaning.is_some() && !word.is_proven());

    // Elsewhere, and as good as the one of its certificate: it does not count.
    let mut device = ground.device();
    let mut other = ground.file();
    other["ietf-mud:mud"]["mud-url"] = json!(ground.web.url("/b/lamp.json"));
    let signed = |file: &Value, signer: &Certified| {
        Page::Body(signature::sign(file.to_string().as_bytes(), &signer.chain(), &*signer.key, NOW).unwrap())
    };
    ground.web.put("/b/lamp.json", Page::Body(other.to_string().into_bytes()));
    ground.web.put("/b/lamp.p7s", signed(&other, &ground.signer));
    device.learn_mud(claim("/b/lamp.json"));
    let path = |word: &Word| word.meaning.as_ref().unwrap().file.url.path();
    assert_eq!(path(&believing.word(&device)), "/lamp.json");
    assert_eq!(believing.refresh().await, 0);

    // Beside it, by another signer: neither. By the same: firmware has moved on.
    other["ietf-mud:mud"]["mud-url"] = json!(ground.web.url("/lamp-2.json"));
    ground.web.put("/lamp-2.json", Page::Body(other.to_string().into_bytes()));
    ground.web.put("/lamp-2.p7s", signed(&other, &signer(&ground.signing, "Lamps night watchman", valid())));
    device.learn_mud(claim("/lamp-2.json"));
    believing.word(&device);
    believing.refresh().await;
    assert_eq!(path(&believing.word(&device)), "/lamp.json");
    ground.web.put("/lamp-2.p7s", signed(&other, &ground.signer));
    ground.later(100 * HOUR);
    believing.word(&device);
    believing.refresh().await;
    assert_eq!(path(&believing.word(&device)), "/lamp-2.json");
}

#[tokio::test]
async fn the_owner_says_what_holds_without_a_file() {
    let ground = Ground::new().await;
    assert!(ground.manager().word(&nameless()).policy.is_none());
    let unnamed = ground.manager_with(&ground.settings("unnamed = true")).word(&nameless());
    assert!(is_preset(&unnamed));
    fs::write(ground.folder.path().join("own.json"), LAMP).unwrap();
    let own = ground.manager_with(&ground.settings("preset = \"own.json\"")).word(&ground.device());
    let policy = own.policy.unwrap();
    assert_eq!(policy.url.as_str(), "https://preset.invalid/", "it makes nobody a device of that manufacturer");
    assert!(policy.from_device.iter().any(|rule| rule.name == "from4/cloud"));
}

#[tokio::test]
async fn settings_that_mean_nothing_are_refused() {
    let ground = Ground::new().await;
    let good = ground.settings("");
    let refused = |change: &dyn Fn(&mut landfall_server::settings::MudSettings), key: &str| {
        let mut mud = good.enforcer.clone().unwrap().mud.unwrap();
        change(&mut mud);
        let why = Manager::from_settings(&mud, &good, ground.world.clone()).unwrap_err().to_string();
        assert!(why.contains(key), "{key}: {why}");
    };
    refused(&|mud| mud.maker[0].name.clear(), "maker[0].name");
    refused(&|mud| mud.maker[0].name = "a b".into(), "maker[0].name");
    refused(&|mud| mud.maker.push(mud.maker[0].clone()), "maker[1].name");
    refused(&|mud| mud.maker[0].manufacturers.clear(), "maker[0].manufacturers");
    refused(&|mud| mud.maker[0].anchors.clear(), "maker[0].anchors");
    refused(&|mud| mud.maker[0].web_anchors.clear(), "maker[0].web-anchors");
    refused(&|mud| mud.maker[0].anchors[0] = "nothing.pem".into(), "maker[0].anchors");
    refused(&|mud| mud.deadline = "0s".parse().unwrap(), "deadline");
    refused(&|mud| mud.preset = Some("nothing.json".into()), "preset");
}
