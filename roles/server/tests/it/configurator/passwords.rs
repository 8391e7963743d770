//! Access points that ask for the passwords of devices by RADIUS.

use super::{device::Device, ground::Ground};
use landfall_eap::radius::{Attributes, Code, Kind, Packet, Secret};
use landfall_server::{Clock, access::Session};
use landfall_testkit::{Rng, temp_dir, tool};
use landfall_types::{Redacted, Time};
use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::net::UdpSocket;

const SECRET: &str = "a-secret-of-ours";
const NETWORK: &str = "[[configurator.network]]\nssid = \"Home\"\nkind = \"psk+sae\"\n";
const LIMIT: Duration = Duration::from_secs(30);

fn secret() -> Secret {
    Secret::new(Redacted::new(SECRET.into())).unwrap()
}

/// Asks as hostapd does with `macaddr_acl=2`; what it is told, and where the device is to be.
async fn ask(access: SocketAddr, name: &str, calling: &str, called: &str) -> Option<(String, Option<String>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let attributes = Attributes::default()
        .with(Kind::USER_NAME, name)
        .with(Kind::CALLING_STATION_ID, calling)
        .with(Kind::CALLED_STATION_ID, called)
        .with(Kind::NAS_IDENTIFIER, "ap-1");
    // Another one each time: the same would be answered from memory.
    let authenticator = Rng::new(socket.local_addr().unwrap().port().into()).bytes();
    let request = Packet { code: Code::AccessRequest, identifier: 1, authenticator, attributes };
    socket.send_to(&request.seal_request(&secret()), access).await.unwrap();
    let mut datagram = [0; 4096];
    let length = tokio::time::timeout(LIMIT, socket.recv(&mut datagram)).await.expect("an answer").unwrap();
    let answer = Packet::open_answer(&datagram[..length], &authenticator, &secret()).unwrap();
    if answer.code == Code::AccessReject {
        assert!(answer.attributes.password(&secret(), &authenticator).is_none());
        return None;
    }
    assert_eq!(answer.code, Code::AccessAccept);
    let password = answer.attributes.password(&secret(), &authenticator).unwrap();
    Some((String::from_utf8(password).unwrap(), answer.attributes.text(Kind::TUNNEL_PRIVATE_GROUP_ID)))
}

const NAME: &str = "020000000001";
const CALLING: &str = "02-00-00-00-00-01";
const CALLED: &str = "AA-BB-CC-00-00-01:Home";

async fn onboarded(ground: &Ground, number: u64, mac: [u8; 6]) -> (Device, String) {
    let device = Device { mac: Some(mac), ..Device::new(number) };
    ground.own(&device).await;
    let onboarded = device.chirp(ground.address).await.unwrap();
    let password = onboarded.object().credential.passphrase.as_ref().unwrap().expose().clone();
    (device, password)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_point_is_told_the_password_of_the_device_that_has_the_address() {
    let ground = Ground::with(NETWORK).await;
    let (_, first) = onboarded(&ground, 1, [2, 0, 0, 0, 0, 1]).await;
    let (_, second) = onboarded(&ground, 2, [2, 0, 0, 0, 0, 2]).await;
    let (access, _running) = ground.access("home", SECRET).await;
    assert_eq!(ask(access, NAME, CALLING, CALLED).await, Some((first.clone(), Some("30".into()))));
    let other = ask(access, "02:00:00:00:00:02", "02-00-00-00-00-02", CALLED).await;
    assert_eq!(other.map(|(password, _)| password), Some(second));
    assert_eq!(ground.store.count::<Session>().unwrap(), 2);

    // The same, read by another program.
    let Some(radclient) = tool("radclient") else { return };
    let folder = temp_dir();
    let packet = format!(
        "User-Name = \"{NAME}\"\nUser-Password = \"{NAME}\"\nCalling-Station-Id = \"{CALLING}\"\n\
         Called-Station-Id = \"{CALLED}\"\nMessage-Authenticator = 0x00\n"
    );
    std::fs::write(folder.path().join("packet"), packet).unwrap();
    let mut command = Command::new(radclient);
    command.arg("-x").arg("-f").arg(folder.path().join("packet")).arg(access.to_string()).args(["auth", SECRET]);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Received Access-Accept"), "{text}");
    assert!(text.contains(&format!("Tunnel-Password:0 = \"{first}\"")), "{text}");
    assert!(
        text.contains("Tunnel-Private-Group-Id:0 = \"30\"") || text.contains("Tunnel-Private-Group-Id = \"30\""),
        "{text}"
    );
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_told_anything() {
    let ground = Ground::with(NETWORK).await;
    let (device, _) = onboarded(&ground, 1, [2, 0, 0, 0, 0, 1]).await;
    let (access, _running) = ground.access("home", SECRET).await;
    assert!(ask(access, NAME, CALLING, CALLED).await.is_some());
    let stranger = ("020000000009", "02-00-00-00-00-09", CALLED);
    let another_name = ("020000000009", CALLING, CALLED);
    let no_address = ("somebody", CALLING, CALLED);
    let another_network = (NAME, CALLING, "AA-BB-CC-00-00-01:Elsewhere");
    let no_network = (NAME, CALLING, "AA-BB-CC-00-00-01");
    for (name, calling, called) in [stranger, another_name, no_address, another_network, no_network] {
        assert_eq!(ask(access, name, calling, called).await, None, "{name} {calling} {called}");
    }
    // An access point of another owner, whose network has the same name.
    let (elsewhere, _running) = ground.access("neighbour", SECRET).await;
    assert_eq!(ask(elsewhere, NAME, CALLING, CALLED).await, None);
    // Who is thrown out.
    ground.judge(&device, "revoke").await;
    assert_eq!(ask(access, NAME, CALLING, CALLED).await, None);
    ground.stop().await;
}

/// Nothing says which of them it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_two_devices_have_is_nobodys() {
    let ground = Ground::with(NETWORK).await;
    onboarded(&ground, 1, [2, 0, 0, 0, 0, 1]).await;
    onboarded(&ground, 2, [2, 0, 0, 0, 0, 1]).await;
    let (access, _running) = ground.access("home", SECRET).await;
    assert_eq!(ask(access, NAME, CALLING, CALLED).await, None);
    ground.stop().await;
}

/// hostapd lets a device in again by an answer that is not half a minute old, and does not ask.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_out_is_put_out_again_when_its_access_point_has_forgotten_the_answer() {
    let ground = Ground::with(NETWORK).await;
    let (device, _) = onboarded(&ground, 1, [2, 0, 0, 0, 0, 1]).await;
    let (later, start) = (Arc::new(AtomicU64::new(0)), Time::now());
    let seconds = later.clone();
    let clock = Clock::of(move || start + Duration::from_secs(seconds.load(Ordering::Relaxed)));
    let nas = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let orders = nas.local_addr().unwrap().port();
    let (access, _running) = ground.access_with("home", SECRET, orders, Some(clock)).await;
    assert!(ask(access, NAME, CALLING, CALLED).await.is_some());
    ground.judge(&device, "revoke").await;
    obeys(&nas).await;
    until(|| ground.store.scan::<Session>(None, 9).unwrap()[0].record.owed.is_some()).await;
    later.store(30, Ordering::Relaxed);
    assert_eq!(ask(access, NAME, CALLING, CALLED).await, None);
    assert_eq!(ground.store.count::<Session>().unwrap(), 1);
    later.store(31, Ordering::Relaxed);
    obeys(&nas).await;
    until(|| ground.store.count::<Session>().unwrap() == 0).await;
    ground.stop().await;
}

/// The next order is to put a device out, and is done.
async fn obeys(nas: &UdpSocket) {
    let mut datagram = [0; 4096];
    let received = tokio::time::timeout(LIMIT, nas.recv_from(&mut datagram)).await.expect("an order");
    let (length, from) = received.unwrap();
    let request = Packet::open_request(&datagram[..length], &secret()).unwrap();
    assert_eq!(request.code, Code::DisconnectRequest);
    let answer = Packet { code: Code::DisconnectAck, attributes: Attributes::default(), ..request.clone() };
    nas.send_to(&answer.seal_answer(&request.authenticator, &secret()), from).await.unwrap();
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("it comes to that");
}
