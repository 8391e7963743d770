//! Revocation lists in files that change while a server runs.

use crate::world::onboard;
use landfall_brski::paths;
use landfall_net::http::{ClientLimits, Connection};
use landfall_pki::{Anchors, CertificateSerial, Crl, CrlRequest, PathPolicy, Revoked, crl::Reason, validate};
use landfall_server::{
    RoleName,
    admin::view::{Device, IssuedCertificate, Note, Page},
    registrar::CrlUrl,
    revocation::CrlFiles,
};
use landfall_testkit::{Identity, Manufacturer, NOW, free_port, openssl, temp_dir};
use landfall_types::{
    Time,
    http::{Headers, Method, Request},
};
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

struct World {
    maker: Manufacturer,
    device: Identity,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let maker = Manufacturer::new();
        Self { device: maker.device("KT-1"), maker, folder: temp_dir() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("list.crl")
    }

    /// A list of the manufacturer's, due an hour after it was made.
    fn list(&self, made: Time, revoked: &[&Identity]) -> Crl {
        let issuing = &self.maker.issuing;
        let entry = Revoked { at: made, reason: Reason::KeyCompromise };
        let request = CrlRequest {
            number: made.as_unix().unsigned_abs(),
            this_update: made,
            next_update: made + HOUR,
            revoked: revoked.iter().map(|one| (CertificateSerial::of(&one.certificate), entry)).collect(),
        };
        request.prepare(&issuing.authority).unwrap().issue(&*issuing.key).unwrap()
    }

    /// What is wrong with the device at `at`, if anything is.
    fn judge(&self, files: &CrlFiles, at: Time) -> Option<String> {
        let issuing = &self.maker.issuing.authority.certificate;
        let policy = PathPolicy::at(at).crls(files.lists().now().iter().cloned());
        let path = validate(&self.device.certificate, &[], &Anchors::of([issuing.clone()]), &policy);
        path.err().map(|refusal| refusal.check.to_string())
    }
}

#[test]
fn a_list_that_changes_counts_from_the_next_look_on() {
    let world = World::new();
    fs::write(world.path(), world.list(NOW, &[]).to_pem()).unwrap();
    let mut files = CrlFiles::open([world.path()]).unwrap();
    assert_eq!((files.refresh(NOW).len(), world.judge(&files, NOW)), (0, None));
    // Put in its place at once, as it should be, or written over.
    fs::write(world.path().with_extension("new"), world.list(NOW + HOUR / 2, &[&world.device]).der()).unwrap();
    fs::rename(world.path().with_extension("new"), world.path()).unwrap();
    assert_eq!(world.judge(&files, NOW + HOUR / 2), None, "not looked at yet");
    assert_eq!(files.refresh(NOW + HOUR / 2).len(), 0);
    assert_eq!(world.judge(&files, NOW + HOUR / 2).as_deref(), Some("path-revoked"));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_until_its_list_is_overdue() {
    let world = World::new();
    let list = world.list(NOW, &[]);
    let spoil: [(&str, &dyn Fn()); 4] = [
        ("gone", &|| fs::remove_file(world.path()).unwrap()),
        ("half written", &|| fs::write(world.path(), &list.der()[..list.der().len() / 2]).unwrap()),
        ("no list", &|| fs::write(world.path(), "-----BEGIN NONSENSE-----").unwrap()),
        ("an older list", &|| fs::write(world.path(), world.list(NOW - HOUR, &[&world.device]).der()).unwrap()),
    ];
    for (name, spoil) in spoil {
        fs::write(world.path(), list.der()).unwrap();
        let mut files = CrlFiles::open([world.path()]).unwrap();
        spoil();
        // The operator is told, as long as it is so; what was known counts.
        for _ in 0..2 {
            let told: Vec<_> = files.refresh(NOW + HOUR).into_iter().map(str::to_owned).collect();
            assert!(told.len() == 1 && told[0].contains("list.crl"), "{name}: {told:?}");
            assert_eq!(world.judge(&files, NOW + HOUR), None, "{name}");
        }
        assert_eq!(files.lists().now().as_ref(), std::slice::from_ref(&list), "{name}");
        // Overdue, it is not enough.
        let late = NOW + HOUR + Duration::from_secs(1);
        assert_eq!(world.judge(&files, late).as_deref(), Some("path-revocation-unknown"), "{name}");
        // A current one mends it.
        fs::write(world.path(), world.list(late, &[]).der()).unwrap();
        assert_eq!((files.refresh(late).len(), world.judge(&files, late)), (0, None), "{name}");
    }
}

#[test]
fn an_overdue_list_is_told_of() {
    let world = World::new();
    fs::write(world.path(), world.list(NOW, &[]).der()).unwrap();
    let mut files = CrlFiles::open([world.path()]).unwrap();
    assert_eq!(files.refresh(NOW + HOUR).len(), 0);
    let told: Vec<_> = files.refresh(NOW + HOUR * 2).into_iter().map(str::to_owned).collect();
    assert!(told[0].contains("due to be replaced"), "{told:?}");
}

#[test]
fn a_server_does_not_start_with_a_list_that_cannot_be_read() {
    let world = World::new();
    CrlFiles::open([world.path()]).unwrap_err();
    fs::write(world.path(), "nonsense").unwrap();
    CrlFiles::open([world.path()]).unwrap_err();
}

/// openssl finds the list by what the certificate says, and believes it.
#[tokio::test(flavor = "multi_thread")]
async fn who_checks_a_certificate_finds_the_list_by_itself() {
    let Some(openssl) = openssl() else { return };
    let mut world = crate::world::World::new(2, "permit");
    let port = free_port();
    let settings = world.settings.registrar.as_mut().unwrap();
    settings.crl_url = Some(format!("http://localhost:{port}/pki/net.crl"));
    settings.crl_listen = Some(([127, 0, 0, 1], port).into());
    let server = world.run(&[]).await;
    server.sell(&world).await;
    for number in 0..2 {
        onboard(&world.device(number, server.address(RoleName::Registrar))).await.unwrap();
    }
    let path = format!("/v1/network/devices/{}/revoke", world.serials[1]);
    let note = Note { reason: "lost".into() };
    let _: Device = server.client.post(&path, &note).await.unwrap();
    let issued: Page<IssuedCertificate> = server.client.get("/v1/network/certificates").await.unwrap();
    for certificate in issued.items {
        fs::write(world.folder.path().join("ldevid.pem"), &certificate.pem).unwrap();
        let command =
            "verify -crl_check -crl_download -CAfile domain/root.pem -untrusted domain/issuing.pem ldevid.pem";
        let mut verify = Command::new(&openssl);
        verify.args(command.split(' ')).current_dir(world.folder.path());
        let verified = tokio::task::spawn_blocking(move || verify.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[verified.stdout, verified.stderr].concat()).into_owned();
        match certificate.revoked {
            None => assert!(verified.status.success(), "{said}"),
            Some(_) => assert!(!verified.status.success() && said.contains("certificate revoked"), "{said}"),
        }
    }
    // The list and nothing else; not by TLS alone.
    let ask = async |method: Method, path: &str| {
        let to = format!("localhost:{port}").parse().unwrap();
        let mut connection = Connection::open(&to, None, ClientLimits::default()).await.unwrap();
        let request = Request { method, path: path.into(), headers: Headers::default(), body: Vec::new() };
        connection.send(request).await.unwrap()
    };
    let list = ask(Method::Get, "/pki/net.crl").await;
    assert_eq!((list.status, list.headers.first("content-type")), (200, Some("application/pkix-crl")));
    assert_eq!(Crl::from_der(&list.body).unwrap().len(), 1);
    assert_eq!(ask(Method::Post, "/pki/net.crl").await.status, 405);
    for path in ["/", "/pki", paths::REQUEST_VOUCHER, "/.well-known/est/cacerts"] {
        assert_eq!(ask(Method::Get, path).await.status, 404, "{path}");
    }
    server.stop().await;
}

#[test]
fn an_address_of_the_list_that_nobody_could_use_is_refused() {
    let good: CrlUrl = "http://pki.example.net/net.crl".parse().unwrap();
    assert_eq!((good.path(), good.to_string().as_str()), ("/net.crl", "http://pki.example.net/net.crl"));
    assert_eq!("http://pki.example.net:8080".parse::<CrlUrl>().unwrap().path(), "/");
    let long = format!("http://pki.example.net/{}", "a".repeat(512));
    let bad =
        ["", "https://pki.example.net/", "pki.example.net/", "http://", "http:///a", "http://é/", "http://a/ b", &long];
    for bad in bad {
        bad.parse::<CrlUrl>().unwrap_err();
    }
}
