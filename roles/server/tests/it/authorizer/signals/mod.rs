//! What other services are told, and what is heard from them. Who is told and who tells here is a stand-in on this machine that
//! speaks the protocols' messages over real TLS; no product of somebody else's.

mod assets;
mod heard;
mod polled;
mod pushed;
mod settings;
mod status_lists;
mod webhooks;

use super::{Office, config, listed};
use landfall_assurance::Kind;
use landfall_claims::Receiver;
use landfall_element::SecureElement;
use landfall_net::{
    http::{ClientLimits, Connection, Endpoint, Server},
    tls::{ClientAuth, ClientTls, ServerTls, TlsIdentity},
};
use landfall_pki::{
    Algorithm, AltName, Anchors, CertificateSerial, Name, PublicKey, Signer, SoftwareKey, Validity, profile,
};
use landfall_server::{
    Identity, RoleError, Settings, Trigger, shutdown,
    signals::{Config, DeliveryReport, Told},
};
use landfall_testkit::{Issuer, NOW, temp_dir};
use landfall_types::{
    DeviceId,
    http::{Request, Response},
};
use std::{
    collections::VecDeque,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);
const US: &str = "https://net.example";
const THEM: &str = "https://mdm.example";

/// Keys, certificates and secrets of both sides.
struct Ground {
    folder: TempDir,
    issuer: Issuer,
    /// With which the other side signs its events.
    their_key: Arc<SoftwareKey>,
}

impl Ground {
    fn new() -> Self {
        let (folder, issuer) = (temp_dir(), Issuer::root("Web"));
        let ground = Self { folder, issuer, their_key: fresh() };
        ground.write("web.pem", &ground.issuer.root_certificate().to_pem());
        ground.write("them.pem", &ground.certified(ground.their_key.clone()).certificate.to_pem());
        ground.write("hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        ground.write("token", "a-token-of-theirs\n");
        ground
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn certified(&self, key: Arc<SoftwareKey>) -> landfall_testkit::Identity {
        let day = Duration::from_secs(86_400);
        let valid = Validity { not_before: NOW - day * 700, not_after: NOW + day * 9000 };
        self.issuer.certify(key, |issuer, key| {
            let (subject, alt_names) = (Name::common("localhost"), vec![AltName::Dns("localhost".into())]);
            profile::Server { subject, alt_names }.prepare(issuer, key, CertificateSerial::random().unwrap(), valid)
        })
    }

    /// Our own certificate, with its key in that element.
    fn ourselves(&self, element: &dyn SecureElement) -> PublicKey {
        let key = fresh();
        let uri = element.import("us", &key.to_pkcs8_der()).unwrap();
        let certified = self.certified(key.clone());
        Identity::write(&self.folder.path().join("us.pem"), &certified.chain(), &uri).unwrap();
        key.public_key().clone()
    }

    fn config(&self, text: &str, element: &dyn SecureElement) -> Result<Config, RoleError> {
        let text = format!(
            "[authorizer]\n[authorizer.signals]\nretry = \"1s\"\n{}",
            text.replace("FOLDER", &self.folder.path().to_string_lossy())
        );
        let settings = Settings::parse(&text).unwrap();
        Config::from_settings(&settings.authorizer.as_ref().unwrap().signals, &settings, Some(element))
    }

    async fn start(&self, office: &Office, text: &str) -> Running {
        let config = self.config(text, office.world.element.as_ref()).unwrap();
        let signals = config.build(office.world.clone()).await.unwrap();
        let (told, address) = (signals.told(), signals.address());
        let (trigger, shutdown) = shutdown();
        Running { told, address, trigger, task: tokio::spawn(signals.work(shutdown)) }
    }

    /// Their client: what it sends to us, and what it is answered.
    async fn send(&self, to: SocketAddr, request: Request) -> Response {
        let tls = ClientTls::named(Anchors::of([self.issuer.root_certificate().clone()]), None).unwrap();
        let endpoint: Endpoint = format!("localhost:{}", to.port()).parse().unwrap();
        let mut connection = Connection::open(&endpoint, Some(&tls), ClientLimits::default()).await.unwrap();
        connection.send(request).await.unwrap()
    }
}

/// Signals at work.
struct Running {
    told: Told,
    address: Option<SocketAddr>,
    trigger: Trigger,
    task: JoinHandle<()>,
}

impl Running {
    fn report(&self) -> DeliveryReport {
        self.told.receivers().unwrap().remove(0)
    }

    async fn stop(self) {
        self.trigger.pull();
        self.task.await.unwrap();
    }
}

/// A stand-in for a service that is told or asked: it keeps what came, and answers as it was told to.
struct StandIn {
    port: u16,
    heard: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Response>>>,
    bell: watch::Receiver<usize>,
    _stop: watch::Sender<bool>,
}

impl StandIn {
    async fn new(ground: &Ground, usual: Response) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let identity = ground.certified(fresh());
        let identity = TlsIdentity { chain: identity.chain(), signer: identity.signer() };
        let tls = ServerTls::new(&identity, ClientAuth::None).unwrap();
        let heard = Arc::<Mutex<Vec<Request>>>::default();
        let answers = Arc::<Mutex<VecDeque<Response>>>::default();
        let (ring, bell) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let (kept, script) = (heard.clone(), answers.clone());
        let handler = move |request: Request, _from| {
            let count = {
                let mut kept = kept.lock().unwrap();
                kept.push(request);
                kept.len()
            };
            let answer = script.lock().unwrap().pop_front().unwrap_or_else(|| usual.clone());
            ring.send_replace(count);
            async move { answer }
        };
        tokio::spawn(Server::new(listener).tls(tls).run(handler, stopped));
        Self { port, heard, answers, bell, _stop: stop }
    }

    fn script(&self, answers: impl IntoIterator<Item = Response>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// What came, as soon as that is so many.
    async fn until(&self, count: usize) -> Vec<Request> {
        let mut bell = self.bell.clone();
        timeout(PATIENCE, bell.wait_for(|heard| *heard >= count)).await.expect("nothing more comes").unwrap();
        self.heard.lock().unwrap().clone()
    }
}

fn fresh() -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::generate(Algorithm::EcdsaP256).unwrap())
}

/// A device is put into quarantine, or let out of it.
async fn quarantine(office: &Office, device: &DeviceId) {
    office.say(device, Kind::DenyListContact, listed(), "feed").await;
}

/// Waits until `is_so`, which something else brings about.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it never is so");
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

fn path_of(folder: &Path) -> std::path::PathBuf {
    folder.join("store.db")
}

/// What the other side makes of our events.
fn their_receiver(key: &PublicKey) -> Receiver {
    let mut receiver = Receiver::new(THEM.into());
    receiver.believe(US.into(), key.clone());
    receiver
}
