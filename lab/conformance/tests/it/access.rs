//! hostap's `eapol_test` as an access point and a device in one: what our EST gave it lets it in, and nothing else does.

use super::{
    est::Case,
    hostap::installed,
    lab::{audit, identity, records},
};
use landfall_eap::radius::{Attributes, Code, Kind, Packet, Secret};
use landfall_lifecycle::{
    device::{DeviceEvent, step},
    network::DomainDevice,
};
use landfall_pki::Anchors;
use landfall_reference::peers::Peer;
use landfall_server::{
    access::{ACCOUNTING_LOG, Access, Client, Config, Places},
    settings::PlaceSettings,
};
use landfall_testkit::{Hosts, Identity, tool};
use landfall_types::{Changes, Redacted, Time};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

const SECRET: &str = "a-secret-of-ours";
/// A step of a real peer takes seconds at the most; a busy machine may take longer.
const LIMIT: Duration = Duration::from_secs(60);
/// The versions of TLS, and how to have each of them.
const VERSIONS: [(&str, &str); 2] = [("TLSv1.2", "tls_disable_tlsv1_3=1"), ("TLSv1.3", "tls_disable_tlsv1_3=0")];

/// An access server beside the registrar, and a device that has enrolled there: `ldevid.pem` and `ldevid.key`.
struct Gate {
    case: Case,
    device: Identity,
    program: PathBuf,
    address: SocketAddr,
    access: Arc<Access>,
    _running: landfall_server::Trigger,
}

fn secret() -> Secret {
    Secret::new(Redacted::new(SECRET.into())).unwrap()
}

impl Gate {
    async fn open(orders: Option<u16>) -> Option<Self> {
        let program = tool("eapol_test")?;
        let (case, device) = Case::enrolled("ldevid").await?;
        let place = PlaceSettings {
            vlan: Some("30".into()),
            reauthenticate: Some("1h".parse().unwrap()),
            ..PlaceSettings::default()
        };
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            identity: identity(&case.lab.domain.registrar),
            anchors: Anchors::of([case.lab.domain.root.authority.certificate.clone()]),
            clients: vec![Client::new("test", vec!["127.0.0.1".parse().unwrap()], secret(), orders)],
            places: Places::of(&[place]),
            at_once: 8,
            enforcer: None,
        };
        let (trigger, shutdown) = landfall_server::shutdown();
        let (task, access) = config.build(case.lab.registrar_world.clone(), shutdown).await.unwrap();
        let address = task.address.unwrap();
        tokio::spawn(task.run());
        Some(Self { case, device, program, address, access, _running: trigger })
    }

    /// Has eapol_test come as `client` with these further lines of its network; whether it got in, and what it printed.
    async fn knock(&self, client: &str, secret: &str, more: &str) -> (bool, String) {
        let folder = &self.case.lab.folder;
        let network = format!(
            "network={{\nkey_mgmt=WPA-EAP\neap=TLS\nidentity=\"@example\"\nca_cert=\"domain.pem\"\n\
             client_cert=\"{client}-chain.pem\"\nprivate_key=\"{client}.key\"\ndomain_match=\"localhost\"\n{more}\n}}\n"
        );
        folder.put("eapol.conf", network);
        let port = self.address.port().to_string();
        let arguments = ["-c", "eapol.conf", "-a", "127.0.0.1", "-p", &port, "-s", secret, "-r", "0", "-t", "5"];
        // It waits for its answers, so the server's tasks need other threads.
        let output = tokio::task::block_in_place(|| folder.try_run(&self.program, &arguments));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text.trim_end().ends_with("SUCCESS") && output.status.success(), text)
    }

    /// Why the last one stayed out, as the audit has it.
    async fn refusal(&self) -> String {
        let entries = audit(&self.case.lab.registrar_world).await;
        let last = entries.into_iter().rfind(|entry| entry["role"] == "access").unwrap();
        last["outcome"]["refused"]["check"].as_str().unwrap_or_default().to_owned()
    }

    async fn happens(&self, event: DeviceEvent) {
        let store = &self.case.lab.registrar_world.store;
        let mut found = store.find_by::<DomainDevice>(DomainDevice::BY_SERIAL, "A-1", 2).unwrap();
        let found = found.pop().unwrap();
        let step = step(&found.record, event, Time::now()).unwrap();
        store.commit(Changes::new().put_if(&step.device, found.version).unwrap()).await.unwrap();
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
    gate.happens(DeviceEvent::Revoked { by: "operator".into(), why: "it misbehaves".into() }).await;
    assert!(!gate.knock("ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_secret_gets_no_answer() {
    let Some(gate) = Gate::open(None).await else { return };
    let (inside, text) = gate.knock("ldevid", "another secret", "").await;
    assert!(!inside && !text.contains("Received RADIUS message"), "{text}");
}

/// Debian's hostapd at a switch's port, and Debian's wpa_supplicant behind a cable (RFC 3580, RFC 5176).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wired_port_opens_to_the_device_and_shuts_when_it_is_thrown_out() {
    if !installed() {
        return;
    }
    let Some(hosts) = Hosts::new(&["device"]) else { return };
    let orders = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(gate) = Gate::open(Some(orders)).await else { return };
    let port = format!("lfp{}", std::process::id());
    hosts.plug(("device", "eth0"), &port);
    let settings = format!(
        "own_ip_addr=127.0.0.1\nnas_identifier=port-1\nauth_server_addr=127.0.0.1\nauth_server_port={}\n\
         auth_server_shared_secret={SECRET}\nacct_server_addr=127.0.0.1\nacct_server_port={}\n\
         acct_server_shared_secret={SECRET}\nradius_das_port={orders}\nradius_das_client=127.0.0.1 {SECRET}\n\
         radius_das_require_message_authenticator=1",
        gate.address.port(),
        gate.address.port()
    );
    let mut switch = Peer::switch_port(&port, &settings).await.unwrap();
    let file = |name: &str| gate.case.lab.folder.path(name).display().to_string();
    let network = format!(
        "key_mgmt=IEEE8021X\neap=TLS\neapol_flags=0\nidentity=\"@example\"\nca_cert=\"{}\"\nclient_cert=\"{}\"\n\
         private_key=\"{}\"\ndomain_match=\"localhost\"\nphase1=\"tls_disable_tlsv1_3=0\"",
        file("domain.pem"),
        file("ldevid-chain.pem"),
        file("ldevid.key")
    );
    let begin = hosts.command("device", "env");
    let mut device = Peer::wired_station(begin, "eth0", &network).await.unwrap();
    device.event(&["CTRL-EVENT-CONNECTED"], LIMIT).await.unwrap();
    switch.event(&["AP-STA-CONNECTED"], LIMIT).await.unwrap();
    let stations = switch.request("STA-FIRST").await.unwrap();
    assert!(stations.contains("[AUTHORIZED]"), "{stations}");

    gate.happens(DeviceEvent::Revoked { by: "operator".into(), why: "it misbehaves".into() }).await;
    let known = records::<DomainDevice>(&gate.case.lab.registrar_world).pop().unwrap();
    assert_eq!(gate.access.put_out(&known.identity.device).await, [("test".to_owned(), Ok(()))]);
    switch.event(&["AP-STA-DISCONNECTED"], LIMIT).await.unwrap();
    // It knows nothing of it, since no wire was unplugged. It asks to be let in again, and stays out.
    device.request("LOGOFF").await.unwrap();
    device.request("LOGON").await.unwrap();
    device.event(&["CTRL-EVENT-EAP-FAILURE"], LIMIT).await.unwrap();
    assert_eq!(gate.refusal().await, "access-state");
    let stations = switch.request("STA-FIRST").await.unwrap_or_default();
    assert!(!stations.contains("[AUTHORIZED]"), "{stations}");
    // RFC 2866: what the port told is kept.
    let told = gate.case.lab.registrar_world.store.log(ACCOUNTING_LOG, 0, 100).unwrap();
    assert!(told.iter().any(|entry| entry.entry["status"] == "start"), "{told:?}");
}

/// The access point of this test takes orders as RFC 5176 says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_while_inside_is_put_out() {
    let nas = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let Some(gate) = Gate::open(Some(nas.local_addr().unwrap().port())).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    let found = records::<DomainDevice>(&gate.case.lab.registrar_world).pop().unwrap();
    gate.happens(DeviceEvent::Revoked { by: "operator".into(), why: "it misbehaves".into() }).await;
    let (access, id) = (gate.access.clone(), found.identity.device.clone());
    let order = tokio::spawn(async move { access.put_out(&id).await });
    let mut datagram = [0; 4096];
    let (length, from) = nas.recv_from(&mut datagram).await.unwrap();
    let request = Packet::open_request(&datagram[..length], &secret()).unwrap();
    assert_eq!(request.code, Code::DisconnectRequest);
    // What eapol_test says it is: RFC 5176 s3 wants the session named as the access point named it.
    assert_eq!(request.attributes.text(Kind::CALLING_STATION_ID).as_deref(), Some("02-00-00-00-00-01"));
    let answer = Packet { code: Code::DisconnectAck, attributes: Attributes::default(), ..request.clone() };
    nas.send_to(&answer.seal_answer(&request.authenticator, &secret()), from).await.unwrap();
    assert_eq!(order.await.unwrap(), [("test".to_owned(), Ok(()))]);
    assert!(gate.access.put_out(&found.identity.device).await.is_empty(), "it is inside no more");
}
