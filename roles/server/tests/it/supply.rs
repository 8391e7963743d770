//! The supply chain service over real TLS: who may do what, and that tenants never see each other's devices.

use crate::{
    book::uri,
    world::{Running, World},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use landfall_lifecycle::transfer::{Bootstrapping, Held, Via};
use landfall_net::{
    http::{ClientLimits, Connection},
    tls::{ClientTls, TlsIdentity},
};
use landfall_pki::Anchors;
use landfall_server::{
    Identity, RoleName, World as Shared,
    admin::view::{BookDevice, DevicesAdded, Page, PerDevice, TenantView},
    book::{Book, Entry, Registration},
    identity::certificates,
    open,
    settings::{IdentitySettings, IntakeSettings, Settings, SupplyChainSettings},
    supply_chain::{BSKEY, BSKEYS, DEVICES, FEED, Intake, SALES, ServiceClient, WITHDRAWALS},
};
use landfall_store::Store;
use landfall_types::{
    Redacted,
    http::{Headers, Method, Request, Response},
};
use serde_json::{Value, json};

/// A world whose server runs the service too.
fn world() -> World {
    let mut world = World::new(1, "permit");
    let identity = IdentitySettings::at("manufacturer/masa-tls.pem");
    let listen = "127.0.0.1:0".parse().unwrap();
    world.settings.supply_chain = Some(SupplyChainSettings { listen, identity, ..SupplyChainSettings::default() });
    world
}

/// Makes a tenant known; its token.
async fn tenant(server: &Running, name: &str) -> String {
    let new = json!({ "tenant": name, "token": true });
    let known: TenantView = server.client.post("/v1/transfer/tenants", &new).await.unwrap();
    known.token.unwrap()
}

fn own_identity(world: &World) -> Identity {
    let element = open::existing_element(&world.settings).unwrap();
    let at = IdentitySettings::at("domain/registrar.pem");
    Identity::load(&at, |path| world.settings.resolve(path), element.as_ref()).unwrap()
}

async fn send(server: &Running, client: Option<Identity>, request: Request) -> Response {
    let tls = ClientTls::provisional(client.map(TlsIdentity::from).as_ref()).unwrap();
    let to = server.address(RoleName::SupplyChain).into();
    let mut connection = Connection::open(&to, Some(&tls), ClientLimits::default()).await.unwrap();
    connection.send(request).await.unwrap()
}

async fn with(server: &Running, authorization: &str, path: &str, body: &[u8]) -> Response {
    let mut request = Request::post(path, "application/json", body.to_vec());
    if !authorization.is_empty() {
        request.headers.add("authorization", authorization);
    }
    send(server, None, request).await
}

/// Asks with a token, and reads what is said.
async fn ask(server: &Running, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let response = with(server, &format!("Bearer {token}"), path, body.to_string().as_bytes()).await;
    let value = serde_json::from_slice(&response.body);
    (response.status, value.unwrap_or_else(|_| String::from_utf8_lossy(&response.body).into_owned().into()))
}

fn one(number: u8) -> Value {
    json!({ "dppUri": uri(number, Some(&format!("SN=KT-{number}"))).to_string(), "dppRole": "sta" })
}

fn hashes(listed: &Value, under: &str) -> Vec<String> {
    listed[under].as_array().unwrap().iter().map(|one| one["bootstrapHash"].as_str().unwrap().into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_answers_as_it_is_specified() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let token = tenant(&server, "acme").await;
    let bearer = format!("Bearer {token}");
    let good = one(1).to_string();
    let answer = with(&server, &bearer, BSKEY, good.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(with(&server, &bearer, BSKEY, good.as_bytes()).await.status, 200, "said again");
    let minimal = json!({ "dppUri": uri(2, None).to_string() }).to_string();
    assert_eq!(with(&server, &bearer, BSKEY, minimal.as_bytes()).await.status, 200);

    let uri = one(3)["dppUri"].as_str().unwrap().to_owned();
    assert_eq!(with(&server, &bearer, BSKEY, b"").await.status, 411, "without a body there is no length");
    let bad = [
        "{}".into(),
        "[]".into(),
        json!({ "dppUri": 7 }).to_string(),
        json!({ "dppUri": uri.replace("DPP:", "DPQ:") }).to_string(),
        json!({ "dppUri": uri, "dppRole": "king" }).to_string(),
        format!("{{\"dppUri\":{0:?},\"dppUri\":{0:?}}}", uri),
        format!("{{\"dppUri\":{uri:?}"),
    ];
    for body in bad {
        assert_eq!(with(&server, &bearer, BSKEY, body.as_bytes()).await.status, 400, "{body}");
    }
    let basic = |user: &str, token: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
    assert_eq!(with(&server, &basic("acme", &token), BSKEY, good.as_bytes()).await.status, 200);
    let bad = [
        String::new(),
        "Bearer".into(),
        "Bearer x".into(),
        format!("Bearer {token}x"),
        format!("Digest {token}"),
        basic("orchard", &token),
        basic("acme", "x"),
        "Basic !".into(),
    ];
    for authorization in bad {
        let answer = with(&server, &authorization, BSKEY, good.as_bytes()).await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert!(answer.headers.all("www-authenticate").any(|scheme| scheme.starts_with("Basic")));
    }
    for path in ["/", "/dpp", "/dpp/bskey/", "/dpp/bskeyx", "/v1/transfer/devices"] {
        assert_eq!(with(&server, &bearer, path, good.as_bytes()).await.status, 404, "{path}");
    }
    let get = Request { method: Method::Get, path: BSKEY.into(), headers: Headers::default(), body: Vec::new() };
    let answer = send(&server, None, get).await;
    assert_eq!((answer.status, answer.headers.first("allow")), (405, Some("POST")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_length_is_refused() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let token = tenant(&server, "acme").await;
    let body = one(1).to_string();
    let head =
        format!("POST {BSKEY} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let counted = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    for (request, status) in [(chunked, "411"), (counted, "200")] {
        let tls = ClientTls::provisional(None).unwrap();
        let tcp = tokio::net::TcpStream::connect(server.address(RoleName::SupplyChain)).await.unwrap();
        let (mut stream, _) = tls.connect(tcp, "localhost".try_into().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_too_much_under_way_is_told_to_wait() {
    let mut world = world();
    world.settings.supply_chain.as_mut().unwrap().at_once = 1;
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    // A feed that waits takes the one place. Whoever asks first of these two gets it.
    let wait = json!({ "after": 0, "wait": 30 });
    let refused = {
        let first = ask(&server, &acme, FEED, &wait);
        let second = ask(&server, &acme, FEED, &wait);
        tokio::pin!(first, second);
        tokio::select! { answer = &mut first => answer, answer = &mut second => answer }
    };
    assert_eq!(refused.0, 429);
    // That concerns nobody else.
    assert_eq!(ask(&server, &orchard, BSKEY, &one(1)).await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_never_see_each_other() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, mallory) = (tenant(&server, "acme").await, tenant(&server, "mallory").await);
    for number in 1..=3 {
        assert_eq!(ask(&server, &acme, BSKEY, &one(number)).await.0, 200);
    }
    assert_eq!(ask(&server, &mallory, BSKEY, &one(9)).await.0, 200);
    // Another tenant's URI is refused, and what is said tells nothing of whose it is.
    let (status, said) = ask(&server, &mallory, BSKEY, &one(1)).await;
    assert_eq!((status, said), (400, "This cannot be done.".into()));
    let (_, listed) = ask(&server, &mallory, DEVICES, &json!({})).await;
    let own = hashes(&listed, "devices");
    assert_eq!(own, [uri(9, None).key.bootstrap_hash().to_string()]);
    // Cursors of others lead into one's own book only.
    let (_, others) = ask(&server, &acme, DEVICES, &json!({})).await;
    let zero = "0".repeat(64);
    for cursor in hashes(&others, "devices").iter().chain([&zero]) {
        let (status, listed) = ask(&server, &mallory, DEVICES, &json!({ "after": cursor })).await;
        assert_eq!(status, 200);
        assert!(hashes(&listed, "devices").iter().all(|hash| own.contains(hash)));
    }
    for after in [0, 1, 2, 3, u64::MAX] {
        let (status, heard) = ask(&server, &mallory, FEED, &json!({ "after": after })).await;
        assert_eq!(status, 200);
        assert!(hashes(&heard, "news").iter().all(|hash| own.contains(hash)));
    }
    for asked in [json!({ "tenant": "acme" }), json!({ "after": "acme/1" }), json!({ "after": -1 })] {
        assert_eq!(ask(&server, &mallory, DEVICES, &asked).await.0, 400, "{asked}");
        assert_eq!(ask(&server, &mallory, FEED, &asked).await.0, 400, "{asked}");
    }
    // Nor are they sold by others: a device of another is as one that does not exist.
    let there = json!({ "to": "acme", "order": "1", "devices": [uri(1, None).key.bootstrap_hash(), "KT-1"] });
    let nowhere = json!({ "to": "acme", "order": "1", "devices": [uri(77, None).key.bootstrap_hash(), "KT-77"] });
    assert_eq!(ask(&server, &mallory, SALES, &there).await, ask(&server, &mallory, SALES, &nowhere).await);
    assert_eq!(hashes(&ask(&server, &acme, DEVICES, &json!({})).await.1, "devices").len(), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_takes_back_what_was_struck_off_and_nothing_else() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, mallory) = (tenant(&server, "acme").await, tenant(&server, "mallory").await);
    for number in 1..=2 {
        assert_eq!(ask(&server, &acme, BSKEY, &one(number)).await.0, 200);
    }
    let back =
        |number| json!({ "devices": [{ "bootstrapHash": uri(number, None).key.bootstrap_hash(), "why": "lost" }] });
    // What another tenant has stays with it, and the answer is that for a device which does not exist.
    assert_eq!(
        ask(&server, &mallory, WITHDRAWALS, &back(1)).await,
        ask(&server, &mallory, WITHDRAWALS, &back(77)).await
    );
    let held = async || {
        let (_, listed) = ask(&server, &acme, DEVICES, &json!({})).await;
        listed["devices"].as_array().unwrap().iter().filter(|one| one["held"] == true).count()
    };
    assert_eq!(held().await, 2);
    let (status, said) = ask(&server, &acme, WITHDRAWALS, &back(1)).await;
    assert_eq!((status, &said["results"][0]["ok"], held().await), (200, &true.into(), 1));
    assert_eq!(ask(&server, &acme, BSKEY, &one(1)).await.0, 400, "it comes back into no book");
    assert_eq!(ask(&server, &acme, BSKEY, &one(2)).await.0, 200);
    let hash = uri(2, None).key.bootstrap_hash();
    let bad = [
        json!({}),
        json!({ "devices": [] }),
        json!({ "devices": [{ "bootstrapHash": hash }] }),
        json!({ "devices": [{ "bootstrapHash": "KT-2", "why": "lost" }] }),
        json!({ "devices": [{ "bootstrapHash": hash, "why": "x".repeat(1001) }] }),
        json!({ "devices": vec![json!({ "bootstrapHash": hash, "why": "lost" }); 501] }),
        json!({ "devices": [{ "bootstrapHash": hash, "why": "lost", "tenant": "mallory" }] }),
    ];
    for asked in bad {
        assert_eq!(ask(&server, &acme, WITHDRAWALS, &asked).await.0, 400);
    }
    assert_eq!(with(&server, "Bearer x", WITHDRAWALS, back(2).to_string().as_bytes()).await.status, 401);
    assert_eq!(held().await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_answered_line_by_line() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    assert_eq!(ask(&server, &orchard, BSKEY, &one(2)).await.0, 200);
    let lines = [one(1).to_string(), String::new(), "nonsense".into(), one(2).to_string(), one(3).to_string()];
    let response = with(&server, &format!("Bearer {acme}"), BSKEYS, lines.join("\n").as_bytes()).await;
    let text = String::from_utf8(response.body).unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> =
        results.iter().map(|one| (one["line"].as_u64().unwrap(), one["ok"].as_bool().unwrap())).collect();
    assert_eq!(said, [(1, true), (3, false), (4, false), (5, true)]);
    assert_eq!(results[2]["error"], "this device cannot be taken");
    assert_eq!(with(&server, &format!("Bearer {acme}"), BSKEYS, &[0xFF, 0xFE]).await.status, 400);
    let csv = format!("serialNumber,dppUri\nX-1,\"{}\"\n", uri(4, None));
    assert_eq!(with(&server, &format!("Bearer {acme}"), BSKEYS, csv.as_bytes()).await.status, 200);
    let (_, listed) = ask(&server, &acme, DEVICES, &json!({})).await;
    assert_eq!(hashes(&listed, "devices").len(), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_asks_too() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let own = own_identity(&world);
    let request = || Request::post(BSKEY, "application/json", one(1).to_string().into_bytes());
    assert_eq!(send(&server, Some(own.clone()), request()).await.status, 401, "not known yet");
    let certificates = [world.pem("domain/registrar.pem")];
    let new = json!({ "tenant": "orchard", "certificates": certificates });
    let known: TenantView = server.client.post("/v1/transfer/tenants", &new).await.unwrap();
    assert_eq!((known.certificates.len(), known.token), (1, None));
    assert_eq!(send(&server, Some(own.clone()), request()).await.status, 200);
    assert_eq!(send(&server, None, request()).await.status, 401);
    // One certificate is one tenant's.
    let stolen = json!({ "tenant": "mallory", "certificates": certificates });
    assert!(server.client.post::<TenantView>("/v1/transfer/tenants", &stolen).await.is_err());
    // By what stands above it, if that is in the chain that is shown.
    let above = landfall_pki::Certificate::chain_from_pem(&world.pem("domain/issuing.pem")).unwrap();
    let new = json!({ "tenant": "cellar", "certificates": [above[0].to_pem()] });
    let _: TenantView = server.client.post("/v1/transfer/tenants", &new).await.unwrap();
    // A token that is wrong is not made good by a certificate.
    let mut both = request();
    both.headers.add("authorization", "Bearer x");
    assert_eq!(send(&server, Some(own), both).await.status, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_takes_in_what_it_bought_once() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    for number in 1..=4 {
        assert_eq!(ask(&server, &acme, BSKEY, &one(number)).await.0, 200);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), &orchard).unwrap();
    let settings = IntakeSettings {
        service: format!("localhost:{}", server.address(RoleName::SupplyChain).port()),
        anchors: vec![world.settings.resolve("manufacturer/masa-ca.pem".as_ref())],
        identity: None,
        token_file: Some(folder.path().join("token")),
        tenant: "home".into(),
    };
    let store = Store::sqlite(folder.path().join("store")).unwrap();
    let element = open::existing_element(&world.settings).unwrap();
    let shared = Shared::new(store.clone(), element);
    let intake = || Intake::from_settings(&settings, &world.settings, &shared).unwrap();
    assert_eq!(intake().step(0).await.unwrap(), 0);
    // It waits, and hears of the sale when it is made.
    let sale = json!({ "to": "orchard", "order": "1001", "devices": ["KT-1", "KT-2"] });
    let mut waiting = intake();
    let (taken, sold) = tokio::join!(waiting.step(25), ask(&server, &acme, SALES, &sale));
    assert_eq!((taken.unwrap(), sold.0), (2, 200));
    let home = "home".parse().unwrap();
    let held = || -> Vec<Bootstrapping> {
        let page = Book::of(&store).page(&home, None, 100).unwrap();
        page.into_iter().map(|found| found.record).filter(|found| found.state == Held::Held).collect()
    };
    assert_eq!(held().len(), 2);
    assert!(held().iter().all(|device| device.via == Via::Sale));
    let known = uri(1, None).key;
    assert!(Book::of(&store).by_chirp(&home, &known.chirp_hash()).unwrap().is_some());
    // A restart begins where it was; another sale is heard of; what is sold on is not held any more.
    assert_eq!(intake().step(0).await.unwrap(), 0);
    let again = json!({ "to": "orchard", "order": "1002", "devices": ["KT-3"] });
    assert_eq!(ask(&server, &acme, SALES, &again).await.0, 200);
    let back = json!({ "to": "acme", "order": "1", "devices": ["KT-1"] });
    assert_eq!(ask(&server, &orchard, SALES, &back).await.1["results"][0]["ok"], true);
    assert_eq!(intake().step(0).await.unwrap(), 2);
    let numbers: Vec<_> = held().into_iter().filter_map(|device| device.serial_number).map(|s| s.to_string()).collect();
    assert_eq!(numbers.len(), 2);
    assert!(!numbers.contains(&"KT-1".to_owned()), "{numbers:?}");
    server.stop().await;
}

/// A server with the books of two owners, each of whom takes in what the service has for it.
struct House {
    folder: tempfile::TempDir,
    settings: Settings,
    service: String,
    shared: Shared,
}

impl House {
    fn of(world: &World, server: &Running) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path().join("store")).unwrap();
        let shared = Shared::new(store, open::existing_element(&world.settings).unwrap());
        let service = format!("localhost:{}", server.address(RoleName::SupplyChain).port());
        Self { folder, settings: world.settings.clone(), service, shared }
    }

    /// A step of the intake into the book of `tenant`, started anew.
    async fn step(&self, tenant: &str, token: &str) -> usize {
        let file = self.folder.path().join(tenant);
        std::fs::write(&file, token).unwrap();
        let settings = IntakeSettings {
            service: self.service.clone(),
            anchors: vec![self.settings.resolve("manufacturer/masa-ca.pem".as_ref())],
            identity: None,
            token_file: Some(file),
            tenant: tenant.into(),
        };
        Intake::from_settings(&settings, &self.settings, &self.shared).unwrap().step(0).await.unwrap()
    }

    /// The serial numbers of the devices that `tenant` holds.
    fn held(&self, tenant: &str) -> Vec<String> {
        let page = Book::of(&self.shared.store).page(&tenant.parse().unwrap(), None, 100).unwrap();
        let held = page.iter().filter(|found| found.state == Held::Held);
        let mut held: Vec<String> = held.map(|found| found.serial_number.as_ref().unwrap().to_string()).collect();
        held.sort();
        held
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_neighbour_sold_comes_in_once_the_neighbour_released_it() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    let cellar = tenant(&server, "cellar").await;
    let house = House::of(&world, &server);
    for number in 1..=4 {
        assert_eq!(ask(&server, &acme, BSKEY, &one(number)).await.0, 200);
    }
    let sell = async |by: &str, to: &str, order: &str, devices: &[&str]| {
        let sale = json!({ "to": to, "order": order, "devices": devices });
        let (_, said) = ask(&server, by, SALES, &sale).await;
        assert!(said["results"].as_array().unwrap().iter().all(|one| one["ok"] == true), "{said}");
    };
    sell(&acme, "orchard", "1", &["KT-1", "KT-2", "KT-3"]).await;
    assert_eq!(house.step("orchard", &orchard).await, 3);
    // The buyer hears of the sale before the seller does. What nobody holds comes in at once.
    sell(&orchard, "cellar", "1", &["KT-1", "KT-2"]).await;
    sell(&acme, "cellar", "2", &["KT-4"]).await;
    assert_eq!(house.step("cellar", &cellar).await, 1);
    assert_eq!((house.held("orchard").len(), house.held("cellar")), (3, vec!["KT-4".to_owned()]));
    assert_eq!(house.step("cellar", &cellar).await, 0);
    // What is sold on meanwhile is awaited no more.
    sell(&cellar, "acme", "3", &["KT-2"]).await;
    house.step("cellar", &cellar).await;
    assert_eq!(house.step("orchard", &orchard).await, 2);
    assert_eq!(house.held("orchard"), ["KT-3"]);
    assert_eq!(house.step("cellar", &cellar).await, 1);
    assert_eq!(house.held("cellar"), ["KT-1", "KT-4"]);
    assert_eq!(house.step("cellar", &cellar).await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_neighbour_holds_is_awaited_until_it_is_released_by_hand() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    let house = House::of(&world, &server);
    let book = Book::of(&house.shared.store);
    let (home, at) = ("home".parse().unwrap(), house.shared.clock.now());
    // Somebody scanned its code: no service told of it, so none will tell that it is released.
    let scanned = [Entry::of(uri(1, Some("SN=KT-1")).to_string())];
    let scan = Registration { tenant: &home, entries: &scanned, released: &[], via: Via::Qr, at };
    let [Ok(device)] = &book.register(&scan).await.unwrap()[..] else { panic!("it is not taken") };
    assert_eq!(ask(&server, &acme, BSKEY, &one(1)).await.0, 200);
    let sale = json!({ "to": "orchard", "order": "1", "devices": ["KT-1"] });
    assert_eq!(ask(&server, &acme, SALES, &sale).await.0, 200);
    for _ in 0..2 {
        assert_eq!(house.step("orchard", &orchard).await, 0);
        assert_eq!((house.held("home").len(), house.held("orchard").len()), (1, 0));
    }
    book.release(&home, &device.bootstrap_hash, at).await.unwrap().unwrap();
    assert_eq!(house.step("orchard", &orchard).await, 1);
    assert_eq!((house.held("home").len(), house.held("orchard").len()), (0, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_uploads_and_sells() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let (acme, _orchard) = (tenant(&server, "acme").await, tenant(&server, "orchard").await);
    let anchors = certificates(&world.settings.resolve("manufacturer/masa-ca.pem".as_ref())).unwrap();
    let tls = ClientTls::named(Anchors::of(anchors), None).unwrap();
    let endpoint = format!("localhost:{}", server.address(RoleName::SupplyChain).port());
    let mut client = ServiceClient::new(endpoint.parse().unwrap(), tls.clone(), Some(&Redacted::new(acme)));
    let lines: Vec<String> = (1..=20).map(|number| one(number).to_string()).collect();
    let results = client.upload(lines.join("\n").into_bytes()).await.unwrap();
    assert!(results.len() == 20 && results.iter().all(|result| result.ok));
    let devices: Vec<String> = ["KT-1", "KT-99"].map(str::to_owned).into();
    let sold = client.sell(&"orchard".parse().unwrap(), "1", &devices).await.unwrap();
    assert_eq!(sold.iter().map(|result| result.ok).collect::<Vec<_>>(), [true, false]);
    let mut stranger = ServiceClient::new(endpoint.parse().unwrap(), tls, None);
    assert!(stranger.feed(0, 10, 0).await.unwrap_err().to_string().contains("401"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_keeps_the_book_of_the_house() {
    let world = world();
    let server = world.run(&[RoleName::SupplyChain]).await;
    let new = json!({ "via": "qr", "devices": [one(1), { "dppUri": "DPP:;;" }, { "dppUri": 1 }] });
    let added: DevicesAdded = server.client.post("/v1/transfer/devices", &new).await.unwrap();
    assert_eq!((added.devices.len(), added.failed.len()), (1, 2));
    assert_eq!(added.devices[0].serial_number.as_deref(), Some("KT-1"));
    let page: Page<BookDevice> = server.client.get("/v1/transfer/devices").await.unwrap();
    assert_eq!(page.items, added.devices);
    let other: Page<BookDevice> = server.client.get("/v1/transfer/devices?tenant=acme").await.unwrap();
    assert!(other.items.is_empty());
    let theirs = json!({ "tenant": "acme", "via": "uri", "devices": [one(1)] });
    let refused: DevicesAdded = server.client.post("/v1/transfer/devices", &theirs).await.unwrap();
    assert_eq!((refused.devices.len(), refused.failed.len()), (0, 1));
    let wrong = json!({ "via": "pigeon", "devices": [] });
    assert!(server.client.post::<DevicesAdded>("/v1/transfer/devices", &wrong).await.is_err());
    let release = json!({ "devices": ["KT-1", "KT-2"] });
    let released: PerDevice = server.client.post("/v1/transfer/devices/release", &release).await.unwrap();
    assert_eq!((released.done.len(), released.failed.len()), (1, 1));
    let page: Page<BookDevice> = server.client.get("/v1/transfer/devices").await.unwrap();
    assert!(!page.items[0].held);
    server.stop().await;
}
