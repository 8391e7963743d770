//! hostap's `eapol_test` as an access point and a device in one: what our EST gave it lets it in, and nothing else does.

use super::{
    est::Case,
    lab::{audit, identity},
};
use landfall_brski::registrar::{Vendor, Vendors};
use landfall_eap::{
    packet as eap,
    radius::{Packet, Secret},
};
use landfall_lifecycle::{
    device::{DeviceEvent, step},
    network::DomainDevice,
};
use landfall_pki::{Anchors, Crls};
use landfall_server::{
    Clock, World,
    access::{Access, Client, Config, Options, Places},
    settings::PlaceSettings,
};
use landfall_store::Store;
use landfall_testkit::{Identity, Manufacturer, tool};
use landfall_types::{Redacted, Time};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::UdpSocket;

pub(super) const SECRET: &str = "a-secret-of-ours";
/// A step of a real peer takes seconds at the most; a busy machine may take longer.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// What eapol_test calls its session.
pub(super) const SESSION: &str = "session-1";
/// The versions of TLS, and how to have each of them.
const VERSIONS: [(&str, &str); 2] = [("TLSv1.2", "tls_disable_tlsv1_3=1"), ("TLSv1.3", "tls_disable_tlsv1_3=0")];

/// An access server beside the registrar, and a device that has enrolled there: `ldevid.pem` and `ldevid.key`.
pub(super) struct Gate {
    pub(super) case: Case,
    pub(super) device: Identity,
    program: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) access: Arc<Access>,
    /// Its only access point.
    client: Client,
    running: landfall_server::Trigger,
}

/// The one whose devices may be guests.
fn vendors(manufacturer: &Manufacturer) -> Vendors {
    Vendors::new([Vendor {
        id: "acme".parse().unwrap(),
        idevid_anchors: manufacturer.device_anchors(),
        idevid_crls: Crls::default(),
        legacy_rsa: false,
        ignore_idevid_expiry: false,
        serial_fallback: None,
        masa: None,
        voucher_anchors: manufacturer.masa_anchors(),
    }])
}

pub(super) fn secret() -> Secret {
    Secret::new(Redacted::new(SECRET.into())).unwrap()
}

impl Gate {
    async fn open(orders: Option<u16>) -> Option<Self> {
        Self::with(Client::new("test", vec!["127.0.0.1".parse().unwrap()], secret(), orders)).await
    }

    pub(super) async fn with(client: Client) -> Option<Self> {
        let program = tool("eapol_test")?;
        let (case, device) = Case::enrolled("ldevid").await?;
        let (access, address, running) = Self::serve(&case, vec![client.clone()]).await;
        Some(Self { case, device, program, address, access, client, running })
    }

    async fn serve(case: &Case, clients: Vec<Client>) -> (Arc<Access>, SocketAddr, landfall_server::Trigger) {
        Self::serve_in(case, case.lab.registrar_world.clone(), clients).await
    }

    async fn serve_in(
        case: &Case,
        world: World,
        clients: Vec<Client>,
    ) -> (Arc<Access>, SocketAddr, landfall_server::Trigger) {
        let any = "127.0.0.1:0".parse().unwrap();
        let place = |vlan: &str| PlaceSettings {
            vlan: Some(vlan.into()),
            reauthenticate: Some("1h".parse().unwrap()),
            ..PlaceSettings::default()
        };
        let config = Config {
            listen: any,
            identity: identity(&case.lab.domain.registrar),
            anchors: Anchors::of([case.lab.domain.root.authority.certificate.clone()]),
            clients,
            places: Places::of(&[place("30")]).with_quarantine(Some(place("99"))).with_guests(Some(place("66"))),
            at_once: 8,
            enforcer: None,
        };
        let options = Options {
            radsec: Some((any, case.lab.domain.anchors())),
            web: Some(any),
            vendors: Some(vendors(&case.lab.manufacturer)),
        };
        let (trigger, shutdown) = landfall_server::shutdown();
        let (task, access) = config.build_with(options, world, shutdown).await.unwrap();
        let address = task.address.unwrap();
        tokio::spawn(task.run());
        (access, address, trigger)
    }

    /// From now on a server with these access points.
    pub(super) async fn serves(&mut self, clients: Vec<Client>) {
        (self.access, self.address, self.running) = Self::serve(&self.case, clients).await;
    }

    /// From now on a server with another clock.
    pub(super) async fn has_the_time(&mut self, time: Time) {
        let mut world = self.case.lab.registrar_world.clone();
        world.clock = Clock::of(move || time);
        let clients = vec![self.client.clone()];
        (self.access, self.address, self.running) = Self::serve_in(&self.case, world, clients).await;
    }

    /// Ends the server, has this happen meanwhile, and starts another one over the same records.
    pub(super) async fn restart(&mut self, meanwhile: impl AsyncFnOnce(&Self)) {
        self.running.pull();
        meanwhile(self).await;
        self.serves(vec![self.client.clone()]).await;
    }

    /// Has eapol_test come as `client` with these further lines of its network; whether it got in, and what it printed.
    pub(super) async fn knock(&self, client: &str, secret: &str, more: &str) -> (bool, String) {
        self.knock_at(self.address.port(), "localhost", client, secret, more).await
    }

    /// The same at another server, which has this name.
    pub(super) async fn knock_at(
        &self,
        port: u16,
        name: &str,
        client: &str,
        secret: &str,
        more: &str,
    ) -> (bool, String) {
        let folder = &self.case.lab.folder;
        let network = format!(
            "network={{\nkey_mgmt=WPA-EAP\neap=TLS\nidentity=\"@example\"\nca_cert=\"domain.pem\"\n\
             client_cert=\"{client}-chain.pem\"\nprivate_key=\"{client}.key\"\ndomain_match=\"{name}\"\n{more}\n}}\n"
        );
        folder.put("eapol.conf", network);
        let port = port.to_string();
        // Attribute 44 is Acct-Session-Id.
        let session = format!("44:s:{SESSION}");
        let arguments =
            ["-c", "eapol.conf", "-a", "127.0.0.1", "-p", &port, "-s", secret, "-r", "0", "-t", "5", "-N", &session];
        // It waits for its answers, so the server's tasks need other threads.
        let output = tokio::task::block_in_place(|| folder.try_run(&self.program, &arguments));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text.trim_end().ends_with("SUCCESS") && output.status.success(), text)
    }

    /// Why the last one stayed out, as the audit has it.
    pub(super) async fn refusal(&self) -> String {
        let entries = audit(&self.case.lab.registrar_world).await;
        let last = entries.into_iter().rfind(|entry| entry["action"] == "device-admitted").unwrap();
        last["outcome"]["refused"]["check"].as_str().unwrap_or_default().to_owned()
    }

    /// Writes it down, as whoever does so: the server is told nothing.
    pub(super) async fn happens(&self, event: DeviceEvent) {
        Self::happens_in(&self.case.lab.registrar_world.store, event).await;
    }

    async fn happens_in(store: &Store, event: DeviceEvent) {
        let mut found = store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, "A-1", 2).unwrap();
        let found = found.pop().unwrap();
        let step = step(&found.record, event, Time::now()).unwrap();
        store.commit(step.changes(Some(found.version)).unwrap()).await.unwrap();
    }

    pub(super) async fn is_revoked(&self) {
        self.happens(revoked()).await;
    }

    /// Where eapol_test may ask instead. The last that the device says, that it has heard to be let in, is passed on after
    /// this, or not at all.
    pub(super) async fn held_back(&self, until: Option<impl Future<Output = ()> + Send + 'static>) -> u16 {
        let (front, back) = (socket().await, socket().await);
        back.connect(self.address).await.unwrap();
        let port = front.local_addr().unwrap().port();
        let mut until = Some(until);
        tokio::spawn(async move {
            let (mut datagram, mut is_last) = ([0; 4096], false);
            loop {
                let (length, from) = front.recv_from(&mut datagram).await.unwrap();
                let request = Packet::open_request(&datagram[..length], &secret()).unwrap();
                if is_last && tls_of(&request).as_deref() == Some(&[0]) {
                    match until.take() {
                        Some(Some(until)) => until.await,
                        Some(None) => return,
                        None => {}
                    }
                }
                back.send(&datagram[..length]).await.unwrap();
                let length = back.recv(&mut datagram).await.unwrap();
                let answer = Packet::open_answer(&datagram[..length], &request.authenticator, &secret()).unwrap();
                // RFC 5216 s3.1: no more fragments follow.
                is_last = tls_of(&answer).is_some_and(|data| data[0] & 0x40 == 0);
                front.send_to(&datagram[..length], from).await.unwrap();
            }
        });
        port
    }

    /// For [`Gate::held_back`].
    pub(super) fn is_revoked_meanwhile(&self) -> impl Future<Output = ()> + Send + use<> {
        let store = self.case.lab.registrar_world.store.clone();
        async move { Self::happens_in(&store, revoked()).await }
    }
}

fn revoked() -> DeviceEvent {
    DeviceEvent::Revoked { by: "operator".into(), why: "it misbehaves".into() }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// What is in an EAP-TLS packet, its flags first.
fn tls_of(packet: &Packet) -> Option<Vec<u8>> {
    match eap::Packet::parse(&packet.attributes.eap()?).ok()? {
        eap::Packet::Request(message) | eap::Packet::Response(message) => {
            (message.kind == eap::TLS).then_some(message.data)
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_est_gave_lets_in_with_both_versions_of_tls_and_fragments_of_every_size() {
    let Some(gate) = Gate::open(None).await else { return };
    for (version, flags) in VERSIONS {
        for size in [100, 253, 500, 1000, 1400] {
            let more = format!("phase1=\"{flags}\"\nfragment_size={size}");
            let (inside, text) = gate.knock("ldevid", SECRET, &more).await;
            assert!(inside, "{version} {size}: {text}");
            assert!(text.contains(&format!("Using TLS version {version}")), "{version} {size}: {text}");
            // It has the very keys that the server sent.
            assert!(text.contains("MPPE keys OK: 1  mismatch: 0"), "{text}");
            // RFC 3580 s3.31: VLAN, IEEE 802, and which.
            assert!(text.contains("Attribute 81 (Tunnel-Private-Group-Id)"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_manufacturer_gave_does_not() {
    let Some(gate) = Gate::open(None).await else { return };
    let folder = &gate.case.lab.folder;
    folder.put_chain("idevid-chain.pem", &gate.device.chain());
    for (_, flags) in VERSIONS {
        assert!(!gate.knock("idevid", SECRET, &format!("phase1=\"{flags}\"")).await.0);
        assert_eq!(gate.refusal().await, "access-certificate");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_domain_that_no_device_was_given_does_not() {
    let Some(gate) = Gate::open(None).await else { return };
    let operator = gate.case.lab.domain.operator("someone");
    gate.case.lab.folder.put_identity("someone", &operator);
    gate.case.lab.folder.put_chain("someone-chain.pem", &operator.chain());
    assert!(!gate.knock("someone", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_stays_out_at_once() {
    let Some(gate) = Gate::open(None).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.is_revoked().await;
    assert!(!gate.knock("ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_secret_gets_no_answer() {
    let Some(gate) = Gate::open(None).await else { return };
    let (inside, text) = gate.knock("ldevid", "another secret", "").await;
    assert!(!inside && !text.contains("Received RADIUS message"), "{text}");
}

/// By the server's clock: what the device believes of the time does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_only_in_its_time() {
    let Some(mut gate) = Gate::open(None).await else { return };
    let now = Time::now();
    let years = |count: u32| Duration::from_secs(365 * 86_400) * count;
    for time in [now - years(50), now + years(100)] {
        gate.has_the_time(time).await;
        assert!(!gate.knock("ldevid", SECRET, "").await.0, "{time}");
        assert_eq!(gate.refusal().await, "access-certificate");
    }
    gate.has_the_time(now).await;
    assert!(gate.knock("ldevid", SECRET, "").await.0);
}
