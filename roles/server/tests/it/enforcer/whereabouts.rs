//! Where devices are, as the kernel of a real router has it.

use super::{
    collected::session,
    names::{Ground, device},
};
use landfall_server::authorizer::Whereabouts;
use std::net::IpAddr;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_where_its_interface_has_been_heard() {
    let Some(ground) = Ground::new().await else { return };
    let at = async |number| ground.enforcer.of(&device(number)).await;
    assert_eq!(at(1).await, Vec::<IpAddr>::new(), "nobody is there yet");
    ground.hosts.set("world", "link set eth0 address 02:00:00:00:01:03");
    ground.hosts.set("switch", "neighbour flush all");
    ground.admit(1).await;
    ground.dig(1, "cloud.thing.example").await;
    assert_eq!(at(1).await, ["192.168.30.10".parse::<IpAddr>().unwrap()]);
    assert_eq!(at(2).await, Vec::<IpAddr>::new(), "it has not been let in");
    // Elsewhere, behind an access point that tells of its session.
    assert_eq!(at(3).await, Vec::<IpAddr>::new());
    session(&ground, 3).await;
    let probe = ground.hosts.inside("world", || std::net::UdpSocket::bind("10.99.0.2:0").unwrap());
    let heard = async {
        while at(3).await.is_empty() {
            probe.send_to(b"?", "10.99.0.1:9").unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), heard).await.expect("it is nowhere");
    assert_eq!(at(3).await, ["10.99.0.2".parse::<IpAddr>().unwrap()]);
}
