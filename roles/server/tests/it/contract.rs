//! The admin API is what docs/openapi.json says, and settings are judged before anything starts.

use crate::world::World;
use landfall_net::tls::ClientTls;
use landfall_pki::{Algorithm, Anchors, Certificate, Signer, SoftwareKey};
use landfall_server::{
    Identity, RoleName, Settings,
    admin::{self, view::Status},
    domain, open,
    settings::{self, IdentitySettings},
};
use landfall_types::Time;
use serde_json::Value;
use std::{fs, path::Path, sync::Arc};

/// Set `LANDFALL_BLESS` to write the document anew.
#[test]
fn the_document_is_the_api() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&admin::openapi()).unwrap());
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/openapi.json is not what the routes say; LANDFALL_BLESS=1 writes it anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_document_is_answered() {
    let world = World::new(1, "permit");
    let server = world.run(&[]).await;
    let document = admin::openapi();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 18);
    for (path, operations) in paths {
        let path = path
            .replace("{device}", "nobody")
            .replace("{log}", "audit")
            .replace("{list}", "nobody")
            .replace("{vendor}", "nobody")
            .replace("{serial}", "1");
        for method in operations.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => server.client.bytes(&path).await.map(drop),
                _ => server.client.post::<Value>(&path, &serde_json::json!({})).await.map(drop),
            };
            // A path that is not there has no problem to tell; a device that is not there has.
            if let Err(admin::ClientError::Refused { status, error }) = answer {
                assert!(!error.is_empty() && status != 405 && status != 501, "{method} {path}: {status} {error}");
            }
        }
    }
    server.stop().await;
}

#[test]
fn only_the_owner_may_open_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/admin.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _guard = runtime.enter();
    let door = admin::LocalDoor::bind(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = admin::LocalDoor::bind(&path).unwrap_err();
    assert!(second.to_string().contains("a server runs here already"), "{second}");
    drop(door);
    admin::LocalDoor::bind(&path).unwrap();
}

#[test]
fn settings_are_judged_whole() {
    let world = World::new(1, "permit");
    assert_eq!(settings::check(&world.settings), []);
    let keys = |change: &dyn Fn(&mut Settings)| {
        let mut settings = world.settings.clone();
        change(&mut settings);
        settings::check(&settings).into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    let registrar = |settings: &mut Settings| settings.registrar.clone().unwrap();
    assert_eq!(keys(&|s| s.store.url = "mysql:x".into()), ["store.url"]);
    assert_eq!(keys(&|s| s.metrics.listen = "nowhere".into()), ["metrics.listen"]);
    assert_eq!(keys(&|s| s.registrar.as_mut().unwrap().vendor.clear()), ["registrar.vendor"]);
    assert_eq!(
        keys(&|s| s.registrar.as_mut().unwrap().vendor[0].anchors = vec!["gone.pem".into()]),
        ["registrar.vendor[0].anchors[0]"]
    );
    assert_eq!(
        keys(&|s| {
            let vendor = registrar(s).vendor.remove(0);
            s.registrar.as_mut().unwrap().vendor.push(vendor);
        }),
        ["registrar.vendor[1].id"]
    );
    // The certificate of one with the key of another.
    assert_eq!(
        keys(&|s| {
            let identity = &mut s.registrar.as_mut().unwrap().identity;
            identity.key = Some("software:domain-root".parse().unwrap());
        }),
        ["registrar.identity"]
    );
    // A CA in the place of the registrar, and the other way round.
    assert_eq!(
        keys(&|s| {
            let registrar = s.registrar.as_mut().unwrap();
            std::mem::swap(&mut registrar.identity, &mut registrar.authority);
        }),
        ["registrar.identity.certificate", "registrar.authority.certificate"]
    );
    assert_eq!(
        keys(&|s| s.registrar.as_mut().unwrap().masa_timeout = "30s".parse().unwrap()),
        ["registrar.limits.request"]
    );
    assert_eq!(
        keys(&|s| s.registrar.as_mut().unwrap().vendor[0].crls = vec!["gone.crl".into()]),
        ["registrar.vendor[0].crls[0]"]
    );
    assert_eq!(
        keys(&|s| s.registrar.as_mut().unwrap().crl_url = Some("https://localhost/net.crl".into())),
        ["registrar.crl-url"]
    );
    assert_eq!(
        keys(&|s| {
            let vendor = &mut s.registrar.as_mut().unwrap().vendor[0];
            vendor.masa_identity = Some(IdentitySettings::at("domain/registrar.pem"));
            vendor.masa_anonymous = true;
        }),
        ["registrar.vendor[0].masa-anonymous"]
    );
    assert_eq!(
        keys(&|s| {
            let gone = IdentitySettings::at("domain/gone.pem");
            s.registrar.as_mut().unwrap().vendor[0].masa_identity = Some(gone);
        }),
        ["registrar.vendor[0].masa-identity"]
    );
    assert_eq!(
        keys(&|s| s.masa.as_mut().unwrap().customer_crls = vec!["domain/root.pem".into()]),
        ["masa.customer-crls[0]"]
    );
    assert_eq!(
        keys(&|s| s.masa.as_mut().unwrap().customer_anchors = vec!["domain/root.key-uri".into()]),
        ["masa.customer-anchors[0]"]
    );
    assert_eq!(keys(&|s| s.registrar.as_mut().unwrap().listen = s.masa.as_ref().unwrap().listen), ["registrar.listen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_only_operators_are_heard() {
    let mut world = World::new(1, "permit");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.settings.admin.listen = Some(listen);
    world.settings.admin.identity = Some(IdentitySettings::at("domain/admin.pem"));
    world.settings.admin.operator_anchors = Some("domain/operators.pem".into());
    assert_eq!(settings::check(&world.settings), []);
    let element = open::element(&world.settings).unwrap();
    let identity = |name: &str| {
        let at = IdentitySettings::at(format!("domain/{name}.pem"));
        Identity::load(&at, |path| world.settings.resolve(path), element.as_ref()).unwrap()
    };
    let key = SoftwareKey::generate(Algorithm::EcdsaP256).unwrap();
    let day = std::time::Duration::from_secs(86_400);
    let chain = domain::operator("ada", key.public_key(), &identity("operators"), day, Time::now()).unwrap();
    let operator = Identity { chain, signer: Arc::new(key) };

    let server = world.run(&[RoleName::Registrar]).await;
    let anchors = || Anchors::of(Certificate::chain_from_pem(&world.pem("domain/root.pem")).unwrap());
    let client = |identity: Option<&Identity>| {
        let identity = identity.map(|identity| identity.clone().into());
        let tls = ClientTls::named(anchors(), identity.as_ref()).unwrap();
        let authority = format!("localhost:{}", listen.port());
        admin::Client::new(admin::Address::Remote { authority, tls })
    };
    let status: Status = client(Some(&operator)).get("/v1/status").await.unwrap();
    assert_eq!(status.roles.len(), 1);
    // A certificate of the same domain, for TLS clients, that is not an operator's.
    let refused = client(Some(&identity("registrar"))).get::<Status>("/v1/status").await.unwrap_err();
    assert!(matches!(refused, admin::ClientError::Away { .. }), "{refused}");
    let refused = client(None).get::<Status>("/v1/status").await.unwrap_err();
    assert!(matches!(refused, admin::ClientError::Away { .. }), "{refused}");
    server.stop().await;
}
