//! S5.C4 (SP 1800-36B 7.2): where its manufacturer says what a device is for comes with its own onboarding; the file is fetched from there,
//! held against who signed it, and is what the device may do: real packets, on a bridge with the enforcer.

use super::{Shown, party::Manufacturer, place::Place};
use crate::{
    bench::mud::files,
    peers,
    wires::{DEVICE, PEER, Wires},
};
use anyhow::{Context, Result, ensure};
use landfall_element::MemoryElement;
use landfall_lifecycle::network::{DomainDevice, Learnt};
use landfall_net::{
    http::{ConnInfo, Server},
    tls::{ClientAuth, ServerTls, TlsIdentity},
};
use landfall_pki::{
    Algorithm, AltName, Authority, Certificate, CertificateSerial, Name, Prepared, Signer, SoftwareKey, Validity,
    profile::{self, Ca},
};
use landfall_server::{
    Settings, World,
    enforcer::{Config, Enforcer, Plug},
};
use landfall_store::Store;
use landfall_types::{
    Time,
    http::{Request, Response},
};
use std::{
    fs,
    net::UdpSocket,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch};

/// The host that the devices are made to speak with, and its port.
const HOST: &str = "cloud.kestrel.example";
const PERMITTED: u16 = 5683;
/// A port that their file does not speak of.
const OTHER: u16 = 6666;
/// What has not come by then does not.
const SILENCE: Duration = Duration::from_millis(300);
/// Fetching, checking and loading a file takes much less.
const LIMIT: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why packets cannot be judged here, if they cannot.
pub(super) fn obstacle(place: &Place) -> Option<String> {
    if !place.has_link() {
        return Some("needs root and network namespaces".into());
    }
    peers::program("nft").is_none().then(|| "needs nft, which is not installed".into())
}

/// A manufacturer's web server, with the files of its devices, signed.
pub(super) struct Maker {
    port: u16,
    /// Who vouches for the server.
    root: PathBuf,
    /// Who vouches for who signs.
    anchors: PathBuf,
    _stop: watch::Sender<bool>,
}

impl Maker {
    /// Opens it. The files are signed by the factory of `maker`, whose signer is named in its devices' certificates (RFC 8520 s11); without
    /// one by somebody whom the server's root vouches for.
    pub(super) async fn open(place: &Place, build: &str, maker: Option<&Manufacturer>) -> Result<Self> {
        let now = Time::now();
        let validity = Validity { not_before: now - DAY, not_after: now + 365 * DAY };
        let key = || SoftwareKey::generate(Algorithm::EcdsaP256).map(Arc::new);
        let (top, shown, signing) = (key()?, key()?, key()?);
        let prepared = Ca::root(Name::common("Kestrel MUD Root CA")).prepare_root(
            top.public_key(),
            CertificateSerial::random()?,
            validity,
        );
        let authority = Authority { certificate: issue(prepared?, &*top)?, chain: Vec::new() };
        let server =
            profile::Server { subject: Name::common("localhost"), alt_names: vec![AltName::Dns("localhost".into())] };
        let server = server.prepare(&authority, shown.public_key(), CertificateSerial::random()?, validity)?;
        let subject = Name::common("Kestrel MUD signer");
        let signer = profile::ManifestSigner { subject };
        let signer = signer.prepare(&authority, signing.public_key(), CertificateSerial::random()?, validity)?;
        let signer = issue(signer, &*top)?;
        let root = place.new_folder(&format!("mud-{build}"))?.join("root.pem");
        fs::write(&root, authority.certificate.to_pem())?;

        let tls = TlsIdentity { chain: vec![issue(server, &*top)?], signer: shown };
        let tls = ServerTls::new(&tls, ClientAuth::None)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the manufacturer's files")?;
        let port = listener.local_addr()?.port();
        let (stop, stopped) = watch::channel(false);
        let factory = maker.map(|maker| maker.factory.clone());
        let anchors = maker.map_or_else(|| root.clone(), |maker| maker.root_file.with_file_name("mud-anchors.pem"));
        let handler = move |request: Request, _: Arc<ConnInfo>| {
            let answer = answer(port, &request, |file| match &factory {
                Some(factory) => Ok(factory.sign_mud(file)?),
                None => {
                    let signers = std::slice::from_ref(&signer);
                    Ok(landfall_mud::signature::sign(file, signers, &*signing, Time::now())?)
                }
            });
            async move { answer.unwrap_or_else(|why| Response::text(404, &format!("{why:#}"))) }
        };
        tokio::spawn(Server::new(listener).tls(tls).run(handler, stopped));
        Ok(Self { port, root, anchors, _stop: stop })
    }

    /// Where the file of a model is.
    pub(super) fn url(&self, model: &str) -> String {
        format!("https://localhost:{}/mud/{model}.json", self.port)
    }

    /// The lines of an enforcer's settings.
    fn settings(&self) -> String {
        let [a, b, c, d] = PEER;
        format!(
            "[enforcer]\n[[enforcer.segment]]\nname = \"things\"\nkind = \"production\"\nbridge = \"br-things\"\nvlan = \"30\"\n\
             [[enforcer.port]]\ninterface = \"lan0\"\n[enforcer.members]\n\"{HOST}\" = [\"{a}.{b}.{c}.{d}\"]\n\
             [enforcer.mud]\nprivate = [\"127.0.0.0/8\", \"::1/128\"]\n[[enforcer.mud.maker]]\nname = \"kestrel\"\n\
             hosts = [\"localhost:{}\"]\nanchors = [{:?}]\nweb-anchors = [{:?}]\n",
            self.port, self.anchors, self.root
        )
    }
}

/// A file, or its signature; of a model whose name begins with `BAD` that of other bytes.
fn answer(port: u16, request: &Request, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<Response> {
    let path = request.path.as_str();
    let (stem, end) = path.rsplit_once('.').context("there is no such file")?;
    let matches = serde_json::json!({ "ipv4": { "protocol": 17, "ietf-acldns:dst-dnsname": HOST },
        "udp": { "destination-port": { "operator": "eq", "port": PERMITTED } } });
    let file = files::file(&format!("https://localhost:{port}{stem}.json"), vec![matches]);
    if end == "json" {
        return Ok(Response::with(200, "application/mud+json", file));
    }
    let signed = if stem.contains("/BAD") { b"something else".to_vec() } else { file };
    Ok(Response::with(200, "application/pkcs7-signature", sign(&signed)?))
}

fn issue(prepared: Prepared, issuer: &dyn Signer) -> Result<Certificate> {
    let token = prepared.lint().map_err(|findings| anyhow::anyhow!("a certificate: {findings:?}"))?;
    Ok(token.issue(issuer)?)
}

/// The devices of these serial numbers behind the enforced port, one after the other: the first has a file that is good, and the
/// second one whose signature is not.
pub(super) async fn enforced(
    build: &str,
    maker: &Maker,
    store: &Store,
    [good, bad]: [&str; 2],
    learnt: Learnt,
) -> Result<Shown> {
    let wires = Wires::lay(&format!("lab{build}")).await?;
    let settings = Settings::parse(&maker.settings()).map_err(|(key, why)| anyhow::anyhow!("{key}: {why}"))?;
    let config = settings.enforcer.as_ref().context("there is no enforcer")?;
    let config = Config { kernel: wires.kernel.clone(), ..Config::from_settings(config, &settings)? };
    let world = World::new(store.clone(), Arc::new(MemoryElement::new()));
    let (_trigger, shutdown) = landfall_server::shutdown();
    let (task, enforcer) = config.build(world, shutdown).await?;
    let running = tokio::spawn(task.run());

    let source = admit(&enforcer, store, good).await?;
    ensure!(source.learnt == learnt, "{good}'s file was learnt from {}", source.learnt);
    let reached = tokio::task::block_in_place(|| arrives(&wires, PERMITTED, true))?;
    ensure!(reached, "{good} does not reach {HOST} at port {PERMITTED}, which its file permits");
    let stray = tokio::task::block_in_place(|| arrives(&wires, OTHER, false))?;
    ensure!(!stray, "{good} reaches {HOST} at port {OTHER}, of which its file does not speak");
    let told = violation(&enforcer, good).await?;

    // A bad signature leaves the owner's preset in force, which here is nothing.
    admit(&enforcer, store, bad).await?;
    let reached = tokio::task::block_in_place(|| arrives(&wires, PERMITTED, false))?;
    ensure!(!reached, "{bad} reaches {HOST} with a file that nobody signed");
    running.abort();
    Ok(Shown {
        shown: format!(
            "{good} told of {} in its onboarding ({learnt}), signed by {}; it reaches {HOST} at UDP port {PERMITTED}",
            source.url,
            source.signer.as_deref().unwrap_or("whom the owner trusts for that")
        ),
        refused: format!("{told}; with a signature over other bytes {bad} reaches nobody"),
    })
}

/// Lets a device in at the one port, and says where its file is.
async fn admit(enforcer: &Enforcer, store: &Store, serial: &str) -> Result<landfall_lifecycle::network::MudSource> {
    let devices = store.scan::<DomainDevice>(None, 100_000)?;
    let found = devices.into_iter().map(|found| found.record).find(|one| one.identity.serial_number.as_str() == serial);
    let device = found.with_context(|| format!("{serial} is not on record"))?;
    let plug = Plug { names: vec!["lan0".into()], mac: Some(DEVICE.parse()?), session: None };
    let source = device.mud_source().with_context(|| format!("{serial} told of no file in its onboarding"))?;
    let id = device.identity.device;
    let admitted = enforcer.admit(&id, &plug, Some("30"), Time::now() + DAY).await;
    admitted.map_err(|why| anyhow::anyhow!("{why}"))?.context("the device is at no port")?;
    Ok(source)
}

/// Whether a datagram of the device arrives at that port of its peer.
fn arrives(wires: &Wires, port: u16, expected: bool) -> Result<bool> {
    let (sender, receiver): (UdpSocket, UdpSocket) = wires.sockets(port)?;
    receiver.set_read_timeout(Some(SILENCE))?;
    let begun = Instant::now();
    loop {
        // Its own port may be down for a moment while it is moved.
        let _ = sender.send(b"words");
        if receiver.recv(&mut [0; 64]).is_ok() {
            return Ok(true);
        }
        if !expected || begun.elapsed() > LIMIT {
            return Ok(false);
        }
    }
}

async fn violation(enforcer: &Enforcer, serial: &str) -> Result<String> {
    let begun = Instant::now();
    loop {
        let told = enforcer.violations().await.violations;
        let of_port =
            told.into_iter().find(|one| one.device.as_deref() == Some(serial) && one.peer_port == Some(OTHER));
        if let Some(told) = of_port {
            return Ok(format!("{}, UDP port {OTHER} of {}: dropped, since {}", told.direction, told.peer, told.why));
        }
        ensure!(begun.elapsed() < LIMIT, "what {serial} did is not told");
        tokio::task::yield_now().await;
    }
}
