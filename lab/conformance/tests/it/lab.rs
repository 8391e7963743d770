//! A MASA, a registrar, a join proxy and devices on this machine's loopback interface, over real TLS.

use super::shell::Folder;
use landfall_brski::{
    TlsPeer,
    est::csrattrs::CsrAttrs,
    paths,
    registrar::{MasaEndpoint, Vendor, VoucherRecord},
};
use landfall_device::{Agent, Config, Discovery, Form, Onboarded, Outcome};
use landfall_element::MemoryElement;
use landfall_lifecycle::transfer::{Mode, TransferPolicy};
use landfall_net::{
    http::{Limits, Server},
    proxy::ProxyLimits,
    tls::{ClientAuth, ServerTls},
};
use landfall_pki::{Anchors, Certificate, pem};
use landfall_policy::{Policy, Verdict};
use landfall_server::{
    Identity as ServerIdentity, Shutdown, Task, Trigger, World, masa, observe::AUDIT_LOG, proxy, registrar, shutdown,
};
use landfall_store::Store;
use landfall_testkit::{Domain, Identity, Manufacturer};
use landfall_types::{
    BundleKey, DeviceBundle, Record, Redacted, VendorId, bundle,
    http::{Request, Response},
};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// The operator's name for the one manufacturer.
const VENDOR: &str = "acme";

/// What answers registrars in the place of the MASA.
pub(super) struct Fake(pub(super) Box<dyn Fn(&Request) -> Response + Send + Sync>);

/// How a lab is set up, before it starts.
pub(super) struct Setup {
    pub(super) manufacturer: Manufacturer,
    pub(super) domain: Domain,
    /// How the registrar is set up; its vendors are filled in at the start.
    pub(super) registrar: registrar::Config,
    /// How the MASA is set up.
    pub(super) masa: masa::Config,
    /// What the MASA shows in TLS to the registrar.
    pub(super) masa_tls: Identity,
    /// Whether the MASA lets nobody in without a certificate.
    pub(super) masa_demands: bool,
    /// What the registrar shows the MASA in TLS.
    pub(super) masa_client: registrar::MasaClient,
    /// What answers the registrar, if it is not the MASA.
    pub(super) fake: Option<Fake>,
    /// What else the manufacturer's devices lead to.
    pub(super) more_device_anchors: Vec<Certificate>,
}

/// One request of the registrar to the MASA, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Crossed {
    pub(super) request: Request,
    /// Who asked, as TLS has it.
    pub(super) client: Vec<Certificate>,
}

/// All parties, running.
pub(super) struct Lab {
    pub(super) manufacturer: Manufacturer,
    pub(super) domain: Domain,
    pub(super) folder: Folder,
    /// Where the registrar is.
    pub(super) registrar: SocketAddr,
    /// Where devices find it: its join proxy.
    proxy: SocketAddr,
    /// Where the MASA is.
    pub(super) masa: SocketAddr,
    pub(super) registrar_world: World,
    pub(super) masa_world: World,
    crossed: Arc<Mutex<Vec<Crossed>>>,
    _running: Trigger,
}

pub(super) fn identity(of: &Identity) -> ServerIdentity {
    ServerIdentity { chain: of.chain(), signer: of.signer() }
}

const fn loopback() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

impl Setup {
    pub(super) fn new() -> Self {
        let (manufacturer, domain) = (Manufacturer::new(), Domain::named("Test Domain", "localhost"));
        let issuing = &domain.issuing;
        let authority = [std::slice::from_ref(&issuing.authority.certificate), &issuing.authority.chain].concat();
        let signer = identity(&manufacturer.masa);
        let masa_tls = manufacturer.masa_server("localhost");
        Self {
            registrar: registrar::Config {
                listen: loopback(),
                announce: None,
                identity: identity(&domain.registrar),
                authority: ServerIdentity { chain: authority, signer: issuing.key.clone() },
                vendors: Vec::new(),
                policy: Policy::new(Vec::new(), Verdict::Permit),
                est: registrar::EstConfig {
                    lifetime: Duration::from_secs(90 * 86_400),
                    labels: vec!["sensors".into()],
                    csrattrs: CsrAttrs::default(),
                    server_keygen: true,
                    require_binding: false,
                },
                check_history: true,
                retry_after: Duration::from_secs(30),
                masa_timeout: Duration::from_secs(20),
                crl_every: Duration::from_secs(86_400),
                crl_url: None,
                crl_listen: None,
                limits: Limits::default(),
                verifier: None,
                own: None,
            },
            masa: masa::Config {
                listen: loopback(),
                tls: identity(&masa_tls),
                core: masa::core(&signer, manufacturer.device_anchors()).unwrap(),
                crls: Default::default(),
                signer,
                transfer: TransferPolicy { ownership: Mode::TrustOnFirstUse, ..TransferPolicy::default() },
                made_here_only: false,
                limits: Limits::default(),
            },
            manufacturer,
            domain,
            masa_tls,
            masa_demands: false,
            masa_client: Default::default(),
            fake: None,
            more_device_anchors: Vec::new(),
        }
    }

    /// Starts everyone.
    pub(super) async fn start(self) -> Lab {
        let Self { mut manufacturer, domain, mut registrar, mut masa, masa_tls, fake, more_device_anchors, .. } = self;
        more_device_anchors.iter().for_each(|anchor| masa.core.idevid_anchors.add(anchor.clone()));
        let (trigger, shutdown) = shutdown();
        let (registrar_world, masa_world) = (world(), world());
        let (task, role) = masa.build(masa_world.clone(), shutdown.clone()).await.unwrap();
        let masa = run(task);
        let crossed = Arc::default();
        let demand = if self.masa_demands { ClientAuth::Required } else { ClientAuth::Optional };
        let masa_tls = ServerTls::new(&identity(&masa_tls).into(), demand).unwrap();
        let tap = tap(masa_tls, role, fake, Arc::clone(&crossed), &shutdown).await;
        let url = format!("localhost:{}", tap.port());
        manufacturer.masa_url.clone_from(&url);
        if registrar.vendors.is_empty() {
            let mut vendor = vendor(&manufacturer, &url);
            vendor.masa_client = self.masa_client;
            more_device_anchors.into_iter().for_each(|anchor| vendor.vendor.idevid_anchors.add(anchor));
            registrar.vendors.push(vendor);
        }
        let (task, _) = registrar.build(registrar_world.clone(), shutdown.clone()).await.unwrap();
        let registrar = run(task);
        let proxy = proxy::Config {
            listen: loopback(),
            registrar: proxy::Registrar::At(registrar),
            announce: None,
            limits: ProxyLimits::default(),
        };
        Lab {
            proxy: run(proxy.build(shutdown).await.unwrap()),
            registrar,
            masa,
            manufacturer,
            domain,
            folder: Folder::new(),
            registrar_world,
            masa_world,
            crossed,
            _running: trigger,
        }
    }
}

fn world() -> World {
    World::new(Store::memory(), Arc::new(MemoryElement::new()))
}

fn vendor(manufacturer: &Manufacturer, masa: &str) -> registrar::VendorConfig {
    let masa: MasaEndpoint = masa.parse().unwrap();
    registrar::VendorConfig {
        vendor: Vendor {
            id: VENDOR.parse::<VendorId>().unwrap(),
            idevid_anchors: manufacturer.device_anchors(),
            idevid_crls: Default::default(),
            legacy_rsa: false,
            ignore_idevid_expiry: false,
            serial_fallback: None,
            masa: Some(masa),
            voucher_anchors: manufacturer.masa_anchors(),
        },
        masa_anchors: Anchors::of([manufacturer.root.authority.certificate.clone()]),
        masa_client: Default::default(),
        crls: Default::default(),
    }
}

fn run(task: Task) -> SocketAddr {
    let address = task.address.unwrap();
    tokio::spawn(task.run());
    address
}

/// What stands between registrar and MASA, and keeps a copy of what crosses.
async fn tap(
    tls: ServerTls,
    masa: Arc<masa::Masa>,
    fake: Option<Fake>,
    crossed: Arc<Mutex<Vec<Crossed>>>,
    shutdown: &Shutdown,
) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = fake.map(Arc::new);
    let answer = move |request: Request, client: Option<TlsPeer>| {
        let (masa, fake, crossed) = (masa.clone(), fake.clone(), crossed.clone());
        async move {
            let chain = client.as_ref().map(|client| client.chain.clone()).unwrap_or_default();
            let response = match fake {
                Some(fake) => (fake.0)(&request),
                None => masa.answer(request.clone(), client).await,
            };
            crossed.lock().unwrap().push(Crossed { request, client: chain });
            response
        }
    };
    let server = Server::new(listener).tls(tls);
    tokio::spawn(server.run(move |request, from| answer(request, from.tls.clone()), shutdown.watch()));
    address
}

impl Lab {
    /// A lab in which everything is as it should be.
    pub(super) async fn start() -> Self {
        Setup::new().start().await
    }

    /// Another domain, whose registrar knows this lab's manufacturer and asks its MASA.
    pub(super) async fn other_domain(&self) -> Self {
        let mut setup = Setup::new();
        setup.manufacturer = self.manufacturer.clone();
        setup.registrar.vendors.push(vendor(&self.manufacturer, &self.manufacturer.masa_url));
        setup.start().await
    }

    /// What crossed between registrar and MASA for requests of that path.
    pub(super) fn crossed(&self, path: &str) -> Vec<Crossed> {
        self.crossed.lock().unwrap().iter().filter(|crossed| crossed.request.path == path).cloned().collect()
    }

    /// The registrar's request for a voucher, as the MASA got it last.
    pub(super) fn registrar_request(&self) -> Vec<u8> {
        self.crossed(paths::REQUEST_VOUCHER).pop().expect("the MASA was asked").request.body
    }

    /// The agent of a device, with its evidence in the folder `evidence-SERIAL`.
    pub(super) fn agent(&self, device: &Identity) -> Agent {
        Agent::open(self.config(device)).unwrap()
    }

    /// How that agent is configured.
    pub(super) fn config(&self, device: &Identity) -> Config {
        let serial = device.certificate.subject_serial_number().unwrap();
        let chain: String = device.intermediates.iter().map(Certificate::to_pem).collect();
        let bundle = DeviceBundle {
            format: bundle::FORMAT,
            serial_number: serial.clone(),
            model: "T1".parse().unwrap(),
            idevid: device.certificate.to_pem(),
            chain,
            key: Some(BundleKey(Redacted::new(pem::encode("PRIVATE KEY", device.key.to_pkcs8_der().expose())))),
            masa_anchors: self.manufacturer.root.authority.certificate.to_pem(),
            masa_url: Some(self.manufacturer.masa_url.clone()),
            attestation: None,
            dpp: None,
        };
        let path = self.folder.put(&format!("{serial}.json"), serde_json::to_vec(&bundle).unwrap());
        Config {
            bundle: Some(path),
            state: self.folder.path(&format!("state-{serial}")),
            evidence: Some(self.folder.path(&format!("evidence-{serial}"))),
            discovery: Discovery {
                mdns: false,
                grasp: false,
                registrars: vec![self.proxy.to_string()],
                ..Discovery::default()
            },
            ..Config::default()
        }
    }

    /// Onboards a device by its agent.
    pub(super) async fn onboard(&self, device: &Identity) -> Onboarded {
        self.onboard_in(Form::Cms, device).await
    }

    /// The same with requests and vouchers in that format.
    pub(super) async fn onboard_in(&self, format: Form, device: &Identity) -> Onboarded {
        let agent = Agent::open(Config { format, ..self.config(device) }).unwrap();
        let limit = Some(Duration::from_secs(60));
        match agent.onboard(Some(1), limit, &mut |_| {}).await.unwrap() {
            Outcome::Onboarded(onboarded) => *onboarded,
            Outcome::Refused(refusal) => panic!("{refusal}"),
        }
    }

    /// The names of the checks that the registrar's audit gives for refusals, in order.
    pub(super) async fn refused_by_registrar(&self) -> Vec<String> {
        refusals(&self.registrar_world).await
    }

    /// The same of the MASA.
    pub(super) async fn refused_by_masa(&self) -> Vec<String> {
        refusals(&self.masa_world).await
    }

    /// What the registrar has written down of each device's voucher.
    pub(super) fn vouchers(&self) -> Vec<VoucherRecord> {
        records(&self.registrar_world)
    }
}

/// Every record of that kind.
pub(super) fn records<R: Record>(world: &World) -> Vec<R> {
    world.store.scan::<R>(None, 1000).unwrap().into_iter().map(|found| found.record).collect()
}

/// The entries of a world's audit log, which the log's hashes vouch for.
pub(super) async fn audit(world: &World) -> Vec<Value> {
    world.recorder.flush().await;
    world.store.verify_log(AUDIT_LOG).unwrap();
    world.store.log(AUDIT_LOG, 0, 10_000).unwrap().into_iter().map(|entry| entry.entry).collect()
}

async fn refusals(world: &World) -> Vec<String> {
    let check = |event: &Value| event["outcome"]["refused"]["check"].as_str().map(str::to_owned);
    audit(world).await.iter().filter_map(check).collect()
}
