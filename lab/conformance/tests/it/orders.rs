//! What access points are told: that a device is to be elsewhere, or out, also after a restart.

use super::{
    access::{Gate, LIMIT, SECRET, SESSION, secret},
    hostap::installed,
    lab::{audit, records},
};
use landfall_eap::radius::{Attributes, Code, Kind, Packet};
use landfall_lifecycle::network::{DomainDevice, GuestPermit, Quarantine, Revocation};
use landfall_reference::peers::Peer;
use landfall_server::access::{ACCOUNTING_LOG, Client, Session};
use landfall_testkit::{Hosts, Running, free_port, temp_dir, tool};
use landfall_types::{Changes, Time};
use std::{process::Command, time::Duration};
use tokio::net::UdpSocket;

/// Attribute errors of RFC 5176 s3.5.
const UNSUPPORTED: u32 = 405;
const NO_SESSION: u32 = 503;

/// An access point that takes orders as it is told to.
struct Nas(UdpSocket);

impl Nas {
    async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    fn client(&self) -> Client {
        client(self.0.local_addr().unwrap().port())
    }

    /// The next order, answered with `code` and the error, or in silence.
    async fn hears(&self, answer: Option<(Code, Option<u32>)>) -> Packet {
        let mut datagram = [0; 4096];
        let received = tokio::time::timeout(LIMIT, self.0.recv_from(&mut datagram)).await.expect("no order comes");
        let (length, from) = received.unwrap();
        let request = Packet::open_request(&datagram[..length], &secret()).unwrap();
        // What eapol_test says it is: RFC 5176 s3 wants the session named as the access point named it.
        assert_eq!(request.attributes.text(Kind::CALLING_STATION_ID).as_deref(), Some("02-00-00-00-00-01"));
        assert_eq!(request.attributes.text(Kind::ACCT_SESSION_ID).as_deref(), Some(SESSION));
        if let Some((code, error)) = answer {
            let none = Attributes::default();
            let attributes = error.map_or(none.clone(), |error| none.with_number(Kind::ERROR_CAUSE, error));
            let answer = Packet { code, attributes, ..request.clone() };
            self.0.send_to(&answer.seal_answer(&request.authenticator, &secret()), from).await.unwrap();
        }
        request
    }
}

fn client(orders: u16) -> Client {
    Client::new("test", vec!["127.0.0.1".parse().unwrap()], secret(), Some(orders))
}

impl Gate {
    pub(super) fn sessions(&self) -> Vec<Session> {
        records::<Session>(&self.case.lab.registrar_world)
    }

    async fn is_quarantined(&self) {
        let world = &self.case.lab.registrar_world;
        let device = records::<DomainDevice>(world).pop().unwrap().identity.device;
        let quarantine = Quarantine { device, at: Time::now(), by: "operator".into(), why: "it misbehaves".into() };
        let changes = Changes::new().put(&quarantine).unwrap().and(quarantine.begun().unwrap());
        world.store.commit(changes).await.unwrap();
    }

    /// How the last order of that kind ended: `done`, or the check that failed.
    async fn ended(&self, action: &str) -> String {
        let entries = audit(&self.case.lab.registrar_world).await;
        let last = entries.into_iter().rfind(|entry| entry["action"] == action).unwrap();
        last["outcome"]["refused"]["check"].as_str().unwrap_or("done").to_owned()
    }

    /// Waits until this holds of the sessions on record.
    async fn until(&self, holds: impl Fn(&[Session]) -> bool) {
        let wait = async {
            while !holds(&self.sessions()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{:?}", self.sessions()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_while_inside_is_put_out_whoever_wrote_it_down() {
    let nas = Nas::new().await;
    let Some(gate) = Gate::with(nas.client()).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    assert_eq!(gate.sessions().len(), 1);
    gate.is_revoked().await;
    assert_eq!(nas.hears(Some((Code::DisconnectAck, None))).await.code, Code::DisconnectRequest);
    gate.until(<[_]>::is_empty).await;
    assert_eq!(gate.ended("device-put-out").await, "done");
}

/// Where it will be is written down while it has yet to hear of it; it is not let in by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_on_its_way_in_stays_out() {
    let nas = Nas::new().await;
    let Some(gate) = Gate::with(nas.client()).await else { return };
    let port = gate.held_back(Some(gate.is_revoked_meanwhile())).await;
    assert!(!gate.knock_at(port, "localhost", "ldevid", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-state");
    assert_eq!(nas.hears(Some((Code::DisconnectNak, Some(NO_SESSION)))).await.code, Code::DisconnectRequest);
    gate.until(<[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_go_on_is_still_known_to_be_where_it_was() {
    let Some(gate) = Gate::with(client(free_port())).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    let [before] = gate.sessions().try_into().unwrap();
    let port = gate.held_back(None::<std::future::Ready<()>>).await;
    assert!(!gate.knock_at(port, "localhost", "ldevid", SECRET, "").await.0);
    assert!(gate.sessions().contains(&before), "{:?}", gate.sessions());
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    let [after] = gate.sessions().try_into().unwrap();
    assert_ne!(before, after);
}

/// S4.C7: it has an hour here, and its access point half a minute more to ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_show_itself_again_in_its_time_is_put_out() {
    let nas = Nas::new().await;
    let Some(mut gate) = Gate::with(nas.client()).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    let since = gate.sessions()[0].since;
    gate.has_the_time(since + Duration::from_secs(3640)).await;
    assert_eq!(nas.hears(Some((Code::DisconnectAck, None))).await.code, Code::DisconnectRequest);
    gate.until(<[_]>::is_empty).await;
}

/// There is nothing left to end: that is as good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_access_point_does_not_know_is_over() {
    let nas = Nas::new().await;
    let Some(gate) = Gate::with(nas.client()).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.is_revoked().await;
    nas.hears(Some((Code::DisconnectNak, Some(NO_SESSION)))).await;
    gate.until(<[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_point_that_does_not_obey_is_told_again_and_the_operator_is_told() {
    let nas = Nas::new().await;
    let Some(mut gate) = Gate::with(nas.client()).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.is_revoked().await;
    nas.hears(Some((Code::DisconnectNak, Some(UNSUPPORTED)))).await;
    gate.until(|sessions| matches!(sessions, [session] if session.owed.as_ref().is_some_and(|owed| owed.tries == 1)))
        .await;
    assert_eq!(gate.ended("device-put-out").await, "radius-order");
    // What is owed outlives a restart too.
    gate.restart(async |_| {}).await;
    nas.hears(Some((Code::DisconnectAck, None))).await;
    gate.until(<[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_thrown_out_before_during_or_after_a_restart_is_put_out() {
    let nas = Nas::new().await;
    let Some(mut gate) = Gate::with(nas.client()).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.restart(async |_| {}).await;
    gate.is_quarantined().await;
    assert_eq!(nas.hears(Some((Code::DisconnectAck, None))).await.code, Code::DisconnectRequest);
    gate.until(<[_]>::is_empty).await;
    // It comes in again, to where it belongs now, and there it stays.
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    assert_eq!(gate.sessions()[0].vlan.as_deref(), Some("99"));
    gate.restart(async |gate| gate.is_revoked().await).await;
    nas.hears(Some((Code::DisconnectAck, None))).await;
    gate.until(<[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_to_be_elsewhere_is_moved_where_the_access_point_can_do_that() {
    let nas = Nas::new().await;
    let Some(gate) = Gate::with(nas.client().with_changes(true)).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.is_quarantined().await;
    let order = nas.hears(Some((Code::CoaAck, None))).await;
    assert_eq!(order.code, Code::CoaRequest);
    // RFC 3580 s3.31: as in an Access-Accept.
    assert_eq!(order.attributes.text(Kind::TUNNEL_PRIVATE_GROUP_ID).as_deref(), Some("99"));
    assert_eq!(order.attributes.number(Kind::TUNNEL_TYPE), Some(13));
    gate.until(|sessions| matches!(sessions, [session] if session.vlan.as_deref() == Some("99"))).await;
    assert_eq!(gate.ended("device-moved").await, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_moved_is_put_out_and_comes_in_again() {
    for refused in [Some((Code::CoaNak, Some(UNSUPPORTED))), None] {
        let nas = Nas::new().await;
        let Some(gate) = Gate::with(nas.client().with_changes(true)).await else { return };
        assert!(gate.knock("ldevid", SECRET, "").await.0);
        gate.is_quarantined().await;
        let mut orders = vec![nas.hears(refused).await.code];
        while orders.last() == Some(&Code::CoaRequest) {
            // In silence it is sent again, and given up before long.
            orders.push(nas.hears(None).await.code);
        }
        assert_eq!(*orders.last().unwrap(), Code::DisconnectRequest, "{orders:?}");
        nas.hears(Some((Code::DisconnectAck, None))).await;
        gate.until(<[_]>::is_empty).await;
        let silence = if refused.is_some() { "radius-order" } else { "radius-silence" };
        assert_eq!(gate.ended("device-moved").await, silence);
    }
}

/// SP 1800-36B 4.2, note.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_somebody_else_owns_is_inside_only_while_it_is_permitted() {
    let nas = Nas::new().await;
    let Some(gate) = Gate::with(nas.client()).await else { return };
    let (lab, now) = (&gate.case.lab, Time::now());
    let guest = lab.manufacturer.device("B-7");
    lab.folder.put_identity("guest", &guest);
    lab.folder.put_chain("guest-chain.pem", &guest.chain());
    let permit = |vendor: &str, serial: &str, until: Time| GuestPermit {
        vendor: vendor.parse().unwrap(),
        serial_number: serial.parse().unwrap(),
        at: now,
        by: "operator".into(),
        why: "a visitor".into(),
        until,
        seen: None,
        ended: None,
    };
    let hour = Duration::from_secs(3600);
    let store = &lab.registrar_world.store;
    // Nobody, another device, another manufacturer's device of that number.
    for other in [None, Some(("acme", "B-8")), Some(("other", "B-7"))] {
        if let Some((vendor, serial)) = other {
            store.commit(permit(vendor, serial, now + hour).begun().unwrap()).await.unwrap();
        }
        assert!(!gate.knock("guest", SECRET, "").await.0, "{other:?}");
        assert_eq!(gate.refusal().await, "access-certificate");
    }
    // A permission that is over.
    store.commit(permit("acme", "B-7", now).begun().unwrap()).await.unwrap();
    assert!(!gate.knock("guest", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-guest");

    let good = permit("acme", "B-7", now + hour);
    store.commit(good.begun().unwrap()).await.unwrap();
    let (inside, text) = gate.knock("guest", SECRET, "").await;
    assert!(inside, "{text}");
    assert_eq!(gate.sessions()[0].vlan.as_deref(), Some("66"));
    // The record says so.
    let kept = store.find::<GuestPermit>("acme/B-7").unwrap().unwrap().record;
    assert_eq!(kept.seen.as_ref().map(|(device, _)| device), Some(&gate.sessions()[0].device));

    let end = Revocation { at: now, by: "operator".into(), why: "it left".into() };
    store.commit(kept.ended(end).unwrap()).await.unwrap();
    assert_eq!(nas.hears(Some((Code::DisconnectAck, None))).await.code, Code::DisconnectRequest);
    gate.until(<[_]>::is_empty).await;
    assert!(!gate.knock("guest", SECRET, "").await.0);
    assert_eq!(gate.refusal().await, "access-guest");
}

/// The end of a session, told by Debian's radclient as an access point would (RFC 2866).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_access_point_says_that_is_over_is_forgotten() {
    let Some(radclient) = tool("radclient") else { return };
    let Some(gate) = Gate::with(client(1)).await else { return };
    let folder = temp_dir();
    let told = |status: &str, session: &str| {
        let packet = format!(
            "Acct-Status-Type = {status}\nAcct-Session-Id = \"{session}\"\nNAS-IP-Address = 127.0.0.1\n             User-Name = \"A-1\"\n"
        );
        std::fs::write(folder.path().join("packet"), packet).unwrap();
        let mut command = Command::new(&radclient);
        command.args(["-x", "-f"]).arg(folder.path().join("packet")).arg(gate.address.to_string());
        let output = tokio::task::block_in_place(|| command.args(["acct", SECRET]).output().unwrap());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("Received Accounting-Response"), "{text}");
    };
    for (status, session, over) in [
        ("Interim-Update", SESSION, false),
        ("Stop", "another", false),
        ("Stop", SESSION, true),
        ("Accounting-On", "", true),
    ] {
        assert!(gate.knock("ldevid", SECRET, "").await.0);
        told(status, session);
        assert_eq!(gate.sessions().is_empty(), over, "{status} {session}: {:?}", gate.sessions());
    }
}

/// Debian's freeradius in the place of an access point that moves sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freeradius_understands_where_a_device_is_to_be() {
    let Some(freeradius) = tool("freeradius") else { return };
    let folder = temp_dir();
    let orders = free_port();
    let path = folder.path().display();
    let settings = format!(
        "prefix = /usr\nlocalstatedir = {path}\nname = coa\nlogdir = {path}\nrun_dir = {path}\n         libdir = /usr/lib/freeradius\n         security {{\nallow_core_dumps = no\n}}\n         client landfall {{\nipaddr = 127.0.0.1\nsecret = \"{SECRET}\"\nrequire_message_authenticator = yes\n}}\n         modules {{\nalways ok {{\nrcode = ok\n}}\nalways reject {{\nrcode = reject\n}}\n}}\n         server default {{\nlisten {{\ntype = coa\nipaddr = 127.0.0.1\nport = {orders}\n}}\n         recv-coa {{\nif (&Tunnel-Private-Group-Id[0] == \"99\" && &Tunnel-Type[0] == VLAN && \
         &Acct-Session-Id == \"{SESSION}\") {{\nok\n}} else {{\nreject\n}}\n}}\nsend-coa {{\nok\n}}\n}}\n"
    );
    std::fs::write(folder.path().join("radiusd.conf"), settings).unwrap();
    std::fs::write(folder.path().join("dictionary"), "$INCLUDE /usr/share/freeradius/dictionary\n").unwrap();
    let mut command = Command::new(freeradius);
    let mut server = Running::start(command.args(["-f", "-l", "stdout", "-d"]).arg(folder.path()));
    tokio::task::block_in_place(|| server.until("Ready to process requests"));
    let Some(gate) = Gate::with(client(orders).with_changes(true)).await else { return };
    assert!(gate.knock("ldevid", SECRET, "").await.0);
    gate.is_quarantined().await;
    gate.until(|sessions| matches!(sessions, [session] if session.vlan.as_deref() == Some("99"))).await;
    assert_eq!(gate.ended("device-moved").await, "done");
}

/// Debian's hostapd at a switch's port, and Debian's wpa_supplicant behind a cable (RFC 3580, RFC 5176).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wired_port_opens_to_the_device_and_shuts_when_it_is_thrown_out() {
    if !installed() {
        return;
    }
    let Some(hosts) = Hosts::new(&["device"]) else { return };
    let orders = free_port();
    // It says that it moves devices, and does not: hostapd refuses such orders, and is told to end the session.
    let Some(gate) = Gate::with(client(orders).with_changes(true)).await else { return };
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

    gate.is_quarantined().await;
    switch.event(&["AP-STA-DISCONNECTED"], LIMIT).await.unwrap();
    gate.until(<[_]>::is_empty).await;
    assert_ne!(gate.ended("device-moved").await, "done");
    assert_eq!(gate.ended("device-put-out").await, "done");
    // It comes in again, to where it belongs now.
    device.request("LOGOFF").await.unwrap();
    device.request("LOGON").await.unwrap();
    switch.event(&["AP-STA-CONNECTED"], LIMIT).await.unwrap();
    assert_eq!(gate.sessions()[0].vlan.as_deref(), Some("99"));

    gate.is_revoked().await;
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
