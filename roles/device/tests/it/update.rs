//! New firmware: what is taken, and what is not; each refusal is a good release with one thing changed.

use super::world::World;
use landfall_device::{Agent, Config, DeviceError, Update, Updated, update};
use landfall_net::{
    http::Server,
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{Algorithm, Signer, SoftwareKey};
use landfall_testkit::Domain;
use landfall_tuf::{
    Archive,
    firmware::Release,
    publish::{self, Target},
};
use landfall_types::{Refusal, Time, http::Response};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

const LIMIT: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const OLD: &[u8] = b"what the device was made with";
const NEW: &[u8] = b"what its manufacturer has mended";

type Files = BTreeMap<String, Vec<u8>>;

/// A manufacturer two of whose keys must sign, and a device of its.
struct Scene {
    world: World,
    keys: Vec<SoftwareKey>,
    expires: Time,
    release: Release,
}

impl Scene {
    async fn new() -> Self {
        let keys = vec![
            SoftwareKey::generate(Algorithm::Ed25519).unwrap(),
            SoftwareKey::generate(Algorithm::EcdsaP256).unwrap(),
        ];
        let (world, expires) = (World::new().await, Time::now() + DAY);
        let release =
            Release { vendor: "Acme".into(), model: "Test Model".into(), version: "2.0".into(), sequence: 20 };
        let scene = Self { world, keys, expires, release };
        let root = publish::root_of(&scene.signers(), 2, 1, Time::now() + DAY * 365, &[]).unwrap();
        fs::write(scene.world.path("root.json"), root).unwrap();
        fs::write(scene.world.path("image"), OLD).unwrap();
        scene
    }

    fn signers(&self) -> Vec<&dyn Signer> {
        self.keys.iter().map(|key| key as &dyn Signer).collect()
    }

    fn bundle(&self, number: u64) -> Files {
        let target = Target { content: NEW.to_vec(), custom: Some(self.release.custom()) };
        let files = BTreeMap::from([("image.bin".to_owned(), target)]);
        publish::bundle_of(&self.signers(), number, self.expires, &files).unwrap()
    }

    fn config(&self) -> Config {
        let update = Update {
            root: Some(self.world.path("root.json")),
            vendor: Some("Acme".into()),
            image: Some(self.world.path("image")),
            from: Some(self.world.path("firmware.tar").display().to_string()),
            ..Update::default()
        };
        Config { update, ..self.world.config() }
    }

    fn lay(&self, bundle: &Files) {
        fs::write(self.world.path("firmware.tar"), Archive::write(bundle).unwrap()).unwrap();
    }

    async fn takes(&self, bundle: &Files) -> Result<Updated, Refusal> {
        self.lay(bundle);
        update(&self.config(), None, LIMIT).await.unwrap()
    }

    /// It is not taken, for that reason, and what was there is still there.
    async fn refuses(&self, bundle: &Files, check: &str, section: &str) {
        let before = self.image();
        let refusal = self.takes(bundle).await.unwrap_err();
        assert_eq!((&*refusal.check, &*refusal.section), (check, section), "{refusal}");
        assert_eq!(self.image(), before, "{check}");
    }

    fn image(&self) -> Vec<u8> {
        fs::read(self.world.path("image")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_taken_once() {
    let scene = Scene::new().await;
    let taken = scene.takes(&scene.bundle(1)).await.unwrap();
    assert_eq!((taken.new, taken.release.version.as_str(), scene.image()), (true, "2.0", NEW.to_vec()));
    assert_eq!(taken.fresh_until.map(|until| until.to_string()), Some(scene.expires.to_string()));
    assert!(!scene.takes(&scene.bundle(2)).await.unwrap().new, "it is the same release");
    // What somebody else has written there is mended.
    fs::write(scene.world.path("image"), OLD).unwrap();
    assert!(scene.takes(&scene.bundle(2)).await.unwrap().new);
    assert_eq!(scene.image(), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_or_not_the_manufacturers_is_refused() {
    let scene = Scene::new().await;
    let good = scene.bundle(1);
    let image = good.keys().find(|name| name.ends_with("image.bin")).unwrap().clone();

    let mut changed = good.clone();
    changed.get_mut(&image).unwrap()[0] ^= 1;
    scene.refuses(&changed, "bundle-digest", "TUF s5").await;
    let mut longer = good.clone();
    longer.get_mut(&image).unwrap().push(0);
    scene.refuses(&longer, "bundle-file", "TUF s5").await;
    let mut without = good.clone();
    without.remove(&image);
    scene.refuses(&without, "bundle-file", "TUF s5").await;

    let stranger = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
    let target = || {
        BTreeMap::from([(
            "image.bin".to_owned(),
            Target { content: NEW.to_vec(), custom: Some(scene.release.custom()) },
        )])
    };
    let signed = |signers: &[&dyn Signer]| publish::bundle_of(signers, 1, scene.expires, &target()).unwrap();
    scene.refuses(&signed(&[&stranger]), "bundle-threshold", "TUF s5").await;
    scene.refuses(&signed(&scene.signers()[..1]), "bundle-threshold", "TUF s5").await;
    scene.refuses(&signed(&[&scene.keys[0], &stranger]), "bundle-threshold", "TUF s5").await;

    // Parts of two bundles, each of which is good.
    let other = publish::bundle_of(&scene.signers(), 1, scene.expires + DAY, &target()).unwrap();
    let mut mixed = good.clone();
    mixed.insert("1.targets.json".into(), other["1.targets.json"].clone());
    scene.refuses(&mixed, "bundle-digest", "TUF s5").await;

    let archive = Archive::write(&good).unwrap();
    fs::write(scene.world.path("firmware.tar"), &archive[..archive.len() / 2]).unwrap();
    let refusal = update(&scene.config(), None, LIMIT).await.unwrap().unwrap_err();
    assert_eq!(refusal.check, "bundle-archive");
    scene.takes(&good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_refused() {
    let mut scene = Scene::new().await;
    let good = scene.bundle(2);
    scene.expires = Time::now();
    scene.refuses(&scene.bundle(2), "bundle-expired", "TUF s5").await;
    scene.expires = Time::now() + DAY;
    scene.takes(&good).await.unwrap();
    scene.refuses(&scene.bundle(1), "bundle-rollback", "TUF s5").await;
    // Freshly signed, but a release from before.
    (scene.release.sequence, scene.release.version) = (19, "1.9".into());
    scene.refuses(&scene.bundle(3), "firmware-rollback", "RFC 9124 s3.2").await;
    // What was seen of bundles is kept even when nothing was taken.
    scene.release.sequence = 21;
    scene.refuses(&scene.bundle(2), "bundle-rollback", "TUF s5").await;
    scene.takes(&scene.bundle(4)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_others_is_refused() {
    let mut scene = Scene::new().await;
    scene.release.model = "Other Model".into();
    scene.refuses(&scene.bundle(1), "firmware-model", "RFC 9124 s3.4").await;
    (scene.release.model, scene.release.vendor) = ("Test Model".into(), "Ajax".into());
    scene.refuses(&scene.bundle(1), "firmware-model", "RFC 9124 s3.4").await;
    let plain = BTreeMap::from([("image.bin".to_owned(), Target::from(NEW.to_vec()))]);
    let plain = publish::bundle_of(&scene.signers(), 1, scene.expires, &plain).unwrap();
    scene.refuses(&plain, "firmware-model", "RFC 9124 s3.4").await;
    let odd = Target { content: NEW.to_vec(), custom: Some(serde_json::json!({ "firmware": { "vendor": "Acme" } })) };
    let odd = publish::bundle_of(&scene.signers(), 1, scene.expires, &BTreeMap::from([("i".to_owned(), odd)])).unwrap();
    scene.refuses(&odd, "firmware-release", "RFC 9124 s3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_clock_nothing_expires_and_nothing_goes_back() {
    let mut scene = Scene::new().await;
    scene.expires = Time::now();
    scene.lay(&scene.bundle(2));
    let config = Config { clock: false, ..scene.config() };
    let taken = update(&config, None, LIMIT).await.unwrap().unwrap();
    assert!(taken.new && taken.fresh_until.is_none(), "{taken:?}");
    scene.lay(&scene.bundle(1));
    let refusal = update(&config, None, LIMIT).await.unwrap().unwrap_err();
    assert_eq!(refusal.check, "bundle-rollback");
    // Its network credential tells the least that time can be.
    Agent::open(config.clone()).unwrap().onboard(Some(1), Some(LIMIT), &mut |_| ()).await.unwrap();
    scene.expires = Time::now() - DAY * 365;
    scene.lay(&scene.bundle(3));
    let refusal = update(&config, None, LIMIT).await.unwrap().unwrap_err();
    assert_eq!(refusal.check, "bundle-expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_is_run_until_it_has_ended_well() {
    let scene = Scene::new().await;
    scene.lay(&scene.bundle(1));
    let (image, slot) = (scene.world.path("image"), scene.world.path("slots/b"));
    let mut config = scene.config();
    config.update.hook = ["cp", &image.display().to_string(), &slot.display().to_string()].map(str::to_owned).into();
    let failed = update(&config, None, LIMIT).await.unwrap_err();
    assert!(failed.to_string().contains("the hook of [update] ended with"), "{failed}");
    fs::create_dir(scene.world.path("slots")).unwrap();
    assert!(!update(&config, None, LIMIT).await.unwrap().unwrap().new, "the image was there");
    assert_eq!(fs::read(&slot).unwrap(), NEW);
    fs::remove_file(&slot).unwrap();
    update(&config, None, LIMIT).await.unwrap().unwrap();
    assert!(!slot.exists(), "it was run again without need");
}

/// The new image is written into a pipe that takes no more than a part of it: then the agent is killed.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_writes_the_old_image_stays() {
    let scene = Scene::new().await;
    let large = vec![0x5a; 4 * 1024 * 1024];
    let target = Target { content: large.clone(), custom: Some(scene.release.custom()) };
    let files = BTreeMap::from([("image.bin".to_owned(), target)]);
    scene.lay(&publish::bundle_of(&scene.signers(), 1, scene.expires, &files).unwrap());
    let path = |name: &str| scene.world.path(name).display().to_string();
    let text = format!(
        "[update]\nroot = {:?}\nvendor = \"Acme\"\nimage = {:?}\nfrom = {:?}\n",
        path("root.json"),
        path("image"),
        path("firmware.tar")
    );
    fs::write(scene.world.path("device.toml"), text).unwrap();
    let config = path("device.toml");
    let pipe = scene.world.path("image.new");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut agent = scene.world.command(&["update", "--config", &config]).stderr(Stdio::null()).spawn().unwrap();
    let mut half = [0; 1000];
    let mut open = fs::File::open(&pipe).unwrap();
    open.read_exact(&mut half).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    drop(open);
    assert_eq!((scene.image().as_slice(), half), (OLD, [0x5a; 1000]), "it was in the middle of the new image");
    fs::remove_file(&pipe).unwrap();
    // Half an image, as a kill leaves it where there is no pipe, is in nobody's way.
    fs::write(&pipe, half).unwrap();
    let output = scene.world.run(&["update", "--json", "--config", &config]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(scene.image() == large && !pipe.exists());
    scene.lay(&scene.bundle(1));
    fs::write(scene.world.path("root.json"), "{}").unwrap();
    fs::remove_dir_all(scene.world.path("state/update")).unwrap();
    let output = scene.world.run(&["update", "--config", &config]).await;
    assert_eq!(output.status.code(), Some(2), "a root that is none");
}

/// A server where devices are mended, which serves a bundle to whoever is in the domain.
async fn serve(domain: &Domain, files: Arc<Mutex<Files>>) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identity = TlsIdentity { chain: domain.registrar.chain(), signer: domain.registrar.signer() };
    let tls = ServerTls::new(&identity, ClientAuth::Required).unwrap();
    let (stop, stopped) = watch::channel(false);
    let answer = move |request: landfall_types::http::Request, _| {
        let path = request.path.strip_prefix("/firmware/").unwrap_or_default().to_owned();
        let found = files.lock().unwrap().get(&path).cloned();
        let found = found.map(|content| Response::with(200, "application/octet-stream", content));
        async move { found.unwrap_or_else(|| Response::new(404)) }
    };
    tokio::spawn(Server::new(listener).tls(tls).run(answer, stopped));
    (format!("https://{address}/firmware"), stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn by_https_with_the_network_credential() {
    let scene = Scene::new().await;
    let files = Arc::new(Mutex::new(scene.bundle(1)));
    let (place, _stop) = serve(&scene.world.domain, files.clone()).await;
    let config = scene.config();
    let from = async |place: &str| update(&config, Some(place), LIMIT).await;
    let none = from(&place).await.unwrap_err();
    assert!(none.to_string().contains("[update] anchors is not set"), "{none}");
    Agent::open(config.clone()).unwrap().onboard(Some(1), Some(LIMIT), &mut |_| ()).await.unwrap();

    files.lock().unwrap().remove("1.targets.json");
    assert_eq!(from(&place).await.unwrap().unwrap_err().check, "bundle-file");
    let good = scene.bundle(1);
    let mut long = good.clone();
    long.get_mut(good.keys().find(|name| name.ends_with("image.bin")).unwrap()).unwrap().push(0);
    *files.lock().unwrap() = long;
    let refusal = from(&place).await.unwrap().unwrap_err();
    assert_eq!((&*refusal.check, scene.image()), ("firmware-source", OLD.to_vec()), "{refusal}");

    let (elsewhere, _other) = serve(&Domain::new(), files.clone()).await;
    assert_eq!(from(&elsewhere).await.unwrap().unwrap_err().check, "firmware-source", "a server of another domain");
    *files.lock().unwrap() = good;
    assert!(from(&place).await.unwrap().unwrap().new);
    assert_eq!(scene.image(), NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_set_is_said() {
    let scene = Scene::new().await;
    let good = scene.config();
    let without = |change: &dyn Fn(&mut Update)| {
        let mut config = good.clone();
        change(&mut config.update);
        config
    };
    for (name, config) in [
        ("root", without(&|update| update.root = None)),
        ("vendor", without(&|update| update.vendor = None)),
        ("image", without(&|update| update.image = None)),
        ("from", without(&|update| update.from = None)),
        ("no https place", without(&|update| update.from = Some("http://updates.example/".into()))),
    ] {
        match update(&config, None, LIMIT).await {
            Err(DeviceError::Config(why)) => assert!(why.contains(name), "{why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
